//! A token is issued if it keeps every rule, and whoever broke some is told what would be right.

use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::token::samples::{
    any_instant, any_policy, any_token, instant, name, plan, scopes, standing, token, withdrawal,
};
use crate::token::time::Span;

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
        let entitled = policy.entitled_plans.is_empty() || plan.is_some();
        let keeps = breach::of_name(&policy, &token.name).is_none()
            && breach::of_end(&policy, token.create_time, token.expire_time).is_none()
            && breach::of_scopes(&policy, &token.scopes).is_none();
        prop_assert_eq!(issued, keeps && entitled && !suspended);
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
fn all_that_is_wrong_is_told_at_once() {
    let policy = Policy {
        name_required: true,
        lifetime_max: Some(Span::seconds(3600)),
        scope_catalogue: scopes(&["read", "admin"]),
        ..Policy::default()
    };
    let bad = Token {
        name: name(""),
        scopes: scopes(&["delete", "read", "write"]),
        ..token(1)
    };
    let Err(NotIssued::Breaches(breaches)) = check(&policy, &bad, None) else {
        panic!("it is issued");
    };
    let fields: Vec<_> = breaches.iter().map(|breach| breach.field(END)).collect();
    assert_eq!(fields, ["name", "expiration", "scopes"]);
    let told = NotIssued::Breaches(breaches).to_string();
    for part in ["; expiration must be set", "has no delete, write: "] {
        assert!(told.contains(part), "{told}");
    }
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
