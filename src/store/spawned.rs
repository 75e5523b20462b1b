//! A store whose work is never cut short.

mod access;
mod webhooks;
mod evidence;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use super::roll::Roll;
use super::select::{Count, Selection, Slice};
use super::usage::{Flush, UsageStore};
use super::{EntryFilter, Head, Look, Outcome, Store, StoreError};
use crate::journal::{Draft, Entry, Revision, Room, Stored};
use crate::token::Token;
use crate::token::answer::SealedAnswer;
use crate::token::format::Hint;
use crate::token::id::{RequestDigest, Slug, TokenId};
use crate::token::namespace::Directory;
use crate::token::order::{OrderBy, Place};
use crate::token::secret::Digest;
use crate::token::selector::Filter;
use crate::token::standing::Standing;
use crate::token::text::Subject;
use crate::token::time::Timestamp;
use crate::token::usage::Usage;

/// Runs every call of a store in a task of its own, on a runtime of the store's own.
///
/// A client that goes away drops the future that answers it. sqlx 0.9.0 leaves a `begin()` that is
/// dropped open on its pooled connection, and what is written on that connection later vanishes with
/// it; so no future that a client can drop may hold a connection.
pub struct Spawned {
    store: Arc<dyn Store>,
    runtime: Handle,
    places: Arc<Semaphore>,
}

/// Calls under way at once. A caller who goes away leaves theirs behind, so their number is bounded here: further
/// ones wait, as long as somebody waits for them.
const CALLS_MAX: usize = 256;

impl Spawned {
    pub fn new(store: Arc<dyn Store>, runtime: Handle) -> Spawned {
        Spawned {
            store,
            runtime,
            places: Arc::new(Semaphore::new(CALLS_MAX)),
        }
    }

    async fn run<T, F>(&self, call: impl FnOnce(Arc<dyn Store>) -> F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let call = call(Arc::clone(&self.store));
        let task = self.runtime.spawn(async move {
            let _place = place;
            call.await
        });
        // The task panicked, or its runtime is shutting down.
        task.await
            .unwrap_or_else(|lost| Err(StoreError::Unavailable(lost.into())))
    }
}

impl fmt::Debug for Spawned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Spawned").field(&self.store).finish()
    }
}

#[async_trait]
impl Store for Spawned {
    async fn commit(&self, drafts: Vec<Draft>) -> Result<Vec<Outcome>, StoreError> {
        self.run(|store| async move { store.commit(drafts).await }).await
    }

    async fn token(&self, id: TokenId) -> Result<Option<Stored<Token>>, StoreError> {
        self.run(move |store| async move { store.token(id).await }).await
    }

    async fn look_up(&self, digests: Vec<Digest>, hints: Vec<Hint>) -> Result<Look, StoreError> {
        self.run(|store| async move { store.look_up(digests, hints).await })
            .await
    }

    async fn tokens(&self, selection: Selection) -> Result<Slice, StoreError> {
        self.run(|store| async move { store.tokens(selection).await })
            .await
    }

    async fn count(&self, filter: Filter, by: OrderBy, after: Option<Place>) -> Result<Count, StoreError> {
        self.run(move |store| async move { store.count(filter, by, after).await })
            .await
    }

    async fn standings(
        &self,
        namespace: Slug,
        subjects: Vec<Subject>,
    ) -> Result<Vec<Option<Stored<Standing>>>, StoreError> {
        self.run(|store| async move { store.standings(namespace, subjects).await })
            .await
    }

    async fn subjects(
        &self,
        namespace: Slug,
        after: Option<Subject>,
        limit: u32,
    ) -> Result<Vec<Standing>, StoreError> {
        self.run(move |store| async move { store.subjects(namespace, after, limit).await })
            .await
    }

    async fn newest_token(
        &self,
        namespace: Slug,
        subject: Option<Subject>,
    ) -> Result<Option<TokenId>, StoreError> {
        self.run(|store| async move { store.newest_token(namespace, subject).await })
            .await
    }

    async fn count_tokens(&self, room: Room) -> Result<u32, StoreError> {
        self.run(|store| async move { store.count_tokens(room).await })
            .await
    }

    async fn directory(&self) -> Result<Stored<Directory>, StoreError> {
        self.run(|store| async move { store.directory().await }).await
    }

    async fn entries(
        &self,
        after: Revision,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        self.run(move |store| async move { store.entries(after, filter, limit).await })
            .await
    }

    async fn entry_of_request(&self, request_id: RequestDigest) -> Result<Option<Entry>, StoreError> {
        self.run(move |store| async move { store.entry_of_request(request_id).await })
            .await
    }

    async fn answer(&self, revision: Revision) -> Result<Option<SealedAnswer>, StoreError> {
        self.run(move |store| async move { store.answer(revision).await })
            .await
    }

    async fn sweep_answers(&self, until: Timestamp) -> Result<u64, StoreError> {
        self.run(move |store| async move { store.sweep_answers(until).await })
            .await
    }

    async fn head(&self) -> Result<Head, StoreError> {
        self.run(|store| async move { store.head().await }).await
    }

    async fn trim(&self, through: Revision) -> Result<(), StoreError> {
        self.run(move |store| async move { store.trim(through).await })
            .await
    }

    fn committed(&self) -> watch::Receiver<Revision> {
        self.store.committed()
    }

    fn roll(&self) -> Option<&dyn Roll> {
        self.store.roll()
    }

    async fn close(&self) {
        self.store.close().await;
    }
}

#[async_trait]
impl UsageStore for Spawned {
    async fn add_usage(&self, flush: Arc<Flush>) -> Result<(), StoreError> {
        self.run(|store| async move { store.add_usage(flush).await })
            .await
    }

    async fn usages(&self, ids: Vec<TokenId>) -> Result<Vec<Option<Usage>>, StoreError> {
        self.run(|store| async move { store.usages(ids).await }).await
    }

    async fn erase_usage(&self, ids: Vec<TokenId>) -> Result<u64, StoreError> {
        self.run(|store| async move { store.erase_usage(ids).await })
            .await
    }

    async fn usage_since(&self) -> Result<Option<Timestamp>, StoreError> {
        self.run(|store| async move { store.usage_since().await }).await
    }

    async fn begin_usage(&self, now: Timestamp) -> Result<(), StoreError> {
        self.run(move |store| async move { store.begin_usage(now).await })
            .await
    }

    async fn end_usage(&self) -> Result<(), StoreError> {
        self.run(|store| async move { store.end_usage().await }).await
    }
}
