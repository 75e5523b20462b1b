//! Subjects: what is said of all their tokens at once.

use super::{Ask, Authority, AuthorityError, Changed, DECISIONS_MAX, Step};
use crate::journal::{Change, Draft, Entry, Origin, Record};
use crate::token::Withdrawal;
use crate::token::id::Slug;
use crate::token::policy::RateLimit;
use crate::token::standing::{self, Standing, SubjectChange};
use crate::token::text::{Plan, Reason, Subject};

/// A subject by name.
pub type SubjectName = (Slug, Subject);

impl Authority {
    /// What is said of a subject; `None`: nothing is.
    pub async fn subject(
        &self,
        (namespace, subject): &SubjectName,
    ) -> Result<Option<Standing>, AuthorityError> {
        let surroundings = self.surroundings(namespace, subject).await?;
        Ok(surroundings.standing.map(|stored| stored.record))
    }

    /// The subjects of a namespace of which something is said, after `after`, in the order of their names, at most
    /// `size`; and where the next page begins.
    pub async fn subjects(
        &self,
        namespace: Slug,
        after: Option<Subject>,
        size: u32,
    ) -> Result<(Vec<Standing>, Option<Subject>), AuthorityError> {
        self.namespace(namespace.clone()).await?;
        let page = self.store.subjects(namespace, after, size).await?;
        // A full page may be the last; then the next one is empty.
        let is_full = page.len() == size as usize;
        let next = page.last().filter(|_| is_full).map(|last| last.subject.clone());
        Ok((page, next))
    }

    /// Gives a subject another plan, or none. `etag`, if given, must be that of the subject now.
    pub async fn set_plan(
        &self,
        ask: &Ask,
        name: SubjectName,
        etag: Option<String>,
        plan: Option<Plan>,
    ) -> Result<Changed<Option<Standing>>, AuthorityError> {
        let decide = |_: &Origin, before: Option<&Standing>| match &etag {
            Some(sent) if before.map(Standing::etag).as_ref() != Some(sent) => {
                Err(AuthorityError::EtagMismatch)
            }
            _ => Ok(standing::set_plan(before, plan.clone())),
        };
        let step = self.once(ask, self.change_subject(ask, &name, decide)).await?;
        let same = |change: &SubjectChange| *change == SubjectChange::PlanSet(plan.clone());
        self.answered_of_subject(step, &name, same).await
    }

    /// Suspends a subject. Of several suspensions the first stands, and all answer with it.
    pub async fn suspend_subject(
        &self,
        ask: &Ask,
        name: SubjectName,
        reason: Reason,
    ) -> Result<Changed<Option<Standing>>, AuthorityError> {
        let decide = |origin: &Origin, before: Option<&Standing>| {
            let withdrawal = Withdrawal {
                time: origin.time,
                reason: reason.clone(),
            };
            Ok(standing::suspend(before, withdrawal))
        };
        let step = self.once(ask, self.change_subject(ask, &name, decide)).await?;
        let same = |change: &SubjectChange| match change {
            SubjectChange::Suspended(withdrawal) => withdrawal.reason == reason,
            _ => false,
        };
        self.answered_of_subject(step, &name, same).await
    }

    pub async fn resume_subject(
        &self,
        ask: &Ask,
        name: SubjectName,
    ) -> Result<Changed<Option<Standing>>, AuthorityError> {
        let decide = |_: &Origin, before: Option<&Standing>| Ok(standing::resume(before));
        let step = self.once(ask, self.change_subject(ask, &name, decide)).await?;
        let same = |change: &SubjectChange| *change == SubjectChange::Resumed;
        self.answered_of_subject(step, &name, same).await
    }

    /// Gives a subject another rate limit, or none of its own. `etag`, if given, must be that of the subject now.
    pub async fn set_rate_limit(
        &self,
        ask: &Ask,
        name: SubjectName,
        etag: Option<String>,
        rate_limit: Option<RateLimit>,
    ) -> Result<Changed<Option<Standing>>, AuthorityError> {
        let decide = |_: &Origin, before: Option<&Standing>| match &etag {
            Some(sent) if before.map(Standing::etag).as_ref() != Some(sent) => {
                Err(AuthorityError::EtagMismatch)
            }
            _ => Ok(standing::set_rate_limit(before, rate_limit)),
        };
        let step = self.once(ask, self.change_subject(ask, &name, decide)).await?;
        let same = |change: &SubjectChange| match change {
            SubjectChange::RateLimitSet(set) => set.to == rate_limit,
            _ => false,
        };
        self.answered_of_subject(step, &name, same).await
    }

    /// Revokes all that was issued to a subject up to now; answers with up to when, and why.
    pub async fn revoke_issued(
        &self,
        ask: &Ask,
        name: SubjectName,
        reason: Reason,
    ) -> Result<Changed<Withdrawal>, AuthorityError> {
        let anew = async {
            // What was answered before this call is in the store by now, and its id says when it was made, by
            // whichever clock.
            let (namespace, subject) = name.clone();
            let newest = self.store.newest_token(namespace, Some(subject)).await?;
            let decide = |origin: &Origin, before: Option<&Standing>| {
                let before = before.and_then(|before| before.not_before.as_ref());
                let newest = newest.map(|id| id.issued_by());
                let not_before = standing::revoke_issued(before, newest, origin.time, reason.clone());
                Ok(Some(SubjectChange::IssuedRevoked(not_before)))
            };
            self.change_subject(ask, &name, decide).await
        };
        let (revoked, cursor) = match self.once(ask, anew).await? {
            Step::Done(changed) | Step::Unchanged(changed) => (
                changed.record.and_then(|record| record.not_before),
                changed.cursor,
            ),
            Step::Repeated(entry) => (
                issued_revoked_before(&entry, &name).cloned(),
                self.changed((), entry.revision).cursor,
            ),
        };
        let record = revoked
            .filter(|not_before| not_before.reason == reason)
            .ok_or(AuthorityError::RequestIdReused)?;
        Ok(Changed { record, cursor })
    }

    async fn change_subject(
        &self,
        ask: &Ask,
        name: &SubjectName,
        decide: impl Fn(&Origin, Option<&Standing>) -> Result<Option<SubjectChange>, AuthorityError>,
    ) -> Result<Step<Option<Standing>>, AuthorityError> {
        let (namespace, subject) = name;
        ask.caller.check_over_many(namespace)?;
        let origin = self.origin(ask);
        for _ in 0..DECISIONS_MAX {
            let stored = self.surroundings(namespace, subject).await?.standing;
            let Some(change) = decide(&origin, stored.as_ref().map(|stored| &stored.record))? else {
                let version = stored.as_ref().map(|stored| stored.version);
                let record = stored.map(|stored| stored.record);
                return Ok(Step::Unchanged(self.changed(record, version.unwrap_or_default())));
            };
            let draft = Draft::of_subject(origin.clone(), stored.as_ref(), name.clone(), change)?;
            if let Some(step) = self.commit(draft, standing_in).await? {
                return Ok(step.map(Some));
            }
        }
        Err(AuthorityError::Contention)
    }

    /// The answer to a change; `same` tells whether one that was made before is just what is asked for.
    async fn answered_of_subject(
        &self,
        step: Step<Option<Standing>>,
        name: &SubjectName,
        same: impl Fn(&SubjectChange) -> bool,
    ) -> Result<Changed<Option<Standing>>, AuthorityError> {
        match step {
            Step::Done(changed) | Step::Unchanged(changed) => Ok(changed),
            Step::Repeated(entry) => match change_of(&entry, name) {
                Some(change) if same(change) => Ok(self.changed(self.subject(name).await?, entry.revision)),
                _ => Err(AuthorityError::RequestIdReused),
            },
        }
    }
}

fn change_of<'a>(entry: &'a Entry, name: &SubjectName) -> Option<&'a SubjectChange> {
    match &entry.change {
        Change::Subject {
            namespace,
            subject,
            change,
        } if (namespace, subject) == (&name.0, &name.1) => Some(change),
        _ => None,
    }
}

fn issued_revoked_before<'a>(entry: &'a Entry, name: &SubjectName) -> Option<&'a Withdrawal> {
    match change_of(entry, name) {
        Some(SubjectChange::IssuedRevoked(not_before)) => Some(not_before),
        _ => None,
    }
}

fn standing_in(record: &Record) -> Option<Standing> {
    match record {
        Record::Standing(standing) => Some(standing.clone()),
        Record::Token(_) | Record::Namespace(_) | Record::Endpoint(_) => None,
    }
}

#[cfg(test)]
mod tests;
