//! What is known of a token, and of its subject as far as that concerns each of its uses.

use std::ops::Deref;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::token::Token;
use crate::token::id::Slug;
use crate::token::policy::RateLimit;
use crate::token::standing::{Above, Standing};
use crate::token::text::Subject;

/// Names a subject among all budgets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct SubjectKey([u8; 16]);

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

impl SubjectKey {
    pub(super) fn of(namespace: &Slug, subject: &Subject) -> SubjectKey {
        // A slug has no zero in it. Half of the digest: who finds two names for one has found two names for one budget.
        let text = [namespace.as_str().as_bytes(), b"\0", subject.as_str().as_bytes()];
        let digest: [u8; 32] = Sha256::digest(text.concat()).into();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        SubjectKey(key)
    }

    pub(super) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}
