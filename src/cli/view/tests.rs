use super::*;
use crate::journal::Kind;

#[test]
fn kinds_are_named_as_in_the_journal() {
    use v1::EntryKind::*;
    let kinds = [
        NamespaceCreated,
        NamespaceUpdated,
        TokenIssued,
        TokenRotated,
        TokenRevoked,
        TokenSuspended,
        TokenResumed,
        TokenRedigested,
        TokenImported,
        TokenUpdated,
        TokenFirstUsed,
        TokenRetiredSecretUsed,
        SubjectPlanSet,
        SubjectSuspended,
        SubjectResumed,
        SubjectIssuedRevoked,
        NamespaceIssuedRevoked,
        SubjectRateLimitSet,
        WebhookCreated,
        WebhookUpdated,
        WebhookSecretRotated,
        WebhookPaused,
        WebhookDeleted,
        TokenExpiring,
        TokenRotationDue,
        TokenUnused,
    ];
    let named: Vec<_> = kinds.into_iter().map(kind).collect();
    let wanted: Vec<_> = Kind::ALL.into_iter().map(Kind::as_str).collect();
    assert_eq!(named, wanted);
}

#[test]
fn times_are_rfc_3339_with_the_digits_they_have() {
    let at = |seconds, nanos| time(Timestamp { seconds, nanos });
    assert_eq!(at(0, 0), "1970-01-01T00:00:00Z");
    assert_eq!(at(1_700_000_000, 120_000_000), "2023-11-14T22:13:20.12Z");
    assert_eq!(at(i64::MAX, 0), format!("{} s", i64::MAX));
}
