//! RevokeMatching: many tokens at once, each by an entry of its own. First it is told what would be revoked; then
//! exactly that is, however often the way there is interrupted.

use std::collections::VecDeque;

use tokio::sync::OwnedSemaphorePermit;

use super::list::Total;
use super::plan::{Matching, Plan};
use super::{Authority, AuthorityError, DECISIONS_MAX};
use crate::clock::random;
use crate::journal::{Draft, Origin, Revision, Stored};
use crate::store::select::Selection;
use crate::store::{EntryFilter, Outcome, READ_MAX};
use crate::token::caller::Caller;
use crate::token::change;
use crate::token::id::{Slug, TokenId};
use crate::token::order::{Order, Place};
use crate::token::permission::Right;
use crate::token::selector::{Filter, States};
use crate::token::text::Reason;
use crate::token::time::Timestamp;
use crate::token::{Token, Withdrawal};

/// So many tokens are shown of those that would be revoked.
pub const SAMPLE_MAX: u32 = 20;
/// So many drafts of one run wait for the writer at once: half of what it takes into a transaction, so that there is
/// always room for others.
const DRAFTS_MAX: usize = 128;

/// What would be revoked.
#[derive(Debug)]
pub struct Preview {
    pub tokens: u64,
    /// The first of them.
    pub sample: Vec<Token>,
    /// Brought back it has just these revoked.
    pub plan: String,
    /// From this instant on the plan is not carried out any more.
    pub expire_time: Timestamp,
}

/// A plan that is being carried out.
#[derive(Debug)]
pub struct Run {
    plan: Plan,
    filter: Filter,
    /// The tokens that were read and are yet to be revoked.
    waiting: VecDeque<Stored<Token>>,
    after: Option<Place>,
    is_read: bool,
    /// All that the plan revokes.
    pub total: u64,
    /// Those of them that are revoked, by this run or one before.
    pub revoked: u64,
    /// Those that meanwhile were revoked by others, or changed so that they are not meant any more.
    pub passed_over: u64,
    _place: OwnedSemaphorePermit,
}

impl Authority {
    /// What would be revoked now.
    pub async fn preview(&self, caller: &Caller, of: &Matching) -> Result<Preview, AuthorityError> {
        let _place = self.matching_place()?;
        let plan = Plan {
            id: random(&*self.entropy),
            made: self.clock.now(),
            cursor: self.store.head().await?.cursor(),
        };
        let filter = self.meant(of, plan.made).await?;
        Ok(Preview {
            tokens: self.count_meant(caller, &filter).await?,
            sample: self.sample(caller, &filter).await?,
            plan: plan.seal(&self.opaque, of, &caller.actor()),
            expire_time: plan.expire_time(),
        })
    }

    /// Begins to carry out a plan, or goes on with one: if the tokens it means are as many as were told.
    pub async fn begin(
        &self,
        caller: &Caller,
        of: &Matching,
        plan: &str,
        expected: u64,
    ) -> Result<Run, AuthorityError> {
        let place = self.matching_place()?;
        let plan = Plan::open(&self.opaque, of, &caller.actor(), plan).ok_or(AuthorityError::PlanInvalid)?;
        if plan.expire_time() <= self.clock.now() || plan.cursor.epoch != self.epoch {
            return Err(AuthorityError::PlanExpired);
        }
        let filter = self.meant(of, plan.made).await?;
        for _ in 0..DECISIONS_MAX {
            let revoked = self.revoked_by(&plan, of).await?;
            let found = revoked + self.count_meant(caller, &filter).await?;
            if found == expected {
                return Ok(Run {
                    is_read: filter.is_void(),
                    plan,
                    filter,
                    waiting: VecDeque::new(),
                    after: None,
                    total: found,
                    revoked,
                    passed_over: 0,
                    _place: place,
                });
            }
            // What a run that was cut off wrote between the two looks, neither has counted.
            if self.revoked_by(&plan, of).await? == revoked {
                return Err(AuthorityError::CountMismatch { expected, found });
            }
        }
        Err(AuthorityError::Contention)
    }

    /// Accounts for what left a run before it was read, when nothing is left to revoke: a run that was cut off may have
    /// revoked it, or others.
    pub async fn settle(&self, run: &mut Run, of: &Matching) -> Result<(), AuthorityError> {
        if run.revoked + run.passed_over < run.total {
            run.revoked = self.revoked_by(&run.plan, of).await?;
            run.passed_over = run.total.saturating_sub(run.revoked);
        }
        Ok(())
    }

    /// Revokes the next tokens of a run; whether there are more.
    pub async fn go_on(
        &self,
        caller: &Caller,
        run: &mut Run,
        reason: &Reason,
    ) -> Result<bool, AuthorityError> {
        while run.waiting.is_empty() {
            if run.is_read {
                return Ok(false);
            }
            self.read_on(caller, run).await?;
        }
        let origin = |id| Origin {
            request_id: run.plan.request(id),
            // The clock of another server may be behind that of the preview.
            time: self.clock.now().max(run.plan.made),
            actor: caller.actor(),
        };
        let mut sent = Vec::with_capacity(DRAFTS_MAX);
        while sent.len() < DRAFTS_MAX
            && let Some(stored) = run.waiting.pop_front()
        {
            let id = stored.record.id;
            let Some(draft) = revocation(origin(id), &stored, reason)? else {
                run.passed_over += 1;
                continue;
            };
            match self.writer.send(draft) {
                Ok(answer) => sent.push((id, answer)),
                // Others have filled the queue: what was sent goes first, and the rest tries again.
                Err(AuthorityError::Overloaded) if !sent.is_empty() => {
                    run.waiting.push_front(stored);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        for (id, answer) in sent {
            let mut outcome = answer.outcome().await?;
            for _ in 0..DECISIONS_MAX {
                if outcome != Outcome::Conflict {
                    break;
                }
                let Some(stored) = self.meant_still(&run.filter, id).await? else {
                    break;
                };
                let Some(draft) = revocation(origin(id), &stored, reason)? else {
                    break;
                };
                outcome = self.writer.commit(draft).await?;
            }
            match outcome {
                Outcome::Written(_) | Outcome::Repeated(_) => run.revoked += 1,
                Outcome::Conflict => run.passed_over += 1,
            }
        }
        Ok(!(run.is_read && run.waiting.is_empty()))
    }

    /// The token as it is now, if it is meant.
    async fn meant_still(
        &self,
        filter: &Filter,
        id: TokenId,
    ) -> Result<Option<Stored<Token>>, AuthorityError> {
        let Some(stored) = self.store.token(id).await? else {
            return Ok(None);
        };
        let token = &stored.record;
        let standing = self.standing_of(&token.namespace, &token.subject).await?;
        let standing = standing.as_ref().map(|stored| &stored.record);
        let used = self.store.usages(vec![id]).await?.into_iter().flatten().next();
        let last_use = used.and_then(|usage| usage.last_use_time());
        Ok(filter.matches(token, standing, last_use).then_some(stored))
    }

    async fn read_on(&self, caller: &Caller, run: &mut Run) -> Result<(), AuthorityError> {
        let slice = self
            .store
            .tokens(in_search_order(&run.filter, run.after.take()))
            .await?;
        run.is_read = slice.next.is_none();
        run.after = slice.next;
        let meant = slice.tokens.into_iter();
        run.waiting
            .extend(meant.filter(|stored| may_revoke(caller, &stored.record)));
        Ok(())
    }

    /// What is meant at an instant: nothing that was issued later, or is revoked, by itself or with its subject or its
    /// namespace.
    async fn meant(&self, of: &Matching, at: Timestamp) -> Result<Filter, AuthorityError> {
        let directory = self.store.directory().await?.record;
        self.knows_use(&of.selector).await?;
        let mut filter = match &of.namespace {
            None => of.selector.anywhere(&directory, at),
            Some(slug) => {
                let namespace = directory.get(slug);
                let namespace = namespace.ok_or_else(|| AuthorityError::NamespaceNotFound(slug.clone()))?;
                of.selector.within(namespace, at)
            }
        };
        filter.selector.states = filter.selector.states.and(States::UNREVOKED);
        filter.issued_until = Some(at);
        Ok(filter)
    }

    async fn count_meant(&self, caller: &Caller, filter: &Filter) -> Result<u64, AuthorityError> {
        if filter.is_void() {
            return Ok(0);
        }
        if filter.namespace.is_none() {
            // So many ids there may be, and no more.
            return Ok(self.first(caller, filter, READ_MAX).await?.len() as u64);
        }
        let (Total::Exactly(tokens) | Total::AtLeast(tokens)) = self.counted(filter, |_, _| false).await?;
        Ok(tokens)
    }

    async fn sample(&self, caller: &Caller, filter: &Filter) -> Result<Vec<Token>, AuthorityError> {
        if filter.is_void() {
            return Ok(Vec::new());
        }
        let first = self.first(caller, filter, SAMPLE_MAX).await?;
        self.all_shown(filter, first).await
    }

    /// The first tokens that are meant, and that the caller may revoke.
    async fn first(
        &self,
        caller: &Caller,
        filter: &Filter,
        limit: u32,
    ) -> Result<Vec<Token>, AuthorityError> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let slice = self.store.tokens(in_search_order(filter, after)).await?;
            let tokens = slice.tokens.into_iter().map(|stored| stored.record);
            found.extend(tokens.filter(|token| may_revoke(caller, token)));
            if found.len() >= limit as usize || slice.next.is_none() {
                found.truncate(limit as usize);
                return Ok(found);
            }
            after = slice.next;
        }
    }

    /// How many tokens the plan has revoked: the journal knows.
    async fn revoked_by(&self, plan: &Plan, of: &Matching) -> Result<u64, AuthorityError> {
        let filter = EntryFilter {
            namespace: of.namespace.clone(),
            token_id: None,
        };
        let mut after: Revision = plan.cursor.revision;
        let mut revoked = 0;
        loop {
            let entries = self.store.entries(after, filter.clone(), READ_MAX).await?;
            let Some(last) = entries.last() else {
                return Ok(revoked);
            };
            after = last.revision;
            revoked += entries.iter().filter(|entry| plan.has_written(entry)).count() as u64;
        }
    }

    /// A place among the few that work on many tokens at once.
    fn matching_place(&self) -> Result<OwnedSemaphorePermit, AuthorityError> {
        let place = std::sync::Arc::clone(&self.matching).try_acquire_owned();
        place.map_err(|_| AuthorityError::Overloaded)
    }
}

fn in_search_order(filter: &Filter, after: Option<Place>) -> Selection {
    Selection {
        order: Order::ascending(filter.selector.order_of_search()),
        filter: filter.clone(),
        after,
        limit: READ_MAX,
    }
}

/// Whether the caller has both rights over the token that it takes, and it is one of those that are revoked in bulk:
/// credentials are not.
fn may_revoke(caller: &Caller, token: &Token) -> bool {
    token.namespace.as_str() != Slug::SYSTEM
        && [Right::TokensList, Right::TokensRevoke]
            .into_iter()
            .all(|right| caller.may(right, &token.namespace))
}

fn revocation(
    origin: Origin,
    stored: &Stored<Token>,
    reason: &Reason,
) -> Result<Option<Draft>, AuthorityError> {
    let withdrawal = Withdrawal {
        time: origin.time,
        reason: reason.clone(),
    };
    let Some(change) = change::revoke(&stored.record, withdrawal) else {
        return Ok(None);
    };
    Ok(Some(Draft::of_token(origin, Some(stored), change)?))
}

#[cfg(test)]
mod tests;
