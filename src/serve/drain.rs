//! How a server ends.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::ServeError;
use super::listen::Serving;
use crate::verify::Following;

/// Serves until told to shut down, or until a thread is lost; then ends streams, lets calls under way be answered, and returns when
/// the last has been, or when `at_most` has passed.
pub(super) async fn until_told(
    shutdown: CancellationToken,
    mut following: watch::Receiver<Following>,
    serving: Serving,
    drain: CancellationToken,
    at_most: Duration,
) -> Result<(), ServeError> {
    serving.set_health(true).await;
    let stopped = following.wait_for(|following| matches!(following, Following::Stopped { .. }));
    let told = async {
        tokio::select! {
            () = shutdown.cancelled() => return,
            // It still answers, that it cannot judge: balancers learn to look elsewhere, a person why.
            () = async { drop(stopped.await) } => serving.set_health(false).await,
        }
        shutdown.cancelled().await;
    };
    tokio::select! {
        () = told => {}
        // What is left would serve some connections and leave others hanging.
        () = serving.thread_ended() => tracing::error!("a thread has ended by itself; so does the server"),
    }
    tracing::info!("draining");
    serving.set_health(false).await;
    drain.cancel();
    // Balancers keep theirs open for ever, and would hold the end up.
    serving.end_health().await;
    let threads = tokio::task::spawn_blocking(|| serving.join());
    if let Ok(ended) = timeout(at_most, threads).await {
        return ended.unwrap_or(Err(ServeError::Panicked));
    }
    tracing::warn!(?at_most, "some calls did not end in time and are cut off");
    Ok(())
}
