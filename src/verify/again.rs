//! A token that was accepted, asked for again a while later.

use std::fmt;

use super::facts::Facts;
use super::misses::{Digests, Found};
use super::{Verifier, VerifyError, older, under};
use crate::journal::Revision;
use crate::token::secret::Digest;
use crate::token::{State, Token};

impl Verifier {
    /// Whether a token that was accepted by the secret of this version still would be. Asked by who has been at
    /// something for a while.
    pub async fn is_still_good(
        &self,
        token: &Token,
        secret_version: u32,
        caller: &(dyn fmt::Display + Sync),
    ) -> Result<bool, VerifyError> {
        let applied = self.standing()?;
        let Some(kept) = token.secret_of_version(secret_version) else {
            return Ok(false);
        };
        let mut now = self.token_with(kept.digest, caller, applied).await?;
        if now.is_none() {
            // Redigested, perhaps. What the store says here is only where to look.
            let stored = self.store.token(token.id).await?;
            let moved =
                stored.and_then(|stored| Some(stored.record.secret_of_version(secret_version)?.digest));
            if let Some(moved) = moved.filter(|moved| *moved != kept.digest) {
                now = self.token_with(moved, caller, applied).await?;
            }
        }
        self.standing()?;
        let time = self.clock.now();
        let directory = self.known.directory();
        Ok(now.is_some_and(|now| {
            let now = match directory.get(&now.namespace) {
                Some(namespace) => under::namespace(namespace, now.token),
                None => return false,
            };
            let secret = now.secret_of_version(secret_version);
            // One that was changed has to be recognised again, as what it is now.
            let is_as_it_was = now.scopes == token.scopes && now.networks == token.networks;
            is_as_it_was && now.state(time) == State::Active && secret.is_some_and(|kept| kept.live(time))
        }))
    }

    /// The token that has this digest, from the cache or the store, with all that was applied here.
    async fn token_with(
        &self,
        digest: Digest,
        caller: &(dyn fmt::Display + Sync),
        applied: Revision,
    ) -> Result<Option<Facts>, VerifyError> {
        if let Some(token) = self.known.cache.get(&digest) {
            return Ok(Some(token));
        }
        let digests = Digests::of(digest);
        let (Found { token, fence, .. }, _) = self.misses.look_up(digests, &caller.to_string()).await?;
        if fence < applied {
            return Err(older());
        }
        Ok(token)
    }
}
