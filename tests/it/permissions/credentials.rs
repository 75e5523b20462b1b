//! Credentials are tokens: nobody makes one that is stronger than they are, and one that ends, ends at once.

use tokenward::proto::v1;
use tokenward::proto::v1::rotate_request::OverlapMode;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::Scene;
use crate::server::{Client, Outcome};

/// A reason and its metadata.
type Told = (String, Vec<(String, String)>);

/// What is told of a refusal for want of permission.
fn denied(answer: Result<impl Sized, Status>) -> Option<Told> {
    let status = answer.err()?;
    assert_eq!(status.code(), Code::PermissionDenied, "{status}");
    let info = status.get_details_error_info()?;
    Some((info.reason, info.metadata.into_iter().collect()))
}

fn not_grantable(key: &str, value: &str) -> Told {
    let metadata = vec![(key.to_owned(), value.to_owned())];
    ("NOT_GRANTABLE".to_owned(), metadata)
}

#[tokio::test]
async fn scopes_are_issued_only_by_those_who_may_grant_them() -> Outcome {
    let mut scene = Scene::start().await?;
    let permissions = [
        "tokens.issue:notes",
        "tokens.rotate:notes",
        "tokens.grant:notes:read",
    ];
    let (_, mut issuer) = scene.caller(&permissions.map(str::to_owned)).await?;
    let (weak, _) = issuer.issue("notes", &["read"]).await?;
    assert_eq!(
        denied(issuer.issue("notes", &["read", "write"]).await),
        Some(not_grantable("scope", "write"))
    );
    // The new secret of a stronger token would be as good as a stronger token.
    let (strong, _) = scene.admin.issue("notes", &["write"]).await?;
    let mut rotate = async |token: v1::Token| {
        let request = v1::RotateRequest {
            token_id: token.id,
            ..Default::default()
        };
        issuer.tokens.rotate(request).await
    };
    assert_eq!(
        denied(rotate(strong).await),
        Some(not_grantable("scope", "write"))
    );
    rotate(weak).await?;
    scene.server.stop().await
}

#[tokio::test]
async fn nobody_makes_a_credential_stronger_than_their_own() -> Outcome {
    let mut scene = Scene::start().await?;
    let permissions = ["credentials.manage", "tokens.verify:notes"];
    let (own, mut manager) = scene.caller(&permissions.map(str::to_owned)).await?;
    let (verifier, _) = manager.issue("system", &["tokens.verify:notes"]).await?;
    for beyond in ["*", "tokens.verify:*", "tokens.issue:notes", "namespaces.manage"] {
        let issued = manager.issue("system", &["tokens.verify:notes", beyond]).await;
        assert_eq!(denied(issued), Some(not_grantable("scope", beyond)));
    }
    // Nor takes one over, nor ends one.
    let (stronger, _) = scene.admin.issue("system", &["tokens.verify:*"]).await?;
    assert_eq!(
        denied(manager.revoke(&stronger.id).await),
        Some(not_grantable("scope", "tokens.verify:*"))
    );
    let request = v1::RotateRequest {
        token_id: stronger.id.clone(),
        ..Default::default()
    };
    let rotated = manager.tokens.rotate(request).await;
    assert_eq!(denied(rotated), Some(not_grantable("scope", "tokens.verify:*")));
    manager.revoke(&verifier.id).await?;
    // A product's issuer has nothing to do with credentials.
    let (_, mut issuer) = scene.caller(&["tokens.issue:*".to_owned()]).await?;
    let refusal = denied(issuer.issue("system", &[]).await);
    assert_eq!(
        refusal.map(|(reason, _)| reason).as_deref(),
        Some("PERMISSION_DENIED")
    );
    // Everybody may end themselves.
    manager.revoke(&own.id).await?;
    let after = manager.caller.get_caller(v1::GetCallerRequest {}).await;
    assert_eq!(
        after.err().map(|status| status.code()),
        Some(Code::Unauthenticated)
    );
    scene.server.stop().await
}

#[tokio::test]
async fn a_credential_for_an_hour_makes_none_for_a_day() -> Outcome {
    let mut scene = Scene::start().await?;
    let hours = |hours: i64| {
        let ttl = prost_types::Duration {
            seconds: hours * 3600,
            nanos: 0,
        };
        v1::IssueRequest {
            namespace: "system".to_owned(),
            subject: "ci".to_owned(),
            scopes: vec!["credentials.manage".to_owned()],
            expiration: Some(v1::issue_request::Expiration::Ttl(ttl)),
            ..Default::default()
        }
    };
    let lent = scene.admin.tokens.issue(hours(2)).await?.into_inner();
    let mut lent = scene.client(&lent.secret);
    lent.tokens.issue(hours(1)).await?;
    for longer in [
        hours(3),
        v1::IssueRequest {
            expiration: None,
            ..hours(1)
        },
    ] {
        let refused = denied(lent.tokens.issue(longer).await);
        let (reason, metadata) = refused.ok_or("it was issued")?;
        assert_eq!(
            (reason.as_str(), metadata[0].0.as_str()),
            ("NOT_GRANTABLE", "expire_time")
        );
    }
    scene.server.stop().await
}

#[tokio::test]
async fn a_caller_is_told_who_it_is_and_is_whom_changes_are_put_down_to() -> Outcome {
    let mut scene = Scene::start().await?;
    let permissions = ["tokens.issue:notes".to_owned(), "tokens.list:notes".to_owned()];
    let (own, mut caller) = scene.caller(&permissions).await?;
    let who = caller
        .caller
        .get_caller(v1::GetCallerRequest {})
        .await?
        .into_inner();
    assert_eq!(who.actor, format!("token:{}", own.id));
    assert_eq!((who.permissions, &who.token_id), (permissions.to_vec(), &own.id));
    let (issued, _) = caller.issue("notes", &[]).await?;
    let actors = actors_of(&mut scene.admin, &issued.id).await?;
    assert_eq!(actors, [who.actor]);
    // It reads itself, though it may not list credentials.
    let request = v1::GetRequest { token_id: own.id };
    assert!(caller.tokens.get(request).await.is_ok());
    scene.server.stop().await
}

async fn actors_of(client: &mut Client, token_id: &str) -> Result<Vec<String>, Status> {
    let request = v1::ListEntriesRequest {
        token_id: token_id.to_owned(),
        ..Default::default()
    };
    let listed = client.audit.list_entries(request).await?.into_inner();
    Ok(listed.entries.into_iter().map(|entry| entry.actor).collect())
}

/// The answer was lost, and the secret from before still says who asks; it does not rotate anything anew.
#[tokio::test]
async fn a_credential_that_rotates_itself_asks_again_with_the_secret_from_before() -> Outcome {
    let mut scene = Scene::start().await?;
    let (own, mut caller) = scene.caller(&["tokens.verify:notes".to_owned()]).await?;
    let mut request = v1::RotateRequest {
        token_id: own.id,
        overlap_mode: Some(OverlapMode::Overlap(prost_types::Duration {
            seconds: 3600,
            nanos: 0,
        })),
        request_id: "5f0c2d0a-93a5-4c1f-8f3e-1f2d3c4b5a69".to_owned(),
    };
    let first = caller.tokens.rotate(request.clone()).await?.into_inner();
    let again = caller.tokens.rotate(request.clone()).await?.into_inner();
    assert_eq!(again.secret, first.secret);
    request.request_id.clear();
    let anew = denied(caller.tokens.rotate(request).await);
    assert_eq!(anew.map(|(reason, _)| reason).as_deref(), Some("NOT_GRANTABLE"));
    scene.server.stop().await
}

/// A service takes its own credential's successor up without anybody's help.
#[tokio::test]
async fn a_credential_rotates_itself() -> Outcome {
    let mut scene = Scene::start().await?;
    let (own, mut caller) = scene.caller(&["tokens.verify:notes".to_owned()]).await?;
    let request = v1::RotateRequest {
        token_id: own.id,
        ..Default::default()
    };
    let rotated = caller.tokens.rotate(request).await?.into_inner();
    let before = caller.caller.get_caller(v1::GetCallerRequest {}).await;
    assert_eq!(
        before.err().map(|status| status.code()),
        Some(Code::Unauthenticated)
    );
    let mut successor = scene.client(&rotated.secret);
    successor.caller.get_caller(v1::GetCallerRequest {}).await?;
    scene.server.stop().await
}
