//! Faults met by those who keep or read access logs.

use std::sync::Arc;

use async_trait::async_trait;

use super::super::access::{AccessOf, AccessStore, KEEP_MAX, Walk};
use super::super::{READ_MAX, StoreError};
use super::{Call, Faulty};
use crate::token::access::AccessRecord;
use crate::token::time::Timestamp;

#[async_trait]
impl AccessStore for Faulty {
    async fn keep_access(&self, records: Arc<[AccessRecord]>) -> Result<(), StoreError> {
        assert!(records.len() <= KEEP_MAX, "{} records", records.len());
        self.meet(Call::KeepAccess, self.store().keep_access(records))
            .await
    }

    async fn access(&self, walk: Walk) -> Result<Vec<AccessRecord>, StoreError> {
        assert!(walk.limit <= READ_MAX, "{} records", walk.limit);
        self.meet(Call::Access, self.store().access(walk)).await
    }

    async fn erase_access(&self, of: AccessOf, until: Timestamp) -> Result<u64, StoreError> {
        self.meet(Call::EraseAccess, self.store().erase_access(of, until))
            .await
    }

    async fn tend_access(&self, now: Timestamp, until: Timestamp) -> Result<(), StoreError> {
        self.meet(Call::TendAccess, self.store().tend_access(now, until))
            .await
    }
}
