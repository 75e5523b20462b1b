-- Where the events of a namespace are sent. A row is one JSON object, as the journal has it, with the MAC over it.
CREATE TABLE webhook_endpoint (
    id        UUID   PRIMARY KEY,
    version   BIGINT NOT NULL,
    namespace TEXT   COLLATE "C" NOT NULL REFERENCES namespace (slug),
    record    TEXT   NOT NULL,
    mac       BYTEA  NOT NULL CHECK (octet_length(mac) = 32)
);

CREATE INDEX webhook_endpoint_by_namespace ON webhook_endpoint (namespace, id);

-- What events are signed with, sealed under a key that is made of the pepper, which is not here. Not in the journal
-- either: there it would stay for ever, under a pepper that is gone.
CREATE TABLE webhook_secret (
    endpoint_id UUID   NOT NULL,
    version     BIGINT NOT NULL,
    pepper      INTEGER NOT NULL,
    sealed      BYTEA  NOT NULL,
    PRIMARY KEY (endpoint_id, version)
);

-- How far each endpoint has come in the journal, and how it fares with the event after that.
CREATE TABLE webhook_cursor (
    endpoint_id   UUID   PRIMARY KEY,
    revision      BIGINT NOT NULL,
    failures      BIGINT NOT NULL,
    failing_since BIGINT,
    next_time     BIGINT
);

-- What became of the newest events of each endpoint; older ones are forgotten.
CREATE TABLE webhook_delivery (
    endpoint_id UUID   NOT NULL,
    revision    BIGINT NOT NULL,
    last_time   BIGINT NOT NULL,
    record      TEXT   NOT NULL,
    PRIMARY KEY (endpoint_id, revision)
);

-- What one server at a time does for all: who, and until when by their clocks.
CREATE TABLE duty (
    name   TEXT   COLLATE "C" PRIMARY KEY,
    holder BYTEA  NOT NULL CHECK (octet_length(holder) = 16),
    until  BIGINT NOT NULL
);

-- The endpoint that a change concerns; a change to anything else has none here.
ALTER TABLE journal ADD COLUMN endpoint_id UUID;

CREATE INDEX journal_of_endpoints ON journal (endpoint_id, revision) WHERE endpoint_id IS NOT NULL;

DROP INDEX journal_of_namespaces;

-- The last change to a namespace, without a walk through those to what is in it.
CREATE INDEX journal_of_namespaces ON journal (namespace, revision)
    WHERE token_id IS NULL AND subject IS NULL AND endpoint_id IS NULL;
