//! List: the tokens of a namespace that are asked for, a page at a time.

use std::collections::{BTreeMap, BTreeSet};

use super::{Authority, AuthorityError};
use crate::store::READ_MAX;
use crate::store::select::{READS_MAX, Selection};
use crate::token::Token;
use crate::token::id::Slug;
use crate::token::order::{Order, Place};
use crate::token::selector::{Filter, Selector};
use crate::token::standing::Standing;
use crate::token::text::Subject;

/// Tokens are counted exactly up to so many.
const COUNT_MAX: u64 = 10_000;
/// For that so many rows are looked at.
const COUNT_ROWS_MAX: u64 = 100_000;
/// Rows that one read of a store counts.
const COUNT_ROWS: u64 = (READ_MAX * READS_MAX) as u64;

/// Which tokens are wanted.
#[derive(Clone, Debug)]
pub struct TokenQuery {
    pub namespace: Slug,
    pub selector: Selector,
    pub order: Order,
    /// One that is in this order.
    pub after: Option<Place>,
    /// 1 to [`READ_MAX`].
    pub size: u32,
    /// Whether to say how many there are in all.
    pub with_total: bool,
}

/// Some of the tokens wanted; it may be short, even empty, and still have a successor (AIP-158).
#[derive(Debug)]
pub struct TokenPage {
    pub tokens: Vec<Token>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<Place>,
    /// If it was asked for.
    pub total: Option<Total>,
}

/// How many tokens are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Total {
    Exactly(u64),
    /// So many were found before it was given up.
    AtLeast(u64),
}

impl Authority {
    pub async fn list(&self, query: TokenQuery) -> Result<TokenPage, AuthorityError> {
        let TokenQuery {
            namespace,
            selector,
            order,
            after,
            size,
            with_total,
        } = query;
        let size = size.clamp(1, READ_MAX);
        let directory = self.store.directory().await?.record;
        let Some(namespace) = directory.get(&namespace) else {
            return Err(AuthorityError::NamespaceNotFound(namespace));
        };
        self.knows_use(&selector).await?;
        let filter = selector.within(namespace, self.clock.now());
        if filter.is_void() {
            return Ok(TokenPage {
                tokens: Vec::new(),
                next: None,
                total: with_total.then_some(Total::Exactly(0)),
            });
        }
        let total = if with_total {
            Some(self.total(&filter).await?)
        } else {
            None
        };
        let selection = Selection {
            filter: filter.clone(),
            order,
            after,
            // One more than wanted, where that may be asked for, tells whether there is a next page.
            limit: (size + 1).min(READ_MAX),
        };
        let slice = self.store.tokens(selection).await?;
        let more = slice.tokens.len() > size as usize;
        let tokens = slice.tokens.into_iter().map(|stored| stored.record);
        let tokens: Vec<_> = tokens.take(size as usize).collect();
        let next = if more {
            tokens.last().map(|last| order.place(last))
        } else {
            slice.next
        };
        let tokens = self.all_shown(&filter, tokens).await?;
        Ok(TokenPage { tokens, next, total })
    }

    /// How many tokens are wanted, as far as it can be told at a bounded cost.
    async fn total(&self, filter: &Filter) -> Result<Total, AuthorityError> {
        let is_enough = |tokens, reads| tokens >= COUNT_MAX || reads >= COUNT_ROWS_MAX / COUNT_ROWS;
        self.counted(filter, is_enough).await
    }

    /// How many tokens are wanted; it is given up where so many tokens are enough, or so many reads.
    pub(super) async fn counted(
        &self,
        filter: &Filter,
        is_enough: impl Fn(u64, u64) -> bool,
    ) -> Result<Total, AuthorityError> {
        let by = filter.selector.order_of_search();
        let (mut tokens, mut reads, mut after) = (0, 0, None);
        loop {
            let count = self.store.count(filter.clone(), by, after).await?;
            tokens += count.tokens;
            reads += 1;
            after = count.next;
            if after.is_none() {
                return Ok(Total::Exactly(tokens));
            }
            if is_enough(tokens, reads) {
                return Ok(Total::AtLeast(tokens));
            }
        }
    }

    /// Tokens that a filter has let through, as they are shown.
    ///
    /// Of a namespace that is said which the filter went by. What is said of subjects is read after the tokens: one that
    /// was suspended or resumed in between is shown as it is by now, though that may be a state that was not asked for.
    pub(super) async fn all_shown(
        &self,
        filter: &Filter,
        tokens: Vec<Token>,
    ) -> Result<Vec<Token>, AuthorityError> {
        let mut subjects: BTreeMap<Slug, BTreeSet<Subject>> = BTreeMap::new();
        for Token {
            namespace, subject, ..
        } in &tokens
        {
            let subjects = subjects.entry(namespace.clone()).or_default();
            subjects.insert(subject.clone());
        }
        let mut standings = BTreeMap::new();
        for (namespace, subjects) in subjects {
            let said = self
                .store
                .standings(namespace, subjects.into_iter().collect())
                .await?;
            standings.extend(said.into_iter().flatten().map(|stored| {
                let Standing {
                    namespace, subject, ..
                } = &stored.record;
                ((namespace.clone(), subject.clone()), stored.record)
            }));
        }
        let shown = |token: Token| {
            let standing = standings.get(&(token.namespace.clone(), token.subject.clone()));
            token.under(filter.above(&token, standing)).into_owned()
        };
        Ok(tokens.into_iter().map(shown).collect())
    }
}

#[cfg(test)]
mod tests;
