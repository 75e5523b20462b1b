//! Rules as flags name them, and as they are shown.

use super::*;
use crate::token::policy::Policy as Rules;

#[test]
fn every_rule_can_be_named_and_by_no_other_name() {
    let named: Vec<_> = <Rule as clap::ValueEnum>::value_variants()
        .iter()
        .map(|rule| rule.path())
        .collect();
    let rules = Rules::FIELDS.map(|(field, _)| format!("policy.{field}"));
    assert_eq!(named, rules);
}

#[test]
fn overlaps_and_rates_are_shown_as_they_are_given() -> Result<(), String> {
    for spelt in ["none", "1h", "first-use:7days"] {
        let policy = v1::NamespacePolicy {
            overlap_default: Some(overlap(spelt)?),
            ..Default::default()
        };
        assert_eq!(Policy::from(policy).overlap_default, spelt);
    }
    let policy = v1::NamespacePolicy {
        rate_limit_default: Some(spelling::rate_limit("100/1m 30s")?),
        ..Default::default()
    };
    assert_eq!(
        Policy::from(policy).rate_limit_default.as_deref(),
        Some("100/1m30s")
    );
    for wrong in ["", "first-use", "first-use:", "soon"] {
        assert!(overlap(wrong).is_err(), "{wrong}");
    }
    Ok(())
}
