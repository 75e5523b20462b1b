//! What may happen to a token, and the decisions that let it happen.
//!
//! A decision looks at facts and answers with a [`TokenChange`] or a refusal; it writes nothing. What a
//! change makes of a token is said once, in `journal::fold`.

use serde::{Deserialize, Serialize};

use super::id::TokenId;
use super::lifecycle::Notice;
use super::overlap::Overlap;
use super::policy::{Policy, RetiredUse};
use super::secret::{Digest, PepperId};
use super::text::Reason;
use super::time::Timestamp;
use super::update::Updated;
use super::{KeptSecret, State, Token, Withdrawal};

/// Something that happened to one token.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenChange {
    Issued(Box<Token>),
    /// It was issued elsewhere, and came with the digest of its secret.
    Imported(Box<Token>),
    /// A new current secret. One older one lives on beside it for a while, all others are refused at once.
    Rotated {
        secret: KeptSecret,
        /// When the one that lives on is refused; `None`: the `overlap` of the new one after its first use.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retire_time: Option<Timestamp>,
        /// Which one lives on, where it is not the one before: that one was never used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        beside: Option<u32>,
        /// Which other one was live and ends at once, where that is not the second one before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ends: Option<u32>,
        /// Whether the overlap is that of the namespace, for none was asked for.
        #[serde(default, skip_serializing_if = "is_false")]
        by_default: bool,
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
    /// Fields that were changed in place.
    Updated(Box<Updated>),
    /// The secret of this version, which came by a rotation, was accepted for the first time.
    FirstUsed {
        version: u32,
        time: Timestamp,
        /// The end that this gives the secret before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retires: Option<Retirement>,
    },
    /// The secret of this version was presented after its end.
    RetiredSecretUsed {
        version: u32,
        time: Timestamp,
        /// Why the token is suspended from now on, if it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        suspension: Option<Withdrawal>,
    },
    /// It has come to something by time alone. Nothing about it changes.
    Told(Notice),
}

/// The end of a secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Retirement {
    pub version: u32,
    pub retire_time: Timestamp,
}

/// A secret that was used, as it would be kept under the current pepper: only whoever has its text can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Redigest {
    pub token_id: TokenId,
    pub version: u32,
    pub digest: Digest,
    pub pepper: PepperId,
}

/// A use of a secret that its token may have to remember; whether it does is decided again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Used {
    pub token_id: TokenId,
    pub version: u32,
    pub time: Timestamp,
    pub of: Use,
}

/// Which use of a secret it was.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Use {
    /// The first since it came by a rotation.
    First,
    /// One after its end.
    AfterEnd,
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
    #[error("must be in the future: {expire_time} is not after {now}")]
    PastEnd { expire_time: Timestamp, now: Timestamp },
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

/// A token that can still be used may get a new secret; an older one lives on as `overlap` says. That is the one
/// before; but if that was never used, whoever rotates may never have had it, so it ends and the one before it lives
/// on. `used` is a version that is known to be in use though the record may not say so yet. `by_default`: nobody asked
/// for this overlap.
pub fn rotate(
    token: &Token,
    secret: KeptSecret,
    (overlap, by_default): (Overlap, bool),
    used: Option<u32>,
) -> Result<TokenChange, Refused> {
    let now = secret.create_time;
    match token.state(now) {
        State::Revoked => return Err(Refused::Revoked),
        State::Expired => return Err(Refused::Expired),
        State::Active | State::Suspended => {}
    }
    // Also where it begins later: it must not come to nothing then.
    let end = now
        .after(overlap.span().duration())
        .map_err(|_| Refused::BeyondTime)?;
    let (pending, retire_time) = match overlap {
        Overlap::None | Overlap::For(_) => (None, Some(end)),
        Overlap::FromFirstUse(span) => (Some(span), None),
    };
    // At most two are live: the current one, and this.
    let current = token.current_secret();
    let older = token.secrets.iter().rev().skip(1).find(|kept| kept.live(now));
    let older = older.map(|kept| kept.version);
    let is_unused = current.is_some_and(|current| current.is_unused() && used != Some(current.version));
    let beside = older.filter(|_| is_unused && overlap != Overlap::None);
    let ends = older.filter(|older| beside.is_none() && older + 2 != secret.version);
    Ok(TokenChange::Rotated {
        secret: KeptSecret {
            overlap: pending,
            ..secret
        },
        retire_time,
        beside,
        ends,
        by_default,
    })
}

/// The first use of a secret that came by a rotation; `None`: it is known, or nothing comes of it.
pub fn first_used(token: &Token, version: u32, time: Timestamp) -> Option<TokenChange> {
    if token.revocation.is_some() {
        return None;
    }
    let kept = token.secret_of_version(version).filter(|kept| kept.is_unused())?;
    // Clocks of servers differ.
    let time = time.max(kept.create_time);
    let is_current = token
        .current_secret()
        .is_some_and(|current| current.version == version);
    // One that was replaced meanwhile has nothing to end any more.
    let retires = kept.overlap.filter(|_| is_current).and_then(|overlap| {
        let end = time.after(overlap.duration()).unwrap_or(Timestamp::MAX);
        let outlives = |older: &&KeptSecret| older.version < version && older.live(end);
        token.secrets.iter().rev().find(outlives).map(|older| Retirement {
            version: older.version,
            retire_time: end,
        })
    });
    Some(TokenChange::FirstUsed {
        version,
        time,
        retires,
    })
}

/// The use of a secret after its end: told once for each secret, and only where the policy wants to hear of it;
/// `None`: nothing comes of it.
pub fn retired_secret_used(
    token: &Token,
    version: u32,
    time: Timestamp,
    policy: &Policy,
) -> Option<TokenChange> {
    let kept = token.secret_of_version(version)?;
    if !policy.hears_of(kept, time) || token.revocation.is_some() {
        return None;
    }
    let suspends = policy.retired_use == RetiredUse::Suspend && token.suspension.is_none();
    Some(TokenChange::RetiredSecretUsed {
        version,
        time,
        suspension: suspends.then(|| Withdrawal {
            time,
            reason: Reason::retired_secret_used(version),
        }),
    })
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests;
