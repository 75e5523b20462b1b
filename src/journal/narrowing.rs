//! What an entry takes away from a token: what everyone who holds facts about it must hear of.

use super::{Change, Entry};
use crate::token::Withdrawal;
use crate::token::change::TokenChange;
use crate::token::id::{Slug, TokenId};
use crate::token::time::Timestamp;

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
}

/// What `entry` takes away; nothing, for most.
pub fn narrowings(entry: &Entry) -> impl Iterator<Item = Narrowing> {
    let losses = match &entry.change {
        Change::NamespaceCreated(_) | Change::NamespaceUpdated(_) => Vec::new(),
        Change::Token { change, .. } => match change {
            TokenChange::Issued(_)
            | TokenChange::Imported(_)
            | TokenChange::Resumed
            | TokenChange::Redigested { .. } => Vec::new(),
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
