//! What a superuser may try, and what names it.

/// Something done to the rows of tokens.
pub(super) struct RowAttack {
    pub(super) sql: &'static str,
    /// Whose secret is then presented.
    pub(super) presents: &'static str,
    /// Whose row is refused: the log names it.
    pub(super) named: &'static str,
    /// What the log says is wrong with it.
    pub(super) wrong: &'static str,
    /// What the offline audit of the embedded store says; it has no key, so of a MAC it says nothing.
    pub(super) audit: Option<&'static str>,
}

const FORGED: &str = "its row is not the one its MAC was made for";
const GONE: &str = "its row is gone";
const OUTDATED: &str = "was the last to concern it";

pub(super) const CLEARED: &str = "UPDATE token SET revoke_time = NULL, revoke_reason = NULL WHERE id = {bob}";

const PUT_BACK: &str = "
    UPDATE token SET (version, revoke_time, revoke_reason, mac) =
        (SELECT version, revoke_time, revoke_reason, mac FROM kept WHERE kept.id = token.id)
    WHERE id = {bob}";

pub(super) const OF_ROWS: &[RowAttack] = &[
    RowAttack {
        // A token of one's own, with the digest of a secret one knows.
        sql: "INSERT INTO token (id, version, namespace, name, subject, scopes, labels, create_time, mac)
                SELECT {eve}, version, namespace, name, 'eve', '[\"admin\"]', labels, create_time, mac
                FROM token WHERE id = {ann};
              UPDATE secret SET token_id = {eve} WHERE token_id = {ann}",
        presents: "ann",
        named: "eve",
        wrong: FORGED,
        audit: Some("its row does not agree with its entries in secrets"),
    },
    RowAttack {
        sql: "UPDATE token SET scopes = '[\"admin\", \"read\"]' WHERE id = {ann}",
        presents: "ann",
        named: "ann",
        wrong: FORGED,
        audit: Some("its row does not agree with its entries in scopes"),
    },
    RowAttack {
        sql: "UPDATE token SET expire_time = 4000000000000000 WHERE id = {ann}",
        presents: "ann",
        named: "ann",
        wrong: FORGED,
        audit: Some("its row does not agree with its entries in expire_time"),
    },
    RowAttack {
        sql: "UPDATE token SET subject = 'root' WHERE id = {ann}",
        presents: "ann",
        named: "ann",
        wrong: FORGED,
        audit: Some("its row does not agree with its entries in subject"),
    },
    RowAttack {
        sql: CLEARED,
        presents: "bob",
        named: "bob",
        wrong: FORGED,
        audit: Some("its row does not agree with its entries in revocation"),
    },
    RowAttack {
        sql: PUT_BACK,
        presents: "bob",
        named: "bob",
        wrong: OUTDATED,
        audit: Some("its row does not agree with its entries in revocation, version"),
    },
    RowAttack {
        // Put back, and called newer than it is.
        sql: "UPDATE token SET (revoke_time, revoke_reason, mac) =
                (SELECT revoke_time, revoke_reason, mac FROM kept WHERE kept.id = token.id)
              WHERE id = {bob}",
        presents: "bob",
        named: "bob",
        wrong: FORGED,
        audit: Some("its row does not agree with its entries in revocation"),
    },
    RowAttack {
        // The secret of the one that is revoked, under the one that is good.
        sql: "UPDATE secret SET token_id = {ann}, version = 2 WHERE token_id = {bob}",
        presents: "bob",
        named: "ann",
        wrong: FORGED,
        audit: Some("its row does not agree with its entries in secrets"),
    },
    RowAttack {
        sql: "UPDATE token SET mac = NULL WHERE id = {ann}",
        presents: "ann",
        named: "ann",
        wrong: "its row has no MAC",
        audit: None,
    },
    RowAttack {
        // The revocation out of the journal: the row is then of an entry that is not there.
        sql: "DELETE FROM journal WHERE token_id = {bob} AND kind = 'token.revoked'",
        presents: "bob",
        named: "bob",
        wrong: OUTDATED,
        audit: Some("it is missing, the next one kept is"),
    },
    RowAttack {
        // The revocation is called one of another token.
        sql: "UPDATE journal SET token_id = {ann} WHERE token_id = {bob} AND kind = 'token.revoked'",
        presents: "bob",
        named: "bob",
        wrong: OUTDATED,
        audit: Some("its column token_id does not agree with its body"),
    },
];

/// What is done to the row of a subject that is suspended, and had a plan before; the table `kept_subject` has the row of
/// then. What the log says is wrong with it.
pub(super) const OF_SUBJECTS: &[(&str, &str)] = &[
    (
        "UPDATE subject SET suspend_time = NULL, suspend_reason = NULL",
        FORGED,
    ),
    (
        "UPDATE subject SET not_before_time = 1, not_before_reason = ''",
        FORGED,
    ),
    ("UPDATE subject SET plan = 'team'", FORGED),
    ("UPDATE subject SET mac = NULL", "its row has no MAC"),
    ("UPDATE subject SET subject = 'eve'", GONE),
    ("DELETE FROM subject", GONE),
    (
        "DELETE FROM subject; INSERT INTO subject SELECT * FROM kept_subject",
        OUTDATED,
    ),
];

/// What is done to the journal of the embedded store, and what its audit says.
pub(super) const OF_THE_JOURNAL: &[(&str, &str)] = &[
    (
        r#"UPDATE journal SET body = CAST(replace(CAST(body AS TEXT), '"ada"', '"eve"') AS BLOB) WHERE token_id = {ann}"#,
        "its link does not follow from revision",
    ),
    (
        "DELETE FROM journal WHERE token_id = {ann}; DELETE FROM token WHERE id = {ann}",
        "it is missing, the next one kept is revision",
    ),
    (
        "CREATE TABLE swapped AS SELECT token_id, body, link FROM journal WHERE kind = 'token.issued';
         UPDATE journal SET (body, link) =
             (SELECT body, link FROM swapped WHERE swapped.token_id <> journal.token_id)
         WHERE kind = 'token.issued'",
        "its link does not follow from revision",
    ),
    (
        // Row and entry together: Verify would go by it, for the journal has forgotten.
        "UPDATE token SET (version, revoke_time, revoke_reason, mac) =
             (SELECT version, revoke_time, revoke_reason, mac FROM kept WHERE kept.id = token.id)
         WHERE id = {bob};
         DELETE FROM journal WHERE token_id = {bob} AND kind = 'token.revoked'",
        "head: it is at revision",
    ),
];

/// The same of a journal that a server reads out, on Postgres.
pub(super) const READ_OUT: &[(&str, &str)] = &[
    (
        r#"UPDATE journal SET body = convert_to(replace(convert_from(body, 'UTF8'), '"ada"', '"eve"'), 'UTF8')
         WHERE token_id = {ann}"#,
        "its link does not follow from revision",
    ),
    (
        "DELETE FROM journal WHERE token_id = {ann}",
        "it is missing, the next one kept is revision",
    ),
    (
        "CREATE TABLE swapped AS SELECT token_id, body, link FROM journal
             WHERE kind = 'token.issued' AND namespace = 'notes';
         UPDATE journal SET (body, link) =
             (SELECT body, link FROM swapped WHERE swapped.token_id <> journal.token_id)
         WHERE kind = 'token.issued' AND namespace = 'notes'",
        "it is missing, the next one kept is revision",
    ),
    (
        "DELETE FROM journal WHERE token_id = {bob} AND kind = 'token.revoked'",
        "head: it is at revision",
    ),
];

/// Nothing that is left says that there ever was a revocation.
pub(super) const CUT_OFF: &str = "
    UPDATE token SET (version, revoke_time, revoke_reason, mac) =
        (SELECT version, revoke_time, revoke_reason, mac FROM kept WHERE kept.id = token.id)
    WHERE id = {bob};
    DELETE FROM journal WHERE token_id = {bob} AND kind = 'token.revoked';
    UPDATE journal_head SET (revision, link) =
        (SELECT revision, link FROM journal ORDER BY revision DESC LIMIT 1)";
