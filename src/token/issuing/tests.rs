//! A token is issued if it keeps every rule, and whoever broke some is told what would be right.

use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::token::samples::{
    any_instant, any_policy, any_token, instant, name, plan, scopes, standing, token, withdrawal,
};
use crate::token::time::Span;

fn lasting(micros: i64) -> Option<Span> {
    Span::try_from(micros).ok()
}

/// The fields that are told to be wrong.
fn fields(refused: &Result<(), NotIssued>) -> Vec<&'static str> {
    match refused {
        Err(NotIssued::Breaches(breaches)) => breaches.iter().map(Breach::field).collect(),
        _ => Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_issued_keeps_every_rule(
        policy in any_policy(),
        token in any_token(),
        of in option::of(0..3_usize),
        suspended: bool,
    ) {
        let plan = of.and_then(|n| policy.entitled_plans.iter().nth(n).cloned());
        let said = Standing {
            plan: plan.clone(),
            suspension: suspended.then(|| withdrawal(instant(1))),
            ..standing("ann")
        };
        let issued = check(&policy, &token, Some(&said)).is_ok();
        let known = policy.scope_catalogue.is_empty() || policy.scope_catalogue.missing(&token.scopes).is_empty();
        let named = !policy.name_required || !token.name.as_str().is_empty();
        let ends = token.expire_time.is_some() || !(policy.expiry_required || policy.lifetime_max.is_some());
        let short = match (token.expire_time, policy.lifetime_max) {
            (Some(end), Some(max)) => token.create_time.until(end) <= max.duration(),
            _ => true,
        };
        let entitled = policy.entitled_plans.is_empty() || plan.is_some();
        prop_assert_eq!(issued, known && named && ends && short && entitled && !suspended);
    }

    #[test]
    fn an_end_that_is_asked_for_is_kept_and_else_the_rules_give_one(
        policy in any_policy(),
        asked in option::of(any_instant()),
        now in any_instant(),
    ) {
        let end = end(&policy, asked, now);
        match (asked, policy.lifetime_default) {
            (Some(asked), _) => prop_assert_eq!(end, Ok(Some(asked))),
            (None, None) => prop_assert_eq!(end, Ok(None)),
            (None, Some(default)) => prop_assert_eq!(end, now.after(default.duration()).map(Some)),
        }
    }

    #[test]
    fn there_is_room_for_the_last_and_for_no_one_more(max in 1_u32.., count: u32) {
        prop_assert_eq!(has_room(max, count).is_ok(), count < max);
    }
}

#[test]
fn without_rules_everything_is_issued() {
    assert_eq!(check(&Policy::default(), &token(1), None), Ok(()));
}

#[test]
fn all_that_is_wrong_is_told_at_once_and_what_would_be_right() {
    let policy = Policy {
        name_required: true,
        lifetime_max: lasting(3_600_000_000),
        scope_catalogue: scopes(&["read", "admin"]),
        ..Policy::default()
    };
    let bad = Token {
        name: name(""),
        scopes: scopes(&["delete", "read", "write"]),
        ..token(1)
    };
    let refused = check(&policy, &bad, None);
    assert_eq!(fields(&refused), ["name", "expiration", "scopes", "scopes"]);
    let told = refused.err().map(|why| why.to_string()).unwrap_or_default();
    for part in [
        "within 1h",
        "has no delete: admin, read",
        "has no write: admin, read",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let ends = |micros| Token {
        name: name("Laptop"),
        scopes: scopes(&["read"]),
        expire_time: Some(instant(micros)),
        ..token(1)
    };
    assert_eq!(check(&policy, &ends(3_600_000_000), None), Ok(()));
    assert_eq!(
        fields(&check(&policy, &ends(3_600_000_001), None)),
        ["expiration"]
    );
}

#[test]
fn a_long_catalogue_makes_no_long_error() {
    let many: Vec<_> = (0..64).map(|n| format!("scope{n:02}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let policy = Policy {
        scope_catalogue: scopes(&many),
        ..Policy::default()
    };
    let told = check(&policy, &token(1), None).err().map(|why| why.to_string());
    assert!(told.is_some_and(|told| told.contains("scope09 and 54 more") && told.len() < 400));
}

#[test]
fn a_plan_entitles_only_those_that_have_it() {
    let policy = Policy {
        entitled_plans: [plan("pro"), plan("team")].into(),
        ..Policy::default()
    };
    let with = |name: &str| Standing {
        plan: Some(plan(name)),
        ..standing("ann")
    };
    assert_eq!(check(&policy, &token(1), Some(&with("pro"))), Ok(()));
    for (said, plan) in [
        (None, None),
        (Some(standing("ann")), None),
        (Some(with("free")), Some(plan("free"))),
    ] {
        let refused = check(&policy, &token(1), said.as_ref());
        assert_eq!(refused, Err(NotIssued::NotEntitled { plan }));
    }
}
