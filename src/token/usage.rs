//! What a token was used for: how often, when last, by whom. It is evidence, and decides no verdict.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::Token;
use super::caller::Caller;
use super::context::{Context, UserAgent};
use super::id::TokenId;
use super::text::Actor;
use super::time::Timestamp;
use super::verdict::{Refusal, Verdict};

/// What a verdict came to, without its details.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Accepted,
    Malformed,
    Unknown,
    Expired,
    Revoked,
    Suspended,
    InsufficientScope,
    WrongNamespace,
    SecretRetired,
    AddressNotAllowed,
    RateLimited,
}

/// One verdict on a token that is known, and the request it was asked for.
#[derive(Clone, Debug)]
pub struct Use {
    pub token_id: TokenId,
    /// Which of its secrets was presented.
    pub secret_version: u32,
    pub outcome: Outcome,
    pub time: Timestamp,
    /// Who asked; `None`: the token was presented to this service itself.
    pub caller: Option<Arc<Caller>>,
    pub context: Context,
}

/// What is known of the uses of a token; or of some of them, to be added to what is known of others.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// How often it came to this.
    pub counts: BTreeMap<Outcome, u64>,
    /// When it was first accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_use_time: Option<Timestamp>,
    /// When it was last accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_use: Option<Seen>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_refusal: Option<Seen>,
    /// When each of its secrets was last accepted, by version: the newest [`Token::SECRETS_KEPT_MAX`] that ever were.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<u32, Timestamp>,
}

/// One use as it is kept.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Seen {
    // First, for what is later is greater.
    pub time: Timestamp,
    pub outcome: Outcome,
    pub secret_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<Actor>,
    /// The network that the client's address is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_prefix: Option<IpNet>,
    #[serde(default, skip_serializing_if = "UserAgent::is_empty")]
    pub user_agent: UserAgent,
}

impl Outcome {
    pub const ALL: [Outcome; 11] = [
        Outcome::Accepted,
        Outcome::Malformed,
        Outcome::Unknown,
        Outcome::Expired,
        Outcome::Revoked,
        Outcome::Suspended,
        Outcome::InsufficientScope,
        Outcome::WrongNamespace,
        Outcome::SecretRetired,
        Outcome::AddressNotAllowed,
        Outcome::RateLimited,
    ];

    /// Its name in lower case, as metrics have it.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Accepted => "accepted",
            Outcome::Malformed => "malformed",
            Outcome::Unknown => "unknown",
            Outcome::Expired => "expired",
            Outcome::Revoked => "revoked",
            Outcome::Suspended => "suspended",
            Outcome::InsufficientScope => "insufficient_scope",
            Outcome::WrongNamespace => "wrong_namespace",
            Outcome::SecretRetired => "secret_retired",
            Outcome::AddressNotAllowed => "address_not_allowed",
            Outcome::RateLimited => "rate_limited",
        }
    }

    pub fn of(verdict: &Verdict) -> Outcome {
        match verdict {
            Verdict::Accepted { .. } => Outcome::Accepted,
            Verdict::Refused(refusal) => match refusal {
                Refusal::Malformed => Outcome::Malformed,
                Refusal::Unknown => Outcome::Unknown,
                Refusal::Expired => Outcome::Expired,
                Refusal::Revoked => Outcome::Revoked,
                Refusal::Suspended => Outcome::Suspended,
                Refusal::InsufficientScope { .. } => Outcome::InsufficientScope,
                Refusal::WrongNamespace => Outcome::WrongNamespace,
                Refusal::SecretRetired => Outcome::SecretRetired,
                Refusal::AddressNotAllowed => Outcome::AddressNotAllowed,
                Refusal::RateLimited { .. } => Outcome::RateLimited,
            },
        }
    }
}

impl Usage {
    /// How often it was accepted.
    pub fn use_count(&self) -> u64 {
        self.counts.get(&Outcome::Accepted).copied().unwrap_or_default()
    }

    pub fn last_use_time(&self) -> Option<Timestamp> {
        self.last_use.as_ref().map(|last| last.time)
    }

    /// Adds the uses of `other`, which are others than these. In whatever order some are added to others, the same
    /// comes of it.
    pub fn add(&mut self, other: Usage) {
        for (outcome, count) in other.counts {
            let sum = self.counts.entry(outcome).or_default();
            *sum = sum.saturating_add(count);
        }
        let first = [self.first_use_time, other.first_use_time];
        self.first_use_time = first.into_iter().flatten().min();
        self.last_use = self.last_use.take().max(other.last_use);
        self.last_refusal = self.last_refusal.take().max(other.last_refusal);
        for (version, time) in other.secrets {
            let last = self.secrets.entry(version).or_insert(time);
            *last = time.max(*last);
        }
        while self.secrets.len() > Token::SECRETS_KEPT_MAX {
            self.secrets.pop_first();
        }
    }

    /// Forgets from where it was used, and with what; whether there was anything to forget.
    pub fn erase(&mut self) -> bool {
        let mut erased = false;
        for seen in [&mut self.last_use, &mut self.last_refusal].into_iter().flatten() {
            erased |= seen.address_prefix.is_some() || !seen.user_agent.is_empty();
            seen.address_prefix = None;
            seen.user_agent = UserAgent::default();
        }
        erased
    }
}

#[cfg(test)]
mod tests;
