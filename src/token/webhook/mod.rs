//! Endpoints of webhooks: where the events of a namespace are sent, and which of them.

pub mod event;
pub mod id;
pub mod pace;
pub mod reach;
pub mod signing;
#[cfg(test)]
mod tests;
pub mod url;

use serde::{Deserialize, Serialize};

use super::id::Slug;
use super::text::{Name, Reason};
use super::time::{Span, Timestamp};
use event::{EventKind, Events};
pub use id::EndpointId;
use url::EndpointUrl;

/// Where the events of a namespace are sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Endpoint {
    pub id: EndpointId,
    pub namespace: Slug,
    pub url: EndpointUrl,
    /// Which events; none named: all, those that later versions add included.
    #[serde(default, skip_serializing_if = "Events::are_all")]
    pub events: Events,
    pub description: Name,
    /// Nothing is sent, for now. What happens meanwhile is sent when it is resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// Since when it is sent to, without a pause: since it was created or last resumed.
    pub active_since: Timestamp,
    /// The versions of its signing secret that sign, oldest first: one, or two while they overlap.
    pub secrets: Vec<SecretVersion>,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
}

/// Why, and since when, nothing is sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pause {
    pub time: Timestamp,
    pub reason: Reason,
}

/// One signing secret. Its text is kept elsewhere, sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SecretVersion {
    pub version: u32,
    pub create_time: Timestamp,
    /// From this instant on it signs nothing. `None`: it is the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retire_time: Option<Timestamp>,
}

/// Something that happened to an endpoint, with what it is after that.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookChange {
    Created(Endpoint),
    Updated(Endpoint),
    SecretRotated(Endpoint),
    /// By this program: it took nothing for too long, or said that it is gone.
    Paused(Endpoint),
    /// As it was.
    Deleted(Endpoint),
}

impl WebhookChange {
    pub fn endpoint(&self) -> &Endpoint {
        match self {
            WebhookChange::Created(endpoint)
            | WebhookChange::Updated(endpoint)
            | WebhookChange::SecretRotated(endpoint)
            | WebhookChange::Paused(endpoint)
            | WebhookChange::Deleted(endpoint) => endpoint,
        }
    }
}

/// What is to be changed of an endpoint; `None` stays as it is.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct EndpointUpdate {
    pub url: Option<EndpointUrl>,
    pub events: Option<Events>,
    pub description: Option<Name>,
    pub state: Option<StateUpdate>,
}

/// Whether it is to be sent to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StateUpdate {
    Active,
    Paused(Reason),
}

impl Endpoint {
    /// Endpoints of one namespace: each is a connection and a reader of the journal.
    pub const COUNT_MAX: u32 = 16;
    /// How long two signing secrets may overlap.
    pub const OVERLAP_MAX: Span = Span::days(7);

    /// Names this state of it (AIP-154): no two states share it.
    pub fn etag(&self) -> String {
        format!("{:x}", self.update_time.micros())
    }

    pub fn wants(&self, kind: EventKind) -> bool {
        self.events.contain(kind)
    }

    /// The versions that sign at `now`, the newest first.
    pub fn signing_at(&self, now: Timestamp) -> impl Iterator<Item = &SecretVersion> {
        let signs = move |secret: &&SecretVersion| secret.retire_time.is_none_or(|end| now < end);
        self.secrets.iter().rev().filter(signs)
    }

    /// The version that the next secret will have.
    pub fn next_version(&self) -> u32 {
        self.secrets.last().map_or(1, |last| last.version + 1)
    }

    /// The endpoint changed at `now`; `None`: it is so already. Of several pauses the first stands.
    pub fn updated(&self, update: &EndpointUpdate, now: Timestamp) -> Option<Endpoint> {
        let mut after = self.clone();
        if let Some(url) = &update.url {
            after.url.clone_from(url);
        }
        if let Some(events) = &update.events {
            after.events.clone_from(events);
        }
        if let Some(description) = &update.description {
            after.description.clone_from(description);
        }
        match &update.state {
            Some(StateUpdate::Active) if self.pause.is_some() => {
                after.pause = None;
                after.active_since = now;
            }
            Some(StateUpdate::Paused(reason)) if self.pause.is_none() => {
                let reason = reason.clone();
                after.pause = Some(Pause { time: now, reason });
            }
            _ => {}
        }
        (after != *self).then(|| after.at(self, now))
    }

    /// The endpoint with one more signing secret; those of before sign for `overlap` longer, and at most one of them.
    pub fn rotated(&self, overlap: Span, now: Timestamp) -> Endpoint {
        let end = now.after(overlap.duration()).unwrap_or(Timestamp::MAX);
        let mut before = self.secrets.last().copied();
        if let Some(before) = &mut before {
            before.retire_time = Some(end);
        }
        let new = SecretVersion {
            version: self.next_version(),
            create_time: now,
            retire_time: None,
        };
        let before = before.filter(|_| overlap != Span::ZERO);
        let after = Endpoint {
            secrets: before.into_iter().chain([new]).collect(),
            ..self.clone()
        };
        after.at(self, now)
    }

    /// A clock that was set back must not give a second state the etag of the first.
    fn at(self, before: &Endpoint, now: Timestamp) -> Endpoint {
        let later = Timestamp::from_micros(before.update_time.micros() + 1).unwrap_or(Timestamp::MAX);
        Endpoint {
            update_time: now.max(later),
            ..self
        }
    }
}
