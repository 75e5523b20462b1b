//! What Verify answers with.

use std::sync::Arc;

use super::Rate;
use crate::journal::Revision;
use crate::token::Token;
use crate::token::time::Timestamp;
use crate::token::verdict::{Refusal, Verdict};

/// A verdict, and what it rests on.
#[derive(Debug)]
pub struct Judged {
    pub verdict: Verdict,
    /// The token, once one was found.
    pub token: Option<Arc<Token>>,
    /// Which of its secrets was presented; `None`: none that it remembers.
    pub secret_version: Option<u32>,
    /// When it was judged.
    pub time: Timestamp,
    /// How it stands with its rate limit, if it has one and is good for all else.
    pub rate: Option<Rate>,
    /// Every change up to this revision was taken into account.
    pub revision: Revision,
}

impl Judged {
    /// A refusal for which no token was looked at.
    pub(super) fn refused(refusal: Refusal, revision: Revision, time: Timestamp) -> Judged {
        Judged {
            verdict: Verdict::Refused(refusal),
            token: None,
            secret_version: None,
            time,
            rate: None,
            revision,
        }
    }
}
