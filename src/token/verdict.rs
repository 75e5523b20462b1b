//! The answer of Verify, from facts, an instant and what was asked.

use std::time::Duration;

use super::context::Context;
use super::id::Slug;
use super::network::Networks;
use super::scope::Scopes;
use super::secret::Digest;
use super::time::Timestamp;
use super::{State, Token};

/// No verdict may be cached by a caller for longer, however far away the token's end is.
pub const CACHE_TTL_MAX: Duration = Duration::from_secs(5);

/// What the caller of Verify needs the token for.
#[derive(Clone, Default, Debug)]
pub struct Need {
    /// The namespace the token must be of, if the caller insists on one.
    pub namespace: Option<Slug>,
    pub scopes: Scopes,
    /// The request that the token came with.
    pub context: Context,
    /// How much it takes from rate limits; zero judges by them and takes nothing. `None`: they are left alone.
    pub cost: Option<u32>,
}

/// An answer: the token is good for what was asked, or it is refused for a reason. That a token could
/// not be judged is neither; it is an error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    Accepted {
        secret_version: u32,
        /// How long a caller may rely on this answer.
        cache_ttl: Duration,
    },
    Refused(Refusal),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    Malformed,
    WrongNamespace,
    Unknown,
    Revoked,
    Expired,
    Suspended,
    SecretRetired,
    /// It may be used from some networks only, and this is none of them, or nobody said where it is used from.
    AddressNotAllowed,
    InsufficientScope {
        missing: Scopes,
        secret_version: u32,
    },
    /// It is good, and was used too often.
    RateLimited {
        secret_version: u32,
    },
}

/// Judges `token`, found by the digest of the presented secret.
pub fn judge(token: &Token, presented: &Digest, need: &Need, now: Timestamp) -> Verdict {
    // The index of digests and the token are two facts; a digest the token no longer remembers is unknown.
    let Some(secret) = token.secret_with(presented) else {
        return Verdict::Refused(Refusal::Unknown);
    };
    if need
        .namespace
        .as_ref()
        .is_some_and(|wanted| *wanted != token.namespace)
    {
        return Verdict::Refused(Refusal::WrongNamespace);
    }
    match token.state(now) {
        State::Revoked => return Verdict::Refused(Refusal::Revoked),
        State::Expired => return Verdict::Refused(Refusal::Expired),
        State::Suspended => return Verdict::Refused(Refusal::Suspended),
        State::Active => {}
    }
    if !secret.live(now) {
        return Verdict::Refused(Refusal::SecretRetired);
    }
    let is_allowed = |networks: &Networks| {
        need.context
            .address
            .is_some_and(|address| networks.contain(address))
    };
    if !token.networks.as_ref().is_none_or(is_allowed) {
        return Verdict::Refused(Refusal::AddressNotAllowed);
    }
    let missing = token.scopes.missing(&need.scopes);
    if !missing.is_empty() {
        return Verdict::Refused(Refusal::InsufficientScope {
            missing,
            secret_version: secret.version,
        });
    }
    let ends = [token.expire_time, secret.retire_time];
    let cache_ttl = ends
        .into_iter()
        .flatten()
        .map(|end| now.until(end))
        .fold(CACHE_TTL_MAX, Duration::min);
    Verdict::Accepted {
        secret_version: secret.version,
        cache_ttl,
    }
}

#[cfg(test)]
mod tests;
