//! Whether the tokens of a product may manage tokens is for its namespace to say.

use tokenward::proto::v1::{self, SelfManagement};
use tonic::{Code, Status};

use super::Scene;
use crate::server::{Client, Outcome};

async fn allow(admin: &mut Client, namespace: &str, self_management: SelfManagement) -> Outcome {
    let namespace = v1::Namespace {
        slug: namespace.to_owned(),
        policy: Some(v1::NamespacePolicy {
            self_management: self_management.into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let request = v1::UpdateNamespaceRequest {
        namespace: Some(namespace),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["policy".to_owned()],
        }),
        ..Default::default()
    };
    let updated = admin.namespaces.update_namespace(request).await?.into_inner();
    let policy = updated.namespace.and_then(|namespace| namespace.policy);
    assert_eq!(
        policy.map(|policy| policy.self_management()),
        Some(self_management)
    );
    Ok(())
}

fn code<T>(answer: Result<T, Status>) -> Code {
    answer.err().map_or(Code::Ok, |status| status.code())
}

async fn get(client: &mut Client, token_id: &str) -> Code {
    let token_id = token_id.to_owned();
    code(client.tokens.get(v1::GetRequest { token_id }).await)
}

async fn list(client: &mut Client, namespace: &str) -> Code {
    let request = v1::ListRequest {
        namespace: namespace.to_owned(),
        ..Default::default()
    };
    code(client.tokens.list(request).await)
}

#[tokio::test]
async fn tokens_manage_tokens_as_far_as_their_namespace_lets_them() -> Outcome {
    let mut scene = Scene::start().await?;
    let scopes = ["read", "tokenward:list", "tokenward:revoke", "tokenward:rotate"];
    let (own, secret) = scene.admin.issue("notes", &scopes).await?;
    let (other, _) = scene.admin.issue("notes", &["read"]).await?;
    let (stronger, _) = scene.admin.issue("notes", &["admin"]).await?;
    let (foreign, _) = scene.admin.issue("tasks", &[]).await?;
    let mut holder = scene.client(&secret);

    // Off: it is nobody.
    assert_eq!(get(&mut holder, &own.id).await, Code::Unauthenticated);
    assert_eq!(list(&mut holder, "notes").await, Code::Unauthenticated);

    allow(&mut scene.admin, "notes", SelfManagement::Own).await?;
    assert_eq!(get(&mut holder, &own.id).await, Code::Ok);
    assert_eq!(get(&mut holder, &other.id).await, Code::NotFound);
    assert_eq!(list(&mut holder, "notes").await, Code::PermissionDenied);
    assert_eq!(code(holder.verify(&secret, &[]).await), Code::PermissionDenied);

    allow(&mut scene.admin, "notes", SelfManagement::ByScope).await?;
    assert_eq!(get(&mut holder, &other.id).await, Code::Ok);
    assert_eq!(get(&mut holder, &foreign.id).await, Code::NotFound);
    assert_eq!(list(&mut holder, "notes").await, Code::Ok);
    assert_eq!(list(&mut holder, "tasks").await, Code::PermissionDenied);
    let rotate = |token: &v1::Token| v1::RotateRequest {
        token_id: token.id.clone(),
        ..Default::default()
    };
    assert_eq!(code(holder.tokens.rotate(rotate(&other)).await), Code::Ok);
    assert_eq!(
        code(holder.tokens.rotate(rotate(&stronger)).await),
        Code::PermissionDenied
    );
    assert_eq!(code(holder.revoke(&other.id).await), Code::Ok);
    assert_eq!(code(holder.revoke(&foreign.id).await), Code::NotFound);
    assert_eq!(
        code(holder.issue("notes", &["read"]).await),
        Code::PermissionDenied
    );

    // Taken away, it is so at once.
    allow(&mut scene.admin, "notes", SelfManagement::Off).await?;
    assert_eq!(get(&mut holder, &own.id).await, Code::Unauthenticated);
    allow(&mut scene.admin, "notes", SelfManagement::Own).await?;
    assert_eq!(code(holder.revoke(&own.id).await), Code::Ok);
    assert_eq!(get(&mut holder, &own.id).await, Code::Unauthenticated);
    scene.server.stop().await
}
