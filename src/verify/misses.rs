//! Look-ups of what the cache does not hold: all that wait go to the store in one query.

use std::collections::HashMap;
use std::iter;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{Known, VerifyError};
use crate::journal::Revision;
use crate::store::{BadRow, Store, StoreError};
use crate::token::Token;
use crate::token::secret::Digest;

/// The most look-ups of one query; each asks for one digest, or two.
const BATCH_MAX: usize = 256;
/// The most look-ups that wait for a query; a further one is refused, not queued.
const QUEUE_MAX: usize = 4096;

/// The way to the look-ups.
#[derive(Debug)]
pub(super) struct Misses {
    queue: mpsc::Sender<Miss>,
}

/// What a secret may be kept as: under the current pepper, and under the other one if there is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digests {
    pub(super) current: Digest,
    pub(super) other: Option<Digest>,
}

/// What a look-up found, as of `fence`.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) token: Option<Arc<Token>>,
    /// Which of the digests it was found by.
    pub(super) digest: Digest,
    pub(super) fence: Revision,
}

#[derive(Debug)]
struct Miss {
    digests: Digests,
    answer: Answer,
}

type Answer = oneshot::Sender<Result<Found, StoreError>>;

impl Misses {
    pub(super) fn new(store: Arc<dyn Store>, known: Arc<Known>) -> (Misses, impl Future<Output = ()>) {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        (Misses { queue }, run(store, known, waiting))
    }

    pub(super) async fn look_up(&self, digests: Digests) -> Result<Found, VerifyError> {
        let (answer, found) = oneshot::channel();
        self.queue
            .try_send(Miss { digests, answer })
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
        // Who has the one digest has the other.
        let mut asked: HashMap<Digest, (Option<Digest>, Vec<Answer>)> = HashMap::with_capacity(batch.len());
        for Miss { digests, answer } in batch.drain(..) {
            let (_, answers) = asked
                .entry(digests.current)
                .or_insert_with(|| (digests.other, Vec::new()));
            answers.push(answer);
        }
        let digests: Vec<_> = asked
            .iter()
            .flat_map(|(current, (other, _))| iter::once(*current).chain(*other))
            .collect();
        match store.tokens_by_digest(digests.clone()).await {
            Ok(look) => {
                let mut looked: HashMap<_, _> = digests.into_iter().zip(look.tokens).collect();
                for (current, (other, answers)) in asked {
                    let found = found(current, other, &mut looked, look.fence);
                    if let Ok(Found {
                        token: Some(token),
                        digest,
                        fence,
                    }) = &found
                    {
                        known.cache.fill(*digest, token, *fence);
                    }
                    for answer in answers {
                        // Whoever asked may have left.
                        let _ = answer.send(found.clone().map_err(StoreError::from));
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a look-up failed");
                for answer in asked.into_values().flat_map(|(_, answers)| answers) {
                    let _ = answer.send(Err(error.to_all()));
                }
            }
        }
    }
}

/// What the store has under either digest. A row that was tampered with is an answer only where the other digest leads
/// to none.
fn found(
    current: Digest,
    other: Option<Digest>,
    looked: &mut HashMap<Digest, Result<Option<Token>, BadRow>>,
    fence: Revision,
) -> Result<Found, BadRow> {
    let mut bad = None;
    for digest in iter::once(current).chain(other) {
        match looked.remove(&digest) {
            Some(Ok(Some(token))) => {
                return Ok(Found {
                    token: Some(Arc::new(token)),
                    digest,
                    fence,
                });
            }
            Some(Err(row)) => bad = Some(row),
            Some(Ok(None)) | None => {}
        }
    }
    match bad {
        Some(bad) => Err(bad),
        None => Ok(Found {
            token: None,
            digest: current,
            fence,
        }),
    }
}

#[cfg(test)]
mod tests;
