//! Applies the journal to what this process knows: the one way a change reaches the cache, and the one way
//! its lease runs on.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Known;
use crate::journal::link::Link;
use crate::journal::{Change, Entry, Revision};
use crate::membership::Seat;
use crate::store::{Head, Store, StoreError};

/// Entries read at once.
const PAGE: u32 = 512;

/// How far the journal has been applied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Following {
    Applied(Revision),
    /// Nothing that is known here can be relied on any more.
    Stopped(Stop),
}

/// Why the journal is followed no further. Each lasts until the process is started again.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Stop {
    #[error("the store is not the one that was followed: {what}")]
    Forked { what: String },
    #[error("the journal can no longer be followed: {what}")]
    Corrupt { what: String },
    #[error("the journal is followed no more: this server is going down")]
    Ended,
}

impl Following {
    pub fn has_applied(&self, wanted: Revision) -> bool {
        match self {
            Following::Applied(revision) => *revision >= wanted,
            Following::Stopped(_) => false,
        }
    }
}

#[derive(Debug)]
pub(super) struct Follower {
    store: Arc<dyn Store>,
    known: Arc<Known>,
    /// Everything up to here has been applied; only its revision and link move.
    at: Head,
    following: watch::Sender<Following>,
}

/// What a round has come to.
enum Round {
    /// There may be more, or something to say, right now.
    Again,
    Wait,
}

/// Why a round did not come to its end.
enum Broken {
    /// The next one may.
    Unavailable(StoreError),
    Stopped(Stop),
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Broken {
        match error {
            StoreError::Unavailable(_) => Broken::Unavailable(error),
            StoreError::Corrupt { what } => Broken::Stopped(Stop::Corrupt { what }),
            StoreError::Forked { what } => Broken::Stopped(Stop::Forked { what }),
        }
    }
}

impl Follower {
    /// A follower that goes on from `at`, where nothing is cached yet.
    pub(super) fn new(
        store: Arc<dyn Store>,
        known: Arc<Known>,
        at: Head,
    ) -> (Follower, watch::Receiver<Following>) {
        let (following, receiver) = watch::channel(Following::Applied(at.revision));
        let follower = Follower {
            store,
            known,
            at,
            following,
        };
        (follower, receiver)
    }

    /// Renews the lease of `seat` until `end`, and then gives the seat up: no revocation has to wait for this
    /// process.
    pub(super) async fn run(mut self, mut seat: Seat, end: CancellationToken) {
        let mut committed = self.store.committed();
        let mut failing = false;
        while !end.is_cancelled() {
            // Before the reads: what is committed from here on is news. A hint that stays ahead of what can
            // be read is not, or a store that fails would be asked again without a pause.
            committed.mark_unchanged();
            match self.round(&mut seat).await {
                Ok(round) => {
                    if std::mem::take(&mut failing) {
                        tracing::info!(applied = %self.at.revision, "the store answers again");
                    }
                    if matches!(round, Round::Again) {
                        continue;
                    }
                }
                // What is known stays as true as it was; no lease runs on until this succeeds.
                Err(Broken::Unavailable(error)) if !std::mem::replace(&mut failing, true) => {
                    tracing::warn!(%error, cause = error.cause(), "the store does not answer; trying again");
                }
                Err(Broken::Unavailable(_)) => {}
                Err(Broken::Stopped(why)) => {
                    self.stop(why);
                    break;
                }
            }
            tokio::select! {
                () = end.cancelled() => {}
                // Timed out or not, the journal says what there is.
                _ = tokio::time::timeout(seat.heartbeat(), committed.changed()) => {}
            }
        }
        if let Err(error) = seat.leave().await {
            tracing::warn!(%error, "the others will find out by themselves that this server is gone");
        }
    }

    /// Applies what there is, and then says so: what one renewal acknowledges, the one before asked for.
    async fn round(&mut self, seat: &mut Seat) -> Result<Round, Broken> {
        while self.apply_page(seat).await? {}
        let acked = self.at.revision;
        let Some(head) = seat.ask(acked).await? else {
            self.known.cache.clear();
            return Ok(Round::Again);
        };
        self.compare(&head).map_err(Broken::Stopped)?;
        while self.at.revision < head.revision {
            if !self.apply_page(seat).await? && self.at.revision < head.revision {
                let what = format!(
                    "its head is {}, but nothing follows {}",
                    head.revision, self.at.revision
                );
                return Err(Broken::Stopped(Stop::Corrupt { what }));
            }
        }
        seat.applied(self.at.revision);
        Ok(if self.at.revision > acked {
            Round::Again
        } else {
            Round::Wait
        })
    }

    /// Whether the journal that ends with `head` is the one that was applied.
    fn compare(&self, head: &Head) -> Result<(), Stop> {
        let at = &self.at;
        let what = if head.epoch != at.epoch {
            "it has another epoch".to_owned()
        } else if head.revision < at.revision {
            format!(
                "its head is {}, but revision {} was applied here",
                head.revision, at.revision
            )
        } else if head.revision == at.revision && head.link != at.link {
            format!(
                "revision {} has another link than the one applied here",
                at.revision
            )
        } else {
            return Ok(());
        };
        Err(Stop::Forked { what })
    }

    /// Applies the next page; whether there may be another.
    async fn apply_page(&mut self, seat: &Seat) -> Result<bool, Broken> {
        let entries = seat.news(self.at.revision, PAGE).await?;
        for entry in &entries {
            let link = self.follow_on(entry).map_err(Broken::Stopped)?;
            self.apply(entry).await?;
            self.at.revision = entry.revision;
            self.at.link = link;
        }
        if !entries.is_empty() {
            self.following.send_replace(Following::Applied(self.at.revision));
        }
        Ok(entries.len() == PAGE as usize)
    }

    /// The link of the entry, if it is the one after the last.
    fn follow_on(&self, entry: &Entry) -> Result<Link, Stop> {
        if entry.revision != self.at.revision.next() {
            let what = format!("revision {} follows {}", entry.revision, self.at.revision);
            return Err(Stop::Corrupt { what });
        }
        match self.at.link.then(&entry.body) {
            link if link == entry.link => Ok(link),
            _ => Err(Stop::Forked {
                what: format!(
                    "revision {} does not continue what was applied here",
                    entry.revision
                ),
            }),
        }
    }

    async fn apply(&self, entry: &Entry) -> Result<(), Broken> {
        match &entry.change {
            // Read, not believed: whoever writes the database can write entries, but no row that holds.
            Change::NamespaceCreated(_) | Change::NamespaceUpdated(_) | Change::NamespaceIssuedRevoked(_) => {
                let directory = self.store.directory().await?;
                if directory.version < entry.revision {
                    let older = "the directory was older than the journal";
                    return Err(Broken::Unavailable(StoreError::Unavailable(older.into())));
                }
                self.known.replace(directory.record);
            }
            // Nothing that tokens are judged by.
            Change::Webhook(_) => {}
            Change::Token { token_id, .. } => self.known.cache.evict(*token_id, entry.revision),
            Change::Subject {
                namespace, subject, ..
            } => self
                .known
                .cache
                .subject_changed(namespace, subject, entry.revision),
        }
        Ok(())
    }

    fn stop(&self, why: Stop) {
        tracing::error!(%why, "refusing to judge until this server is started again");
        self.following.send_replace(Following::Stopped(why));
        self.known.cache.clear();
    }
}

impl Drop for Follower {
    /// Aborted or panicked, it must not leave behind a cache that nothing keeps true any more.
    fn drop(&mut self) {
        if matches!(*self.following.borrow(), Following::Applied(_)) {
            self.following.send_replace(Following::Stopped(Stop::Ended));
        }
    }
}

#[cfg(test)]
mod tests;
