//! Searches, refused calls and checkpoints, in memory.

use std::collections::HashSet;

use async_trait::async_trait;

use super::super::checkpoints::{Checkpoints, KeptCheckpoint};
use super::super::history::{Found, History, Path, Place, Search};
use super::super::refused_calls::{RefusedCall, RefusedCalls};
use super::super::{SWEEP_MAX, StoreError};
use super::{Kept, MemoryStore};
use crate::journal::{Entry, Revision};
use crate::token::id::{RequestDigest, Slug};
use crate::token::text::Subject;
use crate::token::time::Timestamp;

/// What is kept beside the journal.
#[derive(Default, Debug)]
pub(super) struct Evidence {
    refused: std::collections::BTreeMap<u64, RefusedCall>,
    checkpoints: std::collections::BTreeMap<Revision, KeptCheckpoint>,
}

impl Kept {
    /// Whose token an entry concerns.
    fn subject_of(&self, entry: &Entry) -> Option<&Subject> {
        let stored = self.tokens.get(&entry.change.token_id()?)?;
        Some(&stored.record.subject)
    }
}

/// Whether an entry lies on the path of this search.
fn is_on_path(search: &Search, entry: &Entry) -> bool {
    let wanted = &search.wanted;
    match search.path() {
        Path::All => true,
        Path::Time => {
            let (from, to) = search.times();
            (from..=to).contains(&entry.time.micros())
        }
        Path::Token => entry.change.token_id() == wanted.token_id,
        Path::Actor => Some(&entry.actor) == wanted.actor.as_ref(),
        Path::Namespace | Path::Subject => Some(entry.change.namespace()) == wanted.namespace.as_ref(),
    }
}

#[async_trait]
impl History for MemoryStore {
    async fn search(&self, search: Search) -> Result<Found, StoreError> {
        let kept = self.kept();
        let by_time = search.path() == Path::Time;
        let place = |entry: &Entry| Place {
            time: if by_time { entry.time.micros() } else { i64::MIN },
            revision: entry.revision,
        };
        let on_path = kept.entries.values().filter(|entry| is_on_path(&search, entry));
        let mut places: Vec<_> = on_path.map(place).filter(|place| *place > search.after).collect();
        places.sort_unstable();
        places.truncate(search.reads() as usize + 1);
        let matches = |revision: &Revision| {
            let entry = kept.entries.get(revision);
            entry.is_some_and(|entry| search.wanted.matches(entry, kept.subject_of(entry)))
        };
        let matching: HashSet<_> = places
            .iter()
            .map(|place| place.revision)
            .filter(matches)
            .collect();
        let (revisions, next) = search.found(places, Some(&matching));
        let entries = revisions.iter().filter_map(|revision| kept.entries.get(revision));
        Ok(Found {
            entries: entries.cloned().collect(),
            next,
        })
    }

    async fn namespace_entry_before(
        &self,
        namespace: Slug,
        before: Revision,
    ) -> Result<Option<Entry>, StoreError> {
        let kept = self.kept();
        let mut earlier = kept.entries.range(..before).rev().map(|(_, entry)| entry);
        let found = earlier.find(|entry| {
            let change = &entry.change;
            let is_of_its_own =
                change.token_id().is_none() && change.subject().is_none() && change.endpoint_id().is_none();
            *change.namespace() == namespace && is_of_its_own
        });
        Ok(found.cloned())
    }

    async fn written(&self, requests: Vec<RequestDigest>) -> Result<HashSet<RequestDigest>, StoreError> {
        let kept = self.kept();
        let written = requests
            .into_iter()
            .filter(|request| kept.requests.contains_key(request));
        Ok(written.collect())
    }
}

#[async_trait]
impl RefusedCalls for MemoryStore {
    async fn keep_refused_calls(&self, calls: Vec<RefusedCall>) -> Result<(), StoreError> {
        let refused = &mut self.kept().evidence.refused;
        for call in calls {
            let number = refused.keys().next_back().map_or(1, |last| last + 1);
            refused.insert(number, call);
        }
        Ok(())
    }

    async fn refused_calls(&self, after: u64, limit: u32) -> Result<Vec<(u64, RefusedCall)>, StoreError> {
        let kept = self.kept();
        let later = kept.evidence.refused.range(after.saturating_add(1)..);
        let later = later.take(limit as usize);
        Ok(later.map(|(number, call)| (*number, call.clone())).collect())
    }

    async fn sweep_refused_calls(&self, until: Timestamp, kept_max: u32) -> Result<u64, StoreError> {
        let refused = &mut self.kept().evidence.refused;
        let surplus = refused.len().saturating_sub(kept_max as usize);
        let over = refused
            .iter()
            .enumerate()
            .filter(|(place, (_, call))| *place < surplus || call.time < until)
            .map(|(_, (number, _))| *number);
        let over: Vec<_> = over.take(SWEEP_MAX as usize).collect();
        for number in &over {
            refused.remove(number);
        }
        Ok(over.len() as u64)
    }
}

#[async_trait]
impl Checkpoints for MemoryStore {
    async fn keep_checkpoint(&self, checkpoint: KeptCheckpoint, kept_max: u32) -> Result<(), StoreError> {
        let checkpoints = &mut self.kept().evidence.checkpoints;
        checkpoints.entry(checkpoint.revision).or_insert(checkpoint);
        while checkpoints.len() > kept_max as usize {
            checkpoints.pop_first();
        }
        Ok(())
    }

    async fn checkpoints(
        &self,
        before: Option<Revision>,
        limit: u32,
    ) -> Result<Vec<KeptCheckpoint>, StoreError> {
        let kept = self.kept();
        let newest_first = kept.evidence.checkpoints.values().rev();
        let earlier = newest_first.filter(|kept| before.is_none_or(|before| kept.revision < before));
        Ok(earlier.take(limit as usize).cloned().collect())
    }
}
