//! Each rule is broken by just what it forbids, and whoever broke it is told what would be right.

use proptest::prelude::*;

use super::*;
use crate::token::samples::{any_instant, any_policy, any_span, any_token, instant, name, scopes};

/// Whose tokens live so long at most.
fn living(max: Span) -> Policy {
    Policy {
        lifetime_max: Some(max),
        ..Policy::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_rule_is_broken_by_what_it_forbids_and_by_nothing_else(policy in any_policy(), token in any_token()) {
        let nameless = policy.name_required && token.name.as_str().is_empty();
        prop_assert_eq!(of_name(&policy, &token.name).is_some(), nameless);

        let bound = policy.expiry_required || policy.lifetime_max.is_some();
        let outlives = match (token.expire_time, policy.lifetime_max) {
            (Some(end), Some(max)) => token.create_time.until(end) > max.duration(),
            (end, _) => end.is_none() && bound,
        };
        prop_assert_eq!(of_end(&policy, token.create_time, token.expire_time).is_some(), outlives);

        let unknown = |scope: &&Scope| !policy.scope_catalogue.is_empty() && !policy.scope_catalogue.contains(scope);
        let told = match of_scopes(&policy, &token.scopes) {
            Some(Breach::UnknownScopes { scopes, .. }) => scopes.iter().cloned().collect(),
            _ => Vec::new(),
        };
        let unknown: Vec<_> = token.scopes.iter().filter(unknown).cloned().collect();
        prop_assert_eq!(told, unknown);
    }

    #[test]
    fn the_latest_end_is_the_last_that_is_let_through(
        max in any_span(),
        create_time in any_instant(),
        beyond in 1..1_000_000_i64,
    ) {
        let policy = living(max);
        let end = of_end(&policy, create_time, Some(Timestamp::MAX));
        let latest = match end {
            None => Timestamp::MAX,
            Some(Breach::LivesTooLong { latest, .. }) => latest,
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        prop_assert_eq!(of_end(&policy, create_time, Some(latest)), None);
        if let Ok(later) = Timestamp::from_micros(latest.micros() + beyond) {
            let too_long = Breach::LivesTooLong { max: max.duration(), latest };
            prop_assert_eq!(of_end(&policy, create_time, Some(later)), Some(too_long));
        }
    }
}

#[test]
fn without_rules_nothing_is_broken() {
    let policy = Policy::default();
    assert_eq!(of_name(&policy, &name("")), None);
    assert_eq!(of_end(&policy, instant(0), None), None);
    assert_eq!(of_end(&policy, instant(0), Some(Timestamp::MAX)), None);
    assert_eq!(of_scopes(&policy, &scopes(&["anything"])), None);
}

#[test]
fn what_would_be_right_is_told() {
    let ending = Policy {
        name_required: true,
        expiry_required: true,
        scope_catalogue: scopes(&["admin", "read"]),
        ..Policy::default()
    };
    let hour = living(Span::seconds(3600));
    let mut breaches = Vec::new();
    breaches.extend(of_name(&ending, &name("")));
    breaches.extend(of_end(&ending, instant(0), None));
    breaches.extend(of_end(&hour, instant(0), None));
    breaches.extend(of_end(&hour, instant(0), Some(instant(3_600_000_001))));
    breaches.extend(of_scopes(&ending, &scopes(&["read", "write"])));
    breaches.extend(of_permissions(&scopes(&[
        "tokens.lits:notes",
        "tokens.list:notes",
    ])));
    let told = breaches
        .iter()
        .map(|breach| format!("{} {breach}", breach.field("ends")));
    let told: Vec<_> = told.collect();
    assert_eq!(
        told,
        [
            "name must be set: every token of this namespace has a name".to_owned(),
            "ends must be set: every token of this namespace has an end".to_owned(),
            "ends must be set: a token of this namespace lives for 1h at most".to_owned(),
            format!(
                "ends must be no later than {}: a token of this namespace lives for 1h at most",
                instant(3_600_000_000)
            ),
            "scopes must be of the namespace's catalogue, which has no write: admin, read".to_owned(),
            format!("scopes tokens.lits:notes {NotPermission}"),
        ]
    );
}

#[test]
fn many_scopes_make_no_long_error() {
    let many = |letter: &str| -> Vec<_> { (0..64).map(|n| format!("{}{n:02}", letter.repeat(98))).collect() };
    let scopes = |many: &[String]| scopes(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let policy = Policy {
        scope_catalogue: scopes(&many("c")),
        ..Policy::default()
    };
    let told = of_scopes(&policy, &scopes(&many("s"))).map(|breach| breach.to_string());
    let told = told.unwrap_or_default();
    assert!(
        told.contains("s07 and 56 more: c") && told.ends_with("c07 and 56 more"),
        "{told}"
    );
    // As the message, and twice in the details, which are base64.
    assert!(told.len() * 11 / 3 < 8 * 1024, "{told}");
}
