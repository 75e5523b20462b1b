//! The one writer of a process: whatever waits when a commit returns goes into the next one.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::AuthorityError;
use crate::journal::Draft;
use crate::store::{Outcome, Store, StoreError};

/// The most drafts of one transaction.
const BATCH_MAX: usize = 256;
/// The most drafts that wait for one; a further one is refused, not queued.
const QUEUE_MAX: usize = 4096;

/// The way to the writer.
#[derive(Clone, Debug)]
pub struct Writer {
    queue: mpsc::Sender<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    draft: Draft,
    answer: oneshot::Sender<Result<Outcome, StoreError>>,
}

impl Writer {
    /// Starts the writer as a task of the current runtime. When `stop` is cancelled it takes no more
    /// drafts, writes those that wait, and ends.
    pub fn spawn(store: Arc<dyn Store>, stop: CancellationToken) -> (Writer, JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        (Writer { queue }, tokio::spawn(run(store, waiting, stop)))
    }

    /// Has `draft` written. It may be written even if the caller stops waiting.
    pub async fn commit(&self, draft: Draft) -> Result<Outcome, AuthorityError> {
        let (answer, outcome) = oneshot::channel();
        let sent = self.queue.try_send(Waiting { draft, answer });
        sent.map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => AuthorityError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => gone(),
        })?;
        Ok(outcome.await.map_err(|_| gone())??)
    }
}

fn gone() -> AuthorityError {
    StoreError::Unavailable("the writer has ended".into()).into()
}

async fn run(store: Arc<dyn Store>, mut waiting: mpsc::Receiver<Waiting>, stop: CancellationToken) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    loop {
        let taken = tokio::select! {
            biased;
            () = stop.cancelled(), if !waiting.is_closed() => {
                waiting.close();
                continue;
            }
            taken = waiting.recv_many(&mut batch, BATCH_MAX) => taken,
        };
        if taken == 0 {
            return;
        }
        let (drafts, answers): (Vec<_>, Vec<_>) = batch
            .drain(..)
            .map(|waiting| (waiting.draft, waiting.answer))
            .unzip();
        write(&*store, drafts, answers).await;
    }
}

async fn write(
    store: &dyn Store,
    drafts: Vec<Draft>,
    answers: Vec<oneshot::Sender<Result<Outcome, StoreError>>>,
) {
    match store.commit(drafts.clone()).await {
        Ok(outcomes) => {
            for (answer, outcome) in answers.into_iter().zip(outcomes) {
                // Whoever asked may have left; what was written stays written.
                let _ = answer.send(Ok(outcome));
            }
        }
        // One draft must not fail the others. Writing them again is safe: had the batch been committed
        // after all, each would find its own entry by its request id.
        Err(error) => {
            tracing::warn!(drafts = drafts.len(), %error, cause = cause(&error), "a batch failed; writing its drafts one by one");
            for (draft, answer) in drafts.into_iter().zip(answers) {
                let _ = answer.send(write_again(store, draft).await);
            }
        }
    }
}

/// Writes a draft of which it is not known whether it was written.
async fn write_again(store: &dyn Store, draft: Draft) -> Result<Outcome, StoreError> {
    let change = draft.change().clone();
    let outcome = store
        .commit(vec![draft])
        .await
        .map(|mut outcomes| outcomes.remove(0))?;
    Ok(match outcome {
        // Its own entry: it was written, and its caller has yet to be told, of a secret for one.
        Outcome::Repeated(entry) if entry.change == change => Outcome::Written(entry),
        outcome => outcome,
    })
}

fn cause(error: &StoreError) -> Option<String> {
    std::error::Error::source(error).map(ToString::to_string)
}

#[cfg(test)]
mod tests;
