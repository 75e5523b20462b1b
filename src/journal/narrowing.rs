//! What an entry takes away from a token, or from all tokens of a subject or a namespace: what everyone who holds
//! facts about them must hear of.

use super::{Change, Entry};
use crate::token::change::{Retirement, TokenChange};
use crate::token::id::{Slug, TokenId};
use crate::token::standing::SubjectChange;
use crate::token::text::Subject;
use crate::token::time::Timestamp;
use crate::token::{KeptSecret, Withdrawal};

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
    /// It was changed, and may do less, or less often, than before.
    Narrowed {
        time: Timestamp,
    },
    /// What was issued up to the instant, that included, is revoked. Of a subject or a namespace only.
    IssuedRevoked(Withdrawal),
}

/// What `entry` takes away; nothing, for most.
pub fn narrowings(entry: &Entry) -> impl Iterator<Item = Narrowing> {
    let losses = match &entry.change {
        Change::NamespaceCreated(_) | Change::NamespaceUpdated(_) | Change::Webhook(_) => Vec::new(),
        Change::NamespaceIssuedRevoked(namespace) => {
            let not_before = namespace.not_before.clone();
            not_before.map(Loss::IssuedRevoked).into_iter().collect()
        }
        Change::Subject { change, .. } => match change {
            // Who keeps answers keeps them for seconds, and where a limit applies not at all.
            SubjectChange::PlanSet(_) | SubjectChange::Resumed | SubjectChange::RateLimitSet(_) => Vec::new(),
            SubjectChange::Suspended(withdrawal) => vec![Loss::Suspended(withdrawal.clone())],
            SubjectChange::IssuedRevoked(not_before) => vec![Loss::IssuedRevoked(not_before.clone())],
        },
        Change::Token { change, .. } => match change {
            TokenChange::Updated(updated) if updated.narrows() => vec![Loss::Narrowed { time: entry.time }],
            TokenChange::Issued(_)
            | TokenChange::Imported(_)
            | TokenChange::Resumed
            | TokenChange::Redigested { .. }
            | TokenChange::Told(_)
            | TokenChange::Updated(_) => Vec::new(),
            TokenChange::FirstUsed { retires, .. } => retires.iter().map(retired).collect(),
            TokenChange::RetiredSecretUsed { suspension, .. } => {
                suspension.iter().cloned().map(Loss::Suspended).collect()
            }
            TokenChange::Revoked(withdrawal) => vec![Loss::Revoked(withdrawal.clone())],
            TokenChange::Suspended(withdrawal) => vec![Loss::Suspended(withdrawal.clone())],
            TokenChange::Rotated {
                secret,
                retire_time,
                beside,
                ends,
                by_default: _,
            } => rotated(secret, *retire_time, *beside, *ends),
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

fn retired(end: &Retirement) -> Loss {
    Loss::SecretRetired {
        version: end.version,
        retire_time: end.retire_time,
    }
}

/// One secret lives on beside the new one, to its end if it was given one; the other live one, if there was another, ends.
fn rotated(
    secret: &KeptSecret,
    retire_time: Option<Timestamp>,
    beside: Option<u32>,
    ends: Option<u32>,
) -> Vec<Loss> {
    let before = secret.version - 1;
    let other = match beside {
        Some(_) => before,
        None => ends.unwrap_or(before.saturating_sub(1)),
    };
    let ended = [
        (other, Some(secret.create_time)),
        (beside.unwrap_or(before), retire_time),
    ];
    let ended = ended.into_iter().filter(|(version, _)| *version > 0);
    let ended = ended.filter_map(|(version, end)| {
        Some(Retirement {
            version,
            retire_time: end?,
        })
    });
    ended.map(|end| retired(&end)).collect()
}
