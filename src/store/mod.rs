//! Where tokens and the journal are kept, and kept in step.

pub mod access;
mod batch;
pub mod budgets;
pub mod checkpoints;
mod columns;
#[cfg(test)]
pub(crate) mod faulty;
#[cfg(test)]
#[path = "../../tests/support/postgres.rs"]
mod database;
pub mod history;
#[cfg(test)]
mod laws;
pub mod lease;
mod mac;
pub mod member;
pub mod memory;
pub mod migrations;
pub mod peppers;
pub mod postgres;
pub mod refused_calls;
pub mod roll;
#[cfg(test)]
pub(crate) mod samples;
pub mod select;
pub mod spawned;
pub mod sqlite;
pub mod usage;
pub mod webhooks;

use std::fmt;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::journal::cursor::{Cursor, Epoch};
use crate::journal::link::Link;
use crate::journal::{Draft, Entry, Revision, Room, Stored};
use crate::token::Token;
use crate::token::answer::SealedAnswer;
use crate::token::format::Hint;
use crate::token::id::{RequestDigest, Slug, TokenId};
use crate::token::namespace::{Directory, Namespace};
use crate::token::order::{OrderBy, Place};
use crate::token::secret::Digest;
use crate::token::selector::Filter;
use crate::token::standing::Standing;
use crate::token::text::Subject;
use crate::token::time::Timestamp;
use access::AccessStore;
use checkpoints::Checkpoints;
use history::History;
use lease::Duties;
use refused_calls::RefusedCalls;
use roll::Roll;
use select::{Count, Selection, Slice};
use usage::UsageStore;
use webhooks::Webhooks;

/// The keeper of tokens and their journal.
///
/// There is one way to write, [`Store::commit`], and it always writes the journal: what the journal does
/// not say did not happen. Every sentence here is a law in `store/laws`, stamped on every store.
#[async_trait]
pub trait Store:
    UsageStore + Webhooks + Duties + History + RefusedCalls + Checkpoints + AccessStore + fmt::Debug + Send + Sync
{
    /// Writes drafts in one transaction, each with its entry, and answers for each in order.
    ///
    /// Entries are dense and in commit order. A draft whose guard is stale conflicts and writes nothing; a
    /// draft for which there is no [`Room`] when it is written conflicts as well. A draft whose request id is in the
    /// journal already gets the entry it was first written as, and writes nothing. A sealed answer is kept with the entry of its draft, or not at all. An error says
    /// nothing about any of the drafts: all may be written, or none.
    async fn commit(&self, drafts: Vec<Draft>) -> Result<Vec<Outcome>, StoreError>;

    /// The token with this id.
    async fn token(&self, id: TokenId) -> Result<Option<Stored<Token>>, StoreError>;

    /// The tokens that remember these digests, in the order asked, and those with a secret that has to be tried on
    /// texts that begin as one of these hints: of each hint the oldest [`TO_TRY_MAX`]. Read with the head in one
    /// snapshot, so that a secret which is redigested meanwhile is found in one way or the other.
    async fn look_up(&self, digests: Vec<Digest>, hints: Vec<Hint>) -> Result<Look, StoreError>;

    /// The tokens that remember these digests, in the order asked, read with the head in one snapshot.
    async fn tokens_by_digest(&self, digests: Vec<Digest>) -> Result<Look, StoreError> {
        self.look_up(digests, Vec::new()).await
    }

    /// The next of the tokens that pass a filter, in order. It may be fewer than there are room for, even none, and not
    /// be the end. Pages neither repeat a token nor skip one that existed when the listing began, as long as what it
    /// is ordered by does not change.
    async fn tokens(&self, selection: Selection) -> Result<Slice, StoreError>;

    /// How many tokens pass a filter, among the next [`READ_MAX`] times [`select::READS_MAX`] that there are.
    async fn count(&self, filter: Filter, by: OrderBy, after: Option<Place>) -> Result<Count, StoreError>;

    /// What is said of these subjects of a namespace, in the order asked; `None`: nothing is.
    async fn standings(
        &self,
        namespace: Slug,
        subjects: Vec<Subject>,
    ) -> Result<Vec<Option<Stored<Standing>>>, StoreError>;

    /// The subjects of a namespace of which something is said, after `after`, in the byte order of their names.
    async fn subjects(
        &self,
        namespace: Slug,
        after: Option<Subject>,
        limit: u32,
    ) -> Result<Vec<Standing>, StoreError>;

    /// The newest token of a subject, or of a whole namespace, by its id: no other was created after
    /// [`TokenId::issued_by`] of it, for no id is of before its token's creation.
    async fn newest_token(
        &self,
        namespace: Slug,
        subject: Option<Subject>,
    ) -> Result<Option<TokenId>, StoreError>;

    /// How many tokens of a subject there are, of those that [`Room`] counts.
    async fn count_tokens(&self, room: Room) -> Result<u32, StoreError>;

    /// All namespaces; the version is that of the newest change to any of them.
    async fn directory(&self) -> Result<Stored<Directory>, StoreError>;

    /// Entries after `after` that pass the filter, oldest first. Every revision that was returned by a
    /// commit can be read here, and a range that has been read never changes.
    async fn entries(
        &self,
        after: Revision,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError>;

    /// The entry that was written for this request.
    async fn entry_of_request(&self, request_id: RequestDigest) -> Result<Option<Entry>, StoreError>;

    /// The sealed answer that was written with this entry, until it is swept.
    async fn answer(&self, revision: Revision) -> Result<Option<SealedAnswer>, StoreError>;

    /// Forgets sealed answers that expire at `until` or before it, the oldest [`SWEEP_MAX`] of them; how many.
    async fn sweep_answers(&self, until: Timestamp) -> Result<u64, StoreError>;

    /// Where the journal ends.
    async fn head(&self) -> Result<Head, StoreError>;

    /// Forgets entries up to `through`, which must be below the head; tokens keep their state.
    async fn trim(&self, through: Revision) -> Result<(), StoreError>;

    /// A hint that the head may have moved: *when* to read, never *what*. Wake-ups may be spurious or
    /// missed; the head is the truth.
    fn committed(&self) -> watch::Receiver<Revision>;

    /// Who else answers for this store; `None`: no other process can.
    fn roll(&self) -> Option<&dyn Roll>;

    /// Lets go of what it holds, once what is under way is done. Nothing can be asked of it afterwards.
    async fn close(&self);
}

/// What became of a draft.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    Written(Entry),
    /// Its request had been written before.
    Repeated(Entry),
    /// Its record has changed since the decision: read and decide again.
    Conflict,
}

/// Where the journal begins and ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    pub epoch: Epoch,
    pub revision: Revision,
    pub link: Link,
    /// The oldest entry still kept; one past the head when none is.
    pub oldest: Revision,
}

impl Head {
    pub fn cursor(&self) -> Cursor {
        Cursor {
            epoch: self.epoch,
            revision: self.revision,
        }
    }
}

/// Tokens as they were at the fence.
#[derive(Debug)]
pub struct Look {
    /// One that was tampered with is no token, and leaves the others alone.
    pub tokens: Vec<Result<Option<Token>, BadRow>>,
    /// In id order. One that was tampered with is left out: nothing is tried on its word.
    pub to_try: Vec<(Token, Option<Standing>)>,
    /// What is said of the subject of each token, in the same order.
    pub standings: Vec<Option<Standing>>,
    /// Every entry up to this one is reflected in the tokens.
    pub fence: Revision,
}

/// A row that is not what this program wrote there last: whoever else did, it is not believed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{record}: {wrong}")]
pub struct BadRow {
    /// Which one, in the words of an audit.
    pub record: String,
    pub wrong: Wrong,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Wrong {
    #[error("its row has no MAC")]
    Unsealed,
    #[error("its row is not the one its MAC was made for")]
    Forged,
    #[error("its row is of revision {version}, but revision {newest} was the last to concern it")]
    Outdated { version: Revision, newest: Revision },
    #[error("its row is gone, but revision {newest} concerned it")]
    Gone { newest: Revision },
    #[error("its row is of revision {version}, but the journal has no entry of it")]
    UnheardOf { version: Revision },
    #[error("its row cannot be read")]
    Unreadable,
}

impl From<BadRow> for StoreError {
    fn from(bad: BadRow) -> StoreError {
        StoreError::corrupt(bad)
    }
}

/// Which entries are wanted; `None` wants all.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct EntryFilter {
    pub namespace: Option<Slug>,
    pub token_id: Option<TokenId>,
}

impl EntryFilter {
    pub const ALL: EntryFilter = EntryFilter {
        namespace: None,
        token_id: None,
    };
}

/// All namespaces as one record, whose version is that of the newest change to any of them.
fn directory_of(namespaces: Vec<Stored<Namespace>>) -> Stored<Directory> {
    let mut directory = Stored {
        record: Directory::default(),
        version: Revision::ZERO,
    };
    for namespace in namespaces {
        directory.version = directory.version.max(namespace.version);
        directory.record.put(namespace.record);
    }
    directory
}

/// Hints at a head that was seen. Calls may return in another order than they were answered in, and a hint
/// never goes back.
fn hint_at(committed: &watch::Sender<Revision>, head: Revision) {
    committed.send_if_modified(|hinted| {
        let moved = head > *hinted;
        *hinted = head.max(*hinted);
        moved
    });
}

/// The most entries, tokens or digests any one read may ask for.
pub const READ_MAX: u32 = 1000;

/// The most tokens that have to be tried on one text: trying takes long.
pub const TO_TRY_MAX: u32 = 16;

/// The most sealed answers that one call forgets: what is written meanwhile waits no longer than for these.
pub const SWEEP_MAX: u32 = 1000;

/// The store could not do what was asked. What the driver said is for the log, not for callers.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It may work later. For a commit: what became of it is unknown, and the request id tells.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What is stored is not what this program writes: never retried, always looked into.
    #[error("the store is corrupt: {what}")]
    Corrupt { what: String },
    /// It is not the store this process has followed: restored from a backup, or failed over to a copy that
    /// lacks what was acknowledged. Nothing that is known here can be relied on.
    #[error("the store is not the one that was followed: {what}")]
    Forked { what: String },
}

impl StoreError {
    /// What the driver said, for the log.
    pub fn cause(&self) -> Option<String> {
        std::error::Error::source(self).map(ToString::to_string)
    }

    /// The same error once more, for another who waits: it can be told to many, its cause is logged once.
    pub fn to_all(&self) -> StoreError {
        match self {
            StoreError::Unavailable(cause) => StoreError::Unavailable(cause.to_string().into()),
            StoreError::Corrupt { what } => StoreError::corrupt(what),
            StoreError::Forked { what } => StoreError::Forked { what: what.clone() },
        }
    }

    fn corrupt(what: impl fmt::Display) -> StoreError {
        StoreError::Corrupt {
            what: what.to_string(),
        }
    }
}
