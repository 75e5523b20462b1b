-- What a row says is believed only with the MAC over it, made with a key that is not in the database. A row
-- without one was written before there was any, and is refused as a forged one is.
ALTER TABLE token ADD COLUMN mac BYTEA CHECK (octet_length(mac) = 32);
ALTER TABLE namespace ADD COLUMN mac BYTEA CHECK (octet_length(mac) = 32);

-- The last change to a namespace, without a walk through those to its tokens.
CREATE INDEX journal_of_namespaces ON journal (namespace, revision) WHERE token_id IS NULL;

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
)::text, mac, (SELECT max(revision) FROM journal WHERE token_id = token.id)
FROM token;

-- The peppers that this store was written with, as far as can be told without them: a server with another pepper under
-- the same id must not start. Id 0 is the key of the tags and the MACs, which stays when peppers go.
CREATE TABLE pepper (
    id          INTEGER PRIMARY KEY CHECK (id BETWEEN 0 AND 65535),
    fingerprint BYTEA   NOT NULL CHECK (octet_length(fingerprint) = 16)
);
