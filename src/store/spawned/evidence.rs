//! Searches, refused calls and checkpoints, in tasks of their own.

use std::collections::HashSet;

use async_trait::async_trait;

use super::super::StoreError;
use super::super::checkpoints::{Checkpoints, KeptCheckpoint};
use super::super::history::{Found, History, Search};
use super::super::refused_calls::{RefusedCall, RefusedCalls};
use super::Spawned;
use crate::journal::{Entry, Revision};
use crate::token::id::{RequestDigest, Slug};
use crate::token::time::Timestamp;

#[async_trait]
impl History for Spawned {
    async fn search(&self, search: Search) -> Result<Found, StoreError> {
        self.run(|store| async move { store.search(search).await }).await
    }

    async fn namespace_entry_before(
        &self,
        namespace: Slug,
        before: Revision,
    ) -> Result<Option<Entry>, StoreError> {
        self.run(move |store| async move { store.namespace_entry_before(namespace, before).await })
            .await
    }

    async fn written(&self, requests: Vec<RequestDigest>) -> Result<HashSet<RequestDigest>, StoreError> {
        self.run(|store| async move { store.written(requests).await })
            .await
    }
}

#[async_trait]
impl RefusedCalls for Spawned {
    async fn keep_refused_calls(&self, calls: Vec<RefusedCall>) -> Result<(), StoreError> {
        self.run(|store| async move { store.keep_refused_calls(calls).await })
            .await
    }

    async fn refused_calls(&self, after: u64, limit: u32) -> Result<Vec<(u64, RefusedCall)>, StoreError> {
        self.run(move |store| async move { store.refused_calls(after, limit).await })
            .await
    }

    async fn sweep_refused_calls(&self, until: Timestamp, kept_max: u32) -> Result<u64, StoreError> {
        self.run(move |store| async move { store.sweep_refused_calls(until, kept_max).await })
            .await
    }
}

#[async_trait]
impl Checkpoints for Spawned {
    async fn keep_checkpoint(&self, checkpoint: KeptCheckpoint, kept_max: u32) -> Result<(), StoreError> {
        self.run(move |store| async move { store.keep_checkpoint(checkpoint, kept_max).await })
            .await
    }

    async fn checkpoints(
        &self,
        before: Option<Revision>,
        limit: u32,
    ) -> Result<Vec<KeptCheckpoint>, StoreError> {
        self.run(move |store| async move { store.checkpoints(before, limit).await })
            .await
    }
}
