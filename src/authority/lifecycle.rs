//! Telling what time alone brings tokens to, and withdrawing those that nobody uses: each once, whoever is at it.

use super::{Authority, AuthorityError, DECISIONS_MAX, Step, Surroundings, token_of};
use crate::journal::{Draft, Kind, Origin, Stored};
use crate::store::READ_MAX;
use crate::store::history::{Place, Search, Wanted};
use crate::token::Token;
use crate::token::change::{self, TokenChange};
use crate::token::id::{RequestDigest, TokenId};
use crate::token::lifecycle::{self, Matter, Notice, Uses};
use crate::token::policy::UnusedAction;
use crate::token::text::{Actor, Reason};
use crate::token::time::{Span, Timestamp};
use crate::token::{State, Withdrawal};

/// What was written of a token.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Told {
    pub notice: bool,
    /// What it became, if it was withdrawn.
    pub withdrawn: Option<State>,
}

/// A token that has come to something, as it was when that was decided.
struct Due {
    stored: Stored<Token>,
    surroundings: Surroundings,
    notice: Notice,
    time: Timestamp,
}

impl Authority {
    /// Tells that a token has come to this, if it has and that was not told before, and withdraws it if its namespace
    /// wants that. What is known is read anew for each: a change to the token meanwhile, or a use of it, wins. A use is
    /// known so late, at most, as `use_late_max` says.
    pub async fn tell(
        &self,
        token_id: TokenId,
        matter: Matter,
        use_late_max: Span,
    ) -> Result<Told, AuthorityError> {
        let what = (token_id, matter, use_late_max);
        let tell = |due: &Due| {
            let request = due.notice.request(token_id);
            Some((request, TokenChange::Told(due.notice)))
        };
        let Some((due, is_told)) = self.write_if_due(what, tell).await? else {
            return Ok(Told::default());
        };
        let told = Told {
            notice: is_told,
            withdrawn: None,
        };
        let Notice::Unused { after, since } = due.notice else {
            return Ok(told);
        };
        let withdraw = |due: &Due| {
            let withdrawal = Withdrawal {
                time: due.time,
                reason: Reason::unused(since, after.duration()),
            };
            let token = &due.stored.record;
            let change = match due.surroundings.namespace.policy.unused_action {
                UnusedAction::Report => None,
                UnusedAction::Suspend => change::suspend(token, withdrawal).ok().flatten(),
                UnusedAction::Revoke => change::revoke(token, withdrawal),
            };
            Some((due.notice.request_to_withdraw(token_id), change?))
        };
        let written = self.write_if_due(what, withdraw).await?;
        let withdrawn = written.filter(|(_, is_new)| *is_new).map(|(due, _)| {
            match due.surroundings.namespace.policy.unused_action {
                UnusedAction::Revoke => State::Revoked,
                UnusedAction::Report | UnusedAction::Suspend => State::Suspended,
            }
        });
        Ok(Told { withdrawn, ..told })
    }

    /// Writes what `change` makes of a token that has come to this; on what it was decided, and whether it was not
    /// written before. `None`: it has not come to this, or not any more, or there is nothing to write.
    async fn write_if_due(
        &self,
        what: (TokenId, Matter, Span),
        change: impl Fn(&Due) -> Option<(RequestDigest, TokenChange)>,
    ) -> Result<Option<(Due, bool)>, AuthorityError> {
        for _ in 0..DECISIONS_MAX {
            let Some(due) = self.due(what).await? else {
                return Ok(None);
            };
            let Some((request_id, change)) = change(&due) else {
                return Ok(None);
            };
            let origin = Origin {
                request_id,
                time: due.time,
                actor: Actor::lifecycle(),
            };
            let draft = Draft::of_token(origin, Some(&due.stored), change)?;
            if let Some(step) = self.commit(draft, token_of).await? {
                return Ok(Some((due, matches!(step, Step::Done(_)))));
            }
        }
        Err(AuthorityError::Contention)
    }

    /// What a token has come to by now, if it has.
    async fn due(
        &self,
        (token_id, matter, use_late_max): (TokenId, Matter, Span),
    ) -> Result<Option<Due>, AuthorityError> {
        let Some(stored) = self.store.token(token_id).await? else {
            return Ok(None);
        };
        let record = &stored.record;
        let surroundings = self.surroundings(&record.namespace, &record.subject).await?;
        let policy = &surroundings.namespace.policy;
        let token = record.under(surroundings.above());
        let time = self.clock.now();
        let notice = match matter {
            Matter::Expiring => lifecycle::expiring(&token, policy, time),
            Matter::RotationDue => lifecycle::rotation_due(&token, policy, time),
            Matter::Unused => {
                let known_until = time.earlier(use_late_max.duration());
                let uses = self.uses(record, &surroundings, known_until).await?;
                uses.and_then(|uses| lifecycle::unused(&token, policy, &uses, time))
            }
        };
        drop(token);
        Ok(notice.map(|notice| Due {
            stored,
            surroundings,
            notice,
            time,
        }))
    }

    /// What is known of the use of a token; `None`: uses are not recorded.
    async fn uses(
        &self,
        token: &Token,
        around: &Surroundings,
        known_until: Timestamp,
    ) -> Result<Option<Uses>, AuthorityError> {
        let Some(known_since) = self.store.usage_since().await? else {
            return Ok(None);
        };
        let resume_time = self.resume_time(token.id).await?;
        // Last, so that as little time as may be passes until what is decided on it is written.
        let usage = self.store.usages(vec![token.id]).await?;
        Ok(Some(Uses {
            known_since,
            known_until,
            last_use: usage
                .into_iter()
                .flatten()
                .find_map(|usage| usage.last_use_time()),
            resume_time,
            subject_time: around.standing().map(|standing| standing.update_time),
        }))
    }

    /// When a token was last resumed, as far as the journal goes back.
    async fn resume_time(&self, token_id: TokenId) -> Result<Option<Timestamp>, AuthorityError> {
        let mut search = Search {
            wanted: Wanted {
                token_id: Some(token_id),
                kinds: vec![Kind::TokenResumed],
                ..Wanted::default()
            },
            after: Place::START,
            limit: READ_MAX,
        };
        let mut last = None;
        loop {
            let found = self.store.search(search.clone()).await?;
            last = found.entries.last().map(|entry| entry.time).or(last);
            match found.next {
                Some(next) => search.after = next,
                None => return Ok(last),
            }
        }
    }
}

#[cfg(test)]
mod tests;
