//! Namespaces: created, changed, listed.

use std::sync::Arc;

use super::{Ask, Authority, AuthorityError, Changed, DECISIONS_MAX, Step, namespace_of};
use crate::journal::{Change, Draft, Origin, Stored};
use crate::token::Withdrawal;
use crate::token::format::Format;
use crate::token::id::Slug;
use crate::token::namespace::{Directory, Namespace};
use crate::token::policy::{Policy, PolicyUpdate};
use crate::token::standing;
use crate::token::text::{Name, Reason};

impl Authority {
    /// Creates a namespace whose prefix overlaps no other's.
    pub async fn create_namespace(
        &self,
        ask: &Ask,
        slug: Slug,
        display_name: Name,
        format: Format,
        policy: Policy,
    ) -> Result<Changed<Namespace>, AuthorityError> {
        check(&policy)?;
        let decide = |origin: Origin, directory: &Stored<Directory>| {
            may_create(&directory.record, &slug, &format)?;
            let namespace = Namespace {
                slug: slug.clone(),
                display_name: display_name.clone(),
                format: format.clone(),
                policy: policy.clone(),
                not_before: None,
                create_time: origin.time,
                update_time: origin.time,
            };
            Ok(Draft::of_new_namespace(origin, directory.version, namespace))
        };
        let step = self.once(ask, self.change_directory(ask, decide)).await?;
        self.answered(step, |change| match change {
            Change::NamespaceCreated(written) => {
                let same = written.slug == slug
                    && written.display_name == display_name
                    && written.format == format
                    && written.policy == policy;
                same.then_some(written)
            }
            _ => None,
        })
    }

    /// Changes what people call the namespace, and its rules; what is `None` stays. `etag`, if given, must be
    /// that of the namespace now.
    pub async fn update_namespace(
        &self,
        ask: &Ask,
        slug: Slug,
        etag: Option<String>,
        display_name: Option<Name>,
        policy: Option<PolicyUpdate>,
    ) -> Result<Changed<Namespace>, AuthorityError> {
        let decide = |origin: Origin, directory: &Stored<Directory>| {
            let found = directory.record.get(&slug);
            let before = found.ok_or_else(|| AuthorityError::NamespaceNotFound(slug.clone()))?;
            match &etag {
                Some(sent) if *sent != before.etag() => Err(AuthorityError::EtagMismatch),
                _ => {
                    let display_name = display_name
                        .clone()
                        .unwrap_or_else(|| before.display_name.clone());
                    let policy = match &policy {
                        Some(update) => update.of(&before.policy),
                        None => before.policy.clone(),
                    };
                    check(&policy)?;
                    let namespace = Namespace {
                        display_name,
                        policy,
                        update_time: origin.time.later_than(before.update_time),
                        ..Namespace::clone(before)
                    };
                    Ok(Draft::of_namespace(origin, directory.version, namespace))
                }
            }
        };
        let step = self.once(ask, self.change_directory(ask, decide)).await?;
        self.answered(step, |change| match change {
            Change::NamespaceUpdated(written) => {
                let same = written.slug == slug
                    && display_name
                        .as_ref()
                        .is_none_or(|name| written.display_name == *name)
                    && policy
                        .as_ref()
                        .is_none_or(|update| update.of(&written.policy) == written.policy);
                same.then_some(written)
            }
            _ => None,
        })
    }

    /// Revokes all that was issued in a namespace up to now; answers with up to when, and why.
    pub async fn revoke_issued_in_namespace(
        &self,
        ask: &Ask,
        slug: Slug,
        reason: Reason,
    ) -> Result<Changed<Withdrawal>, AuthorityError> {
        let anew = async {
            ask.caller.check_over_many(&slug)?;
            // What was answered before this call is in the store by now, and its id says when it was made, by
            // whichever clock.
            let newest = self.store.newest_token(slug.clone(), None).await?;
            let decide = |origin: Origin, directory: &Stored<Directory>| {
                let found = directory.record.get(&slug);
                let before = found.ok_or_else(|| AuthorityError::NamespaceNotFound(slug.clone()))?;
                let newest = newest.map(|id| id.issued_by());
                let last = before.not_before.as_ref();
                let namespace = Namespace {
                    not_before: Some(standing::revoke_issued(last, newest, origin.time, reason.clone())),
                    update_time: origin.time.later_than(before.update_time),
                    ..Namespace::clone(before)
                };
                Ok(Draft::of_revoked_namespace(origin, directory.version, namespace))
            };
            self.change_directory(ask, decide).await
        };
        let step = self.once(ask, anew).await?;
        let Changed { record, cursor } = self.answered(step, |change| match change {
            Change::NamespaceIssuedRevoked(written) => {
                let written_for = written.not_before.as_ref().map(|not_before| &not_before.reason);
                let same = written.slug == slug && written_for == Some(&reason);
                same.then_some(written)
            }
            _ => None,
        })?;
        let record = record.not_before.ok_or(AuthorityError::RequestIdReused)?;
        Ok(Changed { record, cursor })
    }

    pub async fn namespace(&self, slug: Slug) -> Result<Arc<Namespace>, AuthorityError> {
        let directory = self.store.directory().await?.record;
        directory
            .get(&slug)
            .cloned()
            .ok_or(AuthorityError::NamespaceNotFound(slug))
    }

    /// The wanted namespaces after `after`, in slug order, at most `size`; and where the next page begins.
    pub async fn namespaces(
        &self,
        wanted: impl Fn(&Slug) -> bool,
        after: Option<Slug>,
        size: u32,
    ) -> Result<(Vec<Arc<Namespace>>, Option<Slug>), AuthorityError> {
        let directory = self.store.directory().await?.record;
        let mut found = directory
            .iter()
            .filter(|namespace| wanted(&namespace.slug))
            .filter(|namespace| after.as_ref().is_none_or(|slug| namespace.slug > *slug));
        let page: Vec<_> = found.by_ref().take(size as usize).cloned().collect();
        let next = found
            .next()
            .and_then(|_| page.last())
            .map(|last| last.slug.clone());
        Ok((page, next))
    }

    async fn change_directory(
        &self,
        ask: &Ask,
        decide: impl Fn(Origin, &Stored<Directory>) -> Result<Draft, AuthorityError>,
    ) -> Result<Step<Namespace>, AuthorityError> {
        let origin = self.origin(ask);
        for _ in 0..DECISIONS_MAX {
            let directory = self.store.directory().await?;
            let draft = decide(origin.clone(), &directory)?;
            if let Some(step) = self.commit(draft, namespace_of).await? {
                return Ok(step);
            }
        }
        Err(AuthorityError::Contention)
    }

    /// The answer to a change; `same` finds in one that was made before just what is asked for.
    fn answered(
        &self,
        step: Step<Namespace>,
        same: impl Fn(&Change) -> Option<&Namespace>,
    ) -> Result<Changed<Namespace>, AuthorityError> {
        match step {
            Step::Done(changed) | Step::Unchanged(changed) => Ok(changed),
            Step::Repeated(entry) => match same(&entry.change) {
                Some(namespace) => Ok(self.changed(namespace.clone(), entry.revision)),
                None => Err(AuthorityError::RequestIdReused),
            },
        }
    }
}

fn check(policy: &Policy) -> Result<(), AuthorityError> {
    policy
        .check()
        .map_err(|(field, what)| AuthorityError::Policy { field, what })
}

fn may_create(directory: &Directory, slug: &Slug, format: &Format) -> Result<(), AuthorityError> {
    if directory.get(slug).is_some() {
        return Err(AuthorityError::NamespaceExists(slug.clone()));
    }
    // Also where there are no credentials yet.
    let of_credentials = super::bootstrap::credential_format().map(|credentials| credentials.prefix);
    if of_credentials.is_ok_and(|prefix| prefix.overlaps(&format.prefix)) {
        return Err(AuthorityError::PrefixReserved);
    }
    if let Some(other) = directory.overlapping(&format.prefix) {
        return Err(AuthorityError::PrefixOverlaps(other.slug.clone()));
    }
    if directory.len() >= Directory::COUNT_MAX {
        return Err(AuthorityError::TooManyNamespaces {
            max: Directory::COUNT_MAX,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
