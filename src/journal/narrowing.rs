//! What an entry takes away from a token: what everyone who holds facts about it must hear of.

use super::{Change, Entry};
use crate::token::change::{Retirement, TokenChange};
use crate::token::id::{Slug, TokenId};
use crate::token::time::Timestamp;
use crate::token::{KeptSecret, Withdrawal};

/// Something a token may no longer do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Narrowing {
    pub token_id: TokenId,
    pub namespace: Slug,
    pub loss: Loss,
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
}

/// What `entry` takes away; nothing, for most.
pub fn narrowings(entry: &Entry) -> impl Iterator<Item = Narrowing> {
    let losses = match &entry.change {
        Change::NamespaceCreated(_) | Change::NamespaceUpdated(_) => Vec::new(),
        Change::Token { change, .. } => match change {
            TokenChange::Updated(updated) if updated.narrows() => vec![Loss::Narrowed { time: entry.time }],
            TokenChange::Issued(_)
            | TokenChange::Imported(_)
            | TokenChange::Resumed
            | TokenChange::Redigested { .. }
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
    let token_id = entry.change.token_id();
    let namespace = entry.change.namespace().clone();
    losses.into_iter().filter_map(move |loss| {
        Some(Narrowing {
            token_id: token_id?,
            namespace: namespace.clone(),
            loss,
        })
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
