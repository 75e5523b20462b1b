-- Instants are microseconds since the Unix epoch, UTC. Nothing here asks for the time or for chance.
-- What is compared byte for byte elsewhere is so here, whatever the database's own collation is.

-- Where the journal ends: the counter row, locked last by every commit. Its one row is written when the
-- database is migrated. Every commit rewrites it, so its page keeps room for the next versions of it.
CREATE TABLE journal_head (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    epoch    BYTEA   NOT NULL CHECK (octet_length(epoch) = 16),
    revision BIGINT  NOT NULL CHECK (revision >= 0),
    link     BYTEA   NOT NULL CHECK (octet_length(link) = 32)
) WITH (fillfactor = 10);

-- Every change, in commit order. What counts is body: the other columns are there to search by, and an
-- audit compares them with it.
CREATE TABLE journal (
    revision   BIGINT PRIMARY KEY CHECK (revision > 0),
    time       BIGINT NOT NULL,
    actor      TEXT   NOT NULL,
    request_id UUID   NOT NULL UNIQUE,
    kind       TEXT   NOT NULL,
    namespace  TEXT   COLLATE "C" NOT NULL,
    token_id   UUID,
    body       BYTEA  NOT NULL,
    link       BYTEA  NOT NULL CHECK (octet_length(link) = 32)
);

CREATE INDEX journal_by_token ON journal (token_id, revision) WHERE token_id IS NOT NULL;

-- The history of a quiet namespace must not walk that of the loud ones.
CREATE INDEX journal_by_namespace ON journal (namespace, revision);

CREATE TABLE namespace (
    slug         TEXT   COLLATE "C" PRIMARY KEY,
    version      BIGINT NOT NULL,
    display_name TEXT   NOT NULL,
    prefix       TEXT   COLLATE "C" NOT NULL UNIQUE,
    body         JSONB  NOT NULL,
    create_time  BIGINT NOT NULL,
    update_time  BIGINT NOT NULL
);

CREATE TABLE token (
    id             UUID   PRIMARY KEY,
    version        BIGINT NOT NULL,
    namespace      TEXT   COLLATE "C" NOT NULL REFERENCES namespace (slug),
    name           TEXT   NOT NULL,
    subject        TEXT   NOT NULL,
    scopes         JSONB  NOT NULL,
    labels         JSONB  NOT NULL,
    create_time    BIGINT NOT NULL,
    expire_time    BIGINT,
    suspend_time   BIGINT,
    suspend_reason TEXT,
    revoke_time    BIGINT,
    revoke_reason  TEXT
);

-- Lists go through a namespace in id order, which is the order of issue.
CREATE UNIQUE INDEX token_by_namespace ON token (namespace, id);

-- The one index with random keys: what Verify looks up on a miss.
CREATE TABLE secret (
    digest      BYTEA   PRIMARY KEY CHECK (octet_length(digest) = 32),
    token_id    UUID    NOT NULL REFERENCES token (id),
    version     BIGINT  NOT NULL,
    pepper      INTEGER NOT NULL,
    hint        TEXT    NOT NULL,
    create_time BIGINT  NOT NULL,
    retire_time BIGINT
);

CREATE UNIQUE INDEX secret_by_token ON secret (token_id, version);

-- Who answers for this store, and how far each has come. SQLite has no such table: one process owns its
-- file. Rows are few and rewritten several times a second.
CREATE TABLE member (
    id    BYTEA  PRIMARY KEY CHECK (octet_length(id) = 16),
    name  TEXT   NOT NULL,
    beat  BIGINT NOT NULL,
    acked BIGINT NOT NULL
) WITH (fillfactor = 10);

-- A token as the program reads it: one JSON object, secrets included, oldest first.
CREATE VIEW token_record (id, version, namespace, record) AS
SELECT id, version, namespace, json_build_object(
    'id', id,
    'namespace', namespace,
    'name', name,
    'subject', subject,
    'scopes', scopes,
    'labels', labels,
    'create_time', create_time,
    'expire_time', expire_time,
    'suspension', CASE WHEN suspend_time IS NOT NULL
        THEN json_build_object('time', suspend_time, 'reason', suspend_reason) END,
    'revocation', CASE WHEN revoke_time IS NOT NULL
        THEN json_build_object('time', revoke_time, 'reason', revoke_reason) END,
    'secrets', (
        SELECT coalesce(json_agg(json_build_object(
            'version', secret.version,
            'digest', encode(digest, 'hex'),
            'pepper', pepper,
            'hint', hint,
            'create_time', secret.create_time,
            'retire_time', retire_time
        ) ORDER BY secret.version), '[]')
        FROM secret WHERE token_id = token.id
    )
)::text
FROM token;
