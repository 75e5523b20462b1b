//! List: the tokens of a namespace, in the order of issue.

use std::collections::{BTreeMap, BTreeSet};

use super::{Authority, AuthorityError};
use crate::store::READ_MAX;
use crate::token::id::{Slug, TokenId};
use crate::token::namespace::Namespace;
use crate::token::standing::Above;
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
        let rules = self.namespace(namespace.clone()).await?;
        let now = self.clock.now();
        let mut tokens = Vec::new();
        // One more than wanted, where that may be asked for, tells whether there is a next page.
        let limit = (size + 1).min(READ_MAX);
        for _ in 0..READS_MAX {
            let read = self.store.tokens(namespace.clone(), after, limit).await?;
            let is_last = read.len() < limit as usize;
            for token in self.all_shown(&rules, read).await? {
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

    /// Tokens of a namespace as they are shown.
    async fn all_shown(
        &self,
        namespace: &Namespace,
        tokens: Vec<Token>,
    ) -> Result<Vec<Token>, AuthorityError> {
        let subjects: BTreeSet<_> = tokens.iter().map(|token| token.subject.clone()).collect();
        let subjects = subjects.into_iter().collect();
        let standings = self.store.standings(namespace.slug.clone(), subjects).await?;
        let standings: BTreeMap<_, _> = standings
            .into_iter()
            .flatten()
            .map(|stored| (stored.record.subject.clone(), stored.record))
            .collect();
        let shown = |token: Token| {
            let above = Above {
                standing: standings.get(&token.subject),
                not_before: namespace.not_before.as_ref(),
            };
            token.under(above).into_owned()
        };
        Ok(tokens.into_iter().map(shown).collect())
    }
}

#[cfg(test)]
mod tests;
