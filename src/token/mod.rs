//! Facts about tokens and decisions over them: pure, without I/O, clock or chance.

pub mod access;
pub mod answer;
pub mod breach;
pub mod caller;
pub mod change;
pub mod context;
pub mod format;
pub mod from_to;
pub mod id;
pub mod import;
pub mod issuing;
pub mod lifecycle;
pub mod namespace;
pub mod network;
pub mod opaque;
pub mod order;
pub mod overlap;
pub mod permission;
pub mod phc;
pub mod policy;
#[cfg(test)]
pub(crate) mod samples;
pub mod scope;
pub mod secret;
pub mod selector;
pub mod standing;
pub mod text;
pub mod time;
pub mod update;
pub mod usage;
pub mod verdict;
pub mod webhook;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use format::Hint;
use id::{Slug, TokenId};
use network::Networks;
use phc::Phc;
use policy::RateLimit;
use scope::{Labels, Scopes};
use secret::{Digest, PepperId};
use text::{Name, Reason, Subject};
use time::{Span, Timestamp};

/// A token: what was issued to a subject, without its secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Token {
    pub id: TokenId,
    pub namespace: Slug,
    pub name: Name,
    pub subject: Subject,
    pub scopes: Scopes,
    pub labels: Labels,
    pub create_time: Timestamp,
    /// From this instant on, exactly, the token is refused; `None`: never.
    pub expire_time: Option<Timestamp>,
    /// Where it may be used from; `None`: anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub networks: Option<Networks>,
    /// How often it may be used; `None`: as its namespace says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    pub suspension: Option<Withdrawal>,
    pub revocation: Option<Withdrawal>,
    /// Oldest first, the current one last; at most [`Token::SECRETS_KEPT_MAX`], at most two of them live. The newest
    /// there were; and one that lives on, however many after it were replaced unused.
    pub secrets: Vec<KeptSecret>,
}

/// When and why a token was revoked or suspended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Withdrawal {
    pub time: Timestamp,
    pub reason: Reason,
}

/// What is kept of one secret of a token.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeptSecret {
    /// 1 for the secret the token was issued with, one more with each rotation.
    pub version: u32,
    pub digest: Digest,
    pub pepper: PepperId,
    pub hint: Hint,
    pub create_time: Timestamp,
    /// From this instant on the secret is refused; `None` while it is the current one, or a current one that came
    /// with an overlap from its first use has not been used.
    pub retire_time: Option<Timestamp>,
    /// Once this secret is used for the first time, the one before is refused after so long; until then it lives on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Span>,
    /// When it was first used, if it came by a rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_use_time: Option<Timestamp>,
    /// When it was first used after its end, if anybody is to hear of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reuse_time: Option<Timestamp>,
    /// The digest it was imported with, where that cannot be looked up; `digest` is [`Phc::digest`] until it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phc: Option<Phc>,
}

/// Whether a token may be used at an instant. Computed, never stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Active,
    /// Withdrawn for now.
    Suspended,
    /// Withdrawn for ever.
    Revoked,
    Expired,
}

impl Token {
    /// So many secrets of a token are remembered, so that a retired one is refused as retired, not as unknown.
    pub const SECRETS_KEPT_MAX: usize = 8;

    /// What the token is at `now`: the only place that compares a token's expiry. What is for ever
    /// comes first: a revoked token never reads as merely expired.
    pub fn state(&self, now: Timestamp) -> State {
        let expired = self.expire_time.is_some_and(|end| end <= now);
        match (&self.revocation, &self.suspension) {
            (Some(_), _) => State::Revoked,
            (None, _) if expired => State::Expired,
            (None, Some(_)) => State::Suspended,
            (None, None) => State::Active,
        }
    }

    /// Names this state of what people can change in place (AIP-154), and of what they have withdrawn. What else happens
    /// to a token, a first use for one, leaves it: whoever edits a token is not refused for that.
    pub fn etag(&self) -> String {
        let facts = serde_json::json!([
            self.name,
            self.scopes,
            self.labels,
            self.expire_time,
            self.networks,
            self.rate_limit,
            self.suspension,
            self.revocation,
        ]);
        let digest = sha2::Sha256::digest(facts.to_string());
        HEXLOWER.encode(&digest[..16])
    }

    /// The secret a client gets with its next rotation is one version later than this one.
    pub fn current_secret(&self) -> Option<&KeptSecret> {
        self.secrets.last()
    }

    pub fn secret_of_version(&self, version: u32) -> Option<&KeptSecret> {
        self.secrets.iter().find(|kept| kept.version == version)
    }

    /// The secrets that have to be tried on a text that begins as `hint` does.
    pub fn secrets_to_try<'a>(&'a self, hint: &'a Hint) -> impl Iterator<Item = (&'a KeptSecret, &'a Phc)> {
        let begins = self.secrets.iter().filter(move |kept| kept.hint == *hint);
        begins.filter_map(|kept| Some((kept, kept.phc.as_ref()?)))
    }

    pub fn secret_with(&self, digest: &Digest) -> Option<&KeptSecret> {
        self.secrets.iter().find(|kept| kept.digest == *digest)
    }
}

impl KeptSecret {
    pub fn live(&self, now: Timestamp) -> bool {
        self.retire_time.is_none_or(|end| now < end)
    }

    /// Whether it came by a rotation, and nobody is known to have used it.
    pub fn is_unused(&self) -> bool {
        self.version > 1 && self.first_use_time.is_none()
    }
}
