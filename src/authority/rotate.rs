//! Rotate: a new secret for a token that stays what it is.

use std::time::Duration;

use super::{Ask, Authority, AuthorityError, Changed, Minted, Step};
use crate::journal::{Change, Entry};
use crate::token::change::{self, TokenChange};
use crate::token::id::{Slug, TokenId};
use crate::token::permission::Right;
use crate::token::{KeptSecret, Token};

impl Authority {
    /// Gives the token a new secret; the one before lives on for `overlap`, any older one ends at once.
    pub async fn rotate(
        &self,
        ask: &Ask,
        token_id: TokenId,
        overlap: Duration,
    ) -> Result<Changed<Minted>, AuthorityError> {
        match self.once(ask, self.rotate_anew(ask, token_id, overlap)).await? {
            Step::Done(rotated) | Step::Unchanged(rotated) => Ok(rotated),
            Step::Repeated(entry) if rotated_before(&entry, token_id, overlap) => {
                // Whoever may not have the secret any more is not shown it again; a credential that rotated
                // itself asks with the secret from before.
                if !has_rotated_itself(ask, &entry) {
                    self.token_for(&ask.caller, Right::TokensRotate, token_id).await?;
                }
                self.shown_before(ask, token_id, &entry).await
            }
            Step::Repeated(_) => Err(AuthorityError::RequestIdReused),
        }
    }

    async fn rotate_anew(
        &self,
        ask: &Ask,
        token_id: TokenId,
        overlap: Duration,
    ) -> Result<Step<Minted>, AuthorityError> {
        let namespace = self
            .token_for(&ask.caller, Right::TokensRotate, token_id)
            .await?
            .record
            .namespace;
        let directory = self.store.directory().await?.record;
        let format = &directory
            .get(&namespace)
            .ok_or(AuthorityError::NamespaceNotFound(namespace))?
            .format;
        let secret = self.mint(format);
        let origin = self.origin(ask);
        let first = self.keep(format, &secret, 1, &origin);
        let decide = |token: &Token| {
            let version = token.current_secret().map_or(1, |kept| kept.version + 1);
            let kept = KeptSecret {
                version,
                ..first.clone()
            };
            change::rotate(token, kept, overlap).map(Some)
        };
        let complete = |draft| self.with_answer(ask, &secret, draft);
        let step = self
            .change_token(
                (ask, Right::TokensRotate),
                token_id,
                origin.clone(),
                decide,
                complete,
            )
            .await?;
        Ok(step.map(|token| Minted { token, secret }))
    }
}

/// Whether `entry` gave the credential that asks the secret after the one it presents.
fn has_rotated_itself(ask: &Ask, entry: &Entry) -> bool {
    match (&entry.change, ask.caller.presented()) {
        (
            Change::Token {
                token_id,
                change: TokenChange::Rotated { secret, .. },
                ..
            },
            Some((own, version)),
        ) => own.id == *token_id && own.namespace.as_str() == Slug::SYSTEM && secret.version == version + 1,
        _ => false,
    }
}

/// Whether `entry` is just the rotation that is asked for.
fn rotated_before(entry: &Entry, asked: TokenId, overlap: Duration) -> bool {
    match &entry.change {
        Change::Token {
            token_id,
            change: TokenChange::Rotated { retire_time, .. },
            ..
        } => *token_id == asked && entry.time.after(overlap) == Ok(*retire_time),
        _ => false,
    }
}
