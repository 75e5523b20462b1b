//! Whatever is decided, in whatever order: what a token promises still holds after it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::{option, sample as pick};

use super::*;
use crate::journal::link::Link;
use crate::journal::narrowing::{Loss, narrowings};
use crate::journal::samples::{origin, rotation_due};
use crate::journal::{Draft, Entry, Revision, Stored};
use crate::token::change;
use crate::token::overlap::Overlap;
use crate::token::policy::{Policy, RetiredUse};
use crate::token::samples::{instant, kept, name, redigested, scopes, token as sample, withdrawal};
use crate::token::scope::Scopes;
use crate::token::time::Span;
use crate::token::update::{To, Update, update};
use crate::token::verdict::{Need, Verdict, judge};
use crate::token::{State, Withdrawal};

/// Something a person asks for, or a client does; the decision may refuse it.
#[derive(Clone, Debug)]
enum Wish {
    Rotate {
        overlap: Overlap,
    },
    Update(Update),
    Revoke,
    Suspend,
    Resume,
    /// One of the secrets is presented: so many versions before the newest.
    Use(u32),
}

fn any_wish() -> impl Strategy<Value = Wish> {
    let span =
        || prop_oneof![Just(0), 0..50_i64, 0..5_000_i64].prop_map(|micros| Span::try_from(micros).unwrap());
    let overlap = prop_oneof![
        Just(Overlap::None),
        span().prop_map(Overlap::For),
        span().prop_map(Overlap::FromFirstUse),
    ];
    let update = (
        option::of(0..60_000_i64),
        pick::subsequence(vec!["admin", "read", "write"], 0..3),
    )
        .prop_map(|(end, names)| Update {
            scopes: Some(scopes(&names)),
            expire_time: Some(To(end.map(instant))),
            ..Update::default()
        });
    prop_oneof![
        6 => overlap.prop_map(|overlap| Wish::Rotate { overlap }),
        2 => update.prop_map(Wish::Update),
        1 => Just(Wish::Revoke),
        2 => Just(Wish::Suspend),
        2 => Just(Wish::Resume),
        8 => (0..4_u32).prop_map(Wish::Use),
    ]
}

fn decide(token: &Token, wish: &Wish, now: Timestamp) -> Option<TokenChange> {
    let newest = token.current_secret().map_or(0, |current| current.version);
    match wish {
        Wish::Rotate { overlap } => {
            change::rotate(token, kept(1, newest + 1, now), (*overlap, false), None).ok()
        }
        Wish::Update(asked) => update(token, asked, now).ok().flatten(),
        Wish::Revoke => change::revoke(token, withdrawal(now)),
        Wish::Suspend => change::suspend(token, withdrawal(now)).ok().flatten(),
        Wish::Resume => change::resume(token).ok().flatten(),
        Wish::Use(before) => {
            let kept = token.secret_of_version(newest.checked_sub(*before)?)?;
            let policy = Policy {
                retired_use: RetiredUse::Suspend,
                ..Policy::default()
            };
            match judge(token, &kept.digest, &Need::default(), now) {
                Verdict::Accepted { .. } => change::first_used(token, kept.version, now),
                Verdict::Refused(_) => change::retired_secret_used(token, kept.version, now, &policy),
            }
        }
    }
}

fn live(token: &Token, now: Timestamp) -> Vec<u32> {
    let live = token.secrets.iter().filter(|kept| kept.live(now));
    live.map(|kept| kept.version).collect()
}

/// What no change may touch.
fn issued_as(token: &Token) -> Token {
    Token {
        scopes: Scopes::default(),
        expire_time: None,
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
    let dense = |versions: &[u32]| versions.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    // But for one that lives on while those after it are replaced.
    let spared = usize::from(versions.len() == Token::SECRETS_KEPT_MAX && before.secrets[0].live(now));
    prop_assert!(dense(&versions[spared..]), "{:?}", versions);
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
            first_use_time: earlier.first_use_time.and(kept.first_use_time),
            reuse_time: earlier.reuse_time.and(kept.reuse_time),
            ..kept.clone()
        };
        prop_assert_eq!(&unchanged, earlier);
    }
    Ok(())
}

/// Every end that a secret is given before its time is told to whoever watches.
fn check_told(
    before: &Token,
    after: &Token,
    change: &TokenChange,
    now: Timestamp,
) -> Result<(), TestCaseError> {
    let stored = Stored {
        record: before.clone(),
        version: Revision::new(1),
    };
    let draft = Draft::of_token(origin(), Some(&stored), change.clone())?;
    let entry = Entry::seal(&draft, Revision::new(2), &Link::START)
        .map_err(|error| TestCaseError::fail(error.to_string()))?;
    let told: Vec<Loss> = narrowings(&entry).map(|narrowing| narrowing.loss).collect();
    for kept in &before.secrets {
        let Some(now_kept) = after.secret_of_version(kept.version) else {
            continue;
        };
        if kept.live(now) && now_kept.retire_time != kept.retire_time {
            let end = now_kept
                .retire_time
                .ok_or_else(|| TestCaseError::fail("it was given more time"))?;
            let loss = Loss::SecretRetired {
                version: kept.version,
                retire_time: end,
            };
            prop_assert!(told.contains(&loss), "{loss:?} is not in {told:?} of {change:?}");
        }
    }
    let narrower = |loss: &Loss| {
        matches!(
            loss,
            Loss::Narrowed { .. } | Loss::Suspended(_) | Loss::Revoked(_)
        )
    };
    let loses = before.scopes.missing_from(&after.scopes).is_some()
        || after
            .expire_time
            .is_some_and(|end| before.expire_time.is_none_or(|before| end < before))
        || (after.suspension.is_some() && before.suspension.is_none())
        || after.revocation.is_some();
    prop_assert_eq!(told.iter().any(narrower), loses, "{:?}", change);
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
            let Some(change) = decide(&before, &wish, instant(now)) else { continue };
            token = super::token(Some(&before), &change)?;
            check(&before, &token, instant(now))?;
            check_told(&before, &token, &change, instant(now))?;
            match change {
                TokenChange::Issued(_) | TokenChange::Imported(_) | TokenChange::Redigested { .. } => {}
                TokenChange::Told(_) => prop_assert_eq!(&token, &before),
                TokenChange::Rotated { secret, retire_time, beside, .. } => {
                    prop_assert_eq!(token.current_secret(), Some(&secret));
                    let old = beside.unwrap_or(secret.version - 1);
                    let end = |token: &Token| token.secret_of_version(old).and_then(|kept| kept.retire_time);
                    let wanted = end(&before).into_iter().chain(retire_time).min();
                    prop_assert_eq!(end(&token), wanted);
                    // With an overlap, whoever had a secret that worked has one that does.
                    if secret.overlap.is_some() {
                        prop_assert!(live(&token, instant(now)).contains(&old));
                    }
                }
                TokenChange::Updated(updated) => prop_assert_eq!(update(&token, &updated.asked(), instant(now)), Ok(None)),
                TokenChange::FirstUsed { version, time, .. } => {
                    let used = token.secret_of_version(version).and_then(|kept| kept.first_use_time);
                    prop_assert_eq!(used, Some(time));
                }
                TokenChange::RetiredSecretUsed { version, time, .. } => {
                    let used = token.secret_of_version(version).and_then(|kept| kept.reuse_time);
                    prop_assert_eq!(used, Some(time));
                    prop_assert!(token.suspension.is_some());
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

/// Ten answers in a row are lost.
#[test]
fn what_lives_on_is_not_forgotten_over_what_was_never_used() -> Result<(), TestCaseError> {
    let mut token = sample(1);
    for version in 2..=11 {
        let overlap = Overlap::FromFirstUse(Span::seconds(60));
        let secret = kept(1, version, instant(version.into()));
        let change = change::rotate(&token, secret, (overlap, false), None)?;
        token = super::token(Some(&token), &change)?;
        prop_assert_eq!(live(&token, instant(version.into())), [1, version]);
    }
    let versions: Vec<u32> = token.secrets.iter().map(|kept| kept.version).collect();
    prop_assert_eq!(versions, [1, 5, 6, 7, 8, 9, 10, 11]);
    // Used at last, it ends the one that has lived on all the while.
    let used =
        change::first_used(&token, 11, instant(100)).ok_or_else(|| TestCaseError::fail("it is known"))?;
    let after = super::token(Some(&token), &used)?;
    prop_assert_eq!(after.secrets[0].retire_time, Some(instant(60_000_100)));
    Ok(())
}

#[test]
fn a_second_rotation_shortens_an_overlap_and_never_lengthens_it() -> Result<(), Misfit> {
    let rotated = |token: &Token, version, now, retire| {
        let change = TokenChange::Rotated {
            secret: kept(1, version, instant(now)),
            retire_time: Some(instant(retire)),
            beside: None,
            ends: None,
            by_default: false,
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
            retire_time: Some(now),
            beside: None,
            ends: None,
            by_default: false,
        };
        token = super::token(Some(&token), &change)?;
    }
    let versions: Vec<u32> = token.secrets.iter().map(|kept| kept.version).collect();
    assert_eq!(versions, (13..=20).collect::<Vec<_>>());
    Ok(())
}

fn first_used(version: u32) -> TokenChange {
    TokenChange::FirstUsed {
        version,
        time: instant(1),
        retires: None,
    }
}

fn reused(version: u32) -> TokenChange {
    TokenChange::RetiredSecretUsed {
        version,
        time: instant(1),
        suspension: None,
    }
}

#[test]
fn what_cannot_follow_is_a_misfit() {
    let rotated = |version| TokenChange::Rotated {
        secret: kept(1, version, instant(1)),
        retire_time: Some(instant(1)),
        beside: None,
        ends: None,
        by_default: false,
    };
    let changes = [
        rotated(2),
        TokenChange::Revoked(withdrawal(instant(1))),
        TokenChange::Suspended(withdrawal(instant(1))),
        TokenChange::Resumed,
        redigested(1),
        first_used(1),
        reused(1),
        rotation_due(1),
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
    for change in [redigested(2), first_used(2), reused(2)] {
        assert_eq!(token(Some(&sample(1)), &change), Err(Misfit::NoSuchSecret));
    }
    for change in [first_used(1), reused(1)] {
        let once = token(Some(&sample(1)), &change).unwrap();
        assert_eq!(token(Some(&once), &change), Err(Misfit::UsedTwice));
    }
    let mut renamed = sample(1);
    renamed.name = name("Phone");
    let asked = Update {
        name: Some(name("Tablet")),
        ..Update::default()
    };
    let updated = update(&sample(1), &asked, instant(0)).unwrap().unwrap();
    assert_eq!(token(Some(&renamed), &updated), Err(Misfit::NotWhatItWas));
    let elsewhere = TokenChange::Rotated {
        secret: kept(1, 2, instant(1)),
        retire_time: None,
        beside: Some(7),
        ends: None,
        by_default: false,
    };
    assert_eq!(token(Some(&sample(1)), &elsewhere), Err(Misfit::NoSuchSecret));
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
