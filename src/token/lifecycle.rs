//! What time alone brings a token to: it nears its end, its secret grows old, nobody uses it. Which of that is due at an
//! instant, by the rules of its namespace.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::id::{RequestDigest, TokenId};
use super::policy::Policy;
use super::selector::{Period, Selector, States};
use super::time::{Span, Timestamp};
use super::{State, Token};

/// What a token may come to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Matter {
    Expiring,
    RotationDue,
    Unused,
}

/// What a token has come to: told once for each threshold, and for what that is measured from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// It ends then, no more than `lead` from now.
    Expiring { lead: Span, expire_time: Timestamp },
    /// The secret of this version, the current one, was made at `since`, and is as old as `after`.
    RotationDue {
        version: u32,
        after: Span,
        since: Timestamp,
    },
    /// Nobody has used it from `since` on, for as long as `after`.
    Unused { after: Span, since: Timestamp },
}

/// What is known of the use of a token, and of what kept it from being used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Uses {
    /// From then on every use is known...
    pub known_since: Timestamp,
    /// ...up to then: what servers have seen a moment ago they have not written yet.
    pub known_until: Timestamp,
    pub last_use: Option<Timestamp>,
    /// When it was last resumed: it could not be used before.
    pub resume_time: Option<Timestamp>,
    /// When something was last said of its subject: that may have been a resumption.
    pub subject_time: Option<Timestamp>,
}

impl Matter {
    pub const ALL: [Matter; 3] = [Matter::Expiring, Matter::RotationDue, Matter::Unused];

    pub fn as_str(self) -> &'static str {
        match self {
            Matter::Expiring => "expiring",
            Matter::RotationDue => "rotation_due",
            Matter::Unused => "unused",
        }
    }

    /// The tokens that may have come to this by `now`, and maybe some more, where uses are known up to `known_until`.
    /// `None`: the namespace does not ask.
    pub fn candidates(self, policy: &Policy, now: Timestamp, known_until: Timestamp) -> Option<Selector> {
        match self {
            Matter::Expiring => {
                let longest = *policy.expiring_leads.last()?;
                Some(Selector {
                    expires: Period {
                        from: Some(now),
                        before: Some(just_after(
                            now.after(longest.duration()).unwrap_or(Timestamp::MAX),
                        )),
                    },
                    states: States::of([State::Active, State::Suspended]),
                    ..Selector::default()
                })
            }
            Matter::RotationDue => {
                let after = policy.rotation_due_after?;
                Some(Selector {
                    rotation_due_before: Some(just_after(now)),
                    // No secret is older than its token, and the order of creation has an index.
                    created: before(just_after(now.earlier(after.duration()))),
                    ..Selector::default()
                })
            }
            Matter::Unused => {
                let after = policy.unused_after?;
                let since = just_after(known_until.earlier(after.duration()));
                Some(Selector {
                    unused_since: Some(since),
                    created: before(since),
                    states: States::of([State::Active]),
                    ..Selector::default()
                })
            }
        }
    }
}

impl Notice {
    /// The request that it is told by: the same whoever tells it, and however often.
    pub fn request(&self, token_id: TokenId) -> RequestDigest {
        RequestDigest::of_program(format!("lifecycle told {}", self.named(token_id)).as_bytes())
    }

    /// The request that the token is suspended or revoked by, for what is told here.
    pub fn request_to_withdraw(&self, token_id: TokenId) -> RequestDigest {
        RequestDigest::of_program(format!("lifecycle withdrawn {}", self.named(token_id)).as_bytes())
    }

    fn named(&self, id: TokenId) -> String {
        match self {
            Notice::Expiring { lead, expire_time } => {
                format!("expiring {id} {} {}", lead.micros(), expire_time.micros())
            }
            Notice::RotationDue {
                version,
                after,
                since,
            } => {
                format!(
                    "rotation_due {id} {version} {} {}",
                    after.micros(),
                    since.micros()
                )
            }
            Notice::Unused { after, since } => format!("unused {id} {} {}", after.micros(), since.micros()),
        }
    }
}

/// Whether a token is about to end. Of several leads that have begun it is the shortest: what was missed while nobody
/// looked is not told any more. A lead that is longer than the whole life of the token says nothing about it.
pub fn expiring(token: &Token, policy: &Policy, now: Timestamp) -> Option<Notice> {
    let expire_time = token.expire_time.filter(|_| is_in_force(token, now))?;
    let begins = |lead: &Span| expire_time.earlier(lead.duration());
    let begun = |lead: &&Span| (token.create_time..=now).contains(&begins(lead));
    let lead = *policy.expiring_leads.iter().find(begun)?;
    Some(Notice::Expiring { lead, expire_time })
}

/// Whether the current secret of a token is to be replaced.
pub fn rotation_due(token: &Token, policy: &Policy, now: Timestamp) -> Option<Notice> {
    let after = policy.rotation_due_after.filter(|_| is_in_force(token, now))?;
    let current = token.current_secret()?;
    (current.create_time <= now.earlier(after.duration())).then_some(Notice::RotationDue {
        version: current.version,
        after,
        since: current.create_time,
    })
}

/// Whether nobody uses a token that could be used all the while. It is measured from its last use; before there is one,
/// from when it came here: where it was imported from it may have been used.
pub fn unused(token: &Token, policy: &Policy, uses: &Uses, now: Timestamp) -> Option<Notice> {
    let after = policy.unused_after?;
    if token.state(now) != State::Active {
        return None;
    }
    // An id says when to the millisecond.
    let came = token
        .id
        .issued_by()
        .earlier(Duration::from_micros(999))
        .max(token.create_time);
    let since = [uses.last_use, uses.resume_time].into_iter().flatten();
    let since = since.fold(came, Ord::max);
    let from = uses.subject_time.map_or(since, |time| time.max(since));
    (from.max(uses.known_since) <= uses.known_until.earlier(after.duration()))
        .then_some(Notice::Unused { after, since })
}

/// Whether it can be used, or will be once it is resumed.
fn is_in_force(token: &Token, now: Timestamp) -> bool {
    matches!(token.state(now), State::Active | State::Suspended)
}

fn before(instant: Timestamp) -> Period {
    Period {
        from: None,
        before: Some(instant),
    }
}

fn just_after(instant: Timestamp) -> Timestamp {
    Timestamp::from_micros(instant.micros() + 1).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
