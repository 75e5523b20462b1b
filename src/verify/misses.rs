//! Look-ups of what the cache does not hold: all that wait go to the store in one query.

use std::collections::{BTreeSet, HashMap};
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};

use super::budget::{Budget, Charge};
use super::facts::Facts;
use super::{Known, VerifyError};
use crate::clock::Clock;
use crate::journal::Revision;
use crate::limit::Allowance;
use crate::store::{BadRow, Store, StoreError};
use crate::token::format::Hint;
use crate::token::secret::Digest;

/// The most look-ups of one query; each asks for at most three digests.
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
    asked: AtomicU64,
    refused: AtomicU64,
    queries: Arc<AtomicU64>,
}

/// What a secret may be kept as.
#[derive(Clone, Debug)]
pub(super) struct Digests {
    /// Under the current pepper.
    pub(super) current: Digest,
    /// Under the other one, if there is one.
    pub(super) other: Option<Digest>,
    /// As what was imported, if it is known to match that.
    pub(super) tried: Option<Digest>,
    /// As something imported that has to be tried, where there may be such.
    pub(super) hint: Option<Hint>,
}

/// What a look-up found, as of `fence`.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) token: Option<Facts>,
    /// Which of the digests it was found by.
    pub(super) digest: Digest,
    /// If there is no token: those with a secret that has to be tried.
    pub(super) to_try: Vec<Facts>,
    pub(super) fence: Revision,
}

impl Digests {
    /// One digest, and nothing else.
    pub(super) fn of(current: Digest) -> Digests {
        Digests {
            current,
            other: None,
            tried: None,
            hint: None,
        }
    }

    fn iter(&self) -> impl Iterator<Item = Digest> {
        iter::once(self.current).chain(self.other).chain(self.tried)
    }
}

#[derive(Debug)]
struct Miss {
    digests: Digests,
    answer: Answer,
    /// Held until it was looked up, also for a caller who has left.
    charge: Charge,
}

/// What a secret may be kept as, and all who wait for it.
type Asking = (Digests, Vec<(Answer, Charge)>);

/// The charge comes along while it is open whether there is a token: something has to be tried.
type Looked = (Found, Option<Charge>);

type Answer = oneshot::Sender<Result<Looked, StoreError>>;

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
            asked: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            queries: Arc::clone(&queries),
        };
        (misses, run(store, known, waiting, queries))
    }

    /// Queries that were made.
    pub(super) fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    /// Look-ups that were asked for, refused ones included.
    pub(super) fn look_ups(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Look-ups that were refused: their caller, or all together, had asked for too many.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Looks a secret up for `caller`, who pays if there is none. While something has to be tried the charge is left
    /// to whoever tries it.
    pub(super) async fn look_up(&self, digests: Digests, caller: &str) -> Result<Looked, VerifyError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let found = self.queue(digests, caller).inspect_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
        })?;
        Ok(found.await.map_err(|_| gone())??)
    }

    fn queue(
        &self,
        digests: Digests,
        caller: &str,
    ) -> Result<oneshot::Receiver<Result<Looked, StoreError>>, VerifyError> {
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

/// What was looked up is from where the store has not come as far: from a primary that was deposed, say.
pub(super) fn older() -> VerifyError {
    StoreError::Unavailable("a look-up was older than the journal".into()).into()
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
                .or_insert_with(|| (digests, Vec::new()));
            asking.push((answer, charge));
        }
        let digests: Vec<_> = asked.values().flat_map(|(digests, _)| digests.iter()).collect();
        let hints: BTreeSet<_> = asked
            .values()
            .filter_map(|(digests, _)| digests.hint.clone())
            .collect();
        queries.fetch_add(1, Ordering::Relaxed);
        match store.look_up(digests.clone(), hints.into_iter().collect()).await {
            Ok(look) => {
                // What is said of the subject is in force for the token, and kept with it.
                let standings = look.standings.into_iter();
                let tokens = look.tokens.into_iter().zip(standings);
                let tokens = tokens
                    .map(|(token, standing)| Ok(token?.map(|token| Facts::of(&token, standing.as_ref()))));
                let mut looked: HashMap<_, _> = digests.into_iter().zip(tokens).collect();
                let to_try = look.to_try.into_iter();
                let to_try = to_try.map(|(token, standing)| Facts::of(&token, standing.as_ref()));
                let to_try: Vec<_> = to_try.collect();
                for (digests, asking) in asked.into_values() {
                    let found = found(&digests, &mut looked, &to_try, look.fence);
                    if let Ok(Found {
                        token: Some(token),
                        digest,
                        fence,
                        ..
                    }) = &found
                    {
                        known.cache.fill(*digest, token, *fence);
                    }
                    for (answer, charge) in asking {
                        let found = found.clone().map_err(StoreError::from);
                        // Whoever asked may have left.
                        let _ = answer.send(match found {
                            Ok(found) if !found.to_try.is_empty() => Ok((found, Some(charge))),
                            found => {
                                // What is there but does not hold is not the caller's fault either.
                                if !matches!(found, Ok(Found { token: None, .. })) {
                                    charge.waive();
                                }
                                // Before the answer, so that whoever has it has the place as well.
                                drop(charge);
                                found.map(|found| (found, None))
                            }
                        });
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

/// What the store has under any of the digests. A row that was tampered with is an answer only where no other digest
/// leads to a token.
fn found(
    digests: &Digests,
    looked: &mut HashMap<Digest, Result<Option<Facts>, BadRow>>,
    to_try: &[Facts],
    fence: Revision,
) -> Result<Found, BadRow> {
    let mut bad = None;
    for digest in digests.iter() {
        match looked.remove(&digest) {
            Some(Ok(Some(token))) => {
                return Ok(Found {
                    token: Some(token),
                    digest,
                    to_try: Vec::new(),
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
            digest: digests.current,
            to_try: match &digests.hint {
                Some(hint) => {
                    let begins = |token: &&Facts| token.secrets_to_try(hint).next().is_some();
                    to_try.iter().filter(begins).cloned().collect()
                }
                None => Vec::new(),
            },
            fence,
        }),
    }
}

#[cfg(test)]
mod tests;
