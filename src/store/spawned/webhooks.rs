//! Endpoints and duties, passed on.

use async_trait::async_trait;

use super::super::lease::{Duties, Duty};
use super::super::webhooks::{Delivery, Progress, Step, Webhooks};
use super::super::{BadRow, StoreError};
use super::Spawned;
use crate::journal::{Revision, Stored};
use crate::token::id::Slug;
use crate::token::secret::PepperId;
use crate::token::time::Timestamp;
use crate::token::webhook::signing::SealedSigning;
use crate::token::webhook::{Endpoint, EndpointId};

#[async_trait]
impl Webhooks for Spawned {
    async fn endpoint(&self, id: EndpointId) -> Result<Option<Stored<Endpoint>>, StoreError> {
        self.run(move |store| async move { store.endpoint(id).await })
            .await
    }

    async fn endpoints(
        &self,
        namespace: Option<Slug>,
        after: EndpointId,
        limit: u32,
    ) -> Result<Vec<Result<Stored<Endpoint>, BadRow>>, StoreError> {
        self.run(move |store| async move { store.endpoints(namespace, after, limit).await })
            .await
    }

    async fn signing(&self, id: EndpointId) -> Result<Vec<SealedSigning>, StoreError> {
        self.run(move |store| async move { store.signing(id).await })
            .await
    }

    async fn reseal(&self, id: EndpointId, from: PepperId, to: SealedSigning) -> Result<bool, StoreError> {
        self.run(move |store| async move { store.reseal(id, from, to).await })
            .await
    }

    async fn progress(&self, id: EndpointId) -> Result<Option<Progress>, StoreError> {
        self.run(move |store| async move { store.progress(id).await })
            .await
    }

    async fn advance(&self, duty: Duty, id: EndpointId, step: Step) -> Result<bool, StoreError> {
        self.run(move |store| async move { store.advance(duty, id, step).await })
            .await
    }

    async fn deliveries(
        &self,
        id: EndpointId,
        before: Option<Revision>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.run(move |store| async move { store.deliveries(id, before, limit).await })
            .await
    }

    async fn sweep_deliveries(&self, id: EndpointId, keep: u32, until: Timestamp) -> Result<u64, StoreError> {
        self.run(move |store| async move { store.sweep_deliveries(id, keep, until).await })
            .await
    }
}

#[async_trait]
impl Duties for Spawned {
    async fn take_duty(&self, duty: Duty, until: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        self.run(move |store| async move { store.take_duty(duty, until, now).await })
            .await
    }

    async fn leave_duty(&self, duty: Duty) -> Result<(), StoreError> {
        self.run(move |store| async move { store.leave_duty(duty).await })
            .await
    }
}
