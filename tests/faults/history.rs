//! What was asked and answered, and whether it can have been so: a token is a regular register that is written
//! once.
//!
//! A Verify must see a Revoke that was answered before it was invoked. One that overlaps a Revoke may see it or
//! not, and of two such the later may miss what the earlier saw. A Revoke without an answer may take effect at
//! any time after it was invoked, or never.

mod tests;

use std::time::Duration;

/// One call. Instants are of one clock that never goes back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Operation {
    /// A number the driver gives to each token: small, for all up to the greatest are kept account of.
    pub(crate) token: usize,
    pub(crate) invoked: Duration,
    pub(crate) returned: Duration,
    pub(crate) answer: Answer,
}

/// What was asked, by what was answered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Answer {
    /// Verify: the token is good.
    Accepted,
    /// Verify: the token is revoked.
    Refused,
    /// Verify: it could not be judged, or nothing was heard.
    Unjudged,
    /// Revoke: done.
    Revoked,
    /// Revoke: an error, or nothing was heard. It may have been done, or be done later.
    Unknown,
}

/// A Verify that no order of events explains.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Violation {
    /// Accepted, invoked after a Revoke was answered.
    Stale(Operation),
    /// Refused, answered before any Revoke was invoked.
    Unfounded(Operation),
}

/// When a token may have been revoked, and by when it must have been.
#[derive(Clone, Copy)]
struct Revocation {
    invoked: Duration,
    answered: Duration,
}

/// Every violation there is, in the order of the history, which may be any. Takes time in proportion.
pub(crate) fn violations(history: &[Operation]) -> Vec<Violation> {
    let tokens = history.iter().map(|operation| operation.token + 1).max();
    let never = Revocation {
        invoked: Duration::MAX,
        answered: Duration::MAX,
    };
    let mut revocations = vec![never; tokens.unwrap_or(0)];
    for operation in history {
        let first = &mut revocations[operation.token];
        match operation.answer {
            Answer::Revoked => {
                first.invoked = first.invoked.min(operation.invoked);
                first.answered = first.answered.min(operation.returned);
            }
            Answer::Unknown => first.invoked = first.invoked.min(operation.invoked),
            Answer::Accepted | Answer::Refused | Answer::Unjudged => {}
        }
    }
    let judged = history.iter().filter_map(|operation| {
        let revocation = revocations[operation.token];
        match operation.answer {
            Answer::Accepted if operation.invoked > revocation.answered => Some(Violation::Stale(*operation)),
            Answer::Refused if operation.returned < revocation.invoked => {
                Some(Violation::Unfounded(*operation))
            }
            Answer::Accepted | Answer::Refused | Answer::Unjudged | Answer::Revoked | Answer::Unknown => None,
        }
    });
    judged.collect()
}
