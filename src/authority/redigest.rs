//! Redigest: a secret that was used is kept under the current pepper from then on, so that the one before can go.

use tokio::sync::mpsc;

use super::{Authority, AuthorityError};
use crate::token::Token;
use crate::token::change::{self, Redigest};
use crate::token::text::Actor;

impl Authority {
    /// Carries out what is asked for, one at a time, until nobody can ask any more. Whoever presented the secret has
    /// had their answer: what fails here is asked for again with its next use.
    pub async fn redigest_used(&self, actor: Actor, mut asked: mpsc::Receiver<Redigest>) {
        while let Some(redigest) = asked.recv().await {
            if let Err(error) = self.redigest(&actor, &redigest).await {
                let token_id = redigest.token_id;
                tracing::warn!(%token_id, %error, "a secret is kept under the previous pepper until its next use");
            }
        }
    }

    async fn redigest(&self, actor: &Actor, asked: &Redigest) -> Result<(), AuthorityError> {
        let decide = |token: &Token, now| change::redigest(token, asked, now);
        self.change_unasked(actor, asked.token_id, decide).await
    }
}

#[cfg(test)]
mod tests;
