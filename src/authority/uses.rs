//! Uses of secrets that the journal is to have: the first one of a secret that came by a rotation, and one after its
//! end.

use tokio::sync::mpsc;

use super::{Authority, AuthorityError};
use crate::token::Token;
use crate::token::change::{self, Use, Used};
use crate::token::text::Actor;

impl Authority {
    /// Writes what is handed over, one at a time, until nobody can hand over any more. Whoever used the secret has had
    /// their answer: what fails here is handed over again with its next use.
    pub async fn note_uses(&self, actor: Actor, mut uses: mpsc::Receiver<Used>) {
        while let Some(used) = uses.recv().await {
            if let Err(error) = self.note_use(&actor, &used).await {
                let token_id = used.token_id;
                tracing::warn!(%token_id, %error, "a use of a secret is not in the journal until its next use");
            }
        }
    }

    async fn note_use(&self, actor: &Actor, used: &Used) -> Result<(), AuthorityError> {
        let Used {
            token_id,
            version,
            time,
            of,
        } = *used;
        match of {
            Use::First => {
                let decide = |token: &Token, _| change::first_used(token, version, time);
                self.change_unasked(actor, token_id, decide).await
            }
            Use::AfterEnd => {
                let directory = self.store.directory().await?.record;
                let decide = |token: &Token, _| {
                    let policy = &directory.get(&token.namespace)?.policy;
                    change::retired_secret_used(token, version, time, policy)
                };
                self.change_unasked(actor, token_id, decide).await
            }
        }
    }
}

#[cfg(test)]
mod tests;
