-- Where the events of a namespace are sent. A row is one JSON object, as the journal has it, with the MAC over it.
CREATE TABLE webhook_endpoint (
    id        BLOB    PRIMARY KEY CHECK (length(id) = 16),
    version   INTEGER NOT NULL,
    namespace TEXT    NOT NULL REFERENCES namespace (slug),
    record    TEXT    NOT NULL,
    mac       BLOB    NOT NULL CHECK (length(mac) = 32)
) STRICT, WITHOUT ROWID;

CREATE INDEX webhook_endpoint_by_namespace ON webhook_endpoint (namespace, id);

-- What events are signed with, sealed under a key that is made of the pepper, which is not here. Not in the journal
-- either: there it would stay for ever, under a pepper that is gone.
CREATE TABLE webhook_secret (
    endpoint_id BLOB    NOT NULL CHECK (length(endpoint_id) = 16),
    version     INTEGER NOT NULL,
    pepper      INTEGER NOT NULL,
    sealed      BLOB    NOT NULL,
    PRIMARY KEY (endpoint_id, version)
) STRICT, WITHOUT ROWID;

-- How far each endpoint has come in the journal, and how it fares with the event after that.
CREATE TABLE webhook_cursor (
    endpoint_id   BLOB    PRIMARY KEY CHECK (length(endpoint_id) = 16),
    revision      INTEGER NOT NULL,
    failures      INTEGER NOT NULL,
    failing_since INTEGER,
    next_time     INTEGER
) STRICT, WITHOUT ROWID;

-- What became of the newest events of each endpoint; older ones are forgotten.
CREATE TABLE webhook_delivery (
    endpoint_id BLOB    NOT NULL CHECK (length(endpoint_id) = 16),
    revision    INTEGER NOT NULL,
    last_time   INTEGER NOT NULL,
    record      TEXT    NOT NULL,
    PRIMARY KEY (endpoint_id, revision)
) STRICT, WITHOUT ROWID;

-- What one server at a time does for all: who, and until when by their clocks.
CREATE TABLE duty (
    name   TEXT    PRIMARY KEY,
    holder BLOB    NOT NULL CHECK (length(holder) = 16),
    until  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The endpoint that a change concerns; a change to anything else has none here.
ALTER TABLE journal ADD COLUMN endpoint_id BLOB CHECK (length(endpoint_id) = 16);

CREATE INDEX journal_of_endpoints ON journal (endpoint_id, revision) WHERE endpoint_id IS NOT NULL;

DROP INDEX journal_of_namespaces;

-- The last change to a namespace, without a walk through those to what is in it.
CREATE INDEX journal_of_namespaces ON journal (namespace, revision)
    WHERE token_id IS NULL AND subject IS NULL AND endpoint_id IS NULL;
