//! What an entry tells those who receive the events of a namespace: the one place that says which change is which event.

use super::{Change, Entry};
use crate::token::change::TokenChange;
use crate::token::lifecycle::Notice;
use crate::token::standing::SubjectChange;
use crate::token::text::Reason;
use crate::token::webhook::event::EventKind;

/// An entry that endpoints are told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event<'e> {
    pub kind: EventKind,
    /// In the words of whoever made the change, where it takes some.
    pub reason: Option<&'e Reason>,
}

/// The event that `entry` is; `None`: it is none of the receivers' business, or nothing changes for them.
pub fn event(entry: &Entry) -> Option<Event<'_>> {
    let of = |kind| Some(Event { kind, reason: None });
    let because = |kind, reason| {
        let reason = Some(reason);
        Some(Event { kind, reason })
    };
    match &entry.change {
        Change::NamespaceCreated(_) | Change::NamespaceUpdated(_) | Change::Webhook(_) => None,
        Change::NamespaceIssuedRevoked(namespace) => Some(Event {
            kind: EventKind::NamespaceIssuedRevoked,
            reason: namespace.not_before.as_ref().map(|not_before| &not_before.reason),
        }),
        Change::Subject { change, .. } => match change {
            SubjectChange::PlanSet(_) | SubjectChange::RateLimitSet(_) => None,
            SubjectChange::Suspended(withdrawal) => because(EventKind::SubjectSuspended, &withdrawal.reason),
            SubjectChange::Resumed => of(EventKind::SubjectResumed),
            SubjectChange::IssuedRevoked(not_before) => {
                because(EventKind::SubjectIssuedRevoked, &not_before.reason)
            }
        },
        Change::Token { change, .. } => match change {
            TokenChange::Issued(_) => of(EventKind::TokenIssued),
            TokenChange::Imported(_) => of(EventKind::TokenImported),
            TokenChange::Updated(_) => of(EventKind::TokenUpdated),
            TokenChange::Rotated { .. } => of(EventKind::TokenRotated),
            TokenChange::Revoked(withdrawal) => because(EventKind::TokenRevoked, &withdrawal.reason),
            TokenChange::Suspended(withdrawal) => because(EventKind::TokenSuspended, &withdrawal.reason),
            TokenChange::Resumed => of(EventKind::TokenResumed),
            TokenChange::RetiredSecretUsed { suspension, .. } => Some(Event {
                kind: EventKind::TokenSecretReused,
                reason: suspension.as_ref().map(|suspension| &suspension.reason),
            }),
            TokenChange::Told(notice) => of(match notice {
                Notice::Expiring { .. } => EventKind::TokenExpiring,
                Notice::RotationDue { .. } => EventKind::TokenRotationDue,
                Notice::Unused { .. } => EventKind::TokenUnused,
            }),
            // Neither changes what its holder may do.
            TokenChange::Redigested { .. } | TokenChange::FirstUsed { .. } => None,
        },
    }
}
