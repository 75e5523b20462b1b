//! Searches, refused calls and checkpoints, with faults.

use std::collections::HashSet;

use async_trait::async_trait;

use super::super::checkpoints::{Checkpoints, KeptCheckpoint};
use super::super::history::{Found, History, Search};
use super::super::refused_calls::{RefusedCall, RefusedCalls};
use super::super::{READ_MAX, StoreError};
use super::{Call, Faulty};
use crate::journal::{Entry, Revision};
use crate::token::id::{RequestDigest, Slug};
use crate::token::time::Timestamp;

#[async_trait]
impl History for Faulty {
    async fn search(&self, search: Search) -> Result<Found, StoreError> {
        assert!(search.limit <= READ_MAX, "{} entries", search.limit);
        self.meet(Call::Search, self.store().search(search)).await
    }

    async fn namespace_entry_before(
        &self,
        namespace: Slug,
        before: Revision,
    ) -> Result<Option<Entry>, StoreError> {
        let store = self.store();
        self.meet(Call::Search, store.namespace_entry_before(namespace, before))
            .await
    }

    async fn written(&self, requests: Vec<RequestDigest>) -> Result<HashSet<RequestDigest>, StoreError> {
        assert!(requests.len() <= READ_MAX as usize, "{} requests", requests.len());
        self.meet(Call::Search, self.store().written(requests)).await
    }
}

#[async_trait]
impl RefusedCalls for Faulty {
    async fn keep_refused_calls(&self, calls: Vec<RefusedCall>) -> Result<(), StoreError> {
        self.meet(Call::RefusedCalls, self.store().keep_refused_calls(calls))
            .await
    }

    async fn refused_calls(&self, after: u64, limit: u32) -> Result<Vec<(u64, RefusedCall)>, StoreError> {
        assert!(limit <= READ_MAX, "{limit} refused calls");
        self.meet(Call::RefusedCalls, self.store().refused_calls(after, limit))
            .await
    }

    async fn sweep_refused_calls(&self, until: Timestamp, kept_max: u32) -> Result<u64, StoreError> {
        let store = self.store();
        self.meet(Call::RefusedCalls, store.sweep_refused_calls(until, kept_max))
            .await
    }
}

#[async_trait]
impl Checkpoints for Faulty {
    async fn keep_checkpoint(&self, checkpoint: KeptCheckpoint, kept_max: u32) -> Result<(), StoreError> {
        let store = self.store();
        self.meet(Call::Checkpoints, store.keep_checkpoint(checkpoint, kept_max))
            .await
    }

    async fn checkpoints(
        &self,
        before: Option<Revision>,
        limit: u32,
    ) -> Result<Vec<KeptCheckpoint>, StoreError> {
        assert!(limit <= READ_MAX, "{limit} checkpoints");
        self.meet(Call::Checkpoints, self.store().checkpoints(before, limit))
            .await
    }
}
