//! Update: what of a token is changed in place.

use super::{Ask, Authority, AuthorityError, Changed, Step, Surroundings};
use crate::journal::fold;
use crate::token::Token;
use crate::token::change::TokenChange;
use crate::token::id::TokenId;
use crate::token::permission::Right;
use crate::token::policy::Policy;
use crate::token::update::{Update, update};

impl Authority {
    /// Changes the fields that are asked for. `etag`, if given, must be that of the token now. Who makes it worth more
    /// must be able to issue one that is worth as much.
    pub async fn update(
        &self,
        ask: &Ask,
        token_id: TokenId,
        etag: Option<String>,
        asked: Update,
    ) -> Result<Changed<Token>, AuthorityError> {
        let updating = self.update_anew(ask, token_id, etag.as_deref(), &asked);
        let step = self.once(ask, updating).await?;
        let same = |change: &TokenChange| matches!(change, TokenChange::Updated(updated) if updated.asked() == asked);
        self.updated(ask, token_id, step, same).await
    }

    async fn update_anew(
        &self,
        ask: &Ask,
        token_id: TokenId,
        etag: Option<&str>,
        asked: &Update,
    ) -> Result<Step<Token>, AuthorityError> {
        let origin = self.origin(ask);
        let decide = |token: &Token, around: &Surroundings| {
            let policy = &around.namespace.policy;
            if etag.is_some_and(|etag| *etag != token.etag()) {
                return Err(AuthorityError::EtagMismatch);
            }
            let change = update(token, asked, origin.time).map_err(AuthorityError::of_token(token_id))?;
            change.map_or(Ok(None), |change| may(ask, policy, token, change).map(Some))
        };
        self.change_token((ask, Right::TokensUpdate), token_id, origin.clone(), decide)
            .await
    }
}

/// The change, if the namespace lets it happen and the caller may make it.
fn may(
    ask: &Ask,
    policy: &Policy,
    token: &Token,
    change: TokenChange,
) -> Result<TokenChange, AuthorityError> {
    if let TokenChange::Updated(updated) = &change {
        updated.check(policy, token).map_err(AuthorityError::Breach)?;
        if updated.widens() {
            let after = fold::token(Some(token), &change)?;
            ask.caller
                .check_passing_on(&after.namespace, &after.scopes, after.expire_time)?;
        }
    }
    Ok(change)
}

#[cfg(test)]
mod tests;
