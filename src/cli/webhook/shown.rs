//! Endpoints and deliveries as they are printed.

use comfy_table::Cell;
use serde::Serialize;

use super::super::output::{bad, doubtful, good, text};
use super::super::view;
use crate::proto::v1;

/// An endpoint as it is printed: the API's fields under the API's names.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "they are the API's")]
pub(super) struct Endpoint {
    pub(super) namespace: String,
    pub(super) endpoint_id: String,
    pub(super) url: String,
    pub(super) events: Vec<String>,
    pub(super) description: String,
    pub(super) state: String,
    pub(super) pause_reason: String,
    pub(super) pause_time: Option<String>,
    pub(super) create_time: Option<String>,
    pub(super) update_time: Option<String>,
    pub(super) etag: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<String>,
}

impl From<v1::WebhookEndpoint> for Endpoint {
    fn from(endpoint: v1::WebhookEndpoint) -> Endpoint {
        let state = endpoint.state().as_str_name();
        Endpoint {
            state: state.trim_start_matches("ENDPOINT_STATE_").to_ascii_lowercase(),
            namespace: endpoint.namespace,
            endpoint_id: endpoint.endpoint_id,
            url: endpoint.url,
            events: endpoint.events,
            description: endpoint.description,
            pause_reason: endpoint.pause_reason,
            pause_time: endpoint.pause_time.map(view::time),
            create_time: endpoint.create_time.map(view::time),
            update_time: endpoint.update_time.map(view::time),
            etag: endpoint.etag,
            secret: None,
        }
    }
}

impl Endpoint {
    pub(super) const HEADER: &[&str] = &["ID", "URL", "EVENTS", "STATE", "DESCRIPTION"];

    fn events(&self) -> String {
        if self.events.is_empty() {
            "all".to_owned()
        } else {
            self.events.join(" ")
        }
    }

    pub(super) fn row(&self) -> Vec<Cell> {
        let state = match self.pause_time {
            None => good(&self.state),
            Some(_) => doubtful(&self.state),
        };
        let events = text(&self.events());
        vec![
            text(&self.endpoint_id),
            text(&self.url),
            events,
            state,
            text(&self.description),
        ]
    }

    /// What is not there is left out.
    pub(super) fn facts(&self) -> Vec<(&'static str, Cell)> {
        let told = |time: &Option<String>| time.clone().unwrap_or_default();
        let facts = [
            ("endpoint", self.endpoint_id.clone()),
            ("namespace", self.namespace.clone()),
            ("url", self.url.clone()),
            ("events", self.events()),
            ("description", self.description.clone()),
            ("state", self.state.clone()),
            ("paused", told(&self.pause_time)),
            ("because", self.pause_reason.clone()),
            ("created", told(&self.create_time)),
            ("changed", told(&self.update_time)),
            ("secret", told(&self.secret)),
        ];
        let facts = facts.into_iter().filter(|(_, value)| !value.is_empty());
        facts.map(|(name, value)| (name, text(&value))).collect()
    }
}

#[derive(Serialize, Debug)]
pub(super) struct Deleted {
    pub(super) endpoint_id: String,
    pub(super) cursor: String,
}

#[derive(Serialize, Debug)]
pub(super) struct Tested {
    pub(super) delivered: bool,
    pub(super) status: i32,
    pub(super) error: String,
    pub(super) excerpt: String,
    pub(super) event_id: String,
}

#[derive(Serialize, Debug)]
pub(super) struct Delivery {
    pub(super) event_id: String,
    pub(super) event: String,
    pub(super) revision: i64,
    pub(super) attempts: i32,
    pub(super) delivered: bool,
    pub(super) status: i32,
    pub(super) error: String,
    pub(super) first_time: Option<String>,
    pub(super) last_time: Option<String>,
    pub(super) next_time: Option<String>,
}

impl From<v1::Delivery> for Delivery {
    fn from(delivery: v1::Delivery) -> Delivery {
        Delivery {
            event_id: delivery.event_id,
            event: delivery.event,
            revision: delivery.revision,
            attempts: delivery.attempts,
            delivered: delivery.delivered,
            status: delivery.status,
            error: delivery.error,
            first_time: delivery.first_time.map(view::time),
            last_time: delivery.last_time.map(view::time),
            next_time: delivery.next_time.map(view::time),
        }
    }
}

impl Delivery {
    pub(super) const HEADER: &[&str] = &[
        "REVISION", "EVENT", "ATTEMPTS", "LAST", "OUTCOME", "AGAIN", "EVENT ID",
    ];

    pub(super) fn row(&self) -> Vec<Cell> {
        let outcome = if self.delivered {
            good("delivered")
        } else {
            bad(&self.error)
        };
        let moment = |time: &Option<String>| text(time.as_deref().unwrap_or_default());
        vec![
            text(&self.revision.to_string()),
            text(&self.event),
            text(&self.attempts.to_string()),
            moment(&self.last_time),
            outcome,
            moment(&self.next_time),
            text(&self.event_id),
        ]
    }
}
