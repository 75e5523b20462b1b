//! Exactly as many as there are, here; and over several servers no more than is said, and nobody refused for nothing.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread;

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::runtime;

use super::sharing::{Round, SHARE_INTERVAL};
use super::*;
use crate::clock::{Clock, ManualClock};
use crate::store::faulty::{Call, Fault, Faulty};
use crate::store::memory::MemoryStore;
use crate::store::roll::MemberId;
use crate::store::samples::EPOCH;
use crate::token::Token;
use crate::token::policy::Policy;
use crate::token::samples::{instant, namespace, rate_limit, standing, subject, token};
use crate::token::standing::Standing;

type Tested = Result<(), Box<dyn Error>>;

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

/// Servers over one store, with one clock.
struct Fleet {
    clock: Arc<ManualClock>,
    store: Arc<Faulty>,
    servers: Vec<(Arc<Limits>, Sharing)>,
}

impl Fleet {
    fn new(servers: u8) -> Fleet {
        let clock = Arc::new(ManualClock::at(instant(0)));
        let store = Arc::new(Faulty::over(Arc::new(MemoryStore::new(EPOCH).shared())));
        let servers = (1..=servers).map(|number| {
            let limits = Arc::new(Limits::new(true));
            let parts = (
                Arc::clone(&limits),
                Arc::clone(&store) as Arc<dyn crate::store::Store>,
                Arc::clone(&clock) as Arc<dyn Clock>,
            );
            (limits, Sharing::new(parts, MemberId::new([number; 16])))
        });
        Fleet {
            servers: servers.collect(),
            clock,
            store,
        }
    }

    fn now(&self) -> Duration {
        self.clock.uptime()
    }

    fn take(&self, server: usize, facts: &Facts, cost: u32) -> Result<Rate, Rate> {
        take(&self.servers[server].0, facts, cost, self.now())
    }

    async fn share(&mut self, server: usize) -> Result<(), crate::store::StoreError> {
        self.servers[server].1.round(Round::Used).await
    }
}

#[tokio::test]
async fn what_one_server_took_another_knows_once_it_has_heard() -> Tested {
    let mut fleet = Fleet::new(2);
    let facts = facts(1, Some(rate_limit(100, 3600)), Some(rate_limit(1000, 3600)));
    fleet.take(0, &facts, 60).unwrap();
    fleet.take(1, &facts, 1).unwrap();
    for server in [0, 1, 0] {
        fleet.share(server).await?;
    }
    assert_eq!(remaining(&fleet.servers[1].0, &facts, fleet.now()), 39);
    // The first has not used it since, so it has not asked. It does with its next use.
    fleet.take(0, &facts, 0).unwrap();
    fleet.share(0).await?;
    assert_eq!(remaining(&fleet.servers[0].0, &facts, fleet.now()), 39);
    // A server that comes anew hears of all of it.
    let mut fresh = Fleet::new(1);
    fresh.clock = Arc::clone(&fleet.clock);
    let limits = Arc::new(Limits::new(true));
    let parts = (
        Arc::clone(&limits),
        Arc::clone(&fleet.store) as Arc<dyn crate::store::Store>,
        Arc::clone(&fleet.clock) as Arc<dyn Clock>,
    );
    let mut sharing = Sharing::new(parts, MemberId::new([9; 16]));
    take(&limits, &facts, 1, fleet.now()).unwrap();
    sharing.round(Round::Used).await?;
    assert_eq!(remaining(&limits, &facts, fleet.now()), 38);
    Ok(())
}

#[tokio::test]
async fn a_report_whose_answer_was_lost_counts_once_and_gives_nothing_back() -> Tested {
    let mut fleet = Fleet::new(2);
    let facts = facts(1, Some(rate_limit(100, 3600)), None);
    fleet.take(0, &facts, 10).unwrap();
    for fault in [Fault::After, Fault::Before, Fault::After] {
        fleet.store.nth(1, Call::Share, fault);
        assert!(fleet.share(0).await.is_err());
        // What is taken meanwhile is enforced here, and told later.
        fleet.take(0, &facts, 5).unwrap();
    }
    assert_eq!(remaining(&fleet.servers[0].0, &facts, fleet.now()), 75);
    fleet.share(0).await?;
    fleet.take(1, &facts, 1).unwrap();
    fleet.share(1).await?;
    for server in [0, 1] {
        fleet.take(server, &facts, 0).unwrap();
        fleet.share(server).await?;
        assert_eq!(remaining(&fleet.servers[server].0, &facts, fleet.now()), 74);
    }
    Ok(())
}

#[tokio::test]
async fn what_was_taken_while_the_store_was_away_is_not_owed_once_it_has_come_back() -> Tested {
    let mut fleet = Fleet::new(2);
    let facts = facts(1, Some(rate_limit(60, 60)), None);
    fleet.take(1, &facts, 1).unwrap();
    fleet.share(1).await?;
    fleet.take(0, &facts, 60).unwrap();
    fleet.clock.advance(Duration::from_secs(600));
    fleet.share(0).await?;
    fleet.take(1, &facts, 0).unwrap();
    fleet.share(1).await?;
    assert_eq!(remaining(&fleet.servers[1].0, &facts, fleet.now()), 60);
    Ok(())
}

#[tokio::test]
async fn a_clock_that_is_ahead_takes_no_more_than_was_taken() -> Tested {
    let mut fleet = Fleet::new(2);
    let facts = facts(1, Some(rate_limit(10, 1)), None);
    // Known to both before.
    for server in [0, 1] {
        fleet.take(server, &facts, 1).unwrap();
        fleet.share(server).await?;
    }
    // The first is ten seconds ahead: by its clock, what it takes comes back ten seconds later than it does.
    fleet.clock.advance(2 * SECOND);
    let ahead = Arc::new(ManualClock::at(instant(12_000_000)));
    fleet.servers[0].1.set_clock(Arc::clone(&ahead) as Arc<dyn Clock>);
    take(&fleet.servers[0].0, &facts, 5, ahead.uptime()).unwrap();
    fleet.share(0).await?;
    fleet.take(1, &facts, 0).unwrap();
    fleet.share(1).await?;
    assert_eq!(remaining(&fleet.servers[1].0, &facts, fleet.now()), 5);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However the uses are spread over the servers: those who keep to the limit are never refused, and over any window
    /// no more gets through than the limit, what came back, and the overshoot that is published: what each server but
    /// one accepts within two exchanges, and what comes back within three.
    #[test]
    fn the_overshoot_is_what_is_said(
        requests in 1_u32..40,
        seconds in 1_u32..60,
        steps in vec((0_usize..4, 0_u64..400, 1_u32..4, any::<bool>()), 1..300),
        keeps_to_it in any::<bool>(),
    ) {
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        let mut fleet = Fleet::new(4);
        let limit = rate_limit(requests, seconds);
        let facts = facts(1, Some(limit), None);
        let mut shared_at = [fleet.now(); 4];
        // What the limit lets through, if one counted them all.
        let one = Limits::new(false);
        let mut accepted: Vec<(Duration, u32, usize)> = Vec::new();
        for (server, millis, cost, _) in steps {
            fleet.clock.advance(Duration::from_millis(millis));
            for (server, at) in shared_at.iter_mut().enumerate() {
                if fleet.now() >= *at + SHARE_INTERVAL {
                    *at = fleet.now();
                    runtime.block_on(fleet.share(server)).unwrap();
                }
            }
            let cost = cost.min(requests);
            let now = fleet.now();
            if keeps_to_it && take(&one, &facts, cost, now).is_err() {
                continue;
            }
            let taken = fleet.take(server, &facts, cost);
            if keeps_to_it {
                prop_assert!(taken.is_ok(), "refused within the limit: {taken:?}");
            }
            if taken.is_ok() {
                accepted.push((now, cost, server));
            }
        }
        let interval = allowance(limit).interval().as_nanos();
        // A step is at most 400 ms, so an exchange comes no later than that after its time.
        let exchange = SHARE_INTERVAL + 400 * MILLI;
        let overshoot = overshoot(&accepted, 2 * exchange);
        for (i, (from, ..)) in accepted.iter().enumerate() {
            let mut sum = 0;
            for (until, cost, _) in &accepted[i..] {
                sum += u128::from(*cost);
                let came_back = ((*until - *from) + 3 * exchange).as_nanos() / interval + 1;
                let bound = u128::from(requests) + came_back + overshoot;
                prop_assert!(sum <= bound, "{sum} in {:?}, not {bound}", *until - *from);
            }
        }
    }
}

/// The most that each server accepted within so long, of all servers but the one with the most of it.
fn overshoot(accepted: &[(Duration, u32, usize)], within: Duration) -> u128 {
    let mut most = [0; 4];
    for (i, (from, _, server)) in accepted.iter().enumerate() {
        let window = accepted[i..].iter().take_while(|(at, ..)| *at <= *from + within);
        let own = window.filter(|(_, _, other)| other == server);
        let sum: u128 = own.map(|(_, cost, _)| u128::from(*cost)).sum();
        most[*server] = sum.max(most[*server]);
    }
    most.iter().sum::<u128>() - most.iter().max().unwrap_or(&0)
}
