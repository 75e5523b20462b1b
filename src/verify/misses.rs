//! Look-ups of what the cache does not hold: all that wait go to the store in one query.

use std::collections::HashMap;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};

use super::budget::{Budget, Charge};
use super::{Known, VerifyError};
use crate::clock::Clock;
use crate::journal::Revision;
use crate::limit::Allowance;
use crate::store::{BadRow, Store, StoreError};
use crate::token::Token;
use crate::token::secret::Digest;
use crate::token::standing::Above;

/// The most look-ups of one query; each asks for one digest, or two.
const BATCH_MAX: usize = 256;
/// The most look-ups that wait for a query; a further one is refused, not queued.
const QUEUE_MAX: usize = 4096;
/// Of these one caller's: who asks for more does not make the others wait for more than a few queries.
const OF_CALLER_MAX: usize = QUEUE_MAX / 4;

/// The way to the look-ups.
#[derive(Debug)]
pub(super) struct Misses {
    queue: mpsc::Sender<Miss>,
    budget: Arc<Budget>,
    refused: AtomicU64,
    queries: Arc<AtomicU64>,
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
    /// Held until it was looked up, also for a caller who has left.
    charge: Charge,
}

/// The other digest of a secret, and all who wait for it.
type Asking = (Option<Digest>, Vec<(Answer, Charge)>);

type Answer = oneshot::Sender<Result<Found, StoreError>>;

impl Misses {
    pub(super) fn new(
        store: Arc<dyn Store>,
        known: Arc<Known>,
        allowance: Allowance,
        clock: Arc<dyn Clock>,
    ) -> (Misses, impl Future<Output = ()>) {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let queries = Arc::default();
        let misses = Misses {
            queue,
            budget: Arc::new(Budget::new(allowance, OF_CALLER_MAX, clock)),
            refused: AtomicU64::new(0),
            queries: Arc::clone(&queries),
        };
        (misses, run(store, known, waiting, queries))
    }

    /// Queries that were made.
    pub(super) fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    /// Look-ups that were refused: their caller, or all together, had asked for too many.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Looks a secret up for `caller`, who pays if there is none.
    pub(super) async fn look_up(&self, digests: Digests, caller: &str) -> Result<Found, VerifyError> {
        let found = self.queue(digests, caller).inspect_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
        })?;
        Ok(found.await.map_err(|_| gone())??)
    }

    fn queue(
        &self,
        digests: Digests,
        caller: &str,
    ) -> Result<oneshot::Receiver<Result<Found, StoreError>>, VerifyError> {
        let charge = self.budget.charge(caller)?;
        let (answer, found) = oneshot::channel();
        let miss = Miss {
            digests,
            answer,
            charge,
        };
        self.queue.try_send(miss).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(miss) => {
                miss.charge.waive();
                VerifyError::Overloaded
            }
            mpsc::error::TrySendError::Closed(_) => gone(),
        })?;
        Ok(found)
    }
}

fn gone() -> VerifyError {
    StoreError::Unavailable("the look-ups have ended".into()).into()
}

async fn run(
    store: Arc<dyn Store>,
    known: Arc<Known>,
    mut waiting: mpsc::Receiver<Miss>,
    queries: Arc<AtomicU64>,
) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    // A miss joins the next query, never one under way: that may have read before a revocation that was
    // answered since.
    while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
        // Who has the one digest has the other.
        let mut asked: HashMap<Digest, Asking> = HashMap::with_capacity(batch.len());
        for Miss {
            digests,
            answer,
            charge,
        } in batch.drain(..)
        {
            let (_, asking) = asked
                .entry(digests.current)
                .or_insert_with(|| (digests.other, Vec::new()));
            asking.push((answer, charge));
        }
        let digests: Vec<_> = asked
            .iter()
            .flat_map(|(current, (other, _))| iter::once(*current).chain(*other))
            .collect();
        queries.fetch_add(1, Ordering::Relaxed);
        match store.tokens_by_digest(digests.clone()).await {
            Ok(look) => {
                // What is said of the subject is in force for the token, and kept with it.
                let standings = look.standings.into_iter();
                let tokens = look.tokens.into_iter().zip(standings).map(|(token, standing)| {
                    let above = Above {
                        standing: standing.as_ref(),
                        not_before: None,
                    };
                    token.map(|token| token.map(|token| token.under(above).into_owned()))
                });
                let mut looked: HashMap<_, _> = digests.into_iter().zip(tokens).collect();
                for (current, (other, asking)) in asked {
                    let found = found(current, other, &mut looked, look.fence);
                    if let Ok(Found {
                        token: Some(token),
                        digest,
                        fence,
                    }) = &found
                    {
                        known.cache.fill(*digest, token, *fence);
                    }
                    for (answer, charge) in asking {
                        // What is there but does not hold is not the caller's fault either.
                        if !matches!(found, Ok(Found { token: None, .. })) {
                            charge.waive();
                        }
                        // Before the answer, so that whoever has it has the place as well.
                        drop(charge);
                        // Whoever asked may have left.
                        let _ = answer.send(found.clone().map_err(StoreError::from));
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a look-up failed");
                for (answer, charge) in asked.into_values().flat_map(|(_, asking)| asking) {
                    charge.waive();
                    drop(charge);
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
