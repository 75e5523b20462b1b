//! Rotate: a new secret for a token that stays what it is.

use std::time::Duration;

use super::{Ask, Authority, AuthorityError, Changed, Minted, Step};
use crate::journal::{Change, Entry};
use crate::token::change::{self, TokenChange};
use crate::token::id::TokenId;
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
        if let Some(entry) = self.earlier(ask).await? {
            return Err(repeated(&entry, token_id));
        }
        let right = Right::TokensRotate;
        let namespace = self
            .token_for(&ask.caller, right, token_id)
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
        match self
            .change_token((ask, right), token_id, origin.clone(), decide)
            .await?
        {
            Step::Done(Changed { record, cursor }) => Ok(Changed {
                record: Minted {
                    token: record,
                    secret,
                },
                cursor,
            }),
            Step::Repeated(entry) => Err(repeated(&entry, token_id)),
        }
    }
}

fn repeated(entry: &Entry, asked: TokenId) -> AuthorityError {
    match &entry.change {
        Change::Token {
            token_id,
            change: TokenChange::Rotated { .. },
            ..
        } if *token_id == asked => AuthorityError::SecretAlreadyShown { token_id: asked },
        _ => AuthorityError::RequestIdReused,
    }
}
