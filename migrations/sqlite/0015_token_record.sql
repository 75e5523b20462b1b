-- As before, but in words that SQLite knew before 3.44, too: an older one, as Debian 12 has it, takes no statement on a
-- file in whose schema there is anything it does not understand.
DROP VIEW token_record;

CREATE VIEW token_record (id, version, namespace, record, mac, newest) AS
SELECT id, version, namespace, json_object(
    'id', lower(hex(id)),
    'namespace', namespace,
    'name', name,
    'subject', subject,
    'scopes', CASE WHEN json_valid(scopes) THEN json(scopes) END,
    'labels', CASE WHEN json_valid(labels) THEN json(labels) END,
    'create_time', create_time,
    'expire_time', expire_time,
    'networks', CASE WHEN json_valid(networks) THEN json(networks) END,
    'rate_limit', CASE WHEN json_valid(rate_limit) THEN json(rate_limit) END,
    'suspension', CASE WHEN suspend_time IS NOT NULL
        THEN json_object('time', suspend_time, 'reason', suspend_reason) END,
    'revocation', CASE WHEN revoke_time IS NOT NULL
        THEN json_object('time', revoke_time, 'reason', revoke_reason) END,
    'secrets', (
        SELECT json_group_array(json_object(
            'version', version,
            'digest', lower(hex(digest)),
            'pepper', pepper,
            'hint', hint,
            'create_time', create_time,
            'retire_time', retire_time,
            'overlap', overlap,
            'first_use_time', first_use_time,
            'reuse_time', reuse_time,
            'phc', phc
        ))
        FROM (SELECT * FROM secret WHERE token_id = token.id ORDER BY version)
    )
), mac, (SELECT max(revision) FROM journal WHERE token_id = token.id)
FROM token;
