//! Redigest: a secret that was used is kept under the current pepper from then on, so that the one before can go.

use tokio::sync::mpsc;

use super::{Authority, AuthorityError, DECISIONS_MAX, token_of};
use crate::clock::random;
use crate::journal::{Draft, Origin};
use crate::token::change::{self, Redigest};
use crate::token::id::RequestDigest;
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

    /// Nobody called for it, so nobody's rights are asked for.
    async fn redigest(&self, actor: &Actor, asked: &Redigest) -> Result<(), AuthorityError> {
        let time = self.clock.now();
        let origin = Origin {
            request_id: RequestDigest::new(time, random(&*self.entropy)),
            time,
            actor: actor.clone(),
        };
        for _ in 0..DECISIONS_MAX {
            let Some(stored) = self.store.token(asked.token_id).await? else {
                return Err(AuthorityError::TokenNotFound(asked.token_id));
            };
            let Some(change) = change::redigest(&stored.record, asked, time) else {
                return Ok(());
            };
            let draft = Draft::of_token(origin.clone(), Some(&stored), change)?;
            if self.commit(draft, token_of).await?.is_some() {
                return Ok(());
            }
        }
        Err(AuthorityError::Contention)
    }
}

#[cfg(test)]
mod tests;
