//! Faults met by those who record uses.

use std::sync::Arc;

use async_trait::async_trait;

use super::super::StoreError;
use super::super::usage::{FLUSH_MAX, Flush, UsageStore};
use super::{Call, Faulty};
use crate::token::id::TokenId;
use crate::token::time::Timestamp;
use crate::token::usage::Usage;

#[async_trait]
impl UsageStore for Faulty {
    async fn add_usage(&self, flush: Arc<Flush>) -> Result<(), StoreError> {
        assert!(flush.usages.len() <= FLUSH_MAX, "{} tokens", flush.usages.len());
        self.meet(Call::AddUsage, self.store().add_usage(flush)).await
    }

    async fn usages(&self, ids: Vec<TokenId>) -> Result<Vec<Option<Usage>>, StoreError> {
        self.meet(Call::Usages, self.store().usages(ids)).await
    }

    async fn erase_usage(&self, ids: Vec<TokenId>) -> Result<u64, StoreError> {
        assert!(ids.len() <= FLUSH_MAX, "{} tokens", ids.len());
        self.meet(Call::EraseUsage, self.store().erase_usage(ids)).await
    }

    async fn usage_since(&self) -> Result<Option<Timestamp>, StoreError> {
        self.meet(Call::UsageSince, self.store().usage_since()).await
    }

    async fn begin_usage(&self, now: Timestamp) -> Result<(), StoreError> {
        self.meet(Call::BeginUsage, self.store().begin_usage(now)).await
    }

    async fn end_usage(&self) -> Result<(), StoreError> {
        self.meet(Call::EndUsage, self.store().end_usage()).await
    }
}
