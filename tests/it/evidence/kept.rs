//! What is kept beside the entries: refused calls, what the program did by itself, and checkpoints.

use std::time::Duration;

use tokenward::proto::v1::{self, EntryKind};
use tonic::{Code, Status};

use super::entries;
use crate::permissions::Scene;
use crate::server::{Client, Outcome};

/// How long a refused call may take to be on record.
const SOON: Duration = Duration::from_secs(10);

async fn refused_calls(client: &mut Client, namespace: &str) -> Result<Vec<v1::RefusedCall>, Status> {
    let request = v1::ListRefusedCallsRequest {
        namespace: namespace.to_owned(),
        ..Default::default()
    };
    Ok(client
        .audit
        .list_refused_calls(request)
        .await?
        .into_inner()
        .refused_calls)
}

/// So many refused calls, once they are on record.
async fn recorded(
    client: &mut Client,
    namespace: &str,
    count: usize,
) -> Result<Vec<v1::RefusedCall>, Box<dyn std::error::Error>> {
    tokio::time::timeout(SOON, async {
        loop {
            let calls = refused_calls(client, namespace).await?;
            if calls.len() >= count {
                return Ok(calls);
            }
            tokio::task::yield_now().await;
        }
    })
    .await?
}

#[tokio::test]
async fn who_tried_what_is_on_record_for_whom_it_concerns_alone() -> Outcome {
    let mut scene = Scene::start().await?;
    let (of_notes, _) = scene.admin.issue("notes", &["read"]).await?;
    let (of_tasks, secret) = scene.admin.issue("tasks", &["read"]).await?;
    let (stranger, mut client) = scene.caller(&["tokens.revoke:notes".to_owned()]).await?;
    let (_, mut auditor) = scene.caller(&["audit.read:tasks".to_owned()]).await?;
    let (_, mut other) = scene.caller(&["audit.read:notes".to_owned()]).await?;
    // Without the right anywhere, in another namespace, of a token it may not know of, and of one that is none.
    assert!(client.issue("tasks", &["read"]).await.is_err());
    let listed = v1::ListRequest {
        namespace: secret.clone(),
        ..Default::default()
    };
    assert!(client.tokens.list(listed).await.is_err());
    assert!(client.revoke(&of_tasks.id).await.is_err());
    assert!(
        client
            .revoke("019a2b3c-4d5e-7f60-8a9b-0c1d2e3f4a5b")
            .await
            .is_err()
    );
    client.revoke(&of_notes.id).await?;
    let rotated = v1::RotateRequest {
        token_id: of_notes.id.clone(),
        ..Default::default()
    };
    let refused = scene.admin.tokens.rotate(rotated).await.err();
    assert_eq!(
        refused.map(|status| status.code()),
        Some(Code::FailedPrecondition)
    );

    let all = recorded(&mut scene.admin, "", 4).await?;
    let told: Vec<_> = all
        .iter()
        .map(|call| {
            (
                call.method.as_str(),
                call.reason.as_str(),
                call.namespace.as_str(),
                call.token_id.as_str(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            // Refused before they were read: they name nothing.
            ("TokenService/Issue", "PERMISSION_DENIED", "", ""),
            ("TokenService/List", "PERMISSION_DENIED", "", ""),
            (
                "TokenService/Revoke",
                "TOKEN_NOT_FOUND",
                "tasks",
                of_tasks.id.as_str()
            ),
            (
                "TokenService/Rotate",
                "TOKEN_REVOKED",
                "notes",
                of_notes.id.as_str()
            ),
        ]
    );
    let actor = format!("token:{}", stranger.id);
    assert!(
        all[..3]
            .iter()
            .all(|call| call.actor == actor && call.time.is_some())
    );
    assert!(
        !format!("{all:?}").contains(&secret),
        "what was sent is not on record"
    );
    // The namespace whose token it was hears of it, the other one of its own, and neither of the rest.
    assert_eq!(refused_calls(&mut auditor, "tasks").await?, all[2..3]);
    assert_eq!(refused_calls(&mut other, "notes").await?, all[3..]);
    for (client, namespace) in [(&auditor, "notes"), (&other, "tasks"), (&auditor, "")] {
        let refused = refused_calls(&mut client.clone(), namespace).await.err();
        assert_eq!(
            refused.map(|status| status.code()),
            Some(Code::PermissionDenied),
            "{namespace:?}"
        );
    }
    scene.server.stop().await
}

#[tokio::test]
async fn what_nobody_asked_for_is_put_down_to_the_program() -> Outcome {
    let mut scene = Scene::start().await?;
    let (token, _) = scene.admin.issue("notes", &["read"]).await?;
    let rotated = v1::RotateRequest {
        token_id: token.id.clone(),
        ..Default::default()
    };
    let rotated = scene.admin.tokens.rotate(rotated).await?.into_inner();
    scene.admin.verdict(&rotated.secret).await?;
    let request = v1::ListEntriesRequest {
        actor: "tokenward".to_owned(),
        ..Default::default()
    };
    let own = tokio::time::timeout(SOON, async {
        loop {
            let own = entries(&mut scene.admin, request.clone()).await?;
            if !own.is_empty() {
                return Ok::<_, Status>(own);
            }
            tokio::task::yield_now().await;
        }
    })
    .await??;
    let kinds: Vec<_> = own
        .iter()
        .map(|entry| (entry.kind(), entry.token_id.as_str()))
        .collect();
    assert_eq!(kinds, [(EntryKind::TokenFirstUsed, token.id.as_str())]);
    scene.server.stop().await
}

#[tokio::test]
async fn a_checkpoint_is_signed_when_asked_and_kept() -> Outcome {
    let mut scene = Scene::start().await?;
    scene.admin.issue("notes", &["read"]).await?;
    let signed = scene
        .admin
        .audit
        .get_checkpoint(v1::GetCheckpointRequest {})
        .await?
        .into_inner();
    let key: tokenward::journal::checkpoint::VerifyingKey = signed.verification_key.parse()?;
    let checkpoint = signed.checkpoint.ok_or("none was signed")?;
    let opened = key.open(&checkpoint.note)?;
    let head = scene
        .admin
        .audit
        .get_head(v1::GetHeadRequest {})
        .await?
        .into_inner();
    assert_eq!(i64::try_from(opened.revision.get())?, head.revision);
    let mut range = tokenward::journal::tree::Range::default();
    for entry in entries(&mut scene.admin, v1::ListEntriesRequest::default()).await? {
        range.append(&entry.body);
    }
    assert_eq!(opened.root, range.root());
    let again = scene
        .admin
        .audit
        .get_checkpoint(v1::GetCheckpointRequest {})
        .await?
        .into_inner();
    assert_eq!(again.checkpoint.as_ref(), Some(&checkpoint));
    let listed = scene
        .admin
        .audit
        .list_checkpoints(v1::ListCheckpointsRequest::default())
        .await?;
    assert_eq!(listed.into_inner().checkpoints.first(), Some(&checkpoint));
    scene.server.stop().await
}
