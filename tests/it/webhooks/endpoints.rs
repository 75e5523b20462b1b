//! Endpoints: created, changed, paused, tested, rotated, deleted, and what is told of them.

use std::time::Duration;

use tokenward::proto::v1::{self, EndpointState};
use tonic::Code;
use tonic_types::StatusExt;

use super::{endpoint, happen, to_loopback};
use crate::receiver::{Mood, Receiver, taken};
use crate::server::{Client, Outcome, Server, hex};

const REQUEST: &str = "7d444840-9dc0-41d1-b245-5ffdce74fad2";

async fn notes(
    change: impl FnOnce(&mut tokenward::serve::Options),
) -> Result<(Server, Client), Box<dyn std::error::Error>> {
    let server = Server::start_with(|options| {
        to_loopback(options);
        change(options);
    })?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    Ok((server, client))
}

fn named(endpoint: &v1::WebhookEndpoint) -> v1::WebhookEndpoint {
    v1::WebhookEndpoint {
        namespace: endpoint.namespace.clone(),
        endpoint_id: endpoint.endpoint_id.clone(),
        ..Default::default()
    }
}

async fn set_state(
    client: &mut Client,
    endpoint: &v1::WebhookEndpoint,
    state: EndpointState,
) -> Result<v1::WebhookEndpoint, tonic::Status> {
    let request = v1::UpdateEndpointRequest {
        endpoint: Some(v1::WebhookEndpoint {
            state: state.into(),
            pause_reason: "moving".to_owned(),
            ..named(endpoint)
        }),
        ..Default::default()
    };
    let updated = client.webhooks.update_endpoint(request).await?.into_inner();
    Ok(updated.endpoint.unwrap_or_default())
}

async fn deliveries(
    client: &mut Client,
    of: &v1::WebhookEndpoint,
) -> Result<Vec<v1::Delivery>, tonic::Status> {
    let request = v1::ListDeliveriesRequest {
        namespace: of.namespace.clone(),
        endpoint_id: of.endpoint_id.clone(),
        ..Default::default()
    };
    Ok(client
        .webhooks
        .list_deliveries(request)
        .await?
        .into_inner()
        .deliveries)
}

#[tokio::test]
async fn what_happens_while_an_endpoint_is_paused_is_sent_when_it_is_resumed() -> Outcome {
    let (server, mut client) = notes(|_| {}).await?;
    let receiver = Receiver::start(|| Mood::Take).await?;
    let (endpoint, _) = endpoint(&mut client, receiver.url(), &["token.revoked"]).await?;
    let paused = set_state(&mut client, &endpoint, EndpointState::Paused).await?;
    assert_eq!(
        (paused.state(), paused.pause_reason.as_str()),
        (EndpointState::Paused, "moving")
    );
    happen(&mut client, 4).await?;
    let resumed = set_state(&mut client, &endpoint, EndpointState::Active).await?;
    assert_eq!(
        (resumed.state(), resumed.pause_time),
        (EndpointState::Active, None)
    );
    let all = receiver.once(|all| all.len() == 2).await?;
    assert!(all.iter().all(|one| one.json()["type"] == "token.revoked"));
    assert!(all.iter().all(|one| one.json()["data"]["reason"] == "left"));
    server.stop().await
}

#[tokio::test]
async fn an_endpoint_that_takes_nothing_is_paused_and_the_history_says_why() -> Outcome {
    let (server, mut client) = notes(|options| {
        options.webhooks.pace.pause_after = Duration::from_millis(100);
    })
    .await?;
    let receiver = Receiver::start(|| Mood::Fail).await?;
    let (created, _) = endpoint(&mut client, receiver.url(), &[]).await?;
    happen(&mut client, 1).await?;
    let request = v1::GetEndpointRequest {
        namespace: created.namespace.clone(),
        endpoint_id: created.endpoint_id.clone(),
    };
    let paused = loop {
        let got = client.webhooks.get_endpoint(request.clone()).await?.into_inner();
        let got = got.endpoint.unwrap_or_default();
        if got.state() == EndpointState::Paused {
            break got;
        }
        tokio::task::yield_now().await;
    };
    assert!(
        paused.pause_reason.contains("took nothing for 100ms"),
        "{paused:?}"
    );
    let history = deliveries(&mut client, &created).await?;
    let [delivery] = &history[..] else {
        return Err(format!("{history:?}").into());
    };
    assert!(
        !delivery.delivered && delivery.attempts > 1 && delivery.status == 500,
        "{delivery:?}"
    );
    assert_eq!(delivery.error, "it answered 500");
    let entries = client.audit.list_entries(v1::ListEntriesRequest {
        namespace: "notes".to_owned(),
        ..Default::default()
    });
    let entries = entries.await?.into_inner().entries;
    let last = entries.last().ok_or("no entries")?;
    assert_eq!(
        (last.kind(), last.actor.as_str()),
        (v1::EntryKind::WebhookPaused, "tokenward")
    );
    server.stop().await
}

#[tokio::test]
async fn a_rotation_signs_with_both_secrets_and_a_retry_is_answered_alike() -> Outcome {
    let (server, mut client) = notes(|_| {}).await?;
    let receiver = Receiver::start(|| Mood::Take).await?;
    let create = v1::CreateEndpointRequest {
        namespace: "notes".to_owned(),
        url: receiver.url(),
        request_id: REQUEST.to_owned(),
        ..Default::default()
    };
    let created = client
        .webhooks
        .create_endpoint(create.clone())
        .await?
        .into_inner();
    assert_eq!(
        client
            .webhooks
            .create_endpoint(create.clone())
            .await?
            .into_inner(),
        created
    );
    let other = v1::CreateEndpointRequest {
        description: "another".to_owned(),
        ..create
    };
    let reused = client
        .webhooks
        .create_endpoint(other)
        .await
        .err()
        .ok_or("made twice")?;
    assert_eq!(reused.code(), Code::AlreadyExists);
    let of = created.endpoint.clone().unwrap_or_default();
    let rotate = v1::RotateEndpointSecretRequest {
        namespace: "notes".to_owned(),
        endpoint_id: of.endpoint_id.clone(),
        request_id: "7d444840-9dc0-41d1-b245-5ffdce74fad3".to_owned(),
        ..Default::default()
    };
    let rotated = client
        .webhooks
        .rotate_endpoint_secret(rotate.clone())
        .await?
        .into_inner();
    assert_eq!(
        client.webhooks.rotate_endpoint_secret(rotate).await?.into_inner(),
        rotated
    );
    assert_ne!(rotated.secret, created.secret);
    let test = v1::TestEndpointRequest {
        namespace: "notes".to_owned(),
        endpoint_id: of.endpoint_id.clone(),
    };
    let tested = client.webhooks.test_endpoint(test.clone()).await?.into_inner();
    assert!(tested.delivered && tested.status == 204, "{tested:?}");
    let all = receiver.once(|all| all.len() == 1).await?;
    assert_eq!(all[0].json()["type"], "webhook.test");
    assert_eq!(all[0].header("webhook-id"), tested.event_id);
    assert!(all[0].is_signed_with(&created.secret) && all[0].is_signed_with(&rotated.secret));
    // One that leaked is out at once.
    let leaked = v1::RotateEndpointSecretRequest {
        namespace: "notes".to_owned(),
        endpoint_id: of.endpoint_id,
        overlap: Some(prost_types::Duration::default()),
        ..Default::default()
    };
    let last = client.webhooks.rotate_endpoint_secret(leaked).await?.into_inner();
    client.webhooks.test_endpoint(test).await?;
    let all = receiver.once(|all| all.len() == 2).await?;
    assert!(all[1].is_signed_with(&last.secret) && !all[1].is_signed_with(&rotated.secret));
    server.stop().await
}

#[tokio::test]
async fn what_is_wrong_with_an_endpoint_is_told_by_field() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    for (url, wrong) in [
        ("http://hooks.example/", "must be https"),
        ("https://127.0.0.1/", "not public"),
        ("https://2130706433/", "not public"),
        ("https://[::ffff:10.0.0.1]/", "not public"),
        ("https://169.254.169.254/", "not public"),
        ("https://ann:pw@hooks.example/", "user name"),
        ("hooks.example", "must be a URL"),
    ] {
        let refused = endpoint(&mut client, url.to_owned(), &[])
            .await
            .err()
            .ok_or("created")?;
        let details = refused.get_details_bad_request().ok_or("no fields")?;
        let told: Vec<_> = details
            .field_violations
            .iter()
            .map(|it| it.field.as_str())
            .collect();
        assert_eq!(told, ["url"], "{url}");
        assert!(refused.message().contains(wrong), "{url}: {refused:?}");
    }
    let url = || "https://hooks.example/".to_owned();
    let refused = endpoint(&mut client, url(), &["token.eaten"])
        .await
        .err()
        .ok_or("created")?;
    assert!(
        refused.message().starts_with("events[0] must be a kind of event"),
        "{refused:?}"
    );
    for _ in 0..16 {
        endpoint(&mut client, url(), &[]).await?;
    }
    let refused = endpoint(&mut client, url(), &[]).await.err().ok_or("created")?;
    let info = refused.get_details_error_info().ok_or("no reason")?;
    assert_eq!(
        (refused.code(), info.reason.as_str()),
        (Code::ResourceExhausted, "TOO_MANY_ENDPOINTS")
    );
    let listed = client.webhooks.list_endpoints(v1::ListEndpointsRequest {
        namespace: "notes".to_owned(),
    });
    let listed = listed.await?.into_inner().endpoints;
    assert_eq!(listed.len(), 16);
    let delete = v1::DeleteEndpointRequest {
        namespace: "notes".to_owned(),
        endpoint_id: listed[0].endpoint_id.clone(),
        etag: "0".to_owned(),
        ..Default::default()
    };
    let stale = client
        .webhooks
        .delete_endpoint(delete.clone())
        .await
        .err()
        .ok_or("deleted")?;
    assert_eq!(stale.code(), Code::Aborted);
    let delete = v1::DeleteEndpointRequest {
        etag: listed[0].etag.clone(),
        ..delete
    };
    client.webhooks.delete_endpoint(delete.clone()).await?;
    let gone = client
        .webhooks
        .delete_endpoint(delete)
        .await
        .err()
        .ok_or("deleted twice")?;
    assert_eq!(gone.code(), Code::NotFound);
    server.stop().await
}

#[tokio::test]
async fn metrics_tell_what_was_sent_and_who_sends() -> Outcome {
    let (server, mut client) = notes(|options| options.metrics_listen = Some(options.listen)).await?;
    let receiver = Receiver::start(|| Mood::Take).await?;
    endpoint(&mut client, receiver.url(), &[]).await?;
    let (wanted, _) = happen(&mut client, 2).await?;
    receiver.once(|all| taken(all).len() == wanted.len()).await?;
    let told = crate::metrics::scrape(server.running()?).await?;
    for line in [
        "tokenward_webhook_attempts_total{outcome=\"refused\"} 0".to_owned(),
        "tokenward_webhook_delivering 1".to_owned(),
        "tokenward_webhook_endpoints{state=\"active\"} 1".to_owned(),
    ] {
        assert!(told.contains(&line), "{line}: {told:?}");
    }
    server.stop().await
}
