//! The rules of a namespace on the command line: given as flags, shown as they are given.

mod shown;

use std::time::Duration;

use super::spelling;
use crate::proto::v1;
use crate::proto::v1::overlap::Overlap as Shape;
pub(super) use shown::Policy;

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Rules")]
pub(super) struct PolicyArgs {
    /// Whether its tokens may manage tokens
    #[arg(long, value_enum)]
    self_management: Option<SelfManagement>,
    /// How long a token lives that is issued without an end, such as 90d
    #[arg(long, value_name = "DURATION", value_parser = spelling::span)]
    lifetime_default: Option<Duration>,
    /// How long a token may live, such as 365d
    #[arg(long, value_name = "DURATION", value_parser = spelling::span)]
    lifetime_max: Option<Duration>,
    /// Every token must have an end
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    expiry_required: Option<bool>,
    /// Every token must have a name
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    name_required: Option<bool>,
    /// A scope that tokens may carry, and none but those that are named; may be repeated
    #[arg(long, value_name = "SCOPE")]
    scope_catalogue: Vec<String>,
    /// How many tokens of one subject may be active or suspended at once
    #[arg(long, value_name = "N")]
    tokens_per_subject_max: Option<i32>,
    /// A plan whose subjects may be issued tokens, and none but those that are named; may be repeated
    #[arg(long, value_name = "PLAN")]
    entitled_plans: Vec<String>,
    /// How old a secret may grow before it is due for rotation, such as 90d
    #[arg(long, value_name = "DURATION", value_parser = spelling::span)]
    rotation_due_after: Option<Duration>,
    /// How long the old secret lives on after a rotation that does not say: none, 1h, or first-use:1h
    #[arg(long, value_name = "OVERLAP", value_parser = overlap)]
    overlap_default: Option<v1::Overlap>,
    /// How long an overlap may be, such as 7d
    #[arg(long, value_name = "DURATION", value_parser = spelling::span)]
    overlap_max: Option<Duration>,
    /// What is done when a secret is used after its end
    #[arg(long, value_enum)]
    retired_use: Option<RetiredUse>,
    /// So long after its end the use of a secret is taken for a call that was under way, such as 30s
    #[arg(long, value_name = "DURATION", value_parser = spelling::span)]
    retired_tolerance: Option<Duration>,
    /// How often a token may be used that has no limit of its own, such as 100/1m
    #[arg(long, value_name = "N/DURATION", value_parser = spelling::rate_limit)]
    rate_limit_default: Option<v1::RateLimit>,
    /// How often the tokens of a subject may be used, all together, that has no limit of its own, such as 1000/1m
    #[arg(long, value_name = "N/DURATION", value_parser = spelling::rate_limit)]
    rate_limit_subject_default: Option<v1::RateLimit>,
    /// Which judged calls are put on record
    #[arg(long, value_enum)]
    access_log: Option<AccessLog>,
    /// What is done with a call where there is no room for one more record
    #[arg(long, value_enum)]
    access_log_full: Option<AccessLogFull>,
    /// How long records of calls are kept, such as 90d
    #[arg(long, value_name = "DURATION", value_parser = spelling::span)]
    access_log_retention: Option<Duration>,
    /// Addresses of clients are kept whole in records of calls
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    access_log_whole_addresses: Option<bool>,
    /// So long before its end a token is told of as expiring, such as 7d; may be repeated
    #[arg(long, value_name = "DURATION", value_parser = spelling::span)]
    expiring_leads: Vec<Duration>,
    /// How long nobody may use a token before it is told of as unused, such as 90d
    #[arg(long, value_name = "DURATION", value_parser = spelling::span)]
    unused_after: Option<Duration>,
    /// What is done with a token that is unused
    #[arg(long, value_enum)]
    unused_action: Option<UnusedAction>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SelfManagement {
    /// They can call nothing
    Off,
    /// Each may get and revoke itself
    Own,
    /// And those with the scopes tokenward:list, tokenward:revoke and tokenward:rotate may do so to others
    ByScope,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum RetiredUse {
    /// Nothing
    Ignore,
    /// The journal says so, once for each secret
    Report,
    /// And the token is suspended
    Suspend,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum AccessLog {
    /// None
    Off,
    /// Those that were refused
    Refusals,
    /// All
    All,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum AccessLogFull {
    /// It is judged, and counted as one that is not on record
    Drop,
    /// It is not judged
    Refuse,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum UnusedAction {
    /// The journal says so
    Report,
    /// And it is suspended
    Suspend,
    /// And it is revoked
    Revoke,
}

/// A rule that can be taken back, by the name of its flag.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Rule {
    SelfManagement,
    LifetimeDefault,
    LifetimeMax,
    ExpiryRequired,
    NameRequired,
    ScopeCatalogue,
    TokensPerSubjectMax,
    EntitledPlans,
    RotationDueAfter,
    OverlapDefault,
    OverlapMax,
    RetiredUse,
    RetiredTolerance,
    RateLimitDefault,
    RateLimitSubjectDefault,
    AccessLog,
    AccessLogFull,
    AccessLogRetention,
    AccessLogWholeAddresses,
    ExpiringLeads,
    UnusedAfter,
    UnusedAction,
}

impl Rule {
    /// In a field mask.
    pub(super) fn path(self) -> String {
        let name = clap::ValueEnum::to_possible_value(&self);
        let name = name
            .map(|value| value.get_name().replace('-', "_"))
            .unwrap_or_default();
        format!("policy.{name}")
    }
}

impl PolicyArgs {
    /// The rules that are given.
    pub(super) fn given(&self) -> Vec<Rule> {
        let given = [
            (self.self_management.is_some(), Rule::SelfManagement),
            (self.lifetime_default.is_some(), Rule::LifetimeDefault),
            (self.lifetime_max.is_some(), Rule::LifetimeMax),
            (self.expiry_required.is_some(), Rule::ExpiryRequired),
            (self.name_required.is_some(), Rule::NameRequired),
            (!self.scope_catalogue.is_empty(), Rule::ScopeCatalogue),
            (self.tokens_per_subject_max.is_some(), Rule::TokensPerSubjectMax),
            (!self.entitled_plans.is_empty(), Rule::EntitledPlans),
            (self.rotation_due_after.is_some(), Rule::RotationDueAfter),
            (self.overlap_default.is_some(), Rule::OverlapDefault),
            (self.overlap_max.is_some(), Rule::OverlapMax),
            (self.retired_use.is_some(), Rule::RetiredUse),
            (self.retired_tolerance.is_some(), Rule::RetiredTolerance),
            (self.rate_limit_default.is_some(), Rule::RateLimitDefault),
            (
                self.rate_limit_subject_default.is_some(),
                Rule::RateLimitSubjectDefault,
            ),
            (self.access_log.is_some(), Rule::AccessLog),
            (self.access_log_full.is_some(), Rule::AccessLogFull),
            (self.access_log_retention.is_some(), Rule::AccessLogRetention),
            (
                self.access_log_whole_addresses.is_some(),
                Rule::AccessLogWholeAddresses,
            ),
            (!self.expiring_leads.is_empty(), Rule::ExpiringLeads),
            (self.unused_after.is_some(), Rule::UnusedAfter),
            (self.unused_action.is_some(), Rule::UnusedAction),
        ];
        given
            .into_iter()
            .filter_map(|(is_given, rule)| is_given.then_some(rule))
            .collect()
    }
}

impl From<PolicyArgs> for v1::NamespacePolicy {
    fn from(args: PolicyArgs) -> v1::NamespacePolicy {
        let self_management = args.self_management.map(|it| match it {
            SelfManagement::Off => v1::SelfManagement::Off,
            SelfManagement::Own => v1::SelfManagement::Own,
            SelfManagement::ByScope => v1::SelfManagement::ByScope,
        });
        let retired_use = args.retired_use.map(|it| match it {
            RetiredUse::Ignore => v1::RetiredUse::Ignore,
            RetiredUse::Report => v1::RetiredUse::Report,
            RetiredUse::Suspend => v1::RetiredUse::Suspend,
        });
        let access_log = args.access_log.map(|it| match it {
            AccessLog::Off => v1::AccessLog::Off,
            AccessLog::Refusals => v1::AccessLog::Refusals,
            AccessLog::All => v1::AccessLog::All,
        });
        let access_log_full = args.access_log_full.map(|it| match it {
            AccessLogFull::Drop => v1::AccessLogFull::Drop,
            AccessLogFull::Refuse => v1::AccessLogFull::Refuse,
        });
        let unused_action = args.unused_action.map(|it| match it {
            UnusedAction::Report => v1::UnusedAction::Report,
            UnusedAction::Suspend => v1::UnusedAction::Suspend,
            UnusedAction::Revoke => v1::UnusedAction::Revoke,
        });
        let leads = args.expiring_leads.into_iter();
        let span = |span: Option<Duration>| span.map(spelling::to_proto_duration);
        v1::NamespacePolicy {
            self_management: self_management.unwrap_or_default().into(),
            lifetime_default: span(args.lifetime_default),
            lifetime_max: span(args.lifetime_max),
            expiry_required: args.expiry_required.unwrap_or_default(),
            name_required: args.name_required.unwrap_or_default(),
            scope_catalogue: args.scope_catalogue,
            tokens_per_subject_max: args.tokens_per_subject_max.unwrap_or_default(),
            entitled_plans: args.entitled_plans,
            rotation_due_after: span(args.rotation_due_after),
            overlap_default: args.overlap_default,
            overlap_max: span(args.overlap_max),
            retired_use: retired_use.unwrap_or_default().into(),
            retired_tolerance: span(args.retired_tolerance),
            rate_limit_default: args.rate_limit_default,
            rate_limit_subject_default: args.rate_limit_subject_default,
            access_log: access_log.unwrap_or_default().into(),
            access_log_full: access_log_full.unwrap_or_default().into(),
            access_log_retention: span(args.access_log_retention),
            access_log_whole_addresses: args.access_log_whole_addresses.unwrap_or_default(),
            expiring_leads: leads.map(spelling::to_proto_duration).collect(),
            unused_after: span(args.unused_after),
            unused_action: unused_action.unwrap_or_default().into(),
        }
    }
}

/// `none`, `1h`, `first-use:1h`.
fn overlap(text: &str) -> Result<v1::Overlap, String> {
    let span = |text| spelling::span(text).map(spelling::to_proto_duration);
    let overlap = match (text, text.strip_prefix("first-use:")) {
        ("none", _) => Shape::None(v1::NoOverlap {}),
        (_, Some(rest)) => Shape::FromFirstUse(span(rest)?),
        (_, None) => {
            Shape::Duration(span(text).map_err(|_| "must be none, a duration such as 1h, or first-use:1h")?)
        }
    };
    Ok(v1::Overlap {
        overlap: Some(overlap),
    })
}

#[cfg(test)]
mod tests;
