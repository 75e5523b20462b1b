//! Judged calls on record, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::super::access::{AccessOf, AccessPlace, AccessStore, Walk};
use super::super::{SWEEP_MAX, StoreError};
use super::MemoryStore;
use crate::token::access::AccessRecord;
use crate::token::time::Timestamp;

/// All logs, in one order.
pub(super) type Kept = BTreeMap<AccessPlace, AccessRecord>;

#[async_trait]
impl AccessStore for MemoryStore {
    async fn keep_access(&self, records: Arc<[AccessRecord]>) -> Result<(), StoreError> {
        let mut kept = self.kept();
        for record in &*records {
            let place = AccessPlace::of(record);
            kept.access.entry(place).or_insert_with(|| record.clone());
        }
        Ok(())
    }

    async fn access(&self, walk: Walk) -> Result<Vec<AccessRecord>, StoreError> {
        let kept = self.kept();
        let newest_first = kept.access.range(..walk.before).rev();
        let wanted = newest_first
            .map(|(_, record)| record)
            .take_while(|record| record.time >= walk.from)
            .filter(|record| walk.of.has(record));
        Ok(wanted.take(walk.limit as usize).cloned().collect())
    }

    async fn erase_access(&self, of: AccessOf, until: Timestamp) -> Result<u64, StoreError> {
        let mut kept = self.kept();
        let old = kept.access.range(..AccessPlace::before(until));
        let places = old.filter(|(_, record)| of.has(record)).map(|(place, _)| *place);
        let places: Vec<_> = places.take(SWEEP_MAX as usize).collect();
        for place in &places {
            kept.access.remove(place);
        }
        Ok(places.len() as u64)
    }

    async fn tend_access(&self, _: Timestamp, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}
