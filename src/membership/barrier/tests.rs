//! The barrier: it opens when all have said so, or when no lease can run any more, and never before.

use std::time::Duration;

use tokio::task::JoinHandle;

use super::*;
use crate::clock::ManualClock;
use crate::journal::samples::issue;
use crate::store::faulty::{Call, Fault, Faulty};
use crate::store::member::MemberId;
use crate::store::memory::MemoryStore;
use crate::store::samples::{Answer, EPOCH, found_notes, idle, write};
use crate::token::samples::{instant, token};

const TERMS: Terms = Terms::DEFAULT;
const ONE: MemberId = MemberId::new([1; 16]);
const TWO: MemberId = MemberId::new([2; 16]);
/// What was committed, and is waited for.
const CHANGE: Revision = Revision::new(2);

struct Scene {
    store: Arc<dyn Store>,
    faulty: Arc<Faulty>,
    clock: Arc<ManualClock>,
    barrier: Barrier,
}

impl Scene {
    /// Two members, who have acknowledged what was before the change.
    async fn start() -> Answer<Scene> {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(EPOCH).shared());
        found_notes(&store).await?;
        write(&store, issue(token(1))).await?;
        let faulty = Arc::new(Faulty::over(Arc::clone(&store)));
        let clock = Arc::new(ManualClock::at(instant(0)));
        let (barrier, keeper) = Barrier::new(
            Arc::<Faulty>::clone(&faulty),
            Arc::<ManualClock>::clone(&clock),
            TERMS,
        );
        tokio::spawn(keeper);
        let scene = Scene {
            store,
            faulty,
            clock,
            barrier,
        };
        for id in [ONE, TWO] {
            scene.roll()?.join(id, "member").await?;
            scene.renew(id, 1).await?;
        }
        Ok(scene)
    }

    fn roll(&self) -> Answer<&dyn Roll> {
        Ok(self.store.roll().ok_or("no roll")?)
    }

    async fn renew(&self, id: MemberId, acked: u64) -> Answer<()> {
        let renewed = self.roll()?.renew(id, Revision::new(acked)).await?;
        renewed.map(drop).ok_or_else(|| "off the roll".into())
    }

    fn waiting(&self) -> JoinHandle<Result<Reached, Ended>> {
        let barrier = self.barrier.clone();
        tokio::spawn(async move { barrier.reached(CHANGE).await })
    }

    /// Lets so much time pass, for both clocks.
    async fn pass(&self, span: Duration) {
        self.clock.advance(span);
        tokio::time::sleep(POLL_MAX * 2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn it_opens_when_the_last_member_has_acknowledged() -> Answer<()> {
    let scene = Scene::start().await?;
    let waiting = scene.waiting();
    idle().await;
    scene.renew(ONE, 2).await?;
    scene.pass(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    scene.renew(TWO, 3).await?;
    assert_eq!(waiting.await??, Reached::Acknowledged);
    // Of what all have acknowledged nobody has to be asked again.
    assert_eq!(scene.barrier.reached(CHANGE).await?, Reached::Acknowledged);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_is_silent_is_waited_out_and_not_a_moment_less() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.renew(ONE, 2).await?;
    let waiting = scene.waiting();
    idle().await;
    for _ in 0..1009 {
        // A heartbeat is no acknowledgement.
        scene.renew(TWO, 1).await?;
        scene.clock.advance(Duration::from_millis(1));
    }
    tokio::time::sleep(POLL_MAX * 2).await;
    assert!(!waiting.is_finished());
    scene.pass(Duration::from_millis(1)).await;
    assert!(waiting.is_finished());
    assert_eq!(waiting.await??, Reached::WaitedOut);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_wait_begins_with_the_call_however_old_the_change_is() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.pass(TERMS.outlived() * 2).await;
    scene.renew(ONE, 1).await?;
    scene.renew(TWO, 1).await?;
    let waiting = scene.waiting();
    idle().await;
    scene.pass(TERMS.lease).await;
    assert!(!waiting.is_finished());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_joins_while_it_is_waited_is_waited_for() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.renew(ONE, 2).await?;
    let waiting = scene.waiting();
    idle().await;
    scene.roll()?.join(MemberId::new([3; 16]), "late").await?;
    scene.renew(TWO, 2).await?;
    scene.pass(Duration::from_millis(1)).await;
    assert!(!waiting.is_finished());
    scene.renew(MemberId::new([3; 16]), 2).await?;
    assert_eq!(waiting.await??, Reached::Acknowledged);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_empty_roll_confirms_nothing() -> Answer<()> {
    let scene = Scene::start().await?;
    for member in scene.roll()?.members().await? {
        scene.roll()?.remove(&member).await?;
    }
    let waiting = scene.waiting();
    idle().await;
    scene.pass(TERMS.lease).await;
    assert!(!waiting.is_finished());
    scene.pass(TERMS.lease).await;
    assert_eq!(waiting.await??, Reached::WaitedOut);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_roll_that_cannot_be_read_is_waited_out() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.renew(ONE, 2).await?;
    scene.renew(TWO, 2).await?;
    for n in 1..=1000 {
        scene.faulty.nth(n, Call::Members, Fault::Before);
    }
    let waiting = scene.waiting();
    idle().await;
    scene.pass(TERMS.lease).await;
    assert!(!waiting.is_finished());
    scene.pass(TERMS.lease).await;
    assert_eq!(waiting.await??, Reached::WaitedOut);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_is_silent_is_taken_off_and_waited_for_no_more() -> Answer<()> {
    let scene = Scene::start().await?;
    // The roll is read although nobody waits.
    for _ in 0..40 {
        scene.renew(ONE, 2).await?;
        scene.clock.advance(TERMS.heartbeat);
        tokio::time::sleep(TERMS.heartbeat).await;
    }
    let left = scene.roll()?.members().await?;
    assert_eq!(left.iter().map(|member| member.id).collect::<Vec<_>>(), [ONE]);
    assert_eq!(scene.barrier.reached(CHANGE).await?, Reached::Acknowledged);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_the_last_barrier() -> Answer<()> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(EPOCH).shared());
    let (barrier, keeper) = Barrier::new(store, Arc::new(ManualClock::at(instant(0))), TERMS);
    let keeper = tokio::spawn(keeper);
    idle().await;
    assert!(!keeper.is_finished());
    drop(barrier);
    keeper.await?;
    Ok(())
}
