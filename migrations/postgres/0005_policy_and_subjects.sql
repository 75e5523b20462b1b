-- Where a token may be used from and how often, both as JSON; none: anywhere, and as its namespace says.
ALTER TABLE token ADD COLUMN networks JSONB;
ALTER TABLE token ADD COLUMN rate_limit JSONB;

-- How long the secret before lives on once this one is used, in microseconds; when this one was first used, and first
-- used after its end; and the digest it was imported with, where that is not one to look up.
ALTER TABLE secret ADD COLUMN overlap BIGINT;
ALTER TABLE secret ADD COLUMN first_use_time BIGINT;
ALTER TABLE secret ADD COLUMN reuse_time BIGINT;
ALTER TABLE secret ADD COLUMN phc TEXT;

-- Secrets that have to be tried are found by how they begin.
CREATE INDEX secret_to_try ON secret (hint, token_id) WHERE phc IS NOT NULL;

-- What was issued up to this instant is revoked.
ALTER TABLE namespace ADD COLUMN not_before_time BIGINT;
ALTER TABLE namespace ADD COLUMN not_before_reason TEXT;

-- What is said of all tokens of one subject; most subjects have no row.
CREATE TABLE subject (
    namespace         TEXT   COLLATE "C" NOT NULL REFERENCES namespace (slug),
    subject           TEXT   COLLATE "C" NOT NULL,
    version           BIGINT NOT NULL,
    plan              TEXT,
    suspend_time      BIGINT,
    suspend_reason    TEXT,
    not_before_time   BIGINT,
    not_before_reason TEXT,
    create_time       BIGINT NOT NULL,
    update_time       BIGINT NOT NULL,
    mac               BYTEA CHECK (octet_length(mac) = 32),
    PRIMARY KEY (namespace, subject)
);

-- The subject that a change to a subject concerns; a change to one of its tokens has none here.
ALTER TABLE journal ADD COLUMN subject TEXT COLLATE "C";

CREATE INDEX journal_of_subjects ON journal (namespace, subject, revision) WHERE subject IS NOT NULL;

DROP INDEX journal_of_namespaces;

-- The last change to a namespace, without a walk through those to its tokens and subjects.
CREATE INDEX journal_of_namespaces ON journal (namespace, revision) WHERE token_id IS NULL AND subject IS NULL;

DROP VIEW token_record;

-- A token as the program reads it: one JSON object, secrets included, oldest first; with the MAC over it, and the
-- last entry that concerned it, which an older state of the row cannot have as its version.
CREATE VIEW token_record (id, version, namespace, record, mac, newest) AS
SELECT id, version, namespace, json_build_object(
    'id', id,
    'namespace', namespace,
    'name', name,
    'subject', subject,
    'scopes', scopes,
    'labels', labels,
    'create_time', create_time,
    'expire_time', expire_time,
    'networks', networks,
    'rate_limit', rate_limit,
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
            'retire_time', retire_time,
            'overlap', overlap,
            'first_use_time', first_use_time,
            'reuse_time', reuse_time,
            'phc', phc
        ) ORDER BY secret.version), '[]')
        FROM secret WHERE token_id = token.id
    )
)::text, mac, (SELECT max(revision) FROM journal WHERE token_id = token.id)
FROM token;
