//! Refused calls on their way into the store: the refusal never waits for them, and no caller fills the list.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::store::refused_calls::{REFUSED_CALLS_KEPT_MAX, RefusedCall};
use crate::store::{Store, StoreError};
use crate::token::text::Actor;
use crate::token::time::Timestamp;

/// Calls that wait to be kept; further ones are only counted.
const WAITING_MAX: usize = 1024;
/// So many are kept in one transaction.
const BATCH_MAX: usize = 100;
/// How often the oldest are let go of.
const SWEEP_INTERVAL: Duration = Duration::from_mins(10);
/// For so long they are kept.
const KEPT_FOR: Duration = Duration::from_hours(90 * 24);
/// So many of one caller at once, and one more as often as this.
const BURST: u32 = 60;
const REFILL: Duration = Duration::from_mins(1);
/// Callers whose budgets are remembered; of further ones nothing is kept until others have recovered.
const CALLERS_MAX: usize = 10_000;

/// Takes refused calls in.
#[derive(Debug)]
pub struct Refusals {
    clock: Arc<dyn Clock>,
    waiting: mpsc::Sender<RefusedCall>,
    budgets: Mutex<HashMap<Actor, Budget>>,
    counts: RefusalCounts,
}

/// What has happened to refused calls, ever.
#[derive(Default, Debug)]
pub struct RefusalCounts {
    /// Those that were handed over to be kept.
    pub recorded: AtomicU64,
    /// Those that were not: of a caller beyond its budget, or because too many waited.
    pub unrecorded: AtomicU64,
    /// Calls of nobody who is known. Whose they are cannot be said, so they are only counted.
    pub unauthenticated: AtomicU64,
}

/// What a caller may still fill the list with, kept as the instant at which it is whole again.
#[derive(Default, Debug)]
struct Budget {
    whole_at: Duration,
    unrecorded: u64,
}

impl Budget {
    fn take(&mut self, now: Duration) -> bool {
        let whole_at = self.whole_at.max(now) + REFILL;
        let there_is = whole_at <= now + REFILL * BURST;
        if there_is {
            self.whole_at = whole_at;
        }
        there_is
    }
}

impl Refusals {
    /// Where calls are handed over, and where they arrive.
    pub fn new(clock: Arc<dyn Clock>) -> (Refusals, mpsc::Receiver<RefusedCall>) {
        let (waiting, arriving) = mpsc::channel(WAITING_MAX);
        let refusals = Refusals {
            clock,
            waiting,
            budgets: Mutex::default(),
            counts: RefusalCounts::default(),
        };
        (refusals, arriving)
    }

    pub fn counts(&self) -> &RefusalCounts {
        &self.counts
    }

    /// Somebody who is not known was turned away.
    pub fn unauthenticated(&self) {
        self.counts.unauthenticated.fetch_add(1, Ordering::Relaxed);
    }

    /// Hands over a call that was refused just now, if its caller has not had more of them than it may. Waits for
    /// nothing.
    pub fn record(&self, actor: Actor, call: impl FnOnce(Actor, Timestamp) -> RefusedCall) {
        let now = self.clock.uptime();
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        if budgets.len() >= CALLERS_MAX && !budgets.contains_key(&actor) {
            budgets.retain(|_, budget| budget.whole_at > now || budget.unrecorded > 0);
            if budgets.len() >= CALLERS_MAX {
                self.counts.unrecorded.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
        let budget = budgets.entry(actor.clone()).or_default();
        let sent = budget.take(now) && {
            let call = RefusedCall {
                unrecorded: budget.unrecorded,
                ..call(actor, self.clock.now())
            };
            self.waiting.try_send(call).is_ok()
        };
        let count = if sent {
            budget.unrecorded = 0;
            &self.counts.recorded
        } else {
            budget.unrecorded += 1;
            &self.counts.unrecorded
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps what arrives, and lets go of what is old, until `stop`; what had arrived by then is kept still.
    pub async fn keep(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        mut arriving: mpsc::Receiver<RefusedCall>,
        stop: CancellationToken,
    ) {
        let mut pace = interval(SWEEP_INTERVAL);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = pace.tick() => sweep(&*store, &*clock).await,
                arrived = arriving.recv_many(&mut batch, BATCH_MAX) => {
                    if arrived == 0 {
                        return;
                    }
                    keep(&*store, &mut batch).await;
                }
            }
        }
        arriving.close();
        while arriving.recv_many(&mut batch, BATCH_MAX).await > 0 {
            keep(&*store, &mut batch).await;
        }
    }
}

async fn keep(store: &dyn Store, batch: &mut Vec<RefusedCall>) {
    let calls = batch.len();
    let mut located = Vec::with_capacity(calls);
    for call in batch.drain(..) {
        located.extend(locate(store, call).await);
    }
    if located.is_empty() {
        return;
    }
    if let Err(error) = store.keep_refused_calls(located).await {
        tracing::warn!(%error, calls, "refused calls are not on record");
    }
}

/// Says whose token it was that the call named: its namespace has a right to know. A token that does not exist was not
/// refused to anybody; one that the caller may not know of was, though they were told the same.
async fn locate(store: &dyn Store, mut call: RefusedCall) -> Option<RefusedCall> {
    let Some(id) = call.token_id.filter(|_| call.namespace.is_none()) else {
        return Some(call);
    };
    match store.token(id).await {
        Ok(Some(token)) => call.namespace = Some(token.record.namespace),
        Ok(None) if call.reason == "TOKEN_NOT_FOUND" => return None,
        // It is on record for those who may read all there is.
        Ok(None) | Err(_) => {}
    }
    Some(call)
}

async fn sweep(store: &dyn Store, clock: &dyn Clock) {
    let until = clock.now().earlier(KEPT_FOR);
    loop {
        let swept: Result<u64, StoreError> = store.sweep_refused_calls(until, REFUSED_CALLS_KEPT_MAX).await;
        match swept {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "old refused calls could not be forgotten; trying again later");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
