//! How a server ends.

use std::time::Duration;

use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use super::ServeError;
use super::listen::Serving;
use crate::verify::Verifier;

/// How often it is seen whether this server may judge.
const HEALTH_INTERVAL: Duration = Duration::from_millis(100);

/// Serves until told to shut down, or until a thread is lost; then ends streams, lets calls under way be answered, and returns when
/// the last has been, or when `at_most` has passed.
pub(super) async fn until_told(
    shutdown: CancellationToken,
    verifier: &Verifier,
    serving: Serving,
    drain: CancellationToken,
    at_most: Duration,
) -> Result<(), ServeError> {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = tell_health(&serving, verifier) => {}
        // What is left would serve some connections and leave others hanging.
        () = serving.thread_ended() => tracing::error!("a thread has ended by itself; so does the server"),
    }
    tracing::info!("draining");
    serving.set_health(false).await;
    drain.cancel();
    let threads = tokio::task::spawn_blocking(|| serving.join());
    if let Ok(ended) = timeout(at_most, threads).await {
        return ended.unwrap_or(Err(ServeError::Panicked));
    }
    tracing::warn!(?at_most, "some calls did not end in time and are cut off");
    Ok(())
}

/// Tells health checks whether this server may judge: balancers learn to look elsewhere, a person why.
async fn tell_health(serving: &Serving, verifier: &Verifier) {
    let mut told = None;
    let mut pace = interval(HEALTH_INTERVAL);
    loop {
        let standing = verifier.standing();
        if told != Some(standing.is_ok()) {
            match &standing {
                Ok(revision) => tracing::info!(%revision, "judging"),
                Err(why) => tracing::warn!(%why, "refusing to judge"),
            }
            serving.set_health(standing.is_ok()).await;
            told = Some(standing.is_ok());
        }
        pace.tick().await;
    }
}
