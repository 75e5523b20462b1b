//! Whether a token may be issued under the rules of its namespace.

use std::fmt;
use std::time::Duration;

use humantime::format_duration;

use super::Token;
use super::policy::Policy;
use super::scope::{Scope, Scopes};
use super::standing::Standing;
use super::text::Plan;
use super::time::{Span, Timestamp, TimestampOutOfRange};

/// Scopes of a catalogue that are told: an error has to stay small.
const SCOPES_TOLD_MAX: usize = 10;

/// Why a token is not issued.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotIssued {
    /// What is asked for breaks rules: all that it breaks.
    Breaches(Vec<Breach>),
    /// No token of its subject may be used.
    SubjectSuspended,
    /// The plan of its subject, if it has one, is not entitled.
    NotEntitled { plan: Option<Plan> },
    /// Its subject has as many as it may have.
    TooMany { max: u32 },
}

/// A rule that is broken, and what would be right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Breach {
    NameMissing,
    EndMissing { max: Option<Duration> },
    LivesTooLong { max: Duration },
    UnknownScope { scope: Scope, catalogue: Scopes },
}

impl Breach {
    /// The field of the request that it is about.
    pub fn field(&self) -> &'static str {
        match self {
            Breach::NameMissing => "name",
            Breach::EndMissing { .. } | Breach::LivesTooLong { .. } => "expiration",
            Breach::UnknownScope { .. } => "scopes",
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Breach::NameMissing => f.write_str("must be set: every token of this namespace has a name"),
            Breach::EndMissing { max: None } => {
                f.write_str("must be set: every token of this namespace has an end")
            }
            Breach::EndMissing { max: Some(max) } => {
                let max = format_duration(*max);
                write!(f, "must be set: every token of this namespace ends within {max}")
            }
            Breach::LivesTooLong { max } => {
                let max = format_duration(*max);
                write!(f, "must be no later than {max} from now, as the namespace has it")
            }
            Breach::UnknownScope { scope, catalogue } => {
                write!(f, "must be of the namespace's catalogue, which has no {scope}: ")?;
                let told: Vec<_> = catalogue
                    .iter()
                    .take(SCOPES_TOLD_MAX)
                    .map(Scope::as_str)
                    .collect();
                f.write_str(&told.join(", "))?;
                match catalogue.iter().count().saturating_sub(told.len()) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
        }
    }
}

impl fmt::Display for NotIssued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotIssued::Breaches(breaches) => {
                let told: Vec<_> = breaches
                    .iter()
                    .map(|breach| format!("{} {breach}", breach.field()))
                    .collect();
                f.write_str(&told.join("; "))
            }
            NotIssued::SubjectSuspended => {
                f.write_str("the subject is suspended, and so would the token be: resume the subject first")
            }
            NotIssued::NotEntitled { plan: Some(plan) } => {
                write!(
                    f,
                    "the subject has the plan {plan}, which is not entitled to tokens"
                )
            }
            NotIssued::NotEntitled { plan: None } => {
                f.write_str("the subject has no plan, and only some plans are entitled to tokens")
            }
            NotIssued::TooMany { max } => write!(
                f,
                "the subject has {max} tokens, as many as it may have: revoke one of them first"
            ),
        }
    }
}

/// When a token ends that is issued at `now`: when it was asked to, else as the rules have it; `None`: never.
pub fn end(
    policy: &Policy,
    asked: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<Timestamp>, TimestampOutOfRange> {
    match (asked, policy.lifetime_default) {
        (None, Some(default)) => now.after(default.duration()).map(Some),
        (asked, _) => Ok(asked),
    }
}

/// Whether the rules let `token` be issued, of whose subject that is said.
pub fn check(policy: &Policy, token: &Token, standing: Option<&Standing>) -> Result<(), NotIssued> {
    let breaches = breaches(policy, token);
    if !breaches.is_empty() {
        return Err(NotIssued::Breaches(breaches));
    }
    let plan = standing.and_then(|standing| standing.plan.as_ref());
    let entitled =
        policy.entitled_plans.is_empty() || plan.is_some_and(|plan| policy.entitled_plans.contains(plan));
    if !entitled {
        return Err(NotIssued::NotEntitled { plan: plan.cloned() });
    }
    if standing.is_some_and(|standing| standing.suspension.is_some()) {
        return Err(NotIssued::SubjectSuspended);
    }
    Ok(())
}

fn breaches(policy: &Policy, token: &Token) -> Vec<Breach> {
    let mut breaches = Vec::new();
    if policy.name_required && token.name.as_str().is_empty() {
        breaches.push(Breach::NameMissing);
    }
    let max = policy.lifetime_max.map(Span::duration);
    match (token.expire_time, max) {
        (None, max) if policy.expiry_required || max.is_some() => breaches.push(Breach::EndMissing { max }),
        (Some(end), Some(max)) if token.create_time.until(end) > max => {
            breaches.push(Breach::LivesTooLong { max });
        }
        _ => {}
    }
    if !policy.scope_catalogue.is_empty() {
        let unknown = policy.scope_catalogue.missing(&token.scopes);
        breaches.extend(unknown.iter().map(|scope| Breach::UnknownScope {
            scope: scope.clone(),
            catalogue: policy.scope_catalogue.clone(),
        }));
    }
    breaches
}

/// Whether a subject that has `count` tokens may have one more.
pub fn has_room(max: u32, count: u32) -> Result<(), NotIssued> {
    if count < max {
        Ok(())
    } else {
        Err(NotIssued::TooMany { max })
    }
}

#[cfg(test)]
mod tests;
