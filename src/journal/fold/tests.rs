//! Whatever is decided, in whatever order: what a token promises still holds after it.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::token::change;
use crate::token::samples::{instant, kept, redigested, token as sample, withdrawal};
use crate::token::time::Timestamp;
use crate::token::{State, Withdrawal};

/// Something a person asks for; the decision may refuse it.
#[derive(Clone, Copy, Debug)]
enum Wish {
    Rotate { overlap: Duration },
    Revoke,
    Suspend,
    Resume,
}

fn any_wish() -> impl Strategy<Value = Wish> {
    let overlap = prop_oneof![Just(0), 0..50_u64, 0..5_000_u64].prop_map(Duration::from_micros);
    prop_oneof![
        6 => overlap.prop_map(|overlap| Wish::Rotate { overlap }),
        1 => Just(Wish::Revoke),
        2 => Just(Wish::Suspend),
        2 => Just(Wish::Resume),
    ]
}

fn decide(token: &Token, wish: Wish, now: Timestamp) -> Option<TokenChange> {
    match wish {
        Wish::Rotate { overlap } => {
            let version = token.current_secret().map_or(1, |current| current.version + 1);
            change::rotate(token, kept(1, version, now), overlap).ok()
        }
        Wish::Revoke => change::revoke(token, withdrawal(now)),
        Wish::Suspend => change::suspend(token, withdrawal(now)).ok().flatten(),
        Wish::Resume => change::resume(token).ok().flatten(),
    }
}

fn live(token: &Token, now: Timestamp) -> Vec<u32> {
    let live = token.secrets.iter().filter(|kept| kept.live(now));
    live.map(|kept| kept.version).collect()
}

/// What no change may touch.
fn issued_as(token: &Token) -> Token {
    Token {
        suspension: None,
        revocation: None,
        secrets: Vec::new(),
        ..token.clone()
    }
}

fn check(before: &Token, after: &Token, now: Timestamp) -> Result<(), TestCaseError> {
    prop_assert_eq!(issued_as(before), issued_as(after));
    prop_assert!(before.revocation.is_none(), "changed after it was revoked");
    prop_assert!(after.secrets.len() <= Token::SECRETS_KEPT_MAX);
    let versions: Vec<u32> = after.secrets.iter().map(|kept| kept.version).collect();
    prop_assert!(
        versions.windows(2).all(|pair| pair[0] + 1 == pair[1]),
        "{:?}",
        versions
    );
    let ends = after.secrets.iter().filter_map(|kept| kept.retire_time);
    for instant in ends.chain([now]).filter(|instant| *instant >= now) {
        let live = live(after, instant);
        prop_assert!(live.len() <= 2, "{:?} are live", live);
        prop_assert_eq!(live.last(), versions.last());
    }
    for kept in &after.secrets {
        let Some(earlier) = before
            .secrets
            .iter()
            .find(|earlier| earlier.version == kept.version)
        else {
            continue;
        };
        prop_assert!(
            earlier
                .retire_time
                .is_none_or(|end| kept.retire_time.is_some_and(|now| now <= end))
        );
        let unchanged = KeptSecret {
            retire_time: earlier.retire_time,
            ..kept.clone()
        };
        prop_assert_eq!(&unchanged, earlier);
    }
    Ok(())
}

proptest! {
    #[test]
    fn what_a_token_promises_holds_after_any_decisions(
        expire in option::weighted(0.3, 1_i64..50_000),
        wishes in vec((any_wish(), 1_i64..2_000), 0..40),
    ) {
        let mut now = 0;
        let issued = Token { expire_time: expire.map(instant), ..sample(1) };
        let mut token = token(None, &change::issue(issued)?)?;
        for (wish, gap) in wishes {
            now += gap;
            let before = token.clone();
            let Some(change) = decide(&before, wish, instant(now)) else { continue };
            token = super::token(Some(&before), &change)?;
            check(&before, &token, instant(now))?;
            match change {
                TokenChange::Issued(_) | TokenChange::Imported(_) | TokenChange::Redigested { .. } => {}
                TokenChange::Rotated { secret, retire_time } => {
                    prop_assert_eq!(token.current_secret(), Some(&secret));
                    let old = before.current_secret().map(|kept| kept.version);
                    let kept = token.secrets.iter().find(|kept| Some(kept.version) == old);
                    prop_assert_eq!(kept.and_then(|kept| kept.retire_time), Some(retire_time));
                }
                TokenChange::Revoked(end) => prop_assert_eq!(&token.revocation, &Some(end)),
                TokenChange::Suspended(pause) => prop_assert_eq!(&token.suspension, &Some(pause)),
                TokenChange::Resumed => prop_assert_eq!(&token.suspension, &None::<Withdrawal>),
            }
            if token.revocation.is_some() {
                prop_assert_eq!(token.state(Timestamp::MAX), State::Revoked);
            }
        }
    }
}

#[test]
fn a_second_rotation_shortens_an_overlap_and_never_lengthens_it() -> Result<(), Misfit> {
    let rotated = |token: &Token, version, now, retire| {
        let change = TokenChange::Rotated {
            secret: kept(1, version, instant(now)),
            retire_time: instant(retire),
        };
        super::token(Some(token), &change)
    };
    let ends = |token: &Token| {
        token
            .secrets
            .iter()
            .map(|kept| kept.retire_time)
            .collect::<Vec<_>>()
    };
    let second = rotated(&sample(1), 2, 10, 100)?;
    assert_eq!(ends(&second), [Some(instant(100)), None]);
    let third = rotated(&second, 3, 20, 500)?;
    assert_eq!(ends(&third), [Some(instant(20)), Some(instant(500)), None]);
    let late = rotated(&second, 3, 200, 500)?;
    assert_eq!(ends(&late), [Some(instant(100)), Some(instant(500)), None]);
    Ok(())
}

#[test]
fn the_newest_eight_secrets_are_remembered() -> Result<(), Misfit> {
    let mut token = sample(1);
    for version in 2..=20 {
        let now = instant(i64::from(version));
        let change = TokenChange::Rotated {
            secret: kept(1, version, now),
            retire_time: now,
        };
        token = super::token(Some(&token), &change)?;
    }
    let versions: Vec<u32> = token.secrets.iter().map(|kept| kept.version).collect();
    assert_eq!(versions, (13..=20).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn what_cannot_follow_is_a_misfit() {
    let rotated = |version| TokenChange::Rotated {
        secret: kept(1, version, instant(1)),
        retire_time: instant(1),
    };
    let changes = [
        rotated(2),
        TokenChange::Revoked(withdrawal(instant(1))),
        TokenChange::Suspended(withdrawal(instant(1))),
        TokenChange::Resumed,
        redigested(1),
    ];
    let revoked = Token {
        revocation: Some(withdrawal(instant(0))),
        ..sample(1)
    };
    for change in &changes {
        assert_eq!(token(None, change), Err(Misfit::NeverIssued));
        assert_eq!(token(Some(&revoked), change), Err(Misfit::AfterRevocation));
        assert!(token(Some(&sample(1)), change).is_ok(), "{change:?}");
    }
    let issued = TokenChange::Issued(Box::new(sample(1)));
    for before in [sample(1), revoked] {
        assert_eq!(token(Some(&before), &issued), Err(Misfit::IssuedTwice));
    }
    let unknown = token(Some(&sample(1)), &redigested(2));
    assert_eq!(unknown, Err(Misfit::NoSuchSecret));
    for version in [0, 1, 3] {
        assert_eq!(
            token(Some(&sample(1)), &rotated(version)),
            Err(Misfit::SecretVersion)
        );
    }
}

#[test]
fn a_secret_that_is_redigested_stays_the_secret_it_was() -> Result<(), Misfit> {
    let after = token(Some(&sample(1)), &redigested(1))?;
    let mut wanted = sample(1);
    if let TokenChange::Redigested { digest, pepper, .. } = redigested(1) {
        wanted.secrets[0].digest = digest;
        wanted.secrets[0].pepper = pepper;
    }
    assert_ne!(wanted, sample(1));
    assert_eq!(after, wanted);
    Ok(())
}
