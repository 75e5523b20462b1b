//! WebhookService.

use std::time::Duration;

use super::decode::Fields;
use super::page::{self, ListKey};
use super::{Api, Problem, ask, convert, guard};
use crate::authority::{EndpointName, Keyed, NewEndpoint};
use crate::journal::Revision;
use crate::proto::v1;
use crate::store::webhooks::Delivery;
use crate::token::caller::Caller;
use crate::token::permission::Right;
use crate::token::text::{Name, Reason};
use crate::token::time::{Span, Timestamp};
use crate::token::webhook::event::{EventKind, Events, NotEventKind};
use crate::token::webhook::url::EndpointUrl;
use crate::token::webhook::{Endpoint, EndpointId, EndpointUpdate, SecretVersion, StateUpdate};

/// How long two signing secrets overlap unless it is said.
const OVERLAP: Duration = Duration::from_hours(24);
/// What may stand in a mask.
const PATHS: [&str; 4] = ["url", "events", "description", "state"];

pub(super) async fn create_endpoint(
    api: &Api,
    caller: &Caller,
    request: v1::CreateEndpointRequest,
) -> Result<v1::CreateEndpointResponse, Problem> {
    let mut fields = Fields::default();
    let ask = ask(caller, &mut fields, &request.request_id);
    let namespace = fields.slug("namespace", request.namespace);
    let url = url(api, &mut fields, "url", &request.url);
    let events = events(&mut fields, "events", &request.events);
    let description = fields.take("description", Name::try_from(request.description));
    let (Some(namespace), Some(url), Some(events), Some(description)) = (namespace, url, events, description)
    else {
        return Err(fields.problem());
    };
    fields.check()?;
    guard::named(caller, Right::WebhooksManage, &namespace)?;
    let new = NewEndpoint {
        namespace,
        url,
        events,
        description,
    };
    let created = api.authority.create_endpoint(&ask, new).await?;
    let Keyed {
        endpoint: created_one,
        secret,
    } = created.record;
    Ok(v1::CreateEndpointResponse {
        endpoint: Some(endpoint(&created_one)),
        secret: secret.expose().to_owned(),
        cursor: created.cursor.to_string(),
    })
}

pub(super) async fn get_endpoint(
    api: &Api,
    caller: &Caller,
    request: v1::GetEndpointRequest,
) -> Result<v1::GetEndpointResponse, Problem> {
    let fields = Fields::default();
    let name = name(fields, "", request.namespace, &request.endpoint_id)?;
    guard::named(caller, Right::WebhooksList, &name.0)?;
    let found = api.authority.endpoint(&name).await?;
    Ok(v1::GetEndpointResponse {
        endpoint: Some(endpoint(&found)),
    })
}

pub(super) async fn list_endpoints(
    api: &Api,
    caller: &Caller,
    request: v1::ListEndpointsRequest,
) -> Result<v1::ListEndpointsResponse, Problem> {
    let mut fields = Fields::default();
    let Some(namespace) = fields.slug("namespace", request.namespace) else {
        return Err(fields.problem());
    };
    guard::named(caller, Right::WebhooksList, &namespace)?;
    let endpoints = api.authority.endpoints(namespace).await?;
    Ok(v1::ListEndpointsResponse {
        endpoints: endpoints.iter().map(endpoint).collect(),
    })
}

pub(super) async fn update_endpoint(
    api: &Api,
    caller: &Caller,
    request: v1::UpdateEndpointRequest,
) -> Result<v1::UpdateEndpointResponse, Problem> {
    let mut fields = Fields::default();
    let ask = ask(caller, &mut fields, &request.request_id);
    let sent = request.endpoint.unwrap_or_default();
    let paths = request.update_mask.map(|mask| mask.paths);
    for (i, path) in paths.iter().flatten().enumerate() {
        if !PATHS.contains(&path.as_str()) {
            fields.wrong(
                format!("update_mask.paths[{i}]"),
                format_args!("must be one of {}", PATHS.join(", ")),
            );
        }
    }
    // Without a mask what is set is meant (AIP-134).
    let meant = |path: &str, is_set: bool| match &paths {
        Some(paths) if !paths.is_empty() => paths.iter().any(|named| named == path),
        _ => is_set,
    };
    let mut update = EndpointUpdate::default();
    if meant("url", !sent.url.is_empty()) {
        update.url = url(api, &mut fields, "endpoint.url", &sent.url);
    }
    if meant("events", !sent.events.is_empty()) {
        update.events = events(&mut fields, "endpoint.events", &sent.events);
    }
    if meant("description", !sent.description.is_empty()) {
        let description = Name::try_from(sent.description.clone());
        update.description = fields.take("endpoint.description", description);
    }
    if meant("state", sent.state() != v1::EndpointState::Unspecified) {
        update.state = match sent.state() {
            v1::EndpointState::Active => Some(StateUpdate::Active),
            v1::EndpointState::Paused => {
                let reason = Reason::try_from(sent.pause_reason);
                fields
                    .take("endpoint.pause_reason", reason)
                    .map(StateUpdate::Paused)
            }
            v1::EndpointState::Unspecified => {
                fields.wrong("endpoint.state", "must be ACTIVE or PAUSED");
                None
            }
        };
    }
    let name = name(fields, "endpoint.", sent.namespace, &sent.endpoint_id)?;
    guard::named(caller, Right::WebhooksManage, &name.0)?;
    let etag = Some(sent.etag).filter(|etag| !etag.is_empty());
    let updated = api.authority.update_endpoint(&ask, &name, etag, update).await?;
    Ok(v1::UpdateEndpointResponse {
        endpoint: Some(endpoint(&updated.record)),
        cursor: updated.cursor.to_string(),
    })
}

pub(super) async fn delete_endpoint(
    api: &Api,
    caller: &Caller,
    request: v1::DeleteEndpointRequest,
) -> Result<v1::DeleteEndpointResponse, Problem> {
    let mut fields = Fields::default();
    let ask = ask(caller, &mut fields, &request.request_id);
    let name = name(fields, "", request.namespace, &request.endpoint_id)?;
    guard::named(caller, Right::WebhooksManage, &name.0)?;
    let etag = Some(request.etag).filter(|etag| !etag.is_empty());
    let deleted = api.authority.delete_endpoint(&ask, &name, etag).await?;
    Ok(v1::DeleteEndpointResponse {
        cursor: deleted.cursor.to_string(),
    })
}

pub(super) async fn rotate_endpoint_secret(
    api: &Api,
    caller: &Caller,
    request: v1::RotateEndpointSecretRequest,
) -> Result<v1::RotateEndpointSecretResponse, Problem> {
    let mut fields = Fields::default();
    let ask = ask(caller, &mut fields, &request.request_id);
    let max = Endpoint::OVERLAP_MAX.duration();
    let overlap = match request.overlap {
        Some(overlap) => fields.duration("overlap", overlap, Duration::ZERO, Some(max)),
        None => Some(OVERLAP),
    };
    let overlap = overlap.and_then(|overlap| fields.take("overlap", Span::try_from(overlap)));
    let name = name(fields, "", request.namespace, &request.endpoint_id)?;
    guard::named(caller, Right::WebhooksManage, &name.0)?;
    let overlap = overlap.unwrap_or_default();
    let rotated = api.authority.rotate_endpoint_secret(&ask, &name, overlap).await?;
    let Keyed {
        endpoint: rotated_one,
        secret,
    } = rotated.record;
    Ok(v1::RotateEndpointSecretResponse {
        endpoint: Some(endpoint(&rotated_one)),
        secret: secret.expose().to_owned(),
        cursor: rotated.cursor.to_string(),
    })
}

pub(super) async fn test_endpoint(
    api: &Api,
    caller: &Caller,
    request: v1::TestEndpointRequest,
) -> Result<v1::TestEndpointResponse, Problem> {
    let fields = Fields::default();
    let name = name(fields, "", request.namespace, &request.endpoint_id)?;
    guard::named(caller, Right::WebhooksManage, &name.0)?;
    let found = api.authority.endpoint(&name).await?;
    let (event_id, answer) = api.sender.send_test(&found).await;
    Ok(match answer {
        Ok(answer) => v1::TestEndpointResponse {
            delivered: (200..300).contains(&answer.status),
            status: answer.status.into(),
            error: String::new(),
            excerpt: String::from_utf8_lossy(&answer.excerpt).replace(char::is_control, " "),
            event_id,
        },
        Err(error) => v1::TestEndpointResponse {
            error: error.to_string(),
            event_id,
            ..Default::default()
        },
    })
}

pub(super) async fn list_deliveries(
    api: &Api,
    caller: &Caller,
    request: v1::ListDeliveriesRequest,
) -> Result<v1::ListDeliveriesResponse, Problem> {
    let mut fields = Fields::default();
    let size = page::size(&mut fields, request.page_size);
    let name = name(fields, "", request.namespace, &request.endpoint_id)?;
    guard::named(caller, Right::WebhooksList, &name.0)?;
    let arguments = [&b"ListDeliveries"[..], name.1.as_bytes()];
    let list = ListKey::of(api.authority.opaque_key(), &arguments);
    let revision = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).map(Revision::new);
    let before = list.position(&request.page_token, revision)?;
    api.authority.endpoint(&name).await?;
    let deliveries = api.store.deliveries(name.1, before, size).await?;
    let is_full = deliveries.len() == size as usize;
    let next = deliveries.last().filter(|_| is_full);
    let next_page_token = next.map(|last| list.token(&last.revision.get().to_be_bytes()));
    Ok(v1::ListDeliveriesResponse {
        deliveries: deliveries.into_iter().map(delivery).collect(),
        next_page_token: next_page_token.unwrap_or_default(),
    })
}

/// Goes on with the name of an endpoint, if nothing was wrong.
fn name(mut fields: Fields, at: &str, namespace: String, id: &str) -> Result<EndpointName, Problem> {
    let namespace = fields.slug(&format!("{at}namespace"), namespace);
    let id = fields.take(format_args!("{at}endpoint_id"), EndpointId::parse(id));
    let Some(name) = namespace.zip(id) else {
        return Err(fields.problem());
    };
    fields.check()?;
    Ok(name)
}

fn url(api: &Api, fields: &mut Fields, at: &str, text: &str) -> Option<EndpointUrl> {
    let url = fields.take(at, EndpointUrl::parse(text))?;
    fields.take(at, api.sender.check(&url))?;
    Some(url)
}

fn events(fields: &mut Fields, at: &str, names: &[String]) -> Option<Events> {
    let kinds: Vec<Option<EventKind>> = names
        .iter()
        .take(EventKind::ALL.len() + 1)
        .enumerate()
        .map(|(i, name)| {
            let kind: Result<EventKind, _> = name.parse();
            let kind = kind.ok().filter(|kind| kind.is_wanted_by_name());
            fields.take(format_args!("{at}[{i}]"), kind.ok_or(NotEventKind))
        })
        .collect();
    if kinds.len() > EventKind::ALL.len() {
        fields.wrong(
            at,
            format_args!("must have at most {} elements", EventKind::ALL.len()),
        );
    }
    kinds.into_iter().collect::<Option<Vec<_>>>().map(Events::of)
}

fn endpoint(endpoint: &Endpoint) -> v1::WebhookEndpoint {
    let state = match endpoint.pause {
        None => v1::EndpointState::Active,
        Some(_) => v1::EndpointState::Paused,
    };
    let secret = |secret: &SecretVersion| v1::SigningSecretVersion {
        version: secret.version.into(),
        create_time: Some(convert::timestamp(secret.create_time)),
        retire_time: secret.retire_time.map(convert::timestamp),
    };
    let pause = endpoint.pause.as_ref();
    v1::WebhookEndpoint {
        namespace: endpoint.namespace.to_string(),
        endpoint_id: endpoint.id.to_string(),
        url: endpoint.url.to_string(),
        events: endpoint.events.iter().map(String::from).collect(),
        description: endpoint.description.to_string(),
        state: state.into(),
        pause_reason: pause.map(|pause| pause.reason.to_string()).unwrap_or_default(),
        pause_time: pause.map(|pause| convert::timestamp(pause.time)),
        secrets: endpoint.secrets.iter().map(secret).collect(),
        create_time: Some(convert::timestamp(endpoint.create_time)),
        update_time: Some(convert::timestamp(endpoint.update_time)),
        etag: endpoint.etag(),
    }
}

fn delivery(delivery: Delivery) -> v1::Delivery {
    let time = |time: Timestamp| Some(convert::timestamp(time));
    v1::Delivery {
        event_id: delivery.event_id,
        event: delivery.kind.to_string(),
        revision: convert::revision(delivery.revision),
        attempts: i32::try_from(delivery.attempts).unwrap_or(i32::MAX),
        delivered: delivery.error.is_none(),
        status: delivery.status.unwrap_or_default().into(),
        error: delivery.error.unwrap_or_default(),
        first_time: time(delivery.first_time),
        last_time: time(delivery.last_time),
        next_time: delivery.next_time.and_then(time),
    }
}
