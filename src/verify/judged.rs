//! What Verify answers with.

use std::sync::Arc;

use super::Rate;
use crate::journal::Revision;
use crate::token::Token;
use crate::token::verdict::{Refusal, Verdict};

/// A verdict, and what it rests on.
#[derive(Debug)]
pub struct Judged {
    pub verdict: Verdict,
    /// The token, once one was found.
    pub token: Option<Arc<Token>>,
    /// How it stands with its rate limit, if it has one and is good for all else.
    pub rate: Option<Rate>,
    /// Every change up to this revision was taken into account.
    pub revision: Revision,
}

impl Judged {
    /// A refusal of what is no token.
    pub(super) fn refused(refusal: Refusal, revision: Revision) -> Judged {
        Judged {
            verdict: Verdict::Refused(refusal),
            token: None,
            rate: None,
            revision,
        }
    }
}
