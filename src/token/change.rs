//! What may happen to a token, and the decisions that let it happen.
//!
//! A decision looks at facts and answers with a [`TokenChange`] or a refusal; it writes nothing. What a
//! change makes of a token is said once, in `journal::fold`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::id::TokenId;
use super::secret::{Digest, PepperId};
use super::time::Timestamp;
use super::{KeptSecret, State, Token, Withdrawal};

/// Something that happened to one token.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenChange {
    Issued(Box<Token>),
    /// It was issued elsewhere, and came with the digest of its secret.
    Imported(Box<Token>),
    /// A new current secret; the one before it is refused from `retire_time` on, all older ones at once.
    Rotated {
        secret: KeptSecret,
        retire_time: Timestamp,
    },
    /// For ever.
    Revoked(Withdrawal),
    Suspended(Withdrawal),
    Resumed,
    /// The secret of this version is kept as another digest, made with another pepper: to be looked up by, where it had
    /// to be tried before. It is the same secret.
    Redigested {
        version: u32,
        digest: Digest,
        pepper: PepperId,
    },
}

/// A secret that was used, as it would be kept under the current pepper: only whoever has its text can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Redigest {
    pub token_id: TokenId,
    pub version: u32,
    pub digest: Digest,
    pub pepper: PepperId,
}

/// Why a change may not happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    #[error("the token is revoked, and revoked is for ever")]
    Revoked,
    #[error("the token has expired")]
    Expired,
    #[error("the token would be expired from the start: {expire_time} is not after {now}")]
    BornExpired { expire_time: Timestamp, now: Timestamp },
    #[error("the instant lies beyond the year 9999")]
    BeyondTime,
}

/// A token may be issued if it can be used at all.
pub fn issue(token: Token) -> Result<TokenChange, Refused> {
    match token.expire_time {
        Some(expire_time) if expire_time <= token.create_time => Err(Refused::BornExpired {
            expire_time,
            now: token.create_time,
        }),
        _ => Ok(TokenChange::Issued(Box::new(token))),
    }
}

/// Any token may be revoked, once; `None`: it already is, and its first revocation stands.
pub fn revoke(token: &Token, withdrawal: Withdrawal) -> Option<TokenChange> {
    match token.revocation {
        Some(_) => None,
        None => Some(TokenChange::Revoked(withdrawal)),
    }
}

/// A token that can still be used may get a new secret; the one before it lives on for `overlap`.
pub fn rotate(token: &Token, secret: KeptSecret, overlap: Duration) -> Result<TokenChange, Refused> {
    let now = secret.create_time;
    match token.state(now) {
        State::Revoked => Err(Refused::Revoked),
        State::Expired => Err(Refused::Expired),
        State::Active | State::Suspended => {
            let retire_time = now.after(overlap).map_err(|_| Refused::BeyondTime)?;
            Ok(TokenChange::Rotated { secret, retire_time })
        }
    }
}

/// `None`: it is suspended already, and the first suspension stands.
pub fn suspend(token: &Token, withdrawal: Withdrawal) -> Result<Option<TokenChange>, Refused> {
    match (&token.revocation, &token.suspension) {
        (Some(_), _) => Err(Refused::Revoked),
        (None, Some(_)) => Ok(None),
        (None, None) => Ok(Some(TokenChange::Suspended(withdrawal))),
    }
}

/// A secret that can still be used, or will be when its token is resumed, may be kept under a later pepper, and one that
/// had to be tried under any; `None`: it is, or it cannot be used any more.
pub fn redigest(token: &Token, asked: &Redigest, now: Timestamp) -> Option<TokenChange> {
    let &Redigest {
        token_id: _,
        version,
        digest,
        pepper,
    } = asked;
    let kept = token.secrets.iter().find(|kept| kept.version == version)?;
    let usable = matches!(token.state(now), State::Active | State::Suspended) && kept.live(now);
    (usable && kept.pepper < pepper).then_some(TokenChange::Redigested {
        version,
        digest,
        pepper,
    })
}

/// `None`: it is not suspended.
pub fn resume(token: &Token) -> Result<Option<TokenChange>, Refused> {
    match (&token.revocation, &token.suspension) {
        (Some(_), _) => Err(Refused::Revoked),
        (None, None) => Ok(None),
        (None, Some(_)) => Ok(Some(TokenChange::Resumed)),
    }
}

#[cfg(test)]
mod tests;
