//! Builds a server from its parts, holds them together, and takes them apart in order.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{mpsc as channel, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::bootstrap::{FirstAdminError, bootstrap};
use super::connection::Shared;
use super::entrance::Entrance;
use super::metrics::{self, Metrics};
use super::open::open;
use super::options::Options;
use super::{Bound, ServeError, drain, listen, tls};
use crate::authority::{Authority, Writer};
use crate::clock::{Clock, Entropy, SystemClock, SystemEntropy};
use crate::membership::{Barrier, Seat, Terms};
use crate::rpc::{AdmissionLayer, Api, InForce};
use crate::store::Store;
use crate::store::spawned::Spawned;
use crate::token::text::Actor;
use crate::verify::{Bounds, Cache, Following, Stop, Verifier, VerifierTasks};
use crate::watch::Watch;

/// How long the store may take to let go of its file, after all is written.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// How often answers are forgotten that are kept no longer.
const SWEEP_INTERVAL: Duration = Duration::from_mins(10);
/// Secrets that wait to be kept under the current pepper; further ones wait for their next use.
const REDIGESTS_MAX: usize = 1024;

/// Runs a server on the current runtime, until `shutdown` is cancelled.
pub(super) async fn supervise(
    options: Options,
    shutdown: CancellationToken,
    ready: mpsc::SyncSender<Bound>,
) -> Result<(), ServeError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let (acceptor, identities) = tls::start(&options.tls)?;
    let (store, peppers) = open(&options, &*entropy).await?;
    let head = store.head().await?;
    let stop_writing = CancellationToken::new();
    let (writer, writing) = Writer::spawn(Arc::clone(&store), stop_writing.clone());
    let handle = runtime::Handle::current();
    let detached: Arc<dyn Store> = Arc::new(Spawned::new(Arc::clone(&store), handle.clone()));
    let (in_force, seat) = membership(&options, &store, &clock, &entropy);
    let stop_following = CancellationToken::new();
    let (redigests, redigests_asked) = channel::channel(REDIGESTS_MAX);
    let (verifier, tasks) = Verifier::start(
        Arc::clone(&store),
        seat,
        Arc::clone(&peppers),
        redigests,
        Arc::clone(&clock),
        Bounds {
            cache: Cache::new(options.cache_tokens),
            misses: options.misses,
        },
        stop_following.clone(),
    )
    .await?;
    let verifier = Arc::new(verifier);
    let authority = Arc::new(Authority::new(
        Arc::clone(&detached),
        writer,
        Arc::clone(&clock),
        entropy,
        peppers,
        head.epoch,
    ));
    first_admin(&options, &authority).await?;
    let sweeping = tokio::spawn(sweep(Arc::clone(&authority)));
    let redigesting = {
        let (authority, actor) = (Arc::clone(&authority), Actor::own());
        tokio::spawn(async move { authority.redigest_used(actor, redigests_asked).await })
    };
    let drain = CancellationToken::new();
    let forked = CancellationToken::new();
    tokio::spawn(cancel_when_forked(verifier.following(), forked.clone()));
    let watch = Watch::new(
        Arc::clone(&detached),
        Arc::clone(&clock),
        handle,
        drain.clone(),
        forked,
        options.watch,
    );
    let api = Api::new(
        authority,
        Arc::clone(&verifier),
        in_force,
        Arc::new(watch),
        detached,
        Arc::clone(&clock),
        identities.clone(),
    );
    let entrance = Arc::new(Entrance::new(&options.limits));
    let metrics = match options.metrics_listen {
        Some(listen) => {
            let registry = metrics::registry(Arc::clone(&verifier), Arc::clone(&entrance));
            Some(Metrics::start(listen, registry).await?)
        }
        None => None,
    };
    let shared = Shared {
        limits: options.limits,
        entrance,
        clock,
        drain: drain.clone(),
    };
    let admission = AdmissionLayer::new(Arc::clone(&verifier), identities);
    let serving = listen::Serving::start(&options, api, admission, acceptor, shared).await?;
    tracing::info!(address = %serving.address, revision = %head.revision, "listening");
    // Whoever started it may have left.
    let _ = ready.send(Bound {
        calls: serving.address,
        metrics: metrics.as_ref().map(|metrics| metrics.address),
    });
    let result = drain::until_told(shutdown, verifier, serving, drain, options.drain_max).await;
    if let Some(metrics) = metrics {
        metrics.end().await;
    }
    sweeping.abort();
    redigesting.abort();
    // What was queued is written, also for calls that were cut off.
    stop_writing.cancel();
    let VerifierTasks { follower, misses } = tasks;
    misses.abort();
    stop_following.cancel();
    // It gives its place on the roll up; if it cannot, the others find out by themselves.
    let _ = timeout(CLOSE_MAX, follower).await;
    writing.await.map_err(|_| ServeError::Panicked)?;
    // Calls that were cut off may still hold it; whatever they began to read is theirs to lose.
    let _ = timeout(CLOSE_MAX, store.close()).await;
    tracing::info!("ended");
    result
}

/// Makes the first credential of an embedded store; a shared one is told to make it apart.
async fn first_admin(options: &Options, authority: &Authority) -> Result<(), FirstAdminError> {
    if authority.first_admin().await?.is_some() {
        return Ok(());
    }
    let Some(path) = options.admin_path() else {
        tracing::warn!("nobody has a credential yet: `tokenward bootstrap` makes the first");
        return Ok(());
    };
    let admin = bootstrap(authority, &path, false).await?;
    tracing::info!(path = %path.display(), token = %admin.id, "made the first credential, which may do everything");
    Ok(())
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

/// Forgets sealed answers as their time ends, a little later. None of them is shown meanwhile.
async fn sweep(authority: Arc<Authority>) {
    let mut pace = interval(SWEEP_INTERVAL);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        match authority.sweep_answers().await {
            Ok(0) => {}
            Ok(answers) => tracing::debug!(answers, "forgot what retries are not answered with any more"),
            Err(error) => tracing::warn!(%error, "old answers could not be forgotten; trying again later"),
        }
    }
}

async fn cancel_when_forked(mut following: watch::Receiver<Following>, forked: CancellationToken) {
    let is_forked = |following: &Following| matches!(following, Following::Stopped(Stop::Forked { .. }));
    if following.wait_for(is_forked).await.is_ok() {
        forked.cancel();
    }
}
