//! Revoke: for ever.

use super::{Ask, Authority, AuthorityError, Changed, Step};
use crate::journal::{Change, Entry};
use crate::token::change::{self, TokenChange};
use crate::token::id::TokenId;
use crate::token::permission::Right;
use crate::token::text::Reason;
use crate::token::{Token, Withdrawal};

impl Authority {
    /// Revokes the token. Of several revocations the first stands, and all answer with it.
    pub async fn revoke(
        &self,
        ask: &Ask,
        token_id: TokenId,
        reason: Reason,
    ) -> Result<Changed<Token>, AuthorityError> {
        if let Some(entry) = self.earlier(ask).await? {
            return self.revoked_before(ask, &entry, token_id).await;
        }
        let origin = self.origin(ask);
        let withdrawal = Withdrawal {
            time: origin.time,
            reason,
        };
        let decide = |token: &Token| Ok(change::revoke(token, withdrawal.clone()));
        match self
            .change_token((ask, Right::TokensRevoke), token_id, origin.clone(), decide)
            .await?
        {
            Step::Done(changed) => Ok(changed),
            Step::Repeated(entry) => self.revoked_before(ask, &entry, token_id).await,
        }
    }

    async fn revoked_before(
        &self,
        ask: &Ask,
        entry: &Entry,
        asked: TokenId,
    ) -> Result<Changed<Token>, AuthorityError> {
        match &entry.change {
            Change::Token {
                token_id,
                change: TokenChange::Revoked(_),
                ..
            } if *token_id == asked => {
                let token = self.token_for(&ask.caller, Right::TokensRevoke, asked).await?;
                Ok(self.changed(token.record, entry.revision))
            }
            _ => Err(AuthorityError::RequestIdReused),
        }
    }
}
