//! Revoke: for ever.

use super::{Ask, Authority, AuthorityError, Changed, Step, Surroundings};
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
        match self.once(ask, self.revoke_anew(ask, token_id, &reason)).await? {
            Step::Done(changed) | Step::Unchanged(changed) => Ok(changed),
            Step::Repeated(entry) => self.revoked_before(ask, &entry, token_id, &reason).await,
        }
    }

    /// Revokes a token whose secret was found where it does not belong; whether there was anything to revoke that the
    /// caller may know of.
    pub async fn revoke_leaked(
        &self,
        ask: &Ask,
        token_id: TokenId,
        reason: Reason,
    ) -> Result<bool, AuthorityError> {
        let revoked = self
            .revoke_by(Right::TokensRevokeLeaked, ask, token_id, &reason)
            .await;
        match revoked {
            Ok(Step::Done(_)) => Ok(true),
            Ok(Step::Unchanged(_) | Step::Repeated(_)) | Err(AuthorityError::TokenNotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn revoke_anew(
        &self,
        ask: &Ask,
        token_id: TokenId,
        reason: &Reason,
    ) -> Result<Step<Token>, AuthorityError> {
        self.revoke_by(Right::TokensRevoke, ask, token_id, reason).await
    }

    async fn revoke_by(
        &self,
        right: Right,
        ask: &Ask,
        token_id: TokenId,
        reason: &Reason,
    ) -> Result<Step<Token>, AuthorityError> {
        let origin = self.origin(ask);
        let withdrawal = Withdrawal {
            time: origin.time,
            reason: reason.clone(),
        };
        let decide = |token: &Token, _: &Surroundings| Ok(change::revoke(token, withdrawal.clone()));
        self.change_token((ask, right), token_id, origin.clone(), decide)
            .await
    }

    async fn revoked_before(
        &self,
        ask: &Ask,
        entry: &Entry,
        asked: TokenId,
        reason: &Reason,
    ) -> Result<Changed<Token>, AuthorityError> {
        match &entry.change {
            Change::Token {
                token_id,
                change: TokenChange::Revoked(withdrawal),
                ..
            } if *token_id == asked && withdrawal.reason == *reason => {
                let token = self.token_for(&ask.caller, Right::TokensRevoke, asked).await?;
                Ok(self.changed(self.shown(token.record).await?, entry.revision))
            }
            _ => Err(AuthorityError::RequestIdReused),
        }
    }
}
