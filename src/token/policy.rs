//! The rules of a namespace: what may be issued in it, for how long, and what is done with what was.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::KeptSecret;
use super::overlap::Overlap;
use super::scope::Scopes;
use super::text::Plan;
use super::time::{Span, Timestamp};

/// The rules of a namespace. Each is off, or lets everything pass, unless it is set.
///
/// A rule that was added later is left out of what is written where it is off: MACs are over that.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    pub self_management: SelfManagement,
    /// How long a token lives that is issued without an end; `None`: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime_default: Option<Span>,
    /// How long a token may live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime_max: Option<Span>,
    /// Whether every token must have an end.
    #[serde(skip_serializing_if = "is_default")]
    pub expiry_required: bool,
    /// Whether every token must have a name.
    #[serde(skip_serializing_if = "is_default")]
    pub name_required: bool,
    /// The scopes there are; none: any.
    #[serde(skip_serializing_if = "is_default")]
    pub scope_catalogue: Scopes,
    /// How many tokens of one subject may be in force or suspended at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_subject_max: Option<NonZeroU32>,
    /// The plans whose subjects may be issued tokens; none: any, or no plan at all.
    #[serde(skip_serializing_if = "is_default")]
    pub entitled_plans: BTreeSet<Plan>,
    /// How old the current secret of a token may grow before it is due for rotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation_due_after: Option<Span>,
    /// The overlap of a rotation that asks for none in particular.
    #[serde(skip_serializing_if = "is_default")]
    pub overlap_default: Overlap,
    /// How long an overlap may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap_max: Option<Span>,
    /// What is done when a secret is used after its end.
    #[serde(skip_serializing_if = "is_default")]
    pub retired_use: RetiredUse,
    /// So long after its end the use of a secret is taken for a call that was under way.
    #[serde(skip_serializing_if = "is_default")]
    pub retired_tolerance: Span,
    /// How often a token may be used that has no limit of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit_default: Option<RateLimit>,
}

/// Whether the tokens of a namespace may call this service to manage tokens.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelfManagement {
    /// They can call nothing.
    #[default]
    Off,
    /// Each may read and revoke itself.
    Own,
    /// And those with `tokenward:list`, `tokenward:revoke` or `tokenward:rotate` may do so in the namespace.
    ByScope,
}

/// What is done when a secret is used after its end. It is refused in any case.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetiredUse {
    /// Nothing.
    #[default]
    Ignore,
    /// The journal says so, once for each secret.
    Report,
    /// And the token is suspended.
    Suspend,
}

/// How often a token may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RateLimit {
    /// So many times...
    pub requests: NonZeroU32,
    /// ...within this.
    pub period: Span,
}

impl SelfManagement {
    /// Whether any call of such a token can succeed.
    pub fn lets_call(self) -> bool {
        match self {
            SelfManagement::Off => false,
            SelfManagement::Own | SelfManagement::ByScope => true,
        }
    }
}

impl Policy {
    /// How many plans may be entitled.
    pub const PLANS_MAX: usize = 64;

    /// Whether the use of `kept` at `time` is to be told: it has ended, not only just, and no such use was told before.
    pub fn hears_of(&self, kept: &KeptSecret, time: Timestamp) -> bool {
        let tolerance = self.retired_tolerance.duration();
        let ended = kept
            .retire_time
            .is_some_and(|end| end <= time && end.until(time) >= tolerance);
        self.retired_use != RetiredUse::Ignore && kept.reuse_time.is_none() && ended
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
