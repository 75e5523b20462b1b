//! What is sent: `{type, timestamp, data}`, as the Standard Webhooks specification has it. Never a secret, a digest or an
//! address.

use serde::Serialize;
use serde_json::{Value, json};

use crate::journal::event::Event;
use crate::journal::{Change, Entry, Revision};
use crate::token::Token;
use crate::token::change::TokenChange;
use crate::token::lifecycle::Notice;
use crate::token::scope::{Labels, Scopes};
use crate::token::text::{Name, Subject};
use crate::token::time::Timestamp;
use crate::token::webhook::Endpoint;
use crate::token::webhook::event::EventKind;

/// What an event says of its token, as it was once the event had happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Facts {
    name: Name,
    subject: Subject,
    scopes: Scopes,
    labels: Labels,
}

impl Facts {
    /// Of a token as it is now, of which `later` are the entries after the event, oldest first.
    pub(super) fn at(now: &Token, later: &[Entry]) -> Facts {
        let mut facts = Facts {
            name: now.name.clone(),
            subject: now.subject.clone(),
            scopes: now.scopes.clone(),
            labels: now.labels.clone(),
        };
        for entry in later.iter().rev() {
            let Change::Token {
                change: TokenChange::Updated(updated),
                ..
            } = &entry.change
            else {
                continue;
            };
            if let Some(name) = &updated.name {
                facts.name.clone_from(&name.from);
            }
            if let Some(scopes) = &updated.scopes {
                facts.scopes.clone_from(&scopes.from);
            }
            if let Some(labels) = &updated.labels {
                facts.labels.clone_from(&labels.from);
            }
        }
        facts
    }
}

/// The message that tells of an entry. The same for the same arguments, so that whoever gets it twice gets one thing.
pub(super) fn of_entry(entry: &Entry, event: Event<'_>, facts: Option<&Facts>) -> String {
    let mut data = json!({
        "namespace": entry.change.namespace(),
        "actor": entry.actor,
        "time": entry.time.to_string(),
        "revision": entry.revision,
    });
    let fields = [
        ("id", json!(entry.change.token_id())),
        ("subject", json!(entry.change.subject())),
        ("name", json!(facts.map(|facts| &facts.name))),
        ("scopes", json!(facts.map(|facts| &facts.scopes))),
        ("labels", json!(facts.map(|facts| &facts.labels))),
        ("reason", json!(event.reason)),
    ];
    let of_token = facts.map(|facts| ("subject", json!(facts.subject)));
    let measured = measured(&entry.change);
    for (name, value) in fields.into_iter().chain(of_token).chain(measured) {
        if !value.is_null() {
            data[name] = value;
        }
    }
    message(event.kind, entry.time, &data)
}

/// What a notice is measured from, or up to.
fn measured(change: &Change) -> Option<(&'static str, Value)> {
    let Change::Token {
        change: TokenChange::Told(notice),
        ..
    } = change
    else {
        return None;
    };
    Some(match notice {
        Notice::Expiring { expire_time, .. } => ("expire_time", json!(expire_time.to_string())),
        Notice::RotationDue { since, .. } => ("secret_create_time", json!(since.to_string())),
        Notice::Unused { since, .. } => ("unused_since", json!(since.to_string())),
    })
}

/// The message that is about an endpoint itself; `missed`: the entries that were trimmed before they were delivered.
pub(super) fn about_endpoint(
    kind: EventKind,
    endpoint: &Endpoint,
    now: Timestamp,
    missed: Option<(Revision, Revision)>,
) -> String {
    let mut data = json!({ "endpoint_id": endpoint.id, "namespace": endpoint.namespace });
    if let Some((first, last)) = missed {
        data["first_revision"] = json!(first);
        data["last_revision"] = json!(last);
    }
    message(kind, now, &data)
}

fn message(kind: EventKind, timestamp: Timestamp, data: &Value) -> String {
    json!({ "type": kind, "timestamp": timestamp.to_string(), "data": data }).to_string()
}
