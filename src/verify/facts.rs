//! What is known of a token, and of its subject as far as that concerns each of its uses.

use std::ops::Deref;
use std::sync::Arc;

use super::limits::SubjectKey;
use crate::token::Token;
use crate::token::policy::RateLimit;
use crate::token::standing::{Above, Standing};

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Facts {
    /// With what its subject takes from it.
    pub(super) token: Arc<Token>,
    /// Its subject among all budgets.
    pub(super) subject_key: SubjectKey,
    /// How often the tokens of the subject may be used, if it says so itself.
    pub(super) subject_limit: Option<RateLimit>,
}

impl Facts {
    /// A token, with what is said of its subject.
    pub(super) fn of(token: &Token, standing: Option<&Standing>) -> Facts {
        let above = Above {
            standing,
            not_before: None,
        };
        Facts {
            token: Arc::new(token.under(above).into_owned()),
            subject_key: SubjectKey::of(&token.namespace, &token.subject),
            subject_limit: standing.and_then(|standing| standing.rate_limit),
        }
    }
}

impl Deref for Facts {
    type Target = Token;

    fn deref(&self) -> &Token {
        &self.token
    }
}
