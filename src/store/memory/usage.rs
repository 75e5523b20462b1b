//! What tokens were used for, in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;

use super::super::StoreError;
use super::super::usage::{Flush, RecorderId, UsageStore};
use super::MemoryStore;
use crate::token::id::TokenId;
use crate::token::time::Timestamp;
use crate::token::usage::Usage;

#[derive(Default, Debug)]
pub(super) struct KeptUsage {
    pub(super) usages: BTreeMap<TokenId, Usage>,
    flushes: HashMap<RecorderId, u64>,
    since: Option<Timestamp>,
}

#[async_trait]
impl UsageStore for MemoryStore {
    async fn add_usage(&self, flush: Arc<Flush>) -> Result<(), StoreError> {
        let mut kept = self.kept();
        let kept = &mut kept.usage;
        let last = kept.flushes.entry(flush.recorder).or_default();
        if *last < flush.sequence {
            *last = flush.sequence;
            for (id, usage) in &flush.usages {
                kept.usages.entry(*id).or_default().add(usage.clone());
            }
        }
        Ok(())
    }

    async fn usages(&self, ids: Vec<TokenId>) -> Result<Vec<Option<Usage>>, StoreError> {
        let kept = self.kept();
        Ok(ids.iter().map(|id| kept.usage.usages.get(id).cloned()).collect())
    }

    async fn erase_usage(&self, ids: Vec<TokenId>) -> Result<u64, StoreError> {
        let mut kept = self.kept();
        let erased = ids.iter().filter(|id| {
            let usage = kept.usage.usages.get_mut(id);
            usage.is_some_and(Usage::erase)
        });
        Ok(erased.count() as u64)
    }

    async fn usage_since(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.kept().usage.since)
    }

    async fn begin_usage(&self, now: Timestamp) -> Result<(), StoreError> {
        self.kept().usage.since.get_or_insert(now);
        Ok(())
    }

    async fn end_usage(&self) -> Result<(), StoreError> {
        self.kept().usage.since = None;
        Ok(())
    }
}
