//! Rules reach the service as they were sent, within their bounds, and come back so.

use proptest::prelude::*;

use super::*;
use crate::rpc::Problem;
use crate::token::samples::any_policy;

/// The paths that are told to be wrong.
fn wrong(policy: v1::NamespacePolicy) -> Vec<String> {
    let mut fields = Fields::default();
    decode(&mut fields, policy);
    match fields.check() {
        Err(Problem::Fields(violations)) => violations.into_iter().map(|(path, _)| path).collect(),
        _ => Vec::new(),
    }
}

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn rules_within_their_bounds_come_back_as_they_were(policy in any_policy()) {
        let mut fields = Fields::default();
        let back = decode(&mut fields, encode(&policy));
        if fields.check().is_ok() {
            prop_assert_eq!(back, policy);
        }
    }
}

#[test]
fn each_rule_has_its_bounds() {
    let day = 86_400;
    for (field, bad) in [
        (
            "self_management",
            v1::NamespacePolicy {
                self_management: 9,
                ..Default::default()
            },
        ),
        (
            "lifetime_default",
            v1::NamespacePolicy {
                lifetime_default: seconds(0),
                ..Default::default()
            },
        ),
        (
            "lifetime_max",
            v1::NamespacePolicy {
                lifetime_max: seconds(36_501 * day),
                ..Default::default()
            },
        ),
        (
            "scope_catalogue[1]",
            v1::NamespacePolicy {
                scope_catalogue: vec!["read".to_owned(), "Write".to_owned()],
                ..Default::default()
            },
        ),
        (
            "tokens_per_subject_max",
            v1::NamespacePolicy {
                tokens_per_subject_max: -1,
                ..Default::default()
            },
        ),
        (
            "tokens_per_subject_max",
            v1::NamespacePolicy {
                tokens_per_subject_max: 10_001,
                ..Default::default()
            },
        ),
        (
            "entitled_plans[0]",
            v1::NamespacePolicy {
                entitled_plans: vec![String::new()],
                ..Default::default()
            },
        ),
        (
            "entitled_plans",
            v1::NamespacePolicy {
                entitled_plans: vec!["pro".to_owned(); 65],
                ..Default::default()
            },
        ),
        (
            "rotation_due_after",
            v1::NamespacePolicy {
                rotation_due_after: seconds(-1),
                ..Default::default()
            },
        ),
        (
            "overlap_default",
            v1::NamespacePolicy {
                overlap_default: Some(v1::Overlap { overlap: None }),
                ..Default::default()
            },
        ),
        (
            "overlap_default.from_first_use",
            v1::NamespacePolicy {
                overlap_default: Some(v1::Overlap {
                    overlap: seconds(30 * day + 1).map(Shape::FromFirstUse),
                }),
                ..Default::default()
            },
        ),
        (
            "overlap_max",
            v1::NamespacePolicy {
                overlap_max: seconds(30 * day + 1),
                ..Default::default()
            },
        ),
        (
            "retired_use",
            v1::NamespacePolicy {
                retired_use: 4,
                ..Default::default()
            },
        ),
        (
            "retired_tolerance",
            v1::NamespacePolicy {
                retired_tolerance: seconds(3601),
                ..Default::default()
            },
        ),
        (
            "rate_limit_default.requests",
            v1::NamespacePolicy {
                rate_limit_default: Some(v1::RateLimit {
                    requests: 0,
                    period: seconds(60),
                }),
                ..Default::default()
            },
        ),
        (
            "rate_limit_default.period",
            v1::NamespacePolicy {
                rate_limit_default: Some(v1::RateLimit {
                    requests: 1,
                    period: None,
                }),
                ..Default::default()
            },
        ),
    ] {
        assert_eq!(wrong(bad), [format!("namespace.policy.{field}")]);
    }
    assert!(wrong(v1::NamespacePolicy::default()).is_empty());
}

#[test]
fn a_mask_names_the_rules_that_change() {
    let named = |mask: &[&str], policy: Option<v1::NamespacePolicy>| {
        let mask: Vec<_> = mask.iter().map(|path| (*path).to_owned()).collect();
        let update = update(&mut Fields::default(), &mask, policy);
        update.map(|update| update.fields.iter().map(|(name, _)| *name).collect::<Vec<_>>())
    };
    let set = Some(v1::NamespacePolicy::default());
    let all: Vec<_> = Policy::FIELDS.iter().map(|(name, _)| *name).collect();
    assert_eq!(named(&[], None), None);
    assert_eq!(named(&[], set.clone()), Some(all.clone()));
    assert_eq!(named(&["display_name"], set.clone()), None);
    assert_eq!(named(&["policy"], None), Some(all));
    assert_eq!(
        named(&["policy.lifetime_max", "policy.name_required"], set),
        Some(vec!["lifetime_max", "name_required"])
    );
    for (path, masked) in [
        ("policy", true),
        ("policy.retired_use", true),
        ("policy.", false),
        ("policy.slug", false),
        ("policylifetime_max", false),
        ("lifetime_max", false),
    ] {
        assert_eq!(is_masked(path), masked, "{path}");
    }
}
