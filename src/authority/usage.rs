//! What tokens were used for, for those who may know or have it forgotten.

use super::{Authority, AuthorityError};
use crate::store::select::Selection;
use crate::store::usage::FLUSH_MAX;
use crate::token::caller::Caller;
use crate::token::id::{Slug, TokenId};
use crate::token::namespace::Directory;
use crate::token::order::Order;
use crate::token::permission::Right;
use crate::token::selector::{Filter, Selector};
use crate::token::text::Subject;
use crate::token::time::Timestamp;
use crate::token::usage::Usage;

/// Whose usage is meant.
#[derive(Clone, Debug)]
pub enum UsageOf {
    Token(TokenId),
    /// That of all tokens of a subject; the caller has the right in its namespace.
    Subject(Slug, Subject),
}

impl Authority {
    /// What a token was used for, and since when that is known of all.
    pub async fn usage(
        &self,
        caller: &Caller,
        id: TokenId,
    ) -> Result<(Usage, Option<Timestamp>), AuthorityError> {
        self.token_for(caller, Right::UsageRead, id).await?;
        let usages = self.store.usages(vec![id]).await?;
        let usage = usages.into_iter().flatten().next().unwrap_or_default();
        Ok((usage, self.store.usage_since().await?))
    }

    /// Forgets from where tokens were used; of how many there was anything to forget.
    pub async fn erase_usage(&self, caller: &Caller, of: UsageOf) -> Result<u64, AuthorityError> {
        let (namespace, subject) = match of {
            UsageOf::Token(id) => {
                self.token_for(caller, Right::UsageErase, id).await?;
                return Ok(self.store.erase_usage(vec![id]).await?);
            }
            UsageOf::Subject(namespace, subject) => (namespace, subject),
        };
        let selector = Selector {
            subject: Some(subject),
            ..Selector::default()
        };
        let mut selection = Selection {
            filter: Filter {
                namespace: Some(namespace),
                // Whatever state they are in.
                ..selector.anywhere(&Directory::default(), self.clock.now())
            },
            order: Order::default(),
            after: None,
            limit: FLUSH_MAX as u32,
        };
        let mut erased = 0;
        loop {
            let slice = self.store.tokens(selection.clone()).await?;
            let ids: Vec<_> = slice.tokens.iter().map(|stored| stored.record.id).collect();
            if !ids.is_empty() {
                erased += self.store.erase_usage(ids).await?;
            }
            selection.after = slice.next;
            if selection.after.is_none() {
                return Ok(erased);
            }
        }
    }

    /// Goes on only if it is known of all tokens whether they were used since when the selector asks: where nothing
    /// was recorded, all of them would seem unused.
    pub(super) async fn knows_use(&self, selector: &Selector) -> Result<(), AuthorityError> {
        let Some(wanted) = selector.needs_use_since() else {
            return Ok(());
        };
        match self.store.usage_since().await? {
            Some(since) if since <= wanted => Ok(()),
            recorded_since => Err(AuthorityError::UsageUnknown { recorded_since }),
        }
    }
}
