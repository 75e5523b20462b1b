//! Refused calls: on record with whose token it was, and no more of them than a caller may fill the list with.

use super::*;
use crate::clock::ManualClock;
use crate::journal::samples::issue;
use crate::store::memory::MemoryStore;
use crate::store::samples::{Answer, EPOCH, found_notes, write};
use crate::token::id::TokenId;
use crate::token::samples::{instant, slug, token};

type Tested = Answer<()>;

fn actor(name: &str) -> Actor {
    Actor::try_from(name.to_owned()).unwrap()
}

fn refuse(refusals: &Refusals, name: &str, reason: &str, token_id: Option<TokenId>) {
    refusals.record(actor(name), |actor, time| RefusedCall {
        time,
        actor,
        method: "TokenService/Revoke".to_owned(),
        reason: reason.to_owned(),
        namespace: None,
        token_id,
        unrecorded: 0,
    });
}

async fn kept(store: &Arc<dyn Store>) -> Answer<Vec<RefusedCall>> {
    let kept = store.refused_calls(0, 1000).await?;
    Ok(kept.into_iter().map(|(_, call)| call).collect())
}

fn ever(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

#[tokio::test]
async fn a_caller_fills_no_more_than_its_share_and_the_rest_is_counted() -> Tested {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(EPOCH));
    let clock = Arc::new(ManualClock::at(instant(0)));
    let (refusals, arriving) = Refusals::new(Arc::clone(&clock) as Arc<dyn Clock>);
    for _ in 0..100 {
        refuse(&refusals, "loud", "PERMISSION_DENIED", None);
    }
    refuse(&refusals, "quiet", "PERMISSION_DENIED", None);
    clock.advance(REFILL);
    for _ in 0..2 {
        refuse(&refusals, "loud", "PERMISSION_DENIED", None);
    }
    let counts = refusals.counts();
    assert_eq!((ever(&counts.recorded), ever(&counts.unrecorded)), (62, 41));
    let stop = CancellationToken::new();
    stop.cancel();
    // What had arrived is kept, although it is told to stop.
    Refusals::keep(Arc::clone(&store), clock, arriving, stop).await;
    let kept = kept(&store).await?;
    let of = |name: &str| {
        let calls = kept.iter().filter(|call| call.actor == actor(name));
        calls.map(|call| call.unrecorded).collect::<Vec<_>>()
    };
    let mut loud = vec![0; 60];
    loud.push(40);
    assert_eq!(of("loud"), loud);
    assert_eq!(of("quiet"), [0]);
    Ok(())
}

#[tokio::test]
async fn more_than_can_wait_are_counted_and_nobody_waits() -> Tested {
    let (refusals, arriving) = Refusals::new(Arc::new(ManualClock::at(instant(0))));
    for caller in 0..WAITING_MAX + 10 {
        refuse(&refusals, &format!("caller {caller}"), "PERMISSION_DENIED", None);
    }
    assert_eq!(arriving.len(), WAITING_MAX);
    assert_eq!(ever(&refusals.counts().unrecorded), 10);
    Ok(())
}

#[tokio::test]
async fn the_namespace_of_a_token_is_told_and_a_token_that_is_none_is_not_on_record() -> Tested {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(EPOCH));
    found_notes(&store).await?;
    write(&store, issue(token(1))).await?;
    let clock = Arc::new(ManualClock::at(instant(0)));
    let (refusals, arriving) = Refusals::new(Arc::clone(&clock) as Arc<dyn Clock>);
    refuse(&refusals, "a", "TOKEN_NOT_FOUND", Some(token(1).id));
    refuse(&refusals, "b", "TOKEN_NOT_FOUND", Some(token(2).id));
    refuse(&refusals, "c", "PERMISSION_DENIED", Some(token(2).id));
    drop(refusals);
    Refusals::keep(Arc::clone(&store), clock, arriving, CancellationToken::new()).await;
    let kept = kept(&store).await?;
    let told: Vec<_> = kept
        .iter()
        .map(|call| (call.actor.as_str(), call.namespace.clone()))
        .collect();
    assert_eq!(told, [("a", Some(slug("notes"))), ("c", None)]);
    Ok(())
}
