use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::token::samples::instant;

fn any_seen() -> impl Strategy<Value = Seen> {
    let networks = ["192.0.2.0/24", "2001:db8::/48"];
    (
        0..5_i64,
        select(Outcome::ALL.to_vec()),
        1..4_u32,
        option::of(select(networks.to_vec())),
        select(vec!["", "curl/8", "🦀"]),
    )
        .prop_map(|(time, outcome, secret_version, network, agent)| Seen {
            time: instant(time),
            outcome,
            secret_version,
            caller: network.map(|_| Actor::own()),
            address_prefix: network.map(|network| network.parse().unwrap()),
            user_agent: UserAgent::from(agent.to_owned()),
        })
}

fn any_usage() -> impl Strategy<Value = Usage> {
    let time = || (0..9_i64).prop_map(instant);
    (
        btree_map(select(Outcome::ALL.to_vec()), 1..100_u64, 0..4),
        option::of(time()),
        option::of(any_seen()),
        option::of(any_seen()),
        btree_map(1..20_u32, time(), 0..=Token::SECRETS_KEPT_MAX),
    )
        .prop_map(
            |(counts, first_use_time, last_use, last_refusal, secrets)| Usage {
                counts,
                first_use_time,
                last_use,
                last_refusal,
                secrets,
            },
        )
}

fn sum<'a>(usages: impl IntoIterator<Item = &'a Usage>) -> Usage {
    let mut sum = Usage::default();
    for usage in usages {
        sum.add(usage.clone());
    }
    sum
}

proptest! {
    #[test]
    fn in_whatever_order_uses_are_added_the_same_comes_of_it(
        usages in vec(any_usage(), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let all = sum(&usages);
        prop_assert_eq!(&sum(usages.iter().rev()), &all);
        let (left, right) = usages.split_at(cut.index(usages.len() + 1));
        prop_assert_eq!(sum([&sum(left), &sum(right)]), all.clone());
        let total = |usages: &[Usage]| usages.iter().map(Usage::use_count).sum::<u64>();
        prop_assert_eq!(all.use_count(), total(&usages));
        let last = usages.iter().filter_map(Usage::last_use_time).max();
        prop_assert_eq!(all.last_use_time(), last);
        prop_assert!(all.secrets.len() <= Token::SECRETS_KEPT_MAX);
    }

    #[test]
    fn what_is_kept_is_read_back(usage in any_usage()) {
        let text = serde_json::to_string(&usage).unwrap();
        prop_assert_eq!(serde_json::from_str::<Usage>(&text).unwrap(), usage);
    }

    #[test]
    fn what_was_erased_is_gone_and_nothing_else(usage in any_usage()) {
        let mut erased = usage.clone();
        prop_assert_eq!(erased.erase(), erased != usage);
        prop_assert!(!erased.erase(), "there is nothing left");
        let text = serde_json::to_string(&erased).unwrap();
        prop_assert!(!text.contains("address_prefix") && !text.contains("user_agent"));
        prop_assert_eq!(erased.last_use_time(), usage.last_use_time());
        prop_assert_eq!((erased.counts, erased.secrets), (usage.counts, usage.secrets));
    }
}

#[test]
fn what_a_later_version_adds_is_passed_over_and_what_it_leaves_out_is_none() {
    let usage: Usage = serde_json::from_str(r#"{"later": 1}"#).unwrap();
    assert_eq!(usage, Usage::default());
}
