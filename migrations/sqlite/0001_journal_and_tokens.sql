-- Instants are microseconds since the Unix epoch, UTC. Nothing here asks for the time or for chance.

-- Where the journal ends. Its one row is written with the first start.
CREATE TABLE journal_head (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    epoch    BLOB    NOT NULL CHECK (length(epoch) = 16),
    revision INTEGER NOT NULL CHECK (revision >= 0),
    link     BLOB    NOT NULL CHECK (length(link) = 32)
) STRICT;

-- Every change, in commit order. What counts is body: the other columns are there to search by, and an
-- audit compares them with it.
CREATE TABLE journal (
    revision   INTEGER PRIMARY KEY CHECK (revision > 0),
    time       INTEGER NOT NULL,
    actor      TEXT    NOT NULL,
    request_id BLOB    NOT NULL UNIQUE CHECK (length(request_id) = 16),
    kind       TEXT    NOT NULL,
    namespace  TEXT    NOT NULL,
    token_id   BLOB    CHECK (length(token_id) = 16),
    body       BLOB    NOT NULL,
    link       BLOB    NOT NULL CHECK (length(link) = 32)
) STRICT;

CREATE INDEX journal_by_token ON journal (token_id, revision) WHERE token_id IS NOT NULL;

-- The history of a quiet namespace must not walk that of the loud ones.
CREATE INDEX journal_by_namespace ON journal (namespace, revision);

CREATE TABLE namespace (
    slug         TEXT    PRIMARY KEY,
    version      INTEGER NOT NULL,
    display_name TEXT    NOT NULL,
    prefix       TEXT    NOT NULL UNIQUE,
    body         TEXT    NOT NULL,
    create_time  INTEGER NOT NULL,
    update_time  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
    id             BLOB    PRIMARY KEY CHECK (length(id) = 16),
    version        INTEGER NOT NULL,
    namespace      TEXT    NOT NULL REFERENCES namespace (slug),
    name           TEXT    NOT NULL,
    subject        TEXT    NOT NULL,
    scopes         TEXT    NOT NULL,
    labels         TEXT    NOT NULL,
    create_time    INTEGER NOT NULL,
    expire_time    INTEGER,
    suspend_time   INTEGER,
    suspend_reason TEXT,
    revoke_time    INTEGER,
    revoke_reason  TEXT
) STRICT, WITHOUT ROWID;

-- Lists go through a namespace in id order, which is the order of issue.
CREATE UNIQUE INDEX token_by_namespace ON token (namespace, id);

-- The one index with random keys: what Verify looks up on a miss.
CREATE TABLE secret (
    digest      BLOB    PRIMARY KEY CHECK (length(digest) = 32),
    token_id    BLOB    NOT NULL REFERENCES token (id),
    version     INTEGER NOT NULL,
    pepper      INTEGER NOT NULL,
    hint        TEXT    NOT NULL,
    create_time INTEGER NOT NULL,
    retire_time INTEGER
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX secret_by_token ON secret (token_id, version);

-- A token as the program reads it: one JSON object, secrets included, oldest first.
CREATE VIEW token_record (id, version, namespace, record) AS
SELECT id, version, namespace, json_object(
    'id', lower(hex(id)),
    'namespace', namespace,
    'name', name,
    'subject', subject,
    'scopes', json(scopes),
    'labels', json(labels),
    'create_time', create_time,
    'expire_time', expire_time,
    'suspension', CASE WHEN suspend_time IS NOT NULL
        THEN json_object('time', suspend_time, 'reason', suspend_reason) END,
    'revocation', CASE WHEN revoke_time IS NOT NULL
        THEN json_object('time', revoke_time, 'reason', revoke_reason) END,
    'secrets', (
        SELECT json_group_array(json_object(
            'version', secret.version,
            'digest', lower(hex(digest)),
            'pepper', pepper,
            'hint', hint,
            'create_time', secret.create_time,
            'retire_time', retire_time
        ) ORDER BY secret.version)
        FROM secret WHERE token_id = token.id
    )
)
FROM token;
