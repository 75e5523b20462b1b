//! The seat: no lease without a renewal that was lived up to, counted from before it was sent.

use proptest::prelude::*;

use super::*;
use crate::clock::{ManualClock, ManualEntropy};
use crate::journal::samples::issue;
use crate::store::faulty::{Call, Fault, Faulty};
use crate::store::memory::MemoryStore;
use crate::store::samples::{Answer, EPOCH, found_notes, write};
use crate::token::samples::{instant, token};

const TERMS: Terms = Terms::DEFAULT;

struct Scene {
    store: Arc<dyn Store>,
    faulty: Arc<Faulty>,
    clock: Arc<ManualClock>,
    seat: Seat,
    lease: Arc<Lease>,
}

async fn scene(store: MemoryStore) -> Answer<Scene> {
    let store: Arc<dyn Store> = Arc::new(store);
    found_notes(&store).await?;
    let faulty = Arc::new(Faulty::over(Arc::clone(&store)));
    let clock = Arc::new(ManualClock::at(instant(0)));
    let seat = Seat::new(
        Arc::<Faulty>::clone(&faulty),
        Arc::<ManualClock>::clone(&clock),
        Arc::new(ManualEntropy::seeded(1)),
        "one".to_owned(),
        TERMS,
    );
    let lease = seat.lease();
    Ok(Scene {
        store,
        faulty,
        clock,
        seat,
        lease,
    })
}

async fn member() -> Answer<Scene> {
    scene(MemoryStore::new(EPOCH).shared()).await
}

impl Scene {
    /// A renewal that is lived up to.
    async fn renew(&mut self) -> Answer<Revision> {
        let head = self.seat.ask(Revision::ZERO).await?.ok_or("off the roll")?;
        self.seat.applied(head.revision);
        Ok(head.revision)
    }

    async fn members(&self) -> Answer<Vec<crate::store::roll::Member>> {
        Ok(self.store.roll().ok_or("no roll")?.members().await?)
    }
}

#[tokio::test]
async fn without_a_roll_the_lease_is_unlimited() -> Answer<()> {
    let mut scene = scene(MemoryStore::new(EPOCH)).await?;
    scene.clock.advance(TERMS.lease * 100);
    assert_eq!(scene.lease.held(), Ok(()));
    assert_eq!(scene.renew().await?, Revision::new(1));
    scene.seat.leave().await?;
    Ok(())
}

#[tokio::test]
async fn a_lease_is_counted_from_before_the_renewal_was_sent() -> Answer<()> {
    let mut scene = member().await?;
    assert!(scene.lease.held().is_err());
    let gate = scene.faulty.hold(Call::Renew);
    let clock = Arc::clone(&scene.clock);
    let late = async {
        gate.arrived().await;
        clock.advance(Duration::from_millis(999));
        gate.open();
    };
    let (head, ()) = tokio::join!(scene.seat.ask(Revision::ZERO), late);
    scene.seat.applied(head?.ok_or("off the roll")?.revision);
    assert_eq!(scene.lease.held(), Ok(()));
    scene.clock.advance(Duration::from_millis(1));
    assert!(scene.lease.held().is_err());
    Ok(())
}

#[tokio::test]
async fn a_renewal_that_was_not_lived_up_to_grants_nothing() -> Answer<()> {
    let mut scene = member().await?;
    write(&scene.store, issue(token(1))).await?;
    let head = scene.seat.ask(Revision::ZERO).await?.ok_or("off the roll")?;
    assert_eq!(head.revision, Revision::new(2));
    scene.seat.applied(Revision::new(1));
    assert!(scene.lease.held().is_err());
    scene.seat.applied(Revision::new(2));
    assert_eq!(scene.lease.held(), Ok(()));
    // One renewal grants one lease.
    scene.clock.advance(TERMS.lease);
    scene.seat.applied(Revision::new(2));
    assert!(scene.lease.held().is_err());
    Ok(())
}

#[tokio::test]
async fn what_a_renewal_says_is_on_the_roll() -> Answer<()> {
    let mut scene = member().await?;
    scene.seat.ask(Revision::ZERO).await?;
    let joined = scene.members().await?;
    assert_eq!((joined.len(), joined[0].acked), (1, Revision::ZERO));
    assert_eq!(joined[0].name, "one");
    scene.seat.ask(Revision::new(1)).await?;
    let acked = scene.members().await?;
    assert_eq!((acked[0].id, acked[0].acked), (joined[0].id, Revision::new(1)));
    Ok(())
}

#[tokio::test]
async fn who_was_taken_off_the_roll_has_no_lease_and_joins_as_another() -> Answer<()> {
    let mut scene = member().await?;
    scene.renew().await?;
    let first = scene.members().await?.remove(0);
    assert!(scene.store.roll().ok_or("no roll")?.remove(&first).await?);
    assert_eq!(scene.lease.held(), Ok(()), "nobody has told it yet");
    assert_eq!(scene.seat.ask(Revision::new(1)).await?, None);
    assert!(scene.lease.held().is_err());
    scene.seat.applied(Revision::new(9));
    assert!(scene.lease.held().is_err());
    scene.renew().await?;
    assert_eq!(scene.lease.held(), Ok(()));
    assert_ne!(scene.members().await?[0].id, first.id);
    Ok(())
}

#[tokio::test]
async fn a_renewal_that_fails_leaves_the_lease_to_run_out() -> Answer<()> {
    let mut scene = member().await?;
    scene.renew().await?;
    for fault in [Fault::Before, Fault::After] {
        scene.faulty.nth(1, Call::Renew, fault);
        scene.clock.advance(TERMS.lease / 3);
        assert!(scene.seat.ask(Revision::new(1)).await.is_err());
        scene.seat.applied(Revision::new(1));
    }
    assert_eq!(scene.lease.held(), Ok(()));
    scene.clock.advance(TERMS.lease / 2);
    assert!(scene.lease.held().is_err());
    Ok(())
}

#[tokio::test]
async fn a_join_whose_answer_was_lost_is_made_again_as_another() -> Answer<()> {
    let mut scene = member().await?;
    scene.faulty.nth(1, Call::Join, Fault::After);
    assert!(scene.seat.ask(Revision::ZERO).await.is_err());
    scene.renew().await?;
    assert_eq!(scene.lease.held(), Ok(()));
    assert_eq!(scene.members().await?.len(), 2, "the first will fall silent");
    Ok(())
}

#[tokio::test]
async fn who_leaves_answers_no_more_and_is_waited_for_by_nobody() -> Answer<()> {
    let mut scene = member().await?;
    scene.renew().await?;
    let Scene {
        store, seat, lease, ..
    } = scene;
    seat.leave().await?;
    assert!(lease.held().is_err());
    assert_eq!(store.roll().ok_or("no roll")?.members().await?, []);
    Ok(())
}

proptest! {
    /// However renewals and what is applied interleave: a lease never outlasts a renewal whose head was applied.
    #[test]
    fn a_lease_rests_on_a_renewal_that_was_lived_up_to(
        steps in prop::collection::vec((0u64..8, 0u64..8, any::<bool>()), 1..30),
    ) {
        let mut tenure = Tenure::new(TERMS);
        tenure.joined(MemberId::new([1; 16]));
        let mut asked: Vec<(Duration, u64)> = Vec::new();
        for (at, (head, applied, removed)) in (0u64..).zip(steps) {
            let sent = Duration::from_millis(at * 10);
            if removed {
                tenure.removed();
                asked.clear();
            } else {
                tenure.renewed(sent, Revision::new(head));
                asked.push((sent, head));
            }
            if let Some(until) = tenure.applied(Revision::new(applied)) {
                prop_assert!(asked.iter().any(|(sent, head)| until == *sent + TERMS.lease && *head <= applied));
            } else {
                prop_assert!(removed || head > applied);
            }
        }
    }
}
