//! What judges and what changes, over one store: all of a server but its sockets.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::ServeError;
use super::chores::{Chores, REDIGESTS_MAX};
use super::lifecycle::Lifecycle;
use super::open::open;
use super::options::Options;
use super::recording::Recording;
use super::webhooks::Webhooks;
use super::witness::Witness;
use super::writing::Writing;
use crate::authority::Authority;
use crate::clock::{Clock, Entropy};
use crate::membership::{Barrier, Seat, Terms};
use crate::rpc::InForce;
use crate::store::Store;
use crate::store::spawned::Spawned;
use crate::token::text::Actor;
use crate::verify::{Bounds, Cache, Verifier};

/// How long the store may take to let go of its file, after all is written.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// It is a member of the store's roll: whoever has one must end it, or the others wait until its lease has run out.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) verifier: Arc<Verifier>,
    /// What a change waits for before it is answered.
    pub(super) in_force: InForce,
    /// The store, for whoever may stop waiting for it.
    pub(super) detached: Arc<dyn Store>,
    /// Cancelled once the store has lost what was acknowledged.
    pub(super) forked: CancellationToken,
    pub(super) recording: Recording,
    pub(super) webhooks: Webhooks,
    pub(super) lifecycle: Lifecycle,
    pub(super) witness: Witness,
    store: Arc<dyn Store>,
    writing: Writing,
    chores: Chores,
    follower: JoinHandle<()>,
    misses: JoinHandle<()>,
    sharing: JoinHandle<()>,
    stop_following: CancellationToken,
}

impl Engine {
    /// Opens the store and starts all that works on it, as tasks of the current runtime.
    pub(super) async fn start(
        options: &Options,
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Engine, ServeError> {
        let own = Actor::own();
        let (store, peppers) = open(options, &**entropy).await?;
        let head = store.head().await?;
        let detached: Arc<dyn Store> = Arc::new(Spawned::new(Arc::clone(&store), runtime::Handle::current()));
        let webhooks = Webhooks::new(&options.webhooks, &detached, &peppers, clock, entropy)?;
        let recording = Recording::start(options, &store, clock, &**entropy).await?;
        let key = Witness::key(options, &**entropy)?;
        let (in_force, seat) = membership(options, &store, clock, entropy);
        let stop_following = CancellationToken::new();
        let (redigests, redigests_asked) = mpsc::channel(REDIGESTS_MAX);
        let (verifier, tasks) = Verifier::start(
            Arc::clone(&store),
            seat,
            Arc::clone(&peppers),
            redigests,
            Arc::clone(clock),
            Bounds {
                cache: Cache::new(options.cache_tokens),
                misses: options.misses,
            },
            stop_following.clone(),
        )
        .await?;
        // From here on nothing fails: there would be nobody to leave the roll.
        let witness = Witness::start(key, options, &detached, clock);
        let writing = Writing::start(
            Arc::clone(&store),
            Arc::clone(&detached),
            Arc::clone(clock),
            Arc::clone(entropy),
            peppers,
            head.epoch,
        );
        let forked = CancellationToken::new();
        let courier = webhooks.courier(&options.webhooks, &detached, &writing.authority, head.epoch);
        let lifecycle = Lifecycle::new(&**entropy);
        let timekeeper = lifecycle.timekeeper(options.lifecycle, &detached, &writing.authority, clock);
        let chores = Chores::start(
            &writing.authority,
            own,
            (redigests_asked, tasks.uses),
            verifier.following(),
            forked.clone(),
            (courier, timekeeper),
        );
        Ok(Engine {
            verifier: Arc::new(verifier),
            in_force,
            detached,
            forked,
            recording,
            webhooks,
            lifecycle,
            witness,
            store,
            writing,
            chores,
            follower: tasks.follower,
            misses: tasks.misses,
            sharing: tasks.sharing,
            stop_following,
        })
    }

    pub(super) fn authority(&self) -> &Arc<Authority> {
        &self.writing.authority
    }

    /// Writes what was queued, leaves the roll and lets go of the store.
    pub(super) async fn end(self) -> Result<(), ServeError> {
        self.chores.abort();
        // Another server need not wait for what this one will not do any more; if it cannot be told, it finds out.
        for duty in [self.webhooks.duty, self.lifecycle.duty] {
            let _ = timeout(CLOSE_MAX, self.store.leave_duty(duty)).await;
        }
        self.writing.stop();
        self.misses.abort();
        self.stop_following.cancel();
        // It gives its place on the roll up; if it cannot, the others find out by themselves.
        let _ = timeout(CLOSE_MAX, self.follower).await;
        self.recording.end().await;
        // What was taken and not shared is lost, if the store does not answer.
        let _ = timeout(CLOSE_MAX, self.sharing).await;
        self.writing.end().await?;
        self.witness.end().await;
        // Calls that were cut off may still hold it; whatever they began to read is theirs to lose.
        let _ = timeout(CLOSE_MAX, self.store.close()).await;
        Ok(())
    }
}

/// This process's place among those that answer for the store, and what its changes wait for.
fn membership(
    options: &Options,
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> (InForce, Seat) {
    let terms = Terms::DEFAULT;
    let in_force = match (options.in_force_nowhere, store.roll()) {
        (true, _) => InForce::Unawaited,
        (false, None) => InForce::Here,
        (false, Some(_)) => {
            let (barrier, keeper) = Barrier::new(Arc::clone(store), Arc::clone(clock), terms);
            tokio::spawn(keeper);
            InForce::Everywhere(barrier)
        }
    };
    let seat = Seat::new(
        Arc::clone(store),
        Arc::clone(clock),
        Arc::clone(entropy),
        options.replica_name.clone(),
        terms,
    );
    (in_force, seat)
}
