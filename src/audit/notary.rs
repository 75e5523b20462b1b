//! Signs what the journal is, every so often and when asked.
//!
//! What was signed once is only ever gone on from: a journal that does not continue it is not signed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{MissedTickBehavior, interval};

use crate::clock::Clock;
use crate::journal::Revision;
use crate::journal::audit::Chain;
use crate::journal::checkpoint::{SigningKey, VerifyingKey};
use crate::journal::tree::Range;
use crate::store::checkpoints::{CHECKPOINTS_KEPT_MAX, KeptCheckpoint};
use crate::store::{EntryFilter, Head, READ_MAX, Store, StoreError};

/// Among so many of the newest checkpoints one of this key is looked for, to go on from.
const LOOKED_THROUGH: u32 = 100;

/// Whoever signs for this server.
#[derive(Debug)]
pub struct Notary {
    key: SigningKey,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// The tree over what was read so far. One at a time reads on.
    tree: Mutex<Option<Range>>,
    signed: AtomicU64,
}

impl Notary {
    pub fn new(key: SigningKey, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Notary {
        Notary {
            key,
            store,
            clock,
            tree: Mutex::new(None),
            signed: AtomicU64::new(0),
        }
    }

    pub fn verifying_key(&self) -> VerifyingKey {
        self.key.verifying()
    }

    /// The last revision that was signed here, or found signed with this key; 0 before the first.
    pub fn signed(&self) -> Revision {
        Revision::new(self.signed.load(Ordering::Relaxed))
    }

    /// Signs every so often what was written since, until it is dropped. What another server with the same key has
    /// signed lately is enough.
    pub async fn keep_signing(&self, every: Duration) {
        let mut pace = interval(every);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            if let Err(error) = self.sign_if_due(every).await {
                tracing::error!(%error, "the journal is not signed");
            }
        }
    }

    async fn sign_if_due(&self, every: Duration) -> Result<(), StoreError> {
        let head = self.store.head().await?.revision;
        if head == Revision::ZERO || head == self.signed() {
            return Ok(());
        }
        let newest = self.store.checkpoints(None, 1).await?;
        let lately = |kept: &KeptCheckpoint| {
            let since = self.clock.now().micros().saturating_sub(kept.time.micros());
            u128::try_from(since).is_ok_and(|since| since < every.as_micros() / 2)
        };
        let newest = newest.first().filter(|kept| self.tree_of(kept).is_some());
        if newest.is_some_and(lately) {
            return Ok(());
        }
        self.checkpoint().await.map(drop)
    }

    /// The journal as it is now, signed; the checkpoint there is, if nothing was written since.
    pub async fn checkpoint(&self) -> Result<KeptCheckpoint, StoreError> {
        let mut tree = self.tree.lock().await;
        let head = self.store.head().await?;
        let newest = self.store.checkpoints(None, 1).await?;
        let newest = newest.into_iter().next();
        if let Some(kept) =
            newest.filter(|kept| kept.revision == head.revision && self.tree_of(kept).is_some())
        {
            self.signed.store(head.revision.get(), Ordering::Relaxed);
            return Ok(kept);
        }
        let range = match tree.take() {
            Some(range) => range,
            None => self.gone_on_from(&head).await?,
        };
        let range = tree.insert(range);
        if let Err(error) = self.read_on(range, &head).await {
            // What was taken in up to there is not gone on from.
            *tree = None;
            return Err(error);
        }
        let checkpoint = KeptCheckpoint {
            revision: head.revision,
            time: self.clock.now(),
            note: self.key.sign(head.revision, range.root()),
            subtrees: range.to_bytes(),
        };
        let keeping = self
            .store
            .keep_checkpoint(checkpoint.clone(), CHECKPOINTS_KEPT_MAX);
        keeping.await?;
        self.signed.store(head.revision.get(), Ordering::Relaxed);
        Ok(checkpoint)
    }

    /// The tree to begin with: that of the newest checkpoint of this key; if there is none, the empty one.
    async fn gone_on_from(&self, head: &Head) -> Result<Range, StoreError> {
        let kept = self.store.checkpoints(None, LOOKED_THROUGH).await?;
        if let Some(range) = kept.iter().find_map(|kept| self.tree_of(kept)) {
            return Ok(range);
        }
        if head.oldest > Revision::new(1) {
            return Err(StoreError::Corrupt {
                what: format!(
                    "entries before revision {} were trimmed, and no checkpoint of this key says what they were",
                    head.oldest
                ),
            });
        }
        Ok(Range::default())
    }

    /// The tree of a checkpoint, if this key has signed its root: whoever wrote the row has not.
    fn tree_of(&self, kept: &KeptCheckpoint) -> Option<Range> {
        let checkpoint = self.key.verifying().open(&kept.note).ok()?;
        let range = Range::from_bytes(kept.revision.get(), &kept.subtrees).ok()?;
        (checkpoint.revision == kept.revision && checkpoint.root == range.root()).then_some(range)
    }

    /// Takes in what was written since, as far as its links hold.
    async fn read_on(&self, range: &mut Range, head: &Head) -> Result<(), StoreError> {
        let corrupt = |what: String| StoreError::Corrupt { what };
        if range.size() > head.revision.get() {
            return Err(corrupt(format!(
                "revision {} was signed, but the journal ends at {}",
                range.size(),
                head.revision
            )));
        }
        // With the last entry that was taken in, if it is still kept: the next one must follow from it.
        let size = range.size();
        let first = if size > 0 && head.oldest.get() <= size {
            size
        } else {
            size + 1
        };
        let (mut chain, mut after) = (Chain::from(Revision::new(first)), Revision::new(first - 1));
        while after < head.revision {
            let entries = self.store.entries(after, EntryFilter::ALL, READ_MAX).await?;
            if entries.is_empty() {
                return Err(corrupt(format!("revision {} is missing", after.next())));
            }
            for entry in entries {
                if entry.revision > head.revision {
                    break;
                }
                let link = *entry.link.as_bytes();
                let entry = chain
                    .follow_body(entry.revision, entry.body, &link)
                    .map_err(|finding| corrupt(finding.to_string()))?;
                after = entry.revision;
                if entry.revision.get() > range.size() {
                    range.append(&entry.body);
                }
            }
        }
        chain
            .ends_at(head.revision, head.link)
            .map_err(|finding| corrupt(finding.to_string()))
    }
}

#[cfg(test)]
mod tests;
