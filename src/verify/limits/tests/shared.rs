//! Over several servers: no more than is said, and nobody refused for nothing.

use std::error::Error;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::runtime;

use super::super::sharing::{Round, SHARE_INTERVAL, Sharing};
use super::*;
use crate::clock::{Clock, ManualClock};
use crate::store::faulty::{Call, Fault, Faulty};
use crate::store::member::MemberId;
use crate::store::memory::MemoryStore;
use crate::store::samples::EPOCH;
use crate::store::{Store, StoreError};
use crate::token::samples::instant;

type Tested = Result<(), Box<dyn Error>>;

/// Servers over one store, with one clock.
struct Fleet {
    clock: Arc<ManualClock>,
    store: Arc<Faulty>,
    servers: Vec<(Arc<Limits>, Sharing)>,
}

impl Fleet {
    fn new(servers: u8) -> Fleet {
        let clock = Arc::new(ManualClock::at(instant(0)));
        let memory = MemoryStore::new(EPOCH).with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let store = Arc::new(Faulty::over(Arc::new(memory.shared())));
        let servers = (1..=servers).map(|number| {
            let limits = Arc::new(Limits::new(true));
            let parts = (
                Arc::clone(&limits),
                Arc::clone(&store) as Arc<dyn Store>,
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

    async fn share(&mut self, server: usize) -> Result<(), StoreError> {
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
    let limits = Arc::new(Limits::new(true));
    let parts = (
        Arc::clone(&limits),
        Arc::clone(&fleet.store) as Arc<dyn Store>,
        Arc::clone(&fleet.clock) as Arc<dyn Clock>,
    );
    let mut sharing = Sharing::new(parts, MemberId::new([9; 16]));
    take(&limits, &facts, 1, fleet.now()).unwrap();
    sharing.round(Round::Used).await?;
    assert_eq!(remaining(&limits, &facts, fleet.now()), 38);
    Ok(())
}

#[tokio::test]
async fn all_that_is_owed_is_taken_over_by_who_hears_of_it_for_the_first_time() -> Tested {
    let mut fleet = Fleet::new(4);
    let facts = facts(1, Some(rate_limit(1, 8)), None);
    for server in 0..4 {
        fleet.take(server, &facts, 1).unwrap();
        fleet.share(server).await?;
    }
    // Four were taken, where one comes back in eight seconds.
    for _ in 0..3 {
        fleet.clock.advance(Duration::from_millis(7_400));
        assert!(fleet.take(3, &facts, 1).is_err());
    }
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
    fleet.clock.advance(Duration::from_mins(10));
    fleet.share(0).await?;
    fleet.take(1, &facts, 0).unwrap();
    fleet.share(1).await?;
    assert_eq!(remaining(&fleet.servers[1].0, &facts, fleet.now()), 60);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However the uses are spread over the servers: those who keep to the limit are never refused, and over any window
    /// no more gets through than the limit, what came back, and the overshoot that is published: what each server but
    /// one accepts within two exchanges, and what comes back within three.
    ///
    /// The one is whoever heard last before it accepted for the last time: what it did not know of, any other accepted
    /// since then, and so without having heard again.
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
        let most = most_within(2 * exchange, &accepted);
        let least = most.iter().filter(|most| **most > 0).min();
        let overshoot = most.iter().sum::<u128>() - least.unwrap_or(&0);
        for (i, (from, ..)) in accepted.iter().enumerate() {
            let mut sum = 0;
            for (until, cost, _) in &accepted[i..] {
                sum += u128::from(*cost);
                let came_back = (until.saturating_sub(*from) + 3 * exchange).as_nanos() / interval + 1;
                let bound = u128::from(requests) + came_back + overshoot;
                prop_assert!(sum <= bound, "{sum} in {:?}, not {bound}", until.saturating_sub(*from));
            }
        }
    }
}

/// The most that each server accepted within so long.
fn most_within(within: Duration, accepted: &[(Duration, u32, usize)]) -> [u128; 4] {
    let mut most = [0; 4];
    for (i, (from, _, server)) in accepted.iter().enumerate() {
        let window = accepted[i..].iter().take_while(|(at, ..)| *at <= *from + within);
        let own = window.filter(|(_, _, other)| other == server);
        let sum: u128 = own.map(|(_, cost, _)| u128::from(*cost)).sum();
        most[*server] = sum.max(most[*server]);
    }
    most
}
