//! Endpoints and duties, passed on; noting how far one has come can fail.

use async_trait::async_trait;

use super::super::lease::{Duties, Duty};
use super::super::webhooks::{Delivery, Progress, Step, Webhooks};
use super::super::{BadRow, StoreError};
use super::Faulty;
use crate::journal::{Revision, Stored};
use crate::token::id::Slug;
use crate::token::secret::PepperId;
use crate::token::time::Timestamp;
use crate::token::webhook::signing::SealedSigning;
use crate::token::webhook::{Endpoint, EndpointId};

#[async_trait]
impl Webhooks for Faulty {
    async fn endpoint(&self, id: EndpointId) -> Result<Option<Stored<Endpoint>>, StoreError> {
        self.store().endpoint(id).await
    }

    async fn endpoints(
        &self,
        namespace: Option<Slug>,
        after: EndpointId,
        limit: u32,
    ) -> Result<Vec<Result<Stored<Endpoint>, BadRow>>, StoreError> {
        self.store().endpoints(namespace, after, limit).await
    }

    async fn signing(&self, id: EndpointId) -> Result<Vec<SealedSigning>, StoreError> {
        self.store().signing(id).await
    }

    async fn reseal(&self, id: EndpointId, from: PepperId, to: SealedSigning) -> Result<bool, StoreError> {
        self.store().reseal(id, from, to).await
    }

    async fn progress(&self, id: EndpointId) -> Result<Option<Progress>, StoreError> {
        self.store().progress(id).await
    }

    async fn advance(&self, duty: Duty, id: EndpointId, step: Step) -> Result<bool, StoreError> {
        self.meet(super::Call::Advance, self.store().advance(duty, id, step))
            .await
    }

    async fn deliveries(
        &self,
        id: EndpointId,
        before: Option<Revision>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.store().deliveries(id, before, limit).await
    }

    async fn sweep_deliveries(&self, id: EndpointId, keep: u32, until: Timestamp) -> Result<u64, StoreError> {
        self.store().sweep_deliveries(id, keep, until).await
    }
}

#[async_trait]
impl Duties for Faulty {
    async fn take_duty(&self, duty: Duty, until: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        self.store().take_duty(duty, until, now).await
    }

    async fn leave_duty(&self, duty: Duty) -> Result<(), StoreError> {
        self.store().leave_duty(duty).await
    }
}
