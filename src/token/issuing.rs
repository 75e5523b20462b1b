//! Whether a token may be issued under the rules of its namespace.

use std::fmt;

use super::Token;
use super::breach::{self, Breach};
use super::policy::Policy;
use super::standing::Standing;
use super::text::Plan;
use super::time::{Timestamp, TimestampOutOfRange};

/// What a request to issue calls the end of a token.
pub const END: &str = "expiration";

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

impl fmt::Display for NotIssued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotIssued::Breaches(breaches) => {
                let told: Vec<_> = breaches
                    .iter()
                    .map(|breach| format!("{} {breach}", breach.field(END)))
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

/// All of them: whoever asks again should be right then.
fn breaches(policy: &Policy, token: &Token) -> Vec<Breach> {
    let name = breach::of_name(policy, &token.name);
    let end = breach::of_end(policy, token.create_time, token.expire_time);
    let scopes = breach::of_scopes(policy, &token.scopes);
    name.into_iter().chain(end).chain(scopes).collect()
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
