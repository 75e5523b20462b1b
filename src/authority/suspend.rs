//! Suspend and Resume: withdrawn for now, and given back.

use super::{Ask, Authority, AuthorityError, Changed, Step, Surroundings};
use crate::journal::{Change, Entry};
use crate::token::change::{self, TokenChange};
use crate::token::id::TokenId;
use crate::token::permission::Right;
use crate::token::text::Reason;
use crate::token::{Token, Withdrawal};

impl Authority {
    /// Suspends the token. Of several suspensions the first stands, until the token is resumed.
    pub async fn suspend(
        &self,
        ask: &Ask,
        token_id: TokenId,
        reason: Reason,
    ) -> Result<Changed<Token>, AuthorityError> {
        let origin = self.origin(ask);
        let withdrawal = Withdrawal {
            time: origin.time,
            reason: reason.clone(),
        };
        let decide = |token: &Token, _: &Surroundings| {
            let change = change::suspend(token, withdrawal.clone());
            change.map_err(AuthorityError::of_token(token_id))
        };
        let suspending = self.change_token((ask, Right::TokensUpdate), token_id, origin.clone(), decide);
        let step = self.once(ask, suspending).await?;
        let same = |change: &TokenChange| matches!(change, TokenChange::Suspended(before) if before.reason == reason);
        self.updated(ask, token_id, step, same).await
    }

    /// Makes a suspended token active again.
    pub async fn resume(&self, ask: &Ask, token_id: TokenId) -> Result<Changed<Token>, AuthorityError> {
        let decide = |token: &Token, _: &Surroundings| {
            change::resume(token).map_err(AuthorityError::of_token(token_id))
        };
        let origin = self.origin(ask);
        let resuming = self.change_token((ask, Right::TokensUpdate), token_id, origin, decide);
        let step = self.once(ask, resuming).await?;
        let same = |change: &TokenChange| *change == TokenChange::Resumed;
        self.updated(ask, token_id, step, same).await
    }

    /// The answer to a change that was made now, or by the same request before: `same` knows it again. Then it is the
    /// token as it is by now.
    pub(super) async fn updated(
        &self,
        ask: &Ask,
        asked: TokenId,
        step: Step<Token>,
        same: impl Fn(&TokenChange) -> bool,
    ) -> Result<Changed<Token>, AuthorityError> {
        let entry = match step {
            Step::Done(changed) | Step::Unchanged(changed) => return Ok(changed),
            Step::Repeated(entry) => entry,
        };
        if !is_of(&entry, asked, same) {
            return Err(AuthorityError::RequestIdReused);
        }
        let token = self.token_for(&ask.caller, Right::TokensUpdate, asked).await?;
        Ok(self.changed(self.shown(token.record).await?, entry.revision))
    }
}

fn is_of(entry: &Entry, asked: TokenId, same: impl Fn(&TokenChange) -> bool) -> bool {
    match &entry.change {
        Change::Token { token_id, change, .. } => *token_id == asked && same(change),
        Change::NamespaceCreated(_)
        | Change::NamespaceUpdated(_)
        | Change::NamespaceIssuedRevoked(_)
        | Change::Subject { .. }
        | Change::Webhook(_) => false,
    }
}
