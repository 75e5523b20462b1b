//! Writes what was gathered, a batch at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::Recorder;
use crate::clock::{Clock, Entropy, random};
use crate::store::usage::{FLUSH_MAX, Flush, RecorderId};
use crate::store::{Store, StoreError};
use crate::token::id::TokenId;
use crate::token::usage::Usage;

/// How soon a last flush that did not go through is tried again.
const LAST_TRIES_EVERY: Duration = Duration::from_millis(200);

/// Takes from a recorder what it has gathered, and writes it.
#[derive(Debug)]
pub struct Flusher {
    recorder: Arc<Recorder>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    id: RecorderId,
    sequence: u64,
    /// What was taken and is not written yet. The first of it may have been: its answer was lost. So it stays as it is,
    /// and what is gathered meanwhile stays where it is.
    taken: VecDeque<Arc<Flush>>,
    has_begun: bool,
}

impl Flusher {
    pub fn new(
        recorder: Arc<Recorder>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
    ) -> Flusher {
        Flusher {
            recorder,
            store,
            clock,
            id: RecorderId::new(random(entropy)),
            sequence: 0,
            taken: VecDeque::new(),
            has_begun: false,
        }
    }

    /// Flushes so often, until `stop` is cancelled; then until all is written. Whoever waits for that says how long.
    pub async fn run(mut self, every: Duration, stop: CancellationToken) {
        let mut pace = interval(every);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = pace.tick() => {}
            }
            self.flush_or_tell().await;
        }
        while !self.flush_or_tell().await {
            sleep(LAST_TRIES_EVERY).await;
        }
    }

    async fn flush_or_tell(&mut self) -> bool {
        match self.flush().await {
            Ok(()) => {
                self.recorder.flushed(self.clock.uptime());
                true
            }
            Err(error) => {
                self.recorder.failed();
                let cause = error.cause().unwrap_or_default();
                tracing::warn!(%error, cause, "what tokens were used for is not written yet; trying again");
                false
            }
        }
    }

    /// Writes all that was gathered up to now.
    pub(super) async fn flush(&mut self) -> Result<(), StoreError> {
        if !self.has_begun {
            self.store.begin_usage(self.clock.now()).await?;
            self.has_begun = true;
        }
        self.write().await?;
        self.take();
        self.write().await
    }

    fn take(&mut self) {
        let time = self.clock.now();
        let usages: Vec<(TokenId, Usage)> = self.recorder.take().into_iter().collect();
        for some in usages.chunks(FLUSH_MAX) {
            self.sequence += 1;
            self.taken.push_back(Arc::new(Flush {
                recorder: self.id,
                sequence: self.sequence,
                time,
                usages: some.to_vec(),
            }));
        }
    }

    async fn write(&mut self) -> Result<(), StoreError> {
        while let Some(flush) = self.taken.front() {
            self.store.add_usage(Arc::clone(flush)).await?;
            self.recorder.written(flush.usages.len());
            self.taken.pop_front();
        }
        Ok(())
    }
}
