//! Exactly as many as there are, from both or from neither.

mod shared;

use std::sync::atomic::AtomicUsize;
use std::thread;

use super::*;
use crate::token::Token;
use crate::token::policy::Policy;
use crate::token::samples::{namespace, rate_limit, standing, subject, token};
use crate::token::standing::Standing;

const NOW: Duration = Duration::from_secs(1000);
const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

fn accepted() -> Verdict {
    Verdict::Accepted {
        secret_version: 1,
        cache_ttl: 5 * SECOND,
    }
}

/// The token of this number, of `ann`.
fn facts(number: u64, of_token: Option<RateLimit>, of_subject: Option<RateLimit>) -> Facts {
    let token = Token {
        subject: subject("ann"),
        rate_limit: of_token,
        ..token(number)
    };
    let standing = Standing {
        rate_limit: of_subject,
        ..standing("ann")
    };
    Facts::of(&token, Some(&standing))
}

fn verdict(limits: &Limits, facts: &Facts, cost: u32, now: Duration) -> (Verdict, Option<Rate>) {
    limits.apply(accepted(), facts, &namespace("notes", "kn_"), cost, now)
}

/// What is left after it is taken, or why it is not.
fn take(limits: &Limits, facts: &Facts, cost: u32, now: Duration) -> Result<Rate, Rate> {
    match verdict(limits, facts, cost, now) {
        (Verdict::Accepted { .. }, Some(rate)) => Ok(rate),
        (Verdict::Refused(Refusal::RateLimited { secret_version: 1 }), Some(rate)) => Err(rate),
        other => panic!("{other:?}"),
    }
}

fn remaining(limits: &Limits, facts: &Facts, now: Duration) -> u32 {
    take(limits, facts, 0, now).unwrap().remaining
}

#[test]
fn exactly_as_many_as_there_are_and_then_how_long_to_wait() {
    let limits = Limits::new(false);
    let facts = facts(1, Some(rate_limit(100, 60)), None);
    for left in (0..100).rev() {
        let rate = take(&limits, &facts, 1, NOW).unwrap();
        assert_eq!((rate.remaining, rate.holder), (left, Holder::Token));
        assert_eq!(rate.reset, (100 - left) * 600 * MILLI);
    }
    for _ in 0..3 {
        let refused = take(&limits, &facts, 1, NOW).unwrap_err();
        assert_eq!(refused.retry_after, Some(600 * MILLI));
        assert_eq!((refused.remaining, refused.reset), (0, 60 * SECOND));
    }
    assert_eq!(limits.refused(Holder::Token), 3);
    assert!(take(&limits, &facts, 1, NOW + 599 * MILLI).is_err());
    assert!(take(&limits, &facts, 1, NOW + 600 * MILLI).is_ok());
}

#[test]
fn who_comes_at_once_from_everywhere_gets_exactly_what_there_is() {
    let limits = Limits::new(false);
    let (of_token, of_subject) = (rate_limit(100, 60), rate_limit(150, 60));
    let tokens = [1, 2].map(|number| facts(number, Some(of_token), Some(of_subject)));
    let counts = [AtomicUsize::new(0), AtomicUsize::new(0)];
    thread::scope(|scope| {
        for caller in 0..64 {
            let (limits, tokens, counts) = (&limits, &tokens, &counts);
            scope.spawn(move || {
                for _ in 0..10 {
                    let of = caller % 2;
                    if take(limits, &tokens[of], 1, NOW).is_ok() {
                        counts[of].fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let counts = counts.map(AtomicUsize::into_inner);
    assert_eq!(counts.iter().sum::<usize>(), 150);
    assert!(
        counts.iter().all(|count| (50..=100).contains(count)),
        "{counts:?}"
    );
    // What the subject refused was not taken from the tokens.
    let left: u32 = [1, 2]
        .map(|number| remaining(&limits, &facts(number, Some(of_token), None), NOW))
        .iter()
        .sum();
    assert_eq!(left, 200 - 150);
}

#[test]
fn of_two_limits_the_one_that_is_tighter_is_told_and_neither_is_taken_from_alone() {
    let limits = Limits::new(false);
    let both = facts(1, Some(rate_limit(10, 60)), Some(rate_limit(5, 3600)));
    assert_eq!(take(&limits, &both, 4, NOW).unwrap().holder, Holder::Subject);
    let refused = take(&limits, &both, 2, NOW).unwrap_err();
    assert_eq!(refused.holder, Holder::Subject);
    assert_eq!(refused.retry_after, Some(720 * SECOND));
    assert_eq!(
        remaining(&limits, &facts(1, Some(rate_limit(10, 60)), None), NOW),
        6
    );
    // Where both refuse, it waits for both; for what there never is, for ever.
    let refused = take(&limits, &both, 7, NOW).unwrap_err();
    assert_eq!((refused.holder, refused.retry_after), (Holder::Subject, None));
}

#[test]
fn what_is_refused_takes_nothing_and_is_not_kept() {
    let limits = Limits::new(false);
    let facts = facts(1, Some(rate_limit(10, 60)), None);
    let refused = take(&limits, &facts, 11, NOW).unwrap_err();
    assert_eq!((refused.retry_after, refused.remaining), (None, 10));
    assert_eq!(take(&limits, &facts, 0, NOW).unwrap().remaining, 10);
    for refusal in [
        Refusal::Revoked,
        Refusal::InsufficientScope {
            missing: crate::token::samples::scopes(&["read"]),
            secret_version: 1,
        },
    ] {
        let refused = Verdict::Refused(refusal);
        let judged = limits.apply(refused.clone(), &facts, &namespace("notes", "kn_"), 1, NOW);
        assert_eq!(judged, (refused, None));
    }
    assert_eq!(limits.kept(), 0);
    // Nothing is there to be had, also when all is gone.
    take(&limits, &facts, 10, NOW).unwrap();
    assert_eq!(take(&limits, &facts, 0, NOW).unwrap().remaining, 0);
}

#[test]
fn a_namespace_says_for_those_who_say_nothing_and_an_answer_under_a_limit_is_not_for_a_cache() {
    let limits = Limits::new(false);
    let mut notes = namespace("notes", "kn_");
    let none = facts(1, None, None);
    let without = limits.apply(accepted(), &none, &notes, 1, NOW);
    assert_eq!(without, (accepted(), None));
    for (policy, holder) in [
        (
            Policy {
                rate_limit_default: Some(rate_limit(10, 60)),
                ..Policy::default()
            },
            Holder::Token,
        ),
        (
            Policy {
                rate_limit_subject_default: Some(rate_limit(10, 60)),
                ..Policy::default()
            },
            Holder::Subject,
        ),
    ] {
        notes.policy = policy;
        let (verdict, rate) = limits.apply(accepted(), &none, &notes, 1, NOW);
        let uncached = Verdict::Accepted {
            secret_version: 1,
            cache_ttl: Duration::ZERO,
        };
        assert_eq!(verdict, uncached);
        assert_eq!(rate.unwrap().holder, holder);
    }
}

#[test]
fn a_limit_that_changes_applies_to_what_was_taken_before() {
    let limits = Limits::new(false);
    let of = |requests| facts(1, Some(rate_limit(requests, 60)), None);
    take(&limits, &of(100), 100, NOW).unwrap();
    assert!(take(&limits, &of(100), 1, NOW).is_err());
    assert_eq!(take(&limits, &of(1000), 1, NOW).unwrap().remaining, 899);
    assert_eq!(remaining(&limits, &of(50), NOW), 0);
    assert!(take(&limits, &of(50), 50, NOW + 60 * SECOND).is_ok());
}

#[test]
fn what_is_whole_is_forgotten_first_and_then_what_will_be_soonest() {
    let limits = Limits::new(false);
    let limit = rate_limit(100, 60);
    let mut shard = Shard::default();
    let put = |shard: &mut Shard, number: u64, cost: u32, now| {
        let key = Key::Token(token(number).id);
        let account = shard.account(key, limit, now);
        limits.spend(shard, (key, account), cost, now);
        key
    };
    for number in 0..SHARD_MAX as u64 {
        put(&mut shard, number, if number % 2 == 0 { 1 } else { 50 }, NOW);
    }
    assert_eq!(shard.accounts.len(), SHARD_MAX);
    // After two seconds half of them are whole again.
    put(&mut shard, 5000, 99, NOW + 2 * SECOND);
    assert_eq!(shard.accounts.len(), SHARD_MAX / 2 + 1);
    let most = (6000..6000 + SHARD_MAX as u64).map(|number| put(&mut shard, number, 2, NOW + 2 * SECOND));
    assert_eq!(most.count(), SHARD_MAX);
    assert!(shard.accounts.len() <= SHARD_MAX);
    // What was taken from most is still known of all.
    let kept = |number| shard.accounts.contains_key(&Key::Token(token(number).id));
    assert!(kept(5000) && (0..SHARD_MAX as u64).filter(|number| number % 2 == 1).all(kept));
}
