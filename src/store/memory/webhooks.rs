//! Endpoints in memory, how far each has come, and who sees to them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;

use super::super::lease::{Duties, Duty};
use super::super::webhooks::{Delivery, Progress, Step, Webhooks};
use super::super::{BadRow, StoreError};
use super::MemoryStore;
use crate::journal::{Change, Draft, Record, Revision, Stored};
use crate::store::member::MemberId;
use crate::token::id::Slug;
use crate::token::secret::PepperId;
use crate::token::time::Timestamp;
use crate::token::webhook::signing::SealedSigning;
use crate::token::webhook::{Endpoint, EndpointId, WebhookChange};

#[derive(Default, Debug)]
pub(super) struct Kept {
    endpoints: BTreeMap<EndpointId, Stored<Endpoint>>,
    secrets: BTreeMap<(EndpointId, u32), SealedSigning>,
    progress: BTreeMap<EndpointId, Progress>,
    deliveries: BTreeMap<(EndpointId, Revision), Delivery>,
    duties: BTreeMap<&'static str, (MemberId, Timestamp)>,
}

impl Kept {
    pub(super) fn versions(&self, asked: BTreeSet<EndpointId>) -> HashMap<EndpointId, Revision> {
        let known = asked.into_iter();
        known
            .filter_map(|id| Some((id, self.endpoints.get(&id)?.version)))
            .collect()
    }

    pub(super) fn counts(&self, asked: BTreeSet<&Slug>) -> HashMap<Slug, u32> {
        let count = |slug: &Slug| {
            let endpoints = self.endpoints.values();
            let own = endpoints.filter(|stored| stored.record.namespace == *slug);
            u32::try_from(own.count()).unwrap_or(u32::MAX)
        };
        asked
            .into_iter()
            .map(|slug| (slug.clone(), count(slug)))
            .collect()
    }

    pub(super) fn write(&mut self, draft: &Draft, version: Revision) {
        let Record::Endpoint(endpoint) = draft.after() else {
            return;
        };
        let id = endpoint.id;
        match draft.change() {
            Change::Webhook(WebhookChange::Deleted(_)) => {
                self.endpoints.remove(&id);
                self.progress.remove(&id);
                self.secrets.retain(|(of, _), _| *of != id);
                self.deliveries.retain(|(of, _), _| *of != id);
                return;
            }
            Change::Webhook(WebhookChange::Created(_)) => {
                let revision = version;
                let progress = Progress {
                    revision,
                    ..Progress::default()
                };
                self.progress.insert(id, progress);
            }
            _ => {}
        }
        let record = endpoint.clone();
        self.endpoints.insert(id, Stored { record, version });
        if let Some(signing) = draft.signing() {
            let newest = signing.version;
            self.secrets
                .retain(|(of, version), _| *of != id || version + 1 >= newest);
            self.secrets.insert((id, newest), signing.clone());
        }
    }
}

#[async_trait]
impl Webhooks for MemoryStore {
    async fn endpoint(&self, id: EndpointId) -> Result<Option<Stored<Endpoint>>, StoreError> {
        Ok(self.kept().webhooks.endpoints.get(&id).cloned())
    }

    async fn endpoints(
        &self,
        namespace: Option<Slug>,
        after: EndpointId,
        limit: u32,
    ) -> Result<Vec<Result<Stored<Endpoint>, BadRow>>, StoreError> {
        let kept = self.kept();
        let wanted = kept.webhooks.endpoints.values().filter(|stored| {
            let endpoint = &stored.record;
            endpoint.id > after && namespace.as_ref().is_none_or(|slug| endpoint.namespace == *slug)
        });
        Ok(wanted.take(limit as usize).cloned().map(Ok).collect())
    }

    async fn signing(&self, id: EndpointId) -> Result<Vec<SealedSigning>, StoreError> {
        let kept = self.kept();
        let own = kept.webhooks.secrets.range((id, 0)..=(id, u32::MAX));
        Ok(own.map(|(_, sealed)| sealed.clone()).collect())
    }

    async fn reseal(&self, id: EndpointId, from: PepperId, to: SealedSigning) -> Result<bool, StoreError> {
        let mut kept = self.kept();
        let found = kept.webhooks.secrets.get_mut(&(id, to.version));
        Ok(found
            .filter(|sealed| sealed.pepper == from)
            .map(|sealed| *sealed = to)
            .is_some())
    }

    async fn progress(&self, id: EndpointId) -> Result<Option<Progress>, StoreError> {
        Ok(self.kept().webhooks.progress.get(&id).copied())
    }

    async fn advance(&self, duty: Duty, id: EndpointId, step: Step) -> Result<bool, StoreError> {
        let mut kept = self.kept();
        let webhooks = &mut kept.webhooks;
        let has_duty = webhooks
            .duties
            .get(duty.name)
            .is_some_and(|(holder, _)| *holder == duty.holder);
        let Some(progress) = webhooks.progress.get_mut(&id) else {
            return Ok(false);
        };
        if !has_duty || progress.revision != step.from {
            return Ok(false);
        }
        *progress = step.to;
        for delivery in step.deliveries {
            webhooks.deliveries.insert((id, delivery.revision), delivery);
        }
        Ok(true)
    }

    async fn deliveries(
        &self,
        id: EndpointId,
        before: Option<Revision>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let kept = self.kept();
        let before = before.unwrap_or(Revision::new(u64::MAX));
        let own = kept.webhooks.deliveries.range((id, Revision::ZERO)..(id, before));
        let newest = own.rev().map(|(_, delivery)| delivery.clone());
        Ok(newest.take(limit as usize).collect())
    }

    async fn sweep_deliveries(&self, id: EndpointId, keep: u32, until: Timestamp) -> Result<u64, StoreError> {
        let mut kept = self.kept();
        let deliveries = &mut kept.webhooks.deliveries;
        let own = deliveries.keys().rev().filter(|(of, _)| *of == id);
        let newest: BTreeSet<_> = own.take(keep as usize).copied().collect();
        let before = deliveries.len();
        deliveries
            .retain(|key, delivery| key.0 != id || (newest.contains(key) && delivery.last_time > until));
        Ok((before - deliveries.len()) as u64)
    }
}

#[async_trait]
impl Duties for MemoryStore {
    async fn take_duty(&self, duty: Duty, until: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        let mut kept = self.kept();
        let duties = &mut kept.webhooks.duties;
        let is_taken = duties
            .get(duty.name)
            .is_some_and(|(holder, end)| *holder != duty.holder && *end > now);
        if !is_taken {
            duties.insert(duty.name, (duty.holder, until));
        }
        Ok(!is_taken)
    }

    async fn leave_duty(&self, duty: Duty) -> Result<(), StoreError> {
        let mut kept = self.kept();
        kept.webhooks
            .duties
            .retain(|name, (holder, _)| *name != duty.name || *holder != duty.holder);
        Ok(())
    }
}
