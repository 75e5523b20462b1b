//! Who answers for a store in memory.

use async_trait::async_trait;

use super::super::member::MemberId;
use super::super::roll::{Member, Roll};
use super::super::{EntryFilter, Head, Store, StoreError};
use super::MemoryStore;
use crate::journal::{Entry, Revision};

#[async_trait]
impl Roll for MemoryStore {
    async fn join(&self, id: MemberId, name: &str) -> Result<(), StoreError> {
        let mut kept = self.kept();
        if kept.members.contains_key(&id) {
            return Err(StoreError::corrupt("an id joins twice"));
        }
        let member = Member {
            id,
            name: name.to_owned(),
            beat: 0,
            acked: Revision::ZERO,
        };
        kept.members.insert(id, member);
        Ok(())
    }

    async fn renew(&self, id: MemberId, acked: Revision) -> Result<Option<Head>, StoreError> {
        let mut kept = self.kept();
        let head = kept.head;
        Ok(kept.members.get_mut(&id).map(|member| {
            member.beat += 1;
            member.acked = acked;
            head
        }))
    }

    async fn news(&self, after: Revision, limit: u32) -> Result<Vec<Entry>, StoreError> {
        self.entries(after, EntryFilter::ALL, limit).await
    }

    async fn members(&self) -> Result<Vec<Member>, StoreError> {
        Ok(self.kept().members.values().cloned().collect())
    }

    async fn remove(&self, seen: &Member) -> Result<bool, StoreError> {
        let mut kept = self.kept();
        let as_seen = kept
            .members
            .get(&seen.id)
            .is_some_and(|member| member.beat == seen.beat);
        Ok(as_seen && kept.members.remove(&seen.id).is_some())
    }
}
