//! Rules are taken over one by one, and written as before where they are off.

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::*;
use crate::token::samples::any_policy;

fn hours(hours: u64) -> Option<Span> {
    Span::try_from(Duration::from_hours(hours)).ok()
}

#[test]
fn rules_that_do_not_go_together_are_named() {
    let field = |policy: Policy| policy.check().err().map(|(field, _)| field);
    let lifetimes = |default, max| Policy {
        lifetime_default: hours(default),
        lifetime_max: hours(max),
        ..Policy::default()
    };
    assert_eq!(field(Policy::default()), None);
    assert_eq!(field(lifetimes(2, 2)), None);
    assert_eq!(field(lifetimes(3, 2)), Some("lifetime_default"));
    for (overlap, max, wrong) in [
        (1, Some(1), false),
        (2, Some(1), true),
        (30 * 24, None, false),
        (30 * 24 + 1, None, true),
    ] {
        for of in [Overlap::For, Overlap::FromFirstUse] {
            let policy = Policy {
                overlap_default: hours(overlap).map_or(Overlap::None, of),
                overlap_max: max.and_then(hours),
                ..Policy::default()
            };
            assert_eq!(field(policy), wrong.then_some("overlap_default"), "{overlap}");
        }
    }
}

#[test]
fn a_policy_without_rules_is_written_as_it_was_before_there_were_any() -> serde_json::Result<()> {
    let written = serde_json::to_string(&Policy::default())?;
    assert_eq!(written, "{\"self_management\":\"off\"}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_rule_is_a_field_and_every_field_a_rule(before in any_policy(), policy in any_policy()) {
        prop_assert_eq!(&PolicyUpdate::whole(policy.clone()).of(&before), &policy);
        let none = PolicyUpdate { policy, fields: Vec::new() };
        prop_assert_eq!(&none.of(&before), &before);
    }

    #[test]
    fn what_is_not_named_stays(
        before in any_policy(),
        policy in any_policy(),
        named in subsequence((0..Policy::FIELDS.len()).collect::<Vec<_>>(), 0..Policy::FIELDS.len()),
    ) {
        let fields: Vec<_> = named.iter().map(|n| Policy::FIELDS[*n]).collect();
        let after = PolicyUpdate { policy: policy.clone(), fields }.of(&before);
        for (n, (name, copy)) in Policy::FIELDS.into_iter().enumerate() {
            let (from, told) = if named.contains(&n) { (&policy, "taken over") } else { (&before, "kept") };
            let mut with = after.clone();
            copy(&mut with, from);
            prop_assert_eq!(&with, &after, "{} is not {}", name, told);
        }
    }

    #[test]
    fn a_policy_is_read_back_as_it_was_written(policy in any_policy()) {
        let written = serde_json::to_string(&policy)?;
        prop_assert_eq!(serde_json::from_str::<Policy>(&written)?, policy);
    }
}
