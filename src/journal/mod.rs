//! Every change, in commit order, linked by hashes: what happened, and in which order.

pub mod audit;
pub mod changes;
pub mod checkpoint;
pub mod cursor;
pub mod event;
pub mod fold;
mod kind;
pub mod link;
pub mod narrowing;
mod room;
pub mod tree;
#[cfg(test)]
pub(crate) mod samples;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::token::Token;
use crate::token::answer::SealedAnswer;
use crate::token::change::TokenChange;
use crate::token::id::{RequestDigest, Slug, TokenId};
use crate::token::namespace::Namespace;
use crate::token::standing::{Standing, SubjectChange};
use crate::token::text::{Actor, Subject};
use crate::token::time::Timestamp;
use crate::token::webhook::signing::SealedSigning;
use crate::token::webhook::{Endpoint, EndpointId, WebhookChange};
use fold::Misfit;
pub use kind::Kind;
use link::Link;
pub use room::Room;

/// The place of an entry in the journal: dense, starting at 1, in commit order. Zero is "before the first".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(u64);

/// A change about to be written, with what it was decided on and what it makes of its record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draft {
    pub request_id: RequestDigest,
    pub time: Timestamp,
    pub actor: Actor,
    guard: Revision,
    change: Change,
    after: Record,
    answer: Option<SealedAnswer>,
    room: Option<Room>,
    signing: Option<SealedSigning>,
}

/// Who asks for a change, when, and under which idempotency key, of which only a digest is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    pub request_id: RequestDigest,
    pub time: Timestamp,
    pub actor: Actor,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    NamespaceCreated(Namespace),
    NamespaceUpdated(Namespace),
    Token {
        token_id: TokenId,
        namespace: Slug,
        change: TokenChange,
    },
    /// What concerns all tokens of a subject, without a change to any of their records.
    Subject {
        namespace: Slug,
        subject: Subject,
        change: SubjectChange,
    },
    /// All that was issued in the namespace, up to its new not-before, is revoked.
    NamespaceIssuedRevoked(Namespace),
    /// Where the events of a namespace are sent has changed.
    Webhook(WebhookChange),
}

/// The record a change leaves behind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    Token(Token),
    Namespace(Namespace),
    Standing(Standing),
    Endpoint(Endpoint),
}

/// A record with the revision of the last entry that concerned it: what a decision is guarded by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored<T> {
    pub record: T,
    pub version: Revision,
}

/// A change that was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub revision: Revision,
    pub time: Timestamp,
    pub actor: Actor,
    pub request_id: RequestDigest,
    pub change: Change,
    /// The canonical bytes: hashed exactly as stored, and read again from them.
    pub body: Vec<u8>,
    pub link: Link,
}

/// The canonical form of an entry: JSON with these fields in this order, without spaces.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryBody<D> {
    revision: Revision,
    time: Timestamp,
    actor: Actor,
    request_id: RequestDigest,
    change: D,
}

impl Revision {
    pub const ZERO: Revision = Revision(0);

    pub const fn new(revision: u64) -> Revision {
        Revision(revision)
    }

    pub const fn get(self) -> u64 {
        self.0
    }

    pub const fn next(self) -> Revision {
        Revision(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Change {
    pub fn kind(&self) -> Kind {
        match self {
            Change::NamespaceCreated(_) => Kind::NamespaceCreated,
            Change::NamespaceUpdated(_) => Kind::NamespaceUpdated,
            Change::Token { change, .. } => match change {
                TokenChange::Issued(_) => Kind::TokenIssued,
                TokenChange::Rotated { .. } => Kind::TokenRotated,
                TokenChange::Revoked(_) => Kind::TokenRevoked,
                TokenChange::Suspended(_) => Kind::TokenSuspended,
                TokenChange::Resumed => Kind::TokenResumed,
                TokenChange::Redigested { .. } => Kind::TokenRedigested,
                TokenChange::Imported(_) => Kind::TokenImported,
                TokenChange::Updated(_) => Kind::TokenUpdated,
                TokenChange::FirstUsed { .. } => Kind::TokenFirstUsed,
                TokenChange::RetiredSecretUsed { .. } => Kind::TokenRetiredSecretUsed,
                TokenChange::Told(notice) => Kind::of_notice(notice),
            },
            Change::Subject { change, .. } => match change {
                SubjectChange::PlanSet(_) => Kind::SubjectPlanSet,
                SubjectChange::Suspended(_) => Kind::SubjectSuspended,
                SubjectChange::Resumed => Kind::SubjectResumed,
                SubjectChange::IssuedRevoked(_) => Kind::SubjectIssuedRevoked,
                SubjectChange::RateLimitSet(_) => Kind::SubjectRateLimitSet,
            },
            Change::NamespaceIssuedRevoked(_) => Kind::NamespaceIssuedRevoked,
            Change::Webhook(change) => match change {
                WebhookChange::Created(_) => Kind::WebhookCreated,
                WebhookChange::Updated(_) => Kind::WebhookUpdated,
                WebhookChange::SecretRotated(_) => Kind::WebhookSecretRotated,
                WebhookChange::Paused(_) => Kind::WebhookPaused,
                WebhookChange::Deleted(_) => Kind::WebhookDeleted,
            },
        }
    }

    pub fn namespace(&self) -> &Slug {
        match self {
            Change::NamespaceCreated(namespace)
            | Change::NamespaceUpdated(namespace)
            | Change::NamespaceIssuedRevoked(namespace) => &namespace.slug,
            Change::Token { namespace, .. } | Change::Subject { namespace, .. } => namespace,
            Change::Webhook(change) => &change.endpoint().namespace,
        }
    }

    /// The subject that it concerns as a whole.
    pub fn subject(&self) -> Option<&Subject> {
        match self {
            Change::Subject { subject, .. } => Some(subject),
            _ => None,
        }
    }

    /// The endpoint that it concerns.
    pub fn endpoint_id(&self) -> Option<EndpointId> {
        match self {
            Change::Webhook(change) => Some(change.endpoint().id),
            _ => None,
        }
    }

    pub fn token_id(&self) -> Option<TokenId> {
        match self {
            Change::Token { token_id, .. } => Some(*token_id),
            _ => None,
        }
    }
}

impl Draft {
    /// A change to a token, decided on `before`; `None`: the token must not exist yet.
    pub fn of_token(
        origin: Origin,
        before: Option<&Stored<Token>>,
        change: TokenChange,
    ) -> Result<Draft, Misfit> {
        let after = fold::token(before.map(|stored| &stored.record), &change)?;
        let guard = before.map_or(Revision::ZERO, |stored| stored.version);
        let change = Change::Token {
            token_id: after.id,
            namespace: after.namespace.clone(),
            change,
        };
        Ok(Draft::new(origin, guard, change, Record::Token(after)))
    }

    /// A new namespace. Namespaces must not overlap, so each change to one is decided on, and guarded
    /// by, them all: `newest` is the revision of the last change to any namespace.
    pub fn of_new_namespace(origin: Origin, newest: Revision, namespace: Namespace) -> Draft {
        let after = Record::Namespace(namespace.clone());
        Draft::new(origin, newest, Change::NamespaceCreated(namespace), after)
    }

    /// A namespace that has changed; `newest` as above.
    pub fn of_namespace(origin: Origin, newest: Revision, namespace: Namespace) -> Draft {
        let after = Record::Namespace(namespace.clone());
        Draft::new(origin, newest, Change::NamespaceUpdated(namespace), after)
    }

    /// A namespace all of whose tokens are revoked, up to the not-before that it has now; `newest` as above.
    pub fn of_revoked_namespace(origin: Origin, newest: Revision, namespace: Namespace) -> Draft {
        let after = Record::Namespace(namespace.clone());
        Draft::new(origin, newest, Change::NamespaceIssuedRevoked(namespace), after)
    }

    /// A change to a subject, decided on `before`; `None`: nothing was said of it before.
    pub fn of_subject(
        origin: Origin,
        before: Option<&Stored<Standing>>,
        (namespace, subject): (Slug, Subject),
        change: SubjectChange,
    ) -> Result<Draft, Misfit> {
        let record = before.map(|stored| &stored.record);
        let after = fold::standing(record, (&namespace, &subject), &change, origin.time)?;
        let guard = before.map_or(Revision::ZERO, |stored| stored.version);
        let change = Change::Subject {
            namespace,
            subject,
            change,
        };
        Ok(Draft::new(origin, guard, change, Record::Standing(after)))
    }

    /// A change to an endpoint, decided on its `version`; zero: it must not exist yet, and there must be room for it
    /// among those of its namespace.
    pub fn of_webhook(origin: Origin, version: Revision, change: WebhookChange) -> Draft {
        let after = Record::Endpoint(change.endpoint().clone());
        Draft::new(origin, version, Change::Webhook(change), after)
    }

    fn new(origin: Origin, guard: Revision, change: Change, after: Record) -> Draft {
        let Origin {
            request_id,
            time,
            actor,
        } = origin;
        Draft {
            request_id,
            time,
            actor,
            guard,
            change,
            after,
            answer: None,
            room: None,
            signing: None,
        }
    }

    /// The same change, to be written only if there is room for it.
    pub fn with_room(self, room: Room) -> Draft {
        Draft {
            room: Some(room),
            ..self
        }
    }

    /// The same change, with what a retry is to be answered with.
    pub fn with_answer(self, answer: SealedAnswer) -> Draft {
        Draft {
            answer: Some(answer),
            ..self
        }
    }

    /// The same change, with the signing secret that it gives an endpoint.
    pub fn with_signing(self, signing: SealedSigning) -> Draft {
        Draft {
            signing: Some(signing),
            ..self
        }
    }

    /// The version the decision was made on: the record must still have it when the draft is written.
    pub fn guard(&self) -> Revision {
        self.guard
    }

    pub fn change(&self) -> &Change {
        &self.change
    }

    pub fn after(&self) -> &Record {
        &self.after
    }

    pub fn answer(&self) -> Option<&SealedAnswer> {
        self.answer.as_ref()
    }

    pub fn room(&self) -> Option<&Room> {
        self.room.as_ref()
    }

    pub fn signing(&self) -> Option<&SealedSigning> {
        self.signing.as_ref()
    }
}

/// Bytes that are not the body of an entry.
#[derive(Debug, thiserror::Error)]
#[error("not the body of a journal entry: {0}")]
pub struct NotEntry(#[from] serde_json::Error);

impl Entry {
    /// The entry `draft` becomes at `revision`, after an entry whose link is `previous`.
    pub fn seal(draft: &Draft, revision: Revision, previous: &Link) -> Result<Entry, NotEntry> {
        let body = EntryBody {
            revision,
            time: draft.time,
            actor: draft.actor.clone(),
            request_id: draft.request_id,
            change: &draft.change,
        };
        let body = serde_json::to_vec(&body)?;
        let link = previous.then(&body);
        Ok(Entry {
            revision,
            time: draft.time,
            actor: draft.actor.clone(),
            request_id: draft.request_id,
            change: draft.change.clone(),
            body,
            link,
        })
    }

    /// The entry kept as `body` and `link`. Whether the link follows from the entry before is for
    /// [`Link::then`] to say.
    pub fn open(body: Vec<u8>, link: Link) -> Result<Entry, NotEntry> {
        let EntryBody {
            revision,
            time,
            actor,
            request_id,
            change,
        } = serde_json::from_slice(&body)?;
        Ok(Entry {
            revision,
            time,
            actor,
            request_id,
            change,
            body,
            link,
        })
    }
}

#[cfg(test)]
mod tests;
