//! What is left of a token under its namespace.

use std::borrow::Cow;
use std::sync::Arc;

use crate::token::Token;
use crate::token::namespace::Namespace;
use crate::token::standing::Above;

/// The token with what its namespace takes from it.
pub(super) fn namespace(namespace: &Namespace, token: Arc<Token>) -> Arc<Token> {
    let above = Above {
        standing: None,
        not_before: namespace.not_before.as_ref(),
    };
    let revoked = match token.under(above) {
        Cow::Borrowed(_) => None,
        Cow::Owned(revoked) => Some(Arc::new(revoked)),
    };
    revoked.unwrap_or(token)
}
