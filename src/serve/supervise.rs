//! Holds the parts of a server together: the engine, and the listeners while it runs.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime;
use tokio_util::sync::CancellationToken;

use super::bootstrap::{FirstAdminError, bootstrap};
use super::connection::Shared;
use super::engine::Engine;
use super::entrance::Entrance;
use super::metrics::{self, CallCounts, Metrics, Ready};
use super::options::Options;
use super::tls::Acceptor;
use super::traces::Traces;
use super::{Bound, ServeError, drain, listen, tls};
use crate::authority::Authority;
use crate::clock::{Clock, Entropy, SystemClock, SystemEntropy};
use crate::rpc::{AdmissionLayer, Api, Identities};
use crate::verify::Verifier;
use crate::watch::Watch;

/// How long a start waits to know what is in its own store.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);

/// Runs a server on the current runtime, until `shutdown` is cancelled.
pub(super) async fn supervise(
    options: Options,
    shutdown: CancellationToken,
    ready: mpsc::SyncSender<Bound>,
) -> Result<(), ServeError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let tls = tls::start(&options.tls)?;
    let engine = Engine::start(&options, &clock, &entropy).await?;
    let result = serve(&options, &engine, clock, tls, shutdown, ready).await;
    engine.end().await?;
    tracing::info!("ended");
    result
}

/// Answers calls and asks for metrics, until `shutdown` is cancelled.
async fn serve(
    options: &Options,
    engine: &Engine,
    clock: Arc<dyn Clock>,
    (acceptor, identities): (Option<Acceptor>, Identities),
    shutdown: CancellationToken,
    ready: mpsc::SyncSender<Bound>,
) -> Result<(), ServeError> {
    first_admin(options, engine.authority()).await?;
    let head = engine.detached.head().await?;
    // Whoever calls first is recognised, also as the admin who was just made. If it takes too long, they are asked to
    // come again.
    let _ = engine.verifier.applied(head.revision, KNOWN_WITHIN).await;
    let drain = CancellationToken::new();
    let watch = Arc::new(Watch::new(
        Arc::clone(&engine.detached),
        Arc::clone(&clock),
        runtime::Handle::current(),
        drain.clone(),
        engine.forked.clone(),
        options.watch,
    ));
    let notes = &engine.recording.notes;
    let api = Api::new(
        Arc::clone(engine.authority()),
        (Arc::clone(&engine.verifier), notes.clone()),
        engine.in_force.clone(),
        Arc::clone(&watch),
        Arc::clone(&engine.detached),
        Arc::clone(&clock),
        identities.clone(),
        Arc::clone(&engine.webhooks.sender),
    )
    .with_progress_interval(options.progress_interval)
    .with_notary(engine.witness.notary.clone());
    let entrance = Arc::new(Entrance::new(&options.limits));
    let traces = options
        .traces
        .as_ref()
        .map(|traces| Traces::start(traces, &options.replica_name))
        .transpose()?;
    let calls = Arc::new(CallCounts::new(Arc::clone(&clock)));
    let metrics = match options.metrics_listen {
        Some(listen) => {
            let registry = metrics::registry(engine, &watch, &entrance, &calls, &clock);
            let ready = ready_to_judge(Arc::clone(&engine.verifier), drain.clone());
            Some(Metrics::start(listen, registry, ready).await?)
        }
        None => None,
    };
    let shared = Shared {
        limits: options.limits,
        entrance,
        clock,
        drain: drain.clone(),
        calls,
        traces: traces.clone(),
    };
    let admission = AdmissionLayer::new(
        Arc::clone(&engine.verifier),
        notes.clone(),
        identities,
        Arc::clone(&engine.witness.refusals),
    );
    let serving = listen::Serving::start(options, api, admission, acceptor, shared).await?;
    tracing::info!(address = %serving.address, revision = %head.revision, "listening");
    // Whoever started it may have left.
    let _ = ready.send(Bound {
        calls: serving.address,
        metrics: metrics.as_ref().map(|metrics| metrics.address),
    });
    let result = drain::until_told(shutdown, &engine.verifier, serving, drain, options.drain_max).await;
    if let Some(metrics) = metrics {
        metrics.end().await;
    }
    if let Some(traces) = traces {
        traces.end().await;
    }
    result
}

/// Whether calls are to be sent here: the same that health checks over gRPC are told.
fn ready_to_judge(verifier: Arc<Verifier>, drain: CancellationToken) -> Ready {
    Box::new(move || {
        if drain.is_cancelled() {
            return Err("draining".to_owned());
        }
        verifier.standing().map(|_| ()).map_err(|why| why.to_string())
    })
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
