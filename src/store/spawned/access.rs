//! Access logs, in tasks of their own.

use std::sync::Arc;

use async_trait::async_trait;

use super::super::StoreError;
use super::super::access::{AccessOf, AccessStore, Walk};
use super::Spawned;
use crate::token::access::AccessRecord;
use crate::token::time::Timestamp;

#[async_trait]
impl AccessStore for Spawned {
    async fn keep_access(&self, records: Arc<[AccessRecord]>) -> Result<(), StoreError> {
        self.run(|store| async move { store.keep_access(records).await })
            .await
    }

    async fn access(&self, walk: Walk) -> Result<Vec<AccessRecord>, StoreError> {
        self.run(|store| async move { store.access(walk).await }).await
    }

    async fn erase_access(&self, of: AccessOf, until: Timestamp) -> Result<u64, StoreError> {
        self.run(move |store| async move { store.erase_access(of, until).await })
            .await
    }

    async fn tend_access(&self, now: Timestamp, until: Timestamp) -> Result<(), StoreError> {
        self.run(move |store| async move { store.tend_access(now, until).await })
            .await
    }
}
