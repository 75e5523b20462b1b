//! What is said of all tokens of one subject, and what that and their namespace take away from each.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::from_to::FromTo;
use super::id::Slug;
use super::policy::RateLimit;
use super::text::{Plan, Reason, Subject};
use super::time::Timestamp;
use super::{Token, Withdrawal};

/// What is said of all tokens of one subject. Of most subjects nothing is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Standing {
    pub namespace: Slug,
    pub subject: Subject,
    /// What the subject pays for, or whatever else says what it is entitled to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// No token of the subject may be used, for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspension: Option<Withdrawal>,
    /// What was issued up to its instant, that included, is revoked. It never goes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Withdrawal>,
    /// How often its tokens may be used, all together; `None`: as its namespace says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
}

impl Standing {
    /// Names this state of it (AIP-154): no two states share it.
    pub fn etag(&self) -> String {
        format!("{:x}", self.update_time.micros())
    }
}

/// Something that happened to a subject.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectChange {
    /// `None`: it has no plan any more.
    PlanSet(Option<Plan>),
    Suspended(Withdrawal),
    Resumed,
    /// What was issued up to the instant, that included, is revoked.
    IssuedRevoked(Withdrawal),
    RateLimitSet(FromTo<Option<RateLimit>>),
}

/// What is said of a token elsewhere than in its own record.
#[derive(Clone, Copy, Default, Debug)]
pub struct Above<'a> {
    /// Of its subject.
    pub standing: Option<&'a Standing>,
    /// Of its namespace: what was issued up to this instant is revoked.
    pub not_before: Option<&'a Withdrawal>,
}

impl<'a> Above<'a> {
    /// By which `token` is revoked, if it is: the first to have said so.
    pub fn revocation(self, token: &Token) -> Option<&'a Withdrawal> {
        let of_subject = self.standing.and_then(|standing| standing.not_before.as_ref());
        of_subject
            .into_iter()
            .chain(self.not_before)
            .filter(|not_before| token.create_time <= not_before.time)
            .min_by_key(|not_before| not_before.time)
    }

    /// The latest instant up to which whatever was issued is revoked.
    pub fn newest_not_before(self) -> Option<Timestamp> {
        let of_subject = self.standing.and_then(|standing| standing.not_before.as_ref());
        of_subject
            .into_iter()
            .chain(self.not_before)
            .map(|not_before| not_before.time)
            .max()
    }

    /// When a token is issued at `now`, so that nothing said before revokes it: the clock may be behind.
    pub fn issue_time(self, now: Timestamp) -> Timestamp {
        self.newest_not_before()
            .map_or(now, |not_before| now.later_than(not_before))
    }
}

impl Token {
    /// The token as it may be used and is shown. What its own record says goes first.
    pub fn under(&self, above: Above<'_>) -> Cow<'_, Token> {
        let suspension = above.standing.and_then(|standing| standing.suspension.as_ref());
        self.with(above.revocation(self), suspension)
    }

    /// The token with what was taken from it for ever, wherever that is said: what is decided on. A suspension of
    /// its subject is left out, for a token that is suspended itself stays so when its subject is resumed.
    pub fn revoked_under(&self, above: Above<'_>) -> Cow<'_, Token> {
        self.with(above.revocation(self), None)
    }

    fn with(&self, revocation: Option<&Withdrawal>, suspension: Option<&Withdrawal>) -> Cow<'_, Token> {
        let revocation = revocation.filter(|_| self.revocation.is_none());
        let suspension = suspension.filter(|_| self.suspension.is_none());
        if revocation.is_none() && suspension.is_none() {
            return Cow::Borrowed(self);
        }
        let mut token = self.clone();
        token.revocation = token.revocation.or_else(|| revocation.cloned());
        token.suspension = token.suspension.or_else(|| suspension.cloned());
        Cow::Owned(token)
    }
}

/// Another plan; `None`: it has that one.
pub fn set_plan(before: Option<&Standing>, plan: Option<Plan>) -> Option<SubjectChange> {
    let has = before.and_then(|before| before.plan.as_ref());
    (has != plan.as_ref()).then_some(SubjectChange::PlanSet(plan))
}

/// `None`: it is suspended already, and the first suspension stands.
pub fn suspend(before: Option<&Standing>, withdrawal: Withdrawal) -> Option<SubjectChange> {
    match before.and_then(|before| before.suspension.as_ref()) {
        Some(_) => None,
        None => Some(SubjectChange::Suspended(withdrawal)),
    }
}

/// `None`: it is not suspended.
pub fn resume(before: Option<&Standing>) -> Option<SubjectChange> {
    before?.suspension.as_ref().map(|_| SubjectChange::Resumed)
}

/// Another rate limit, or none of its own; `None`: it is so already.
pub fn set_rate_limit(before: Option<&Standing>, to: Option<RateLimit>) -> Option<SubjectChange> {
    let from = before.and_then(|before| before.rate_limit);
    (from != to).then_some(SubjectChange::RateLimitSet(FromTo { from, to }))
}

/// Revokes what was issued up to now, given that nothing was issued after `newest`: by a clock that is ahead of the
/// one that says `now`, that may be later. It comes after what was said before, as its own entry does.
pub fn revoke_issued(
    before: Option<&Withdrawal>,
    newest: Option<Timestamp>,
    now: Timestamp,
    reason: Reason,
) -> Withdrawal {
    let later = before.map_or(now, |before| now.later_than(before.time));
    let time = newest.map_or(later, |newest| later.max(newest));
    Withdrawal { time, reason }
}

#[cfg(test)]
mod tests;
