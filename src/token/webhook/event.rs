//! What endpoints are told of.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A kind of event. Later versions add some.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum EventKind {
    TokenIssued,
    TokenImported,
    TokenUpdated,
    TokenRotated,
    TokenRevoked,
    TokenSuspended,
    TokenResumed,
    /// It will expire before long.
    TokenExpiring,
    /// Its secret is as old as its namespace wants it to become.
    TokenRotationDue,
    /// Nobody has used it for as long as its namespace says.
    TokenUnused,
    /// A secret of it was used after its end.
    TokenSecretReused,
    SubjectSuspended,
    SubjectResumed,
    /// All that was issued to a subject is revoked.
    SubjectIssuedRevoked,
    /// All that was issued in the namespace is revoked.
    NamespaceIssuedRevoked,
    /// Asked for by a person, to see whether it arrives. Sent whatever an endpoint wants.
    WebhookTest,
    /// Entries were trimmed from the journal before they were delivered. Sent whatever an endpoint wants.
    WebhookMissed,
}

/// A text that names no kind of event.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be a kind of event, such as token.revoked")]
pub struct NotEventKind;

impl EventKind {
    pub const ALL: [EventKind; 17] = [
        EventKind::TokenIssued,
        EventKind::TokenImported,
        EventKind::TokenUpdated,
        EventKind::TokenRotated,
        EventKind::TokenRevoked,
        EventKind::TokenSuspended,
        EventKind::TokenResumed,
        EventKind::TokenExpiring,
        EventKind::TokenRotationDue,
        EventKind::TokenUnused,
        EventKind::TokenSecretReused,
        EventKind::SubjectSuspended,
        EventKind::SubjectResumed,
        EventKind::SubjectIssuedRevoked,
        EventKind::NamespaceIssuedRevoked,
        EventKind::WebhookTest,
        EventKind::WebhookMissed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::TokenIssued => "token.issued",
            EventKind::TokenImported => "token.imported",
            EventKind::TokenUpdated => "token.updated",
            EventKind::TokenRotated => "token.rotated",
            EventKind::TokenRevoked => "token.revoked",
            EventKind::TokenSuspended => "token.suspended",
            EventKind::TokenResumed => "token.resumed",
            EventKind::TokenExpiring => "token.expiring",
            EventKind::TokenRotationDue => "token.rotation_due",
            EventKind::TokenUnused => "token.unused",
            EventKind::TokenSecretReused => "token.secret_reused",
            EventKind::SubjectSuspended => "subject.suspended",
            EventKind::SubjectResumed => "subject.resumed",
            EventKind::SubjectIssuedRevoked => "subject.issued_revoked",
            EventKind::NamespaceIssuedRevoked => "namespace.issued_revoked",
            EventKind::WebhookTest => "webhook.test",
            EventKind::WebhookMissed => "webhook.missed",
        }
    }

    /// Whether an endpoint can want it, or not: what is about the endpoint itself it always gets.
    pub fn is_wanted_by_name(self) -> bool {
        !matches!(self, EventKind::WebhookTest | EventKind::WebhookMissed)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventKind {
    type Err = NotEventKind;

    fn from_str(text: &str) -> Result<EventKind, NotEventKind> {
        let mut all = EventKind::ALL.into_iter();
        all.find(|kind| kind.as_str() == text).ok_or(NotEventKind)
    }
}

impl TryFrom<String> for EventKind {
    type Error = NotEventKind;

    fn try_from(text: String) -> Result<EventKind, NotEventKind> {
        text.parse()
    }
}

impl From<EventKind> for String {
    fn from(kind: EventKind) -> String {
        kind.as_str().to_owned()
    }
}

/// The kinds of events that an endpoint wants; none named: all.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Events(BTreeSet<EventKind>);

impl Events {
    pub fn of(kinds: impl IntoIterator<Item = EventKind>) -> Events {
        Events(kinds.into_iter().collect())
    }

    pub fn are_all(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contain(&self, kind: EventKind) -> bool {
        self.are_all() || !kind.is_wanted_by_name() || self.0.contains(&kind)
    }

    pub fn iter(&self) -> impl Iterator<Item = EventKind> {
        self.0.iter().copied()
    }
}
