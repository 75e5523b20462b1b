//! The barrier: returns when a change is in force wherever anything is accepted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::Terms;
use super::sightings::Sightings;
use crate::clock::Clock;
use crate::journal::Revision;
use crate::store::Store;
use crate::store::roll::{Member, Roll};

/// The most that wait at once; a further one waits for a place.
const QUEUE_MAX: usize = 4096;
/// How soon the roll is read again for those who wait, and how that grows as long as nobody else comes.
const POLL_MIN: Duration = Duration::from_millis(1);
const POLL_MAX: Duration = Duration::from_millis(4);

/// How it became certain that a change is in force everywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reached {
    /// Every member has said so.
    Acknowledged,
    /// A member has not; but no lease that was granted without the change runs any more.
    WaitedOut,
}

/// The way to the barrier.
#[derive(Clone, Debug)]
pub struct Barrier {
    queue: mpsc::Sender<Waiting>,
    clock: Arc<dyn Clock>,
    oldest: Oldest,
}

/// Since when, in uptime, the one waits who has waited longest.
type Oldest = Arc<Mutex<Option<Duration>>>;

/// The task behind the barriers has ended: the process is going down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("nobody waits for the members any more")]
pub struct Ended;

#[derive(Debug)]
struct Waiting {
    revision: Revision,
    /// Uptime when the change was known to be committed.
    since: Duration,
    answer: oneshot::Sender<Reached>,
}

impl Barrier {
    /// A barrier over a store with a roll, and the task behind it, which also takes off the roll who is silent.
    /// It runs until the last barrier is dropped.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        terms: Terms,
    ) -> (Barrier, impl Future<Output = ()> + Send) {
        let (queue, arriving) = mpsc::channel(QUEUE_MAX);
        let oldest = Oldest::default();
        let keeper = Keeper {
            store,
            clock: Arc::clone(&clock),
            terms,
            sightings: Sightings::default(),
            arriving,
            waiting: Vec::new(),
            oldest: Arc::clone(&oldest),
        };
        let barrier = Barrier { queue, clock, oldest };
        (barrier, keeper.run())
    }

    /// How long the oldest change has waited that is not yet known to be in force everywhere.
    pub fn oldest_wait(&self) -> Duration {
        let oldest = *self.oldest.lock().unwrap_or_else(PoisonError::into_inner);
        oldest.map_or(Duration::ZERO, |since| self.clock.uptime().saturating_sub(since))
    }

    /// Returns when everything up to `revision`, which is committed, is in force at every member, and within
    /// [`Terms::outlived`] as long as the store answers.
    pub async fn reached(&self, revision: Revision) -> Result<Reached, Ended> {
        let (answer, reached) = oneshot::channel();
        let waiting = Waiting {
            revision,
            since: self.clock.uptime(),
            answer,
        };
        self.queue.send(waiting).await.map_err(|_| Ended)?;
        reached.await.map_err(|_| Ended)
    }
}

struct Keeper {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    terms: Terms,
    sightings: Sightings,
    arriving: mpsc::Receiver<Waiting>,
    waiting: Vec<Waiting>,
    oldest: Oldest,
}

impl Keeper {
    async fn run(mut self) {
        let mut pause = self.terms.lease;
        loop {
            // With nobody waiting the roll is read all the same, for who is silent.
            match tokio::time::timeout(pause, self.arriving.recv()).await {
                Ok(Some(waiting)) => {
                    self.waiting.push(waiting);
                    pause = POLL_MIN;
                }
                Ok(None) => return,
                Err(_) => pause = (pause * 2).min(POLL_MAX),
            }
            // All who have come share one read.
            while let Ok(waiting) = self.arriving.try_recv() {
                self.waiting.push(waiting);
            }
            self.tell_oldest();
            self.read().await;
            self.tell_oldest();
            if self.waiting.is_empty() {
                pause = self.terms.lease;
            }
        }
    }

    fn tell_oldest(&self) {
        let oldest = self.waiting.iter().map(|waiting| waiting.since).min();
        *self.oldest.lock().unwrap_or_else(PoisonError::into_inner) = oldest;
    }

    async fn read(&mut self) {
        let store = Arc::clone(&self.store);
        let Some(roll) = store.roll() else { return };
        let read = roll.members().await;
        let now = self.clock.uptime();
        let outlived = self.terms.outlived();
        let members = match &read {
            Ok(members) => Some(members.as_slice()),
            Err(error) => {
                tracing::warn!(%error, "the roll could not be read; waiting the leases out");
                None
            }
        };
        for waiting in std::mem::take(&mut self.waiting) {
            match settled(&waiting, members, now, outlived) {
                Some(reached) => {
                    if reached == Reached::WaitedOut {
                        tracing::warn!(revision = %waiting.revision, silent = ?behind(waiting.revision, members), "waited out");
                    }
                    // Whoever asked may have left.
                    let _ = waiting.answer.send(reached);
                }
                None => self.waiting.push(waiting),
            }
        }
        if let Some(members) = members {
            let silent = self.sightings.silent(members, now, outlived);
            take_off(roll, &silent).await;
        }
    }
}

/// Whether the change is in force everywhere, if the roll was read after it was committed.
fn settled(
    waiting: &Waiting,
    members: Option<&[Member]>,
    now: Duration,
    outlived: Duration,
) -> Option<Reached> {
    // One that has acknowledged the change shows that the roll was read where the change is. An empty roll
    // shows nothing: it may be that of a primary that was deposed before anybody joined.
    let acknowledged = members.is_some_and(|members| {
        !members.is_empty() && members.iter().all(|member| member.acked >= waiting.revision)
    });
    if acknowledged {
        Some(Reached::Acknowledged)
    } else if now.saturating_sub(waiting.since) >= outlived {
        Some(Reached::WaitedOut)
    } else {
        None
    }
}

/// The names of those who have not acknowledged it, for the log.
fn behind(revision: Revision, members: Option<&[Member]>) -> Vec<&str> {
    let members = members.unwrap_or_default().iter();
    members
        .filter(|member| member.acked < revision)
        .map(|member| member.name.as_str())
        .collect()
}

async fn take_off(roll: &dyn Roll, silent: &[Member]) {
    for member in silent {
        match roll.remove(member).await {
            Ok(true) => {
                tracing::warn!(member = %member.id, name = member.name, "silent for too long; off the roll");
            }
            // It was heard of, or another member was faster.
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "a silent member could not be taken off the roll"),
        }
    }
}

#[cfg(test)]
mod tests;
