//! Looking for entries of the journal by what is known of them, a bounded number of rows a read.

use std::collections::HashSet;

use async_trait::async_trait;

use super::{READ_MAX, StoreError};
use crate::journal::{Entry, Kind, Revision};
use crate::token::id::{RequestDigest, Slug, TokenId};
use crate::token::text::{Actor, Subject};
use crate::token::time::Timestamp;

/// A read looks at so many entries for each that it may answer with, unless all it looks at are wanted.
pub const LOOKED_AT_MAX: u32 = 10;

/// So many tokens of one subject are looked up one by one; of more, the whole namespace is walked.
pub const TOKENS_ONE_BY_ONE_MAX: u32 = 100;

/// The journal, searched. What is read of it never changes, so what a search has passed it need not see again.
#[async_trait]
pub trait History {
    /// The next of the entries that are wanted, in order. They may be fewer than there is room for, even none, and
    /// not be the end. Pages neither repeat an entry nor skip one that was there when the search began.
    async fn search(&self, search: Search) -> Result<Found, StoreError>;

    /// The last entry before `before` that concerned the namespace itself, and none of its tokens or subjects.
    async fn namespace_entry_before(
        &self,
        namespace: Slug,
        before: Revision,
    ) -> Result<Option<Entry>, StoreError>;

    /// Those of these requests, at most [`READ_MAX`], that an entry was written for.
    async fn written(&self, requests: Vec<RequestDigest>) -> Result<HashSet<RequestDigest>, StoreError>;
}

/// What is known of the entries wanted; `None` says nothing of them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Wanted {
    pub namespace: Option<Slug>,
    pub token_id: Option<TokenId>,
    /// With a namespace: those of the subject as a whole, and those of its tokens.
    pub subject: Option<Subject>,
    pub actor: Option<Actor>,
    /// Any of them; none: all.
    pub kinds: Vec<Kind>,
    /// Not before it.
    pub from: Option<Timestamp>,
    /// Before it.
    pub before: Option<Timestamp>,
}

/// Which entries are wanted, and from where on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Search {
    pub wanted: Wanted,
    pub after: Place,
    /// At most [`READ_MAX`].
    pub limit: u32,
}

/// Where a search has come to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// The same for all where the order is that of revisions.
    pub time: i64,
    pub revision: Revision,
}

/// Some of the entries wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    pub entries: Vec<Entry>,
    /// The place up to which all was looked at; `None`: there is nothing after it.
    pub next: Option<Place>,
}

/// By which index a search goes. Only the way by time is not in the order of revisions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Path {
    Token,
    Subject,
    Actor,
    Time,
    Namespace,
    All,
}

impl Place {
    /// Before every entry.
    pub const START: Place = Place {
        time: i64::MIN,
        revision: Revision::ZERO,
    };
}

impl Wanted {
    /// Whether an entry is wanted, as far as it says itself; `of_subject`: whose token it concerns.
    pub fn matches(&self, entry: &Entry, of_subject: Option<&Subject>) -> bool {
        let change = &entry.change;
        let is = |wanted: Option<bool>| wanted.unwrap_or(true);
        is(self.namespace.as_ref().map(|slug| slug == change.namespace()))
            && is(self.token_id.map(|id| change.token_id() == Some(id)))
            && is(self
                .subject
                .as_ref()
                .map(|subject| change.subject().or(of_subject) == Some(subject)))
            && is(self.actor.as_ref().map(|actor| *actor == entry.actor))
            && (self.kinds.is_empty() || self.kinds.contains(&change.kind()))
            && is(self.from.map(|from| entry.time >= from))
            && is(self.before.map(|before| entry.time < before))
    }
}

impl Search {
    /// The entries as they lie at these revisions.
    pub(super) fn in_order(revisions: &[Revision], mut lying: Vec<(Revision, Entry)>) -> Vec<Entry> {
        lying.sort_by_key(|(at, _)| revisions.iter().position(|revision| revision == at));
        lying.into_iter().map(|(_, entry)| entry).collect()
    }

    pub(super) fn path(&self) -> Path {
        let Wanted {
            namespace,
            token_id,
            subject,
            actor,
            from,
            before,
            ..
        } = &self.wanted;
        match () {
            () if token_id.is_some() => Path::Token,
            () if subject.is_some() && namespace.is_some() => Path::Subject,
            () if actor.is_some() => Path::Actor,
            () if from.is_some() || before.is_some() => Path::Time,
            () if namespace.is_some() => Path::Namespace,
            () => Path::All,
        }
    }

    /// Whether some of what lies on its path may not be wanted.
    pub(super) fn is_filtered(&self) -> bool {
        let Wanted {
            namespace,
            token_id,
            subject,
            actor,
            kinds,
            from,
            before,
        } = &self.wanted;
        let said = [
            namespace.is_some(),
            token_id.is_some(),
            subject.is_some(),
            actor.is_some(),
            !kinds.is_empty(),
            from.is_some() || before.is_some(),
        ];
        let used = match self.path() {
            Path::All => 0,
            // Where there are many tokens it is the namespace that is walked.
            Path::Subject => return true,
            _ => 1,
        };
        said.into_iter().filter(|said| *said).count() > used
    }

    fn limit(&self) -> u32 {
        self.limit.min(READ_MAX)
    }

    /// So many entries are looked at, at most.
    pub(super) fn reads(&self) -> u32 {
        self.limit() * if self.is_filtered() { LOOKED_AT_MAX } else { 1 }
    }

    /// The instants between which the way by time goes: both included.
    pub(super) fn times(&self) -> (i64, i64) {
        let from = self.wanted.from.map_or(i64::MIN, Timestamp::micros);
        let before = self.wanted.before.map_or(i64::MAX, Timestamp::micros);
        (from, before.saturating_sub(1))
    }

    /// The revisions to answer with, and where to go on. `looked_at` is what comes next on the path: one more than
    /// [`Search::reads`] if there is more. `matching`: those of it that are wanted; `None`: all are.
    pub(super) fn found(
        &self,
        mut looked_at: Vec<Place>,
        matching: Option<&HashSet<Revision>>,
    ) -> (Vec<Revision>, Option<Place>) {
        let reads = self.reads() as usize;
        let mut next = if looked_at.len() > reads {
            looked_at.truncate(reads);
            looked_at.last().copied().or(Some(self.after))
        } else {
            None
        };
        looked_at.retain(|place| matching.is_none_or(|matching| matching.contains(&place.revision)));
        let limit = self.limit() as usize;
        if looked_at.len() > limit {
            looked_at.truncate(limit);
            next = looked_at.last().copied().or(Some(self.after));
        }
        (looked_at.into_iter().map(|place| place.revision).collect(), next)
    }
}
