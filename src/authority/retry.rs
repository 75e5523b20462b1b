//! A request sent again has the effect and the answer of the first, for as long as that is kept.

use std::time::Duration;

use super::{Ask, Authority, AuthorityError, Changed, Minted, Step};
use crate::clock::random;
use crate::journal::{Draft, Entry, Record};
use crate::store::{SWEEP_MAX, StoreError};
use crate::token::answer::SealedAnswer;
use crate::token::id::{RequestDigest, TokenId};
use crate::token::secret::Secret;
use crate::token::time::Timestamp;

/// How long a secret can be had again by who asked for it.
pub const ANSWER_KEPT: Duration = Duration::from_hours(24);

impl Authority {
    /// Makes `change`, unless the same request has been carried out before.
    pub(super) async fn once<T>(
        &self,
        ask: &Ask,
        change: impl Future<Output = Result<Step<T>, AuthorityError>>,
    ) -> Result<Step<T>, AuthorityError> {
        if let Some(entry) = self.earlier(ask).await? {
            return repeated(ask, entry);
        }
        match change.await {
            Ok(Step::Repeated(entry)) => repeated(ask, entry),
            Ok(Step::Done(changed)) => Ok(Step::Done(changed)),
            // What is known of it will be told by a retry, when the store or the queue answers again.
            Err(error @ (AuthorityError::Store(_) | AuthorityError::Overloaded)) => Err(error),
            // It may have run into what the same request, sent twice, has just done.
            nothing_done => match self.earlier(ask).await? {
                Some(entry) => repeated(ask, entry),
                None => nothing_done,
            },
        }
    }

    /// The entry an earlier try of this request was written as.
    async fn earlier(&self, ask: &Ask) -> Result<Option<Entry>, AuthorityError> {
        match &ask.request_id {
            Some(request_id) => Ok(self.store.entry_of_request(RequestDigest::of(request_id)).await?),
            None => Ok(None),
        }
    }

    /// Adds to a draft that gives `secret` away what a retry of `ask` will be answered with.
    pub(super) fn with_answer(
        &self,
        ask: &Ask,
        secret: &Secret,
        draft: Draft,
    ) -> Result<Draft, AuthorityError> {
        let (Some(request_id), Record::Token(token)) = (&ask.request_id, draft.after()) else {
            return Ok(draft);
        };
        let expire_time = draft.time.after(ANSWER_KEPT).unwrap_or(Timestamp::MAX);
        let nonce = random(&*self.entropy);
        let answer = SealedAnswer::seal(
            self.peppers.current(),
            request_id,
            nonce,
            token,
            secret,
            expire_time,
        )?;
        Ok(draft.with_answer(answer))
    }

    /// What was answered to `ask` when `entry` was written, for as long as it is kept.
    pub(super) async fn shown_before(
        &self,
        ask: &Ask,
        token_id: TokenId,
        entry: &Entry,
    ) -> Result<Changed<Minted>, AuthorityError> {
        let gone = AuthorityError::SecretAlreadyShown { token_id };
        let Some(request_id) = &ask.request_id else {
            return Err(gone);
        };
        let Some(answer) = self.store.answer(entry.revision).await? else {
            return Err(gone);
        };
        if answer.expire_time <= self.clock.now() {
            return Err(gone);
        }
        // One that a pepper has sealed which is gone is no less intact, but cannot be opened any more.
        let Some(pepper) = self.peppers.with_id(answer.pepper) else {
            return Err(gone);
        };
        match answer.open(pepper, request_id) {
            Ok((token, secret)) if token.id == token_id => {
                Ok(self.changed(Minted { token, secret }, entry.revision))
            }
            _ => Err(AuthorityError::Store(StoreError::Corrupt {
                what: format!("the sealed answer to request {} does not open", entry.request_id),
            })),
        }
    }

    /// Forgets the answers whose time is over; how many.
    pub async fn sweep_answers(&self) -> Result<u64, AuthorityError> {
        let now = self.clock.now();
        let mut swept = 0;
        loop {
            let some = self.store.sweep_answers(now).await?;
            swept += some;
            if some < u64::from(SWEEP_MAX) {
                return Ok(swept);
            }
        }
    }
}

/// An id is good for one change by one caller: what another asked for is nobody else's business.
fn repeated<T>(ask: &Ask, entry: Entry) -> Result<Step<T>, AuthorityError> {
    if entry.actor == ask.caller.actor() {
        Ok(Step::Repeated(entry))
    } else {
        Err(AuthorityError::RequestIdReused)
    }
}

#[cfg(test)]
mod tests;
