//! The rules of a namespace: what may be issued in it, for how long, and what is done with what was.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::KeptSecret;
use super::overlap::Overlap;
use super::scope::Scopes;
use super::text::Plan;
use super::time::{Span, Timestamp, spelled};

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
    /// How often the tokens of a subject may be used, all together, that has no limit of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit_subject_default: Option<RateLimit>,
    /// Which calls that are judged are put on record.
    #[serde(skip_serializing_if = "is_default")]
    pub access_log: AccessLog,
    /// What is done where there is no room for one more record.
    #[serde(skip_serializing_if = "is_default")]
    pub access_log_full: AccessLogFull,
    /// How long records are kept; `None`: [`Policy::ACCESS_LOG_RETENTION_DEFAULT`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_log_retention: Option<Span>,
    /// Whether the addresses of clients are kept whole, and not their networks.
    #[serde(skip_serializing_if = "is_default")]
    pub access_log_whole_addresses: bool,
    /// So long before its end a token is told to be expiring; at most [`Policy::LEADS_MAX`].
    #[serde(skip_serializing_if = "is_default")]
    pub expiring_leads: BTreeSet<Span>,
    /// How long nobody may use a token before it is told to be unused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unused_after: Option<Span>,
    /// What is done with one that is.
    #[serde(skip_serializing_if = "is_default")]
    pub unused_action: UnusedAction,
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

/// Which calls that are judged are put on record.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessLog {
    #[default]
    Off,
    /// Those that were refused.
    Refusals,
    All,
}

/// What is done where there is no room for one more record of a call.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessLogFull {
    /// The call is judged, and counted as one that is not on record.
    #[default]
    Drop,
    /// The call is not judged.
    Refuse,
}

/// What is done with a token that nobody uses.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnusedAction {
    /// The journal says so.
    #[default]
    Report,
    /// And it is suspended.
    Suspend,
    /// And it is revoked.
    Revoke,
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

/// One rule by name, and how it is taken over from another policy.
pub type Field = (&'static str, fn(&mut Policy, &Policy));

macro_rules! fields {
    ($($field:ident),* $(,)?) => {
        [$((stringify!($field), |to: &mut Policy, from: &Policy| to.$field.clone_from(&from.$field))),*]
    };
}

impl Policy {
    /// How many plans may be entitled.
    pub const PLANS_MAX: usize = 64;
    /// How often a token may be told to be expiring.
    pub const LEADS_MAX: usize = 8;

    /// Whether the use of `kept` at `time` is to be told: it has ended, not only just, and no such use was told before.
    pub fn hears_of(&self, kept: &KeptSecret, time: Timestamp) -> bool {
        let tolerance = self.retired_tolerance.duration();
        let ended = kept
            .retire_time
            .is_some_and(|end| end <= time && end.until(time) >= tolerance);
        self.retired_use != RetiredUse::Ignore && kept.reuse_time.is_none() && ended
    }

    /// Whoever counts the tokens of a subject looks at each of them.
    pub const TOKENS_PER_SUBJECT_MAX: u32 = 10_000;
    /// No life, period or age that is set is shorter.
    pub const SPAN_MIN: Duration = Duration::from_secs(1);
    /// A call is under way no longer than this.
    pub const RETIRED_TOLERANCE_MAX: Duration = Duration::from_hours(1);
    /// Longer periods are quotas, and kept elsewhere.
    pub const RATE_PERIOD_MAX: Duration = Duration::from_hours(24);
    /// How long records of calls are kept where nothing else is said.
    pub const ACCESS_LOG_RETENTION_DEFAULT: Span = Span::days(30);
    /// They are forgotten a little later than told, and that is to be little.
    pub const ACCESS_LOG_RETENTION_MIN: Duration = Duration::from_hours(1);
    /// Personal data is not kept for ever.
    pub const ACCESS_LOG_RETENTION_MAX: Duration = Duration::from_hours(24 * 400);

    /// How long records of calls are kept.
    pub fn access_log_retention(&self) -> Span {
        self.access_log_retention
            .unwrap_or(Policy::ACCESS_LOG_RETENTION_DEFAULT)
    }

    /// Every rule.
    pub const FIELDS: [Field; 22] = fields![
        self_management,
        lifetime_default,
        lifetime_max,
        expiry_required,
        name_required,
        scope_catalogue,
        tokens_per_subject_max,
        entitled_plans,
        rotation_due_after,
        overlap_default,
        overlap_max,
        retired_use,
        retired_tolerance,
        rate_limit_default,
        rate_limit_subject_default,
        access_log,
        access_log_full,
        access_log_retention,
        access_log_whole_addresses,
        expiring_leads,
        unused_after,
        unused_action,
    ];

    /// Whether the rules go together; else the name of one that does not, and what would be right.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if let (Some(default), Some(max)) = (self.lifetime_default, self.lifetime_max)
            && default > max
        {
            let max = spelled(max.duration());
            return Err(("lifetime_default", format!("must be at most lifetime_max, {max}")));
        }
        let max = self.overlap_max.unwrap_or(Overlap::MAX);
        if self.overlap_default.span() > max {
            let max = spelled(max.duration());
            return Err(("overlap_default", format!("must be at most overlap_max, {max}")));
        }
        Ok(())
    }
}

/// Rules that are to be replaced, each by its value in a policy.
#[derive(Clone, Debug)]
pub struct PolicyUpdate {
    pub policy: Policy,
    pub fields: Vec<Field>,
}

impl PolicyUpdate {
    /// Every rule.
    pub fn whole(policy: Policy) -> PolicyUpdate {
        PolicyUpdate {
            policy,
            fields: Policy::FIELDS.to_vec(),
        }
    }

    /// What it makes of `before`.
    pub fn of(&self, before: &Policy) -> Policy {
        let mut after = before.clone();
        for (_, copy) in &self.fields {
            copy(&mut after, &self.policy);
        }
        after
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests;
