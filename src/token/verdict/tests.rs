//! A verdict changes exactly at the instant, and names the gravest reason.

use std::net::IpAddr;

use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::token::KeptSecret;
use crate::token::samples::{any_token, instant, kept, scopes, token, withdrawal};

fn judge_at(token: &Token, now: Timestamp) -> Verdict {
    judge(token, &token.secrets[0].digest, &Need::default(), now)
}

fn refused(verdict: &Verdict) -> Option<&Refusal> {
    match verdict {
        Verdict::Accepted { .. } => None,
        Verdict::Refused(refusal) => Some(refusal),
    }
}

#[test]
fn a_token_ends_at_its_instant_exactly() {
    let token = Token {
        expire_time: Some(instant(1_000_000)),
        ..token(1)
    };
    assert_eq!(token.state(instant(999_999)), State::Active);
    assert_eq!(token.state(instant(1_000_000)), State::Expired);
    assert_eq!(token.state(instant(1_000_001)), State::Expired);
    assert_eq!(refused(&judge_at(&token, instant(999_999))), None);
    for micros in [1_000_000, 1_000_001] {
        assert_eq!(
            judge_at(&token, instant(micros)),
            Verdict::Refused(Refusal::Expired)
        );
    }
}

#[test]
fn a_secret_ends_at_its_instant_exactly() {
    let mut token = token(1);
    token.secrets[0].retire_time = Some(instant(1_000_000));
    token.secrets.push(kept(1, 2, instant(0)));
    assert_eq!(refused(&judge_at(&token, instant(999_999))), None);
    for micros in [1_000_000, 1_000_001] {
        assert_eq!(
            judge_at(&token, instant(micros)),
            Verdict::Refused(Refusal::SecretRetired)
        );
        assert!(matches!(
            judge(
                &token,
                &token.secrets[1].digest,
                &Need::default(),
                instant(micros)
            ),
            Verdict::Accepted {
                secret_version: 2,
                ..
            }
        ));
    }
}

#[test]
fn a_token_without_an_end_has_none() {
    assert_eq!(token(1).state(Timestamp::MAX), State::Active);
    assert_eq!(refused(&judge_at(&token(1), Timestamp::MAX)), None);
}

#[test]
fn the_gravest_reason_is_named_first() {
    let now = instant(10);
    let need = Need {
        scopes: scopes(&["admin", "read", "delete"]),
        ..Need::default()
    };
    let mut token = Token {
        revocation: Some(withdrawal(instant(1))),
        suspension: Some(withdrawal(instant(1))),
        expire_time: Some(now),
        networks: Some(networks("192.0.2.0/24")),
        ..token(1)
    };
    token.secrets[0].retire_time = Some(now);
    let digest = token.secrets[0].digest;
    let stranger = kept(2, 1, instant(0)).digest;
    let verdict = |token: &Token, digest| judge(token, digest, &need, now);

    assert_eq!(verdict(&token, &stranger), Verdict::Refused(Refusal::Unknown));
    assert_eq!(verdict(&token, &digest), Verdict::Refused(Refusal::Revoked));
    assert_eq!(token.state(now), State::Revoked);
    token.revocation = None;
    assert_eq!(verdict(&token, &digest), Verdict::Refused(Refusal::Expired));
    assert_eq!(token.state(now), State::Expired);
    token.expire_time = None;
    assert_eq!(verdict(&token, &digest), Verdict::Refused(Refusal::Suspended));
    assert_eq!(token.state(now), State::Suspended);
    token.suspension = None;
    assert_eq!(verdict(&token, &digest), Verdict::Refused(Refusal::SecretRetired));
    token.secrets[0].retire_time = None;
    assert_eq!(
        verdict(&token, &digest),
        Verdict::Refused(Refusal::AddressNotAllowed)
    );
    token.networks = None;
    let missing = scopes(&["admin", "delete"]);
    assert_eq!(
        verdict(&token, &digest),
        Verdict::Refused(Refusal::InsufficientScope {
            missing,
            secret_version: 1
        })
    );
    token.scopes = need.scopes.clone();
    assert!(matches!(
        verdict(&token, &digest),
        Verdict::Accepted {
            secret_version: 1,
            ..
        }
    ));
}

fn networks(text: &str) -> Networks {
    Networks::try_from(vec![text.parse().unwrap()]).unwrap()
}

#[test]
fn a_token_with_networks_is_good_from_there_and_from_nowhere_else() {
    let bound = Token {
        networks: Some(networks("192.0.2.0/24")),
        ..token(1)
    };
    let from = |token: &Token, address: Option<&str>| {
        let need = Need {
            context: Context {
                address: address.map(|address| address.parse().unwrap()),
                ..Context::default()
            },
            ..Need::default()
        };
        refused(&judge(token, &token.secrets[0].digest, &need, instant(1))).cloned()
    };
    for inside in ["192.0.2.1", "::ffff:192.0.2.1"] {
        assert_eq!(from(&bound, Some(inside)), None);
    }
    for outside in [None, Some("192.0.3.1"), Some("::1")] {
        assert_eq!(from(&bound, outside), Some(Refusal::AddressNotAllowed));
        assert_eq!(from(&token(1), outside), None);
    }
}

proptest! {
    #[test]
    fn an_address_is_allowed_just_where_the_networks_contain_it(
        token in any_token(),
        address in option::of(any::<IpAddr>()),
    ) {
        let good = Token { suspension: None, revocation: None, expire_time: None, ..token };
        let context = Context { address, ..Context::default() };
        let need = Need { context, ..Need::default() };
        let Some(kept) = good.secrets.iter().find(|kept| kept.retire_time.is_none()) else { return Ok(()) };
        let verdict = judge(&good, &kept.digest, &need, Timestamp::MIN);
        let allowed = match (&good.networks, address) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(networks), Some(address)) => networks.contain(address),
        };
        prop_assert_eq!(refused(&verdict) == Some(&Refusal::AddressNotAllowed), !allowed);
        prop_assert_eq!(refused(&verdict).is_none(), allowed);
    }

    #[test]
    fn an_answer_is_never_cached_past_an_end(
        now in 0_i64..20_000_000,
        expire in option::of(0_i64..20_000_000),
        retire in option::of(0_i64..20_000_000),
    ) {
        let secret = KeptSecret { retire_time: retire.map(instant), ..kept(1, 1, instant(0)) };
        let token = Token {
            expire_time: expire.map(instant),
            secrets: vec![secret, kept(1, 2, instant(0))],
            ..token(1)
        };
        let ends: Vec<i64> = [expire, retire].into_iter().flatten().collect();
        match judge_at(&token, instant(now)) {
            Verdict::Accepted { cache_ttl, .. } => {
                let left = ends.iter().map(|end| end - now).min().unwrap_or(i64::MAX);
                let left = Duration::from_micros(u64::try_from(left)?);
                prop_assert!(left > Duration::ZERO);
                prop_assert_eq!(cache_ttl, left.min(CACHE_TTL_MAX));
            }
            Verdict::Refused(_) => prop_assert!(ends.iter().any(|end| *end <= now)),
        }
    }
}
