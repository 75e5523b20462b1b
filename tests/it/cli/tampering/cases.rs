//! What is done to a store, and what an audit says of it.

/// Each tampering, and how the finding begins.
pub(super) const TAMPERINGS: [(&str, &str); 26] = [
    (
        r#"UPDATE journal SET body = CAST(replace(body, '"ada"', '"eve"') AS BLOB) WHERE revision = 2"#,
        "revision 2: its link does not follow from revision 1 and its body",
    ),
    (
        "UPDATE journal SET link = zeroblob(32) WHERE revision = 4",
        "revision 4: its link does not follow",
    ),
    (
        "UPDATE journal SET actor = 'eve' WHERE revision = 3",
        "revision 3: its column actor does not agree",
    ),
    (
        "UPDATE journal SET time = time + 1 WHERE revision = 3",
        "revision 3: its column time does not agree",
    ),
    (
        "UPDATE journal SET request_id = zeroblob(16) WHERE revision = 3",
        "revision 3: its column request_id does not agree",
    ),
    (
        "UPDATE journal SET kind = 'token.suspended' WHERE revision = 5",
        "revision 5: its column kind does not agree",
    ),
    (
        "UPDATE journal SET namespace = 'tasks' WHERE revision = 5",
        "revision 5: its column namespace does not agree",
    ),
    (
        "UPDATE journal SET token_id = NULL WHERE revision = 5",
        "revision 5: its column token_id does not agree",
    ),
    (
        "UPDATE journal SET token_id = (SELECT token_id FROM journal WHERE revision = 2) WHERE revision = 5",
        "revision 5: its column token_id does not agree",
    ),
    (
        "DELETE FROM journal WHERE revision = 1",
        "revision 1: it is missing, the next one kept is revision 2",
    ),
    (
        "DELETE FROM journal WHERE revision = 4",
        "revision 4: it is missing, the next one kept is revision 5",
    ),
    (
        "DELETE FROM journal WHERE revision = 6",
        "head: it is at revision 6, but the last entry is revision 5",
    ),
    (
        "DELETE FROM journal",
        "head: it is at revision 6, but the last entry is revision 0",
    ),
    (
        "UPDATE journal SET revision = 99 WHERE revision = 2;
         UPDATE journal SET revision = 2 WHERE revision = 3;
         UPDATE journal SET revision = 3 WHERE revision = 99",
        "revision 2: its link does not follow",
    ),
    (
        "UPDATE journal_head SET revision = 3",
        "head: it is at revision 3, but the last entry is revision 6",
    ),
    (
        "UPDATE journal_head SET link = zeroblob(32)",
        "head: its link is not that of revision 6",
    ),
    (
        "UPDATE token SET subject = 'eve' WHERE version = 6",
        "token {6}: its row does not agree with its entries in subject",
    ),
    (
        "UPDATE token SET revoke_time = NULL, revoke_reason = NULL WHERE version = 5",
        "token {5}: its row does not agree with its entries in revocation",
    ),
    (
        "UPDATE token SET version = 7 WHERE version = 6",
        "token {6}: its row does not agree with its entries in version",
    ),
    (
        "UPDATE token SET scopes = 'x' WHERE version = 6",
        "token {6}: its row cannot be read: invalid type: null",
    ),
    (
        "UPDATE token SET scopes = '[\"X\"]' WHERE version = 6",
        "token {6}: its row cannot be read: ",
    ),
    (
        "UPDATE secret SET retire_time = NULL",
        "token {4}: its row does not agree with its entries in secrets",
    ),
    (
        "DELETE FROM token WHERE version = 4",
        "token {4}: its row is missing, revision 4 was the last to concern it",
    ),
    (
        "INSERT INTO token (id, version, namespace, name, subject, scopes, labels, create_time, mac)
            SELECT zeroblob(16), version, namespace, name, subject, scopes, labels, create_time, mac
            FROM token WHERE version = 6",
        "token 00000000-0000-0000-0000-000000000000: it has a row, but no entry made it",
    ),
    (
        "UPDATE namespace SET display_name = 'Eve'",
        "namespace notes: its row does not agree with its entries in display_name",
    ),
    (
        "DELETE FROM namespace",
        "namespace notes: its row is missing, revision 1 was the last to concern it",
    ),
];
