//! Writes what was gathered, a batch at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::Log;
use crate::clock::{Entropy, random};
use crate::store::access::KEEP_MAX;
use crate::store::{Store, StoreError};
use crate::token::access::{AccessId, AccessRecord};

/// How soon a last write that did not go through is tried again.
const LAST_TRIES_EVERY: Duration = Duration::from_millis(200);

/// Takes from a log what it has gathered, and writes it.
#[derive(Debug)]
pub struct Writer {
    log: Arc<Log>,
    store: Arc<dyn Store>,
    recorder: [u8; 8],
    number: u64,
    /// What was taken and is not written yet. The first of it may have been: its answer was lost. So the records stay as
    /// they are, and what is gathered meanwhile stays where it is.
    taken: VecDeque<Batch>,
}

#[derive(Debug)]
struct Batch {
    records: Arc<[AccessRecord]>,
    /// How many are of namespaces that would rather refuse.
    refusing: usize,
}

impl Writer {
    pub fn new(log: Arc<Log>, store: Arc<dyn Store>, entropy: &dyn Entropy) -> Writer {
        Writer {
            log,
            store,
            recorder: random(entropy),
            number: 0,
            taken: VecDeque::new(),
        }
    }

    /// Writes so often, and sooner where much waits, until `stop` is cancelled; then until all is written. Whoever waits
    /// for that says how long.
    pub async fn run(mut self, every: Duration, stop: CancellationToken) {
        let mut pace = interval(every);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let log = Arc::clone(&self.log);
            tokio::select! {
                () = stop.cancelled() => break,
                _ = pace.tick() => {}
                () = log.much.notified() => {}
            }
            // What cannot be written now is tried again in a while, not at once.
            while self.write_or_tell().await && self.log.has_much() {}
        }
        while !self.write_or_tell().await {
            sleep(LAST_TRIES_EVERY).await;
        }
    }

    async fn write_or_tell(&mut self) -> bool {
        match self.write().await {
            Ok(()) => true,
            Err(error) => {
                self.log.failed();
                let cause = error.cause().unwrap_or_default();
                tracing::warn!(%error, cause, "records of calls are not written yet; trying again");
                false
            }
        }
    }

    /// Writes all that was gathered up to now.
    pub(super) async fn write(&mut self) -> Result<(), StoreError> {
        self.write_taken().await?;
        self.take();
        self.write_taken().await
    }

    fn take(&mut self) {
        let mut noted = self.log.take_all().into_iter().peekable();
        while noted.peek().is_some() {
            let mut refusing = 0;
            let records = noted.by_ref().take(KEEP_MAX).map(|noted| {
                refusing += usize::from(noted.is_refusing());
                self.number += 1;
                noted.record(AccessId::new(self.recorder, self.number))
            });
            let records = records.collect();
            self.taken.push_back(Batch { records, refusing });
        }
    }

    async fn write_taken(&mut self) -> Result<(), StoreError> {
        while let Some(Batch { records, refusing }) = self.taken.front() {
            self.store.keep_access(Arc::clone(records)).await?;
            self.log.written(records.len(), *refusing);
            self.taken.pop_front();
        }
        Ok(())
    }
}
