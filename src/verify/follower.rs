//! Applies the journal to what this process knows: the one way a change reaches the cache.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Known;
use crate::journal::{Change, Entry, Revision};
use crate::store::{EntryFilter, Store, StoreError};

/// How often the journal is read when nothing hints at news. A hint may be missed; this is not.
const POLL: Duration = Duration::from_millis(250);
/// Entries read at once.
const PAGE: u32 = 512;

/// How far the journal has been applied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Following {
    Applied(Revision),
    /// The journal is not what it was: nothing that is known here can be relied on any more.
    Stopped {
        why: String,
    },
}

impl Following {
    pub fn has_applied(&self, wanted: Revision) -> bool {
        match self {
            Following::Applied(revision) => *revision >= wanted,
            Following::Stopped { .. } => false,
        }
    }
}

#[derive(Debug)]
pub(super) struct Follower {
    store: Arc<dyn Store>,
    known: Arc<Known>,
    applied: Revision,
    following: watch::Sender<Following>,
}

impl Follower {
    pub(super) fn new(
        store: Arc<dyn Store>,
        known: Arc<Known>,
        applied: Revision,
    ) -> (Follower, watch::Receiver<Following>) {
        let (following, receiver) = watch::channel(Following::Applied(applied));
        (
            Follower {
                store,
                known,
                applied,
                following,
            },
            receiver,
        )
    }

    pub(super) async fn run(mut self) {
        let mut committed = self.store.committed();
        loop {
            // Before the read: what is committed from here on is news. A hint that stays ahead of what can
            // be read is not, or a store that fails would be asked again without a pause.
            committed.mark_unchanged();
            match self.store.entries(self.applied, EntryFilter::ALL, PAGE).await {
                Ok(entries) if entries.is_empty() => {}
                Ok(entries) => match self.apply_all(&entries) {
                    // There may be more.
                    Ok(()) => continue,
                    Err(why) => return self.stop(why),
                },
                Err(error @ StoreError::Corrupt { .. }) => return self.stop(error.to_string()),
                // What is known stays as true as it was; no change is confirmed until this succeeds.
                Err(error) => tracing::warn!(%error, "the journal could not be read; trying again"),
            }
            // Timed out or not, the journal says what there is.
            let _ = tokio::time::timeout(POLL, committed.changed()).await;
        }
    }

    fn apply_all(&mut self, entries: &[Entry]) -> Result<(), String> {
        for entry in entries {
            if entry.revision != self.applied.next() {
                return Err(format!("revision {} follows {}", entry.revision, self.applied));
            }
            self.apply(entry);
            self.applied = entry.revision;
        }
        self.following.send_replace(Following::Applied(self.applied));
        Ok(())
    }

    fn apply(&self, entry: &Entry) {
        match &entry.change {
            Change::NamespaceCreated(namespace) | Change::NamespaceUpdated(namespace) => {
                self.known.put(namespace.clone());
            }
            Change::Token { token_id, .. } => self.known.cache.evict(*token_id, entry.revision),
        }
    }

    fn stop(&self, why: String) {
        tracing::error!(%why, "the journal cannot be followed any further; refusing to judge");
        self.following.send_replace(Following::Stopped { why });
    }
}

impl Drop for Follower {
    /// Aborted or panicked, it must not leave behind a cache that nothing keeps true any more.
    fn drop(&mut self) {
        if matches!(*self.following.borrow(), Following::Applied(_)) {
            let why = "its follower has ended".to_owned();
            self.following.send_replace(Following::Stopped { why });
        }
    }
}

#[cfg(test)]
mod tests;
