//! Look-ups of what the cache does not hold: all that wait go to the store in one query.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{Known, VerifyError};
use crate::journal::Revision;
use crate::store::{Store, StoreError};
use crate::token::Token;
use crate::token::secret::Digest;

/// The most digests of one query.
const BATCH_MAX: usize = 256;
/// The most look-ups that wait for a query; a further one is refused, not queued.
const QUEUE_MAX: usize = 4096;

/// The way to the look-ups.
#[derive(Debug)]
pub(super) struct Misses {
    queue: mpsc::Sender<Miss>,
}

/// What a look-up found, as of `fence`.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) token: Option<Arc<Token>>,
    pub(super) fence: Revision,
}

#[derive(Debug)]
struct Miss {
    digest: Digest,
    answer: oneshot::Sender<Result<Found, StoreError>>,
}

impl Misses {
    pub(super) fn new(store: Arc<dyn Store>, known: Arc<Known>) -> (Misses, impl Future<Output = ()>) {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        (Misses { queue }, run(store, known, waiting))
    }

    pub(super) async fn look_up(&self, digest: Digest) -> Result<Found, VerifyError> {
        let (answer, found) = oneshot::channel();
        self.queue
            .try_send(Miss { digest, answer })
            .map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => VerifyError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => gone(),
            })?;
        Ok(found.await.map_err(|_| gone())??)
    }
}

fn gone() -> VerifyError {
    StoreError::Unavailable("the look-ups have ended".into()).into()
}

async fn run(store: Arc<dyn Store>, known: Arc<Known>, mut waiting: mpsc::Receiver<Miss>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    // A miss joins the next query, never one under way: that may have read before a revocation that was
    // answered since.
    while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let mut asked: HashMap<Digest, Vec<oneshot::Sender<_>>> = HashMap::with_capacity(batch.len());
        for Miss { digest, answer } in batch.drain(..) {
            asked.entry(digest).or_default().push(answer);
        }
        let (digests, answers): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
        match store.tokens_by_digest(digests.clone()).await {
            Ok(look) => {
                for ((digest, token), answers) in digests.into_iter().zip(look.tokens).zip(answers) {
                    let token = token.map(Arc::new);
                    if let Some(token) = &token {
                        known.cache.fill(digest, token, look.fence);
                    }
                    for answer in answers {
                        // Whoever asked may have left.
                        let _ = answer.send(Ok(Found {
                            token: token.clone(),
                            fence: look.fence,
                        }));
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a look-up failed");
                for answer in answers.into_iter().flatten() {
                    let _ = answer.send(Err(error.to_all()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
