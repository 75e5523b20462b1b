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

fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

const DAY: i64 = 86_400;

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

/// What is wrong with a policy that is otherwise empty.
type Row = (&'static str, fn(&mut v1::NamespacePolicy));

const OUT_OF_BOUNDS: [Row; 25] = [
    ("self_management", |it| it.self_management = 9),
    ("lifetime_default", |it| it.lifetime_default = Some(seconds(0))),
    ("lifetime_max", |it| it.lifetime_max = Some(seconds(36_501 * DAY))),
    ("scope_catalogue[1]", |it| {
        it.scope_catalogue = vec!["read".to_owned(), "Write".to_owned()];
    }),
    ("tokens_per_subject_max", |it| it.tokens_per_subject_max = -1),
    ("tokens_per_subject_max", |it| it.tokens_per_subject_max = 10_001),
    ("entitled_plans[0]", |it| it.entitled_plans = vec![String::new()]),
    ("entitled_plans", |it| {
        it.entitled_plans = vec!["pro".to_owned(); 65];
    }),
    ("rotation_due_after", |it| {
        it.rotation_due_after = Some(seconds(-1));
    }),
    ("overlap_default", |it| {
        it.overlap_default = Some(v1::Overlap { overlap: None });
    }),
    ("overlap_default.duration", |it| {
        it.overlap_default = Some(v1::Overlap {
            overlap: Some(Shape::Duration(seconds(-1))),
        });
    }),
    ("overlap_default.from_first_use", |it| {
        it.overlap_default = Some(v1::Overlap {
            overlap: Some(Shape::FromFirstUse(seconds(30 * DAY + 1))),
        });
    }),
    ("overlap_max", |it| it.overlap_max = Some(seconds(30 * DAY + 1))),
    ("retired_use", |it| it.retired_use = 4),
    ("retired_tolerance", |it| {
        it.retired_tolerance = Some(seconds(3601));
    }),
    ("access_log", |it| it.access_log = 4),
    ("access_log_full", |it| it.access_log_full = 3),
    ("access_log_retention", |it| {
        it.access_log_retention = Some(seconds(3599));
    }),
    ("access_log_retention", |it| {
        it.access_log_retention = Some(seconds(400 * DAY + 1));
    }),
    ("rate_limit_default.requests", |it| {
        it.rate_limit_default = Some(v1::RateLimit {
            requests: 0,
            period: Some(seconds(60)),
        });
    }),
    ("rate_limit_default.period", |it| {
        it.rate_limit_default = Some(v1::RateLimit {
            requests: 1,
            period: None,
        });
    }),
    ("expiring_leads", |it| it.expiring_leads = vec![seconds(1); 9]),
    ("expiring_leads[1]", |it| {
        it.expiring_leads = vec![seconds(1), seconds(0)];
    }),
    ("unused_after", |it| it.unused_after = Some(seconds(0))),
    ("unused_action", |it| it.unused_action = 4),
];

#[test]
fn each_rule_has_its_bounds() {
    for (field, change) in OUT_OF_BOUNDS {
        let mut policy = v1::NamespacePolicy::default();
        change(&mut policy);
        assert_eq!(wrong(policy), [format!("namespace.policy.{field}")]);
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
