//! Endpoints of webhooks as they are kept, and how far each has come.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::lease::Duty;
use super::{BadRow, StoreError};
use crate::journal::{Revision, Stored};
use crate::token::id::Slug;
use crate::token::secret::PepperId;
use crate::token::time::Timestamp;
use crate::token::webhook::event::EventKind;
use crate::token::webhook::signing::SealedSigning;
use crate::token::webhook::{Endpoint, EndpointId};

/// The keeper of endpoints, and of what became of their events. Endpoints change by [`super::Store::commit`] alone; how
/// far they have come is not in the journal. Every sentence here is a law in `store/laws`.
#[async_trait]
pub trait Webhooks: fmt::Debug + Send + Sync {
    /// The endpoint with this id.
    async fn endpoint(&self, id: EndpointId) -> Result<Option<Stored<Endpoint>>, StoreError>;

    /// The endpoints of a namespace, or of all, after `after`, by id. One that was tampered with leaves the others
    /// alone.
    async fn endpoints(
        &self,
        namespace: Option<Slug>,
        after: EndpointId,
        limit: u32,
    ) -> Result<Vec<Result<Stored<Endpoint>, BadRow>>, StoreError>;

    /// The signing secrets of an endpoint, oldest first: of each rotation, the new one and the one before.
    async fn signing(&self, id: EndpointId) -> Result<Vec<SealedSigning>, StoreError>;

    /// Keeps a signing secret sealed under another pepper than `from`; `false`: it is not under that one any more.
    async fn reseal(&self, id: EndpointId, from: PepperId, to: SealedSigning) -> Result<bool, StoreError>;

    /// How far an endpoint has come. A new one begins with its own entry.
    async fn progress(&self, id: EndpointId) -> Result<Option<Progress>, StoreError>;

    /// Notes how far an endpoint has come from where it was, and what became of its events; `false`: nothing is noted,
    /// for it was not there any more, or another one has the duty.
    async fn advance(&self, duty: Duty, id: EndpointId, step: Step) -> Result<bool, StoreError>;

    /// What became of the events of an endpoint before `before`, the newest first.
    async fn deliveries(
        &self,
        id: EndpointId,
        before: Option<Revision>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Forgets what became of all events of an endpoint but the newest `keep`, and of those of which nothing was heard
    /// since `until`; of how many.
    async fn sweep_deliveries(&self, id: EndpointId, keep: u32, until: Timestamp) -> Result<u64, StoreError>;
}

/// How far an endpoint has come.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Progress {
    /// Every event up to this one was taken, or is none of its business.
    pub revision: Revision,
    /// How often the next one was not taken.
    pub failures: u32,
    /// Since when nothing was taken that was sent.
    pub failing_since: Option<Timestamp>,
    /// When it is sent again.
    pub next_time: Option<Timestamp>,
}

/// A change of how far an endpoint has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Where it was.
    pub from: Revision,
    pub to: Progress,
    /// What became of which events: those that were there are replaced.
    pub deliveries: Vec<Delivery>,
}

/// What became of one event at one endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Delivery {
    pub revision: Revision,
    /// Under which it was sent, each time.
    pub event_id: String,
    pub kind: EventKind,
    pub attempts: u32,
    pub first_time: Timestamp,
    pub last_time: Timestamp,
    /// The status of the last answer. `None`: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What was wrong the last time. `None`: it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it is sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_time: Option<Timestamp>,
}
