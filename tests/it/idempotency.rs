//! A retry with the same `request_id` has the effect of one call.

use tokenward::proto::v1;
use tokenward::proto::v1::issue_request::Expiration;
use tokenward::proto::v1::rotate_request::OverlapMode;
use tonic::Code;

use crate::refusal::refused;
use crate::server::{Outcome, Server, hex, native};

const FIRST: &str = "7d444840-9dc0-41d1-b245-5ffdce74fad2";
const SECOND: &str = "7d444840-9dc0-41d1-b245-5ffdce74fad3";

fn minutes(minutes: i64) -> prost_types::Duration {
    prost_types::Duration {
        seconds: minutes * 60,
        nanos: 0,
    }
}

#[tokio::test]
async fn a_repeated_issue_makes_one_token_and_shows_it_again() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let request = v1::IssueRequest {
        namespace: "notes".to_owned(),
        subject: "ada".to_owned(),
        request_id: FIRST.to_owned(),
        ..Default::default()
    };
    let issued = client.tokens.issue(request.clone()).await?.into_inner();
    assert_eq!(client.tokens.issue(request.clone()).await?.into_inner(), issued);
    let id = issued.token.unwrap_or_default().id;
    for other in [
        v1::IssueRequest {
            subject: "bob".to_owned(),
            ..request.clone()
        },
        v1::IssueRequest {
            expiration: Some(Expiration::Ttl(minutes(1))),
            ..request
        },
    ] {
        let other = refused(client.tokens.issue(other).await)?;
        assert_eq!(other.code, Code::AlreadyExists);
        assert_eq!(other.reason, "REQUEST_ID_REUSED");
    }
    let list = v1::ListRequest {
        namespace: "notes".to_owned(),
        ..Default::default()
    };
    let tokens = client.tokens.list(list).await?.into_inner().tokens;
    assert_eq!(tokens.iter().map(|token| &token.id).collect::<Vec<_>>(), [&id]);
    assert_eq!(client.verdict(&issued.secret).await?, v1::Verdict::Accepted);
    server.stop().await
}

/// Several tries at once are one as well, and all of them get the secret.
#[tokio::test]
async fn a_request_sent_many_times_at_once_is_carried_out_once() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let request = v1::IssueRequest {
        namespace: "notes".to_owned(),
        subject: "ada".to_owned(),
        request_id: FIRST.to_owned(),
        ..Default::default()
    };
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (mut tokens, request) = (client.tokens.clone(), request.clone());
        tries.spawn(async move { tokens.issue(request).await });
    }
    let first = client.tokens.issue(request).await?.into_inner();
    for answer in tries.join_all().await {
        assert_eq!(answer?.into_inner(), first);
    }
    server.stop().await
}

#[tokio::test]
async fn a_revocation_can_be_repeated_and_its_id_serves_no_other() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let (token, _) = client.issue("notes", &[]).await?;
    let (other, other_secret) = client.issue("notes", &[]).await?;
    let request = |token_id: &str, request_id: &str, reason: &str| v1::RevokeRequest {
        token_id: token_id.to_owned(),
        request_id: request_id.to_owned(),
        reason: reason.to_owned(),
    };
    let first = client
        .tokens
        .revoke(request(&token.id, FIRST, "leaked"))
        .await?
        .into_inner();
    for retry in [
        request(&token.id, FIRST, "leaked"),
        // With another id, or none, the first revocation stands as well.
        request(&token.id, SECOND, "left"),
        request(&token.id, "", "left"),
    ] {
        assert_eq!(client.tokens.revoke(retry).await?.into_inner(), first);
    }
    for reuse in [
        request(&other.id, FIRST, "leaked"),
        request(&token.id, FIRST, "left"),
    ] {
        let reused = refused(client.tokens.revoke(reuse).await)?;
        assert_eq!(reused.code, Code::AlreadyExists);
        assert_eq!(reused.reason, "REQUEST_ID_REUSED");
    }
    assert_eq!(client.verdict(&other_secret).await?, v1::Verdict::Accepted);
    server.stop().await
}

#[tokio::test]
async fn a_repeated_rotation_rotates_once_and_shows_the_secret_again() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "tw_", native()).await?;
    let (token, _) = client.issue("notes", &[]).await?;
    let request = v1::RotateRequest {
        token_id: token.id.clone(),
        request_id: FIRST.to_owned(),
        ..Default::default()
    };
    let rotated = client.tokens.rotate(request.clone()).await?.into_inner();
    assert_eq!(client.tokens.rotate(request.clone()).await?.into_inner(), rotated);
    let longer = v1::RotateRequest {
        overlap_mode: Some(OverlapMode::Overlap(minutes(1))),
        ..request
    };
    let reused = refused(client.tokens.rotate(longer).await)?;
    assert_eq!(reused.reason, "REQUEST_ID_REUSED");
    let secret = rotated.secret;
    assert_eq!(client.verdict(&secret).await?, v1::Verdict::Accepted);
    let get = v1::GetRequest {
        token_id: token.id.clone(),
    };
    let kept = client
        .tokens
        .get(get)
        .await?
        .into_inner()
        .token
        .unwrap_or_default();
    assert_eq!(kept.secrets.len(), 2);
    // The id of a rotation revokes nothing.
    let revoke = v1::RevokeRequest {
        token_id: token.id,
        request_id: FIRST.to_owned(),
        ..Default::default()
    };
    let reused = refused(client.tokens.revoke(revoke).await)?;
    assert_eq!(reused.reason, "REQUEST_ID_REUSED");
    assert_eq!(client.verdict(&secret).await?, v1::Verdict::Accepted);
    server.stop().await
}

#[tokio::test]
async fn a_namespace_created_or_updated_twice_is_answered_with_the_first() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    let create = |slug: &str| v1::CreateNamespaceRequest {
        namespace: Some(v1::Namespace {
            slug: slug.to_owned(),
            format: Some(v1::SecretFormat {
                prefix: format!("{slug}_"),
                body: Some(native()),
            }),
            ..Default::default()
        }),
        request_id: FIRST.to_owned(),
    };
    let created = client
        .namespaces
        .create_namespace(create("notes"))
        .await?
        .into_inner();
    let update = |display_name: &str, request_id: &str| v1::UpdateNamespaceRequest {
        namespace: Some(v1::Namespace {
            slug: "notes".to_owned(),
            display_name: display_name.to_owned(),
            ..Default::default()
        }),
        request_id: request_id.to_owned(),
        ..Default::default()
    };
    let updated = client
        .namespaces
        .update_namespace(update("Notes", SECOND))
        .await?
        .into_inner();
    client.namespaces.update_namespace(update("Pages", "")).await?;
    let again = client
        .namespaces
        .create_namespace(create("notes"))
        .await?
        .into_inner();
    assert_eq!(again, created);
    let again = client
        .namespaces
        .update_namespace(update("Notes", SECOND))
        .await?
        .into_inner();
    assert_eq!(again, updated);
    let reused = refused(client.namespaces.create_namespace(create("tasks")).await)?;
    assert_eq!(reused.reason, "REQUEST_ID_REUSED");
    let reused = refused(client.namespaces.update_namespace(update("Tasks", SECOND)).await)?;
    assert_eq!(reused.reason, "REQUEST_ID_REUSED");
    server.stop().await
}
