//! A stream lasts no longer than the credential that opened it, and shows no more than that lets be seen.

use std::time::Duration;

use tokenward::proto::v1;
use tokenward::proto::v1::watch_revocations_response::Event;
use tonic::{Code, Status, Streaming};

use super::Scene;
use crate::server::{Client, Outcome};

/// So long a test waits for what must come.
const BOUND: Duration = Duration::from_secs(20);

type Messages = Streaming<v1::WatchRevocationsResponse>;

async fn watch(client: &mut Client, namespaces: &[&str]) -> Result<Messages, Status> {
    let request = v1::WatchRevocationsRequest {
        namespaces: namespaces.iter().map(|slug| (*slug).to_owned()).collect(),
        heartbeat_interval: Some(prost_types::Duration {
            seconds: 0,
            nanos: 100_000_000,
        }),
        ..Default::default()
    };
    Ok(client.revocations.watch_revocations(request).await?.into_inner())
}

/// How the stream ends; what comes before that is read over.
async fn end(mut messages: Messages) -> Result<Code, Box<dyn std::error::Error>> {
    let ended = async {
        loop {
            match messages.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return Code::Ok,
                Err(status) => return status.code(),
            }
        }
    };
    Ok(tokio::time::timeout(BOUND, ended).await?)
}

#[tokio::test]
async fn a_stream_ends_with_the_credential_that_opened_it() -> Outcome {
    let mut scene = Scene::start().await?;
    let (own, mut watcher) = scene.caller(&["revocations.watch:notes".to_owned()]).await?;
    let messages = watch(&mut watcher, &[]).await?;
    let (_, mut other) = scene.caller(&["revocations.watch:notes".to_owned()]).await?;
    let mut going_on = watch(&mut other, &["notes"]).await?;
    scene.admin.revoke(&own.id).await?;
    assert_eq!(end(messages).await?, Code::Unauthenticated);
    let again = watch(&mut watcher, &[]).await;
    assert_eq!(
        again.err().map(|status| status.code()),
        Some(Code::Unauthenticated)
    );
    assert!(going_on.message().await?.is_some());
    assert!(going_on.message().await?.is_some());
    scene.server.stop().await
}

#[tokio::test]
async fn a_stream_ends_with_the_secret_that_opened_it() -> Outcome {
    let mut scene = Scene::start().await?;
    let (own, mut watcher) = scene.caller(&["revocations.watch:notes".to_owned()]).await?;
    let messages = watch(&mut watcher, &[]).await?;
    let rotate = v1::RotateRequest {
        token_id: own.id,
        ..Default::default()
    };
    let rotated = scene.admin.tokens.rotate(rotate).await?.into_inner();
    assert_eq!(end(messages).await?, Code::Unauthenticated);
    let mut successor = scene.client(&rotated.secret);
    assert!(watch(&mut successor, &[]).await?.message().await?.is_some());
    scene.server.stop().await
}

#[tokio::test]
async fn a_stream_ends_when_its_credential_expires() -> Outcome {
    let mut scene = Scene::start().await?;
    let second = prost_types::Duration { seconds: 1, nanos: 0 };
    let request = v1::IssueRequest {
        namespace: "system".to_owned(),
        subject: "sidecar".to_owned(),
        scopes: vec!["revocations.watch:*".to_owned()],
        expiration: Some(v1::issue_request::Expiration::Ttl(second)),
        ..Default::default()
    };
    let lent = scene.admin.tokens.issue(request).await?.into_inner();
    let messages = watch(&mut scene.client(&lent.secret), &[]).await?;
    assert_eq!(end(messages).await?, Code::Unauthenticated);
    scene.server.stop().await
}

#[tokio::test]
async fn a_watcher_sees_the_namespaces_it_may_watch() -> Outcome {
    let mut scene = Scene::start().await?;
    let (notes, _) = scene.admin.issue("notes", &[]).await?;
    let (tasks, _) = scene.admin.issue("tasks", &[]).await?;
    let (_, mut watcher) = scene.caller(&["revocations.watch:notes".to_owned()]).await?;
    let mut messages = watch(&mut watcher, &[]).await?;
    scene.admin.revoke(&tasks.id).await?;
    scene.admin.revoke(&notes.id).await?;
    let first = async {
        loop {
            if let Some(Event::Revoked(revoked)) = messages.message().await?.and_then(|sent| sent.event) {
                return Ok::<_, Status>(revoked.token_id);
            }
        }
    };
    assert_eq!(tokio::time::timeout(BOUND, first).await??, notes.id);
    scene.server.stop().await
}
