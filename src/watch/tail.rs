//! The task behind one stream: reads the journal, sends what narrows, and says how far it has read.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::recognised::Recognised;
use super::{Ended, Event, Message};
use crate::clock::Clock;
use crate::journal::Entry;
use crate::journal::cursor::Cursor;
use crate::journal::narrowing::narrowings;
use crate::store::{EntryFilter, Store, StoreError};
use crate::token::id::Slug;

/// Entries read at once.
const PAGE: u32 = 256;

#[derive(Debug)]
pub(super) struct Tail {
    pub(super) store: Arc<dyn Store>,
    pub(super) namespaces: BTreeSet<Slug>,
    pub(super) recognised: Option<Recognised>,
    pub(super) clock: Arc<dyn Clock>,
    /// Everything up to here has been sent.
    pub(super) at: Cursor,
    /// The same, for whoever watches the watchers.
    pub(super) sent: Arc<AtomicU64>,
    pub(super) messages: mpsc::Sender<Message>,
    pub(super) stall_max: Duration,
}

impl Tail {
    /// Runs until the watcher leaves (`Ok`) or the stream has to end.
    pub(super) async fn run(
        mut self,
        heartbeat: Duration,
        drain: CancellationToken,
        forked: CancellationToken,
    ) -> Result<(), Ended> {
        let messages = self.messages.clone();
        tokio::select! {
            biased;
            () = messages.closed() => Ok(()),
            () = forked.cancelled() => Err(Ended::Forked),
            () = drain.cancelled() => Err(Ended::Draining),
            Err(why) = self.follow(heartbeat) => Err(why),
        }
    }

    async fn follow(&mut self, heartbeat: Duration) -> Result<std::convert::Infallible, Ended> {
        let mut committed = self.store.committed();
        let mut beat = interval(heartbeat);
        // A late heartbeat is sent once, not made up for.
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat.reset();
        self.send(self.at, Event::Started).await?;
        loop {
            // Before the read: what is committed from here on is news. A hint that stays ahead of what can
            // be read is not, or the journal would be read again without a pause.
            committed.mark_unchanged();
            let more = self.advance().await?;
            // A heartbeat comes often enough to see the end in time.
            let recognised = self.recognised.as_ref();
            if recognised.is_some_and(|it| it.has_ended(self.clock.now())) {
                return Err(Ended::CallerWithdrawn);
            }
            tokio::select! {
                biased;
                // Sent between reads: everything read so far has been sent before it.
                _ = beat.tick() => self.send(self.at, Event::Heartbeat).await?,
                () = std::future::ready(()), if more => {}
                // A missed hint costs no more than the time to the next heartbeat.
                _ = committed.changed() => {}
            }
        }
    }

    /// Reads and sends the next page; whether there may be another right now.
    async fn advance(&mut self) -> Result<bool, Ended> {
        let read = self.store.entries(self.at.revision, EntryFilter::ALL, PAGE).await;
        let entries = read.map_err(|error| match error {
            StoreError::Corrupt { .. } => Ended::Corrupt,
            StoreError::Forked { .. } => Ended::Forked,
            StoreError::Unavailable(_) => Ended::Unavailable,
        })?;
        for entry in &entries {
            if entry.revision != self.at.revision.next() {
                return Err(Ended::Corrupt);
            }
            self.deliver(entry).await?;
            self.at.revision = entry.revision;
            self.sent.store(entry.revision.get(), Ordering::Relaxed);
            if !self.recognised.as_mut().is_none_or(|it| it.survives(entry)) {
                return Err(Ended::CallerWithdrawn);
            }
        }
        Ok(entries.len() == PAGE as usize)
    }

    async fn deliver(&self, entry: &Entry) -> Result<(), Ended> {
        if !self.namespaces.is_empty() && !self.namespaces.contains(entry.change.namespace()) {
            return Ok(());
        }
        let after = Cursor {
            revision: entry.revision,
            ..self.at
        };
        let mut narrowings = narrowings(entry).peekable();
        while let Some(narrowing) = narrowings.next() {
            // Whoever resumes between two events of one entry gets both again.
            let cursor = if narrowings.peek().is_none() {
                after
            } else {
                self.at
            };
            self.send(cursor, Event::Narrowed(narrowing)).await?;
        }
        Ok(())
    }

    async fn send(&self, cursor: Cursor, event: Event) -> Result<(), Ended> {
        let sent = self
            .messages
            .send_timeout(Message { cursor, event }, self.stall_max)
            .await;
        // A watcher that has left is seen by `run`; to wait for that here would be to wait for ever.
        sent.map_err(|_| Ended::TooSlow)
    }
}

#[cfg(test)]
mod tests;
