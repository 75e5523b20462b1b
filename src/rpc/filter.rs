//! Which tokens a request is about.

use super::decode::Fields;
use crate::proto::v1;
use crate::token::State;
use crate::token::id::TokenId;
use crate::token::scope::Scope;
use crate::token::selector::{Period, Selector, States};
use crate::token::text::{Name, Subject};
use crate::token::time::Timestamp;

/// The selector that a filter at `path` describes; what is wrong with it is told.
pub(super) fn selector(fields: &mut Fields, path: &str, filter: v1::TokenFilter) -> Selector {
    let at = |field: &str| format!("{path}.{field}");
    let v1::TokenFilter {
        token_ids,
        name_prefix,
        name_contains,
        scope,
        subject,
        labels,
        states,
        created_after,
        created_before,
        expires_after,
        expires_before,
        rotation_due_before,
        last_used_after,
        last_used_before,
        unused_since,
    } = filter;
    let mut instant = |field: &str, instant: Option<prost_types::Timestamp>| -> Option<Timestamp> {
        instant.and_then(|instant| fields.timestamp(&at(field), instant))
    };
    let created = Period {
        from: instant("created_after", created_after),
        before: instant("created_before", created_before),
    };
    let expires = Period {
        from: instant("expires_after", expires_after),
        before: instant("expires_before", expires_before),
    };
    let rotation_due_before = instant("rotation_due_before", rotation_due_before);
    let used = Period {
        from: instant("last_used_after", last_used_after),
        before: instant("last_used_before", last_used_before),
    };
    let unused_since = instant("unused_since", unused_since);
    let ids = if fields.at_most(at("token_ids"), Selector::IDS_MAX, token_ids.len()) {
        token_ids
    } else {
        Vec::new()
    };
    let ids = ids.iter().enumerate();
    let states = states.into_iter().enumerate();
    Selector {
        ids: ids
            .filter_map(|(i, id)| fields.take(at(&format!("token_ids[{i}]")), TokenId::parse(id)))
            .collect(),
        states: States::of(
            states
                .map(|(i, state)| one_state(fields, &at(&format!("states[{i}]")), state))
                .collect::<Vec<_>>()
                .into_iter()
                .flatten(),
        ),
        name_prefix: said(fields, at("name_prefix"), name_prefix, Name::try_from),
        name_contains: said(fields, at("name_contains"), name_contains, Name::try_from),
        scope: said(fields, at("scope"), scope, Scope::try_from),
        subject: said(fields, at("subject"), subject, Subject::try_from),
        labels: fields.labels_at(&at("labels"), labels).unwrap_or_default(),
        created,
        expires,
        rotation_due_before,
        used,
        unused_since,
    }
}

/// What a text says; an empty one says nothing.
fn said<T, E: std::fmt::Display>(
    fields: &mut Fields,
    path: String,
    text: String,
    parse: impl FnOnce(String) -> Result<T, E>,
) -> Option<T> {
    if text.is_empty() {
        return None;
    }
    fields.take(path, parse(text))
}

fn one_state(fields: &mut Fields, path: &str, sent: i32) -> Option<State> {
    let state = state(fields, path, sent);
    if sent == v1::TokenState::Unspecified as i32 {
        fields.wrong(path, "must be a state");
    }
    state
}

/// The state that a number stands for; unspecified is none.
pub(super) fn state(fields: &mut Fields, path: &str, state: i32) -> Option<State> {
    match v1::TokenState::try_from(state) {
        Ok(v1::TokenState::Unspecified) => None,
        Ok(v1::TokenState::Active) => Some(State::Active),
        Ok(v1::TokenState::Suspended) => Some(State::Suspended),
        Ok(v1::TokenState::Revoked) => Some(State::Revoked),
        Ok(v1::TokenState::Expired) => Some(State::Expired),
        Err(_) => {
            fields.wrong(path, "must be a TokenState");
            None
        }
    }
}
