//! What an entry takes away from a token, or from all tokens of a subject or a namespace: what everyone who holds
//! facts about them must hear of.

use super::{Change, Entry};
use crate::token::Withdrawal;
use crate::token::change::TokenChange;
use crate::token::id::{Slug, TokenId};
use crate::token::standing::SubjectChange;
use crate::token::text::Subject;
use crate::token::time::Timestamp;

/// Something that tokens may no longer do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Narrowing {
    pub target: Target,
    pub namespace: Slug,
    pub loss: Loss,
}

/// Whose loss it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    Token(TokenId),
    /// Of all tokens of this subject, in the namespace.
    Subject(Subject),
    /// Of all tokens of the namespace.
    Namespace,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Loss {
    /// For ever.
    Revoked(Withdrawal),
    Suspended(Withdrawal),
    /// The secret of this version is refused from `retire_time` on, if not before.
    SecretRetired {
        version: u32,
        retire_time: Timestamp,
    },
    /// What was issued up to the instant, that included, is revoked. Of a subject or a namespace only.
    IssuedRevoked(Withdrawal),
}

/// What `entry` takes away; nothing, for most.
pub fn narrowings(entry: &Entry) -> impl Iterator<Item = Narrowing> {
    let losses = match &entry.change {
        Change::NamespaceCreated(_) | Change::NamespaceUpdated(_) => Vec::new(),
        Change::NamespaceIssuedRevoked(namespace) => {
            let not_before = namespace.not_before.clone();
            not_before.map(Loss::IssuedRevoked).into_iter().collect()
        }
        Change::Subject { change, .. } => match change {
            SubjectChange::PlanSet(_) | SubjectChange::Resumed => Vec::new(),
            SubjectChange::Suspended(withdrawal) => vec![Loss::Suspended(withdrawal.clone())],
            SubjectChange::IssuedRevoked(not_before) => vec![Loss::IssuedRevoked(not_before.clone())],
        },
        Change::Token { change, .. } => match change {
            TokenChange::Issued(_) | TokenChange::Resumed | TokenChange::Redigested { .. } => Vec::new(),
            TokenChange::Revoked(withdrawal) => vec![Loss::Revoked(withdrawal.clone())],
            TokenChange::Suspended(withdrawal) => vec![Loss::Suspended(withdrawal.clone())],
            TokenChange::Rotated { secret, retire_time } => {
                // The one before lives on to the end of the overlap; the one before that, if its own
                // overlap had not ended, ends now.
                let older = secret.version.checked_sub(2).filter(|version| *version > 0);
                let older = older.map(|version| Loss::SecretRetired {
                    version,
                    retire_time: secret.create_time,
                });
                let before = Loss::SecretRetired {
                    version: secret.version - 1,
                    retire_time: *retire_time,
                };
                older.into_iter().chain([before]).collect()
            }
        },
    };
    let target = match (entry.change.token_id(), entry.change.subject()) {
        (Some(id), _) => Target::Token(id),
        (None, Some(subject)) => Target::Subject(subject.clone()),
        (None, None) => Target::Namespace,
    };
    let namespace = entry.change.namespace().clone();
    losses.into_iter().map(move |loss| Narrowing {
        target: target.clone(),
        namespace: namespace.clone(),
        loss,
    })
}
