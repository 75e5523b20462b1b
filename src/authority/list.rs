//! List: the tokens of a namespace, in the order of issue.

use super::{Authority, AuthorityError};
use crate::store::READ_MAX;
use crate::token::id::{Slug, TokenId};
use crate::token::{State, Token};

/// A page may look at so many times its size before it is returned short: a filter that matches little
/// must not read a whole namespace in one call.
const READS_MAX: usize = 10;

/// Which tokens are wanted.
#[derive(Clone, Debug)]
pub struct TokenQuery {
    pub namespace: Slug,
    pub state: Option<State>,
    pub after: Option<TokenId>,
    /// 1 to [`READ_MAX`].
    pub size: u32,
}

/// Some of the tokens wanted; it may be short, even empty, and still have a successor (AIP-158).
#[derive(Debug)]
pub struct TokenPage {
    pub tokens: Vec<Token>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<TokenId>,
}

impl Authority {
    pub async fn list(&self, query: TokenQuery) -> Result<TokenPage, AuthorityError> {
        let TokenQuery {
            namespace,
            state,
            mut after,
            size,
        } = query;
        let size = size.clamp(1, READ_MAX);
        if self.store.directory().await?.record.get(&namespace).is_none() {
            return Err(AuthorityError::NamespaceNotFound(namespace));
        }
        let now = self.clock.now();
        let mut tokens = Vec::new();
        // One more than wanted, where that may be asked for, tells whether there is a next page.
        let limit = (size + 1).min(READ_MAX);
        for _ in 0..READS_MAX {
            let read = self.store.tokens(namespace.clone(), after, limit).await?;
            let is_last = read.len() < limit as usize;
            for token in read {
                if tokens.len() == size as usize {
                    return Ok(TokenPage { tokens, next: after });
                }
                after = Some(token.id);
                if state.is_none_or(|state| token.state(now) == state) {
                    tokens.push(token);
                }
            }
            if is_last {
                return Ok(TokenPage { tokens, next: None });
            }
        }
        Ok(TokenPage { tokens, next: after })
    }
}

#[cfg(test)]
mod tests;
