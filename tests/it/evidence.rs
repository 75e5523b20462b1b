//! The audit over the wire: what is looked for is found, what changed is told, and what was refused is on record.

use std::time::Duration;

use tokenward::proto::v1::{self, EntryKind};
use tonic::{Code, Status};

use crate::permissions::Scene;
use crate::server::{Client, Outcome};

/// How long a refused call may take to be on record.
const SOON: Duration = Duration::from_secs(10);

async fn entries(client: &mut Client, request: v1::ListEntriesRequest) -> Result<Vec<v1::Entry>, Status> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListEntriesRequest {
            page_token,
            ..request.clone()
        };
        let page = client.audit.list_entries(request).await?.into_inner();
        all.extend(page.entries);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(all);
        }
    }
}

async fn refused_calls(client: &mut Client, namespace: &str) -> Result<Vec<v1::RefusedCall>, Status> {
    let request = v1::ListRefusedCallsRequest {
        namespace: namespace.to_owned(),
        ..Default::default()
    };
    Ok(client.audit.list_refused_calls(request).await?.into_inner().refused_calls)
}

/// So many refused calls, once they are on record.
async fn recorded(client: &mut Client, namespace: &str, count: usize) -> Result<Vec<v1::RefusedCall>, Box<dyn std::error::Error>> {
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
async fn entries_are_found_by_what_is_known_of_them() -> Outcome {
    let mut scene = Scene::start().await?;
    let (ops, mut client) = scene
        .caller(&["tokens.issue:notes", "tokens.grant:notes:*", "tokens.update:notes"].map(str::to_owned))
        .await?;
    let (token, _) = client.issue("notes", &["read"]).await?;
    scene.admin.issue("tasks", &["read"]).await?;
    scene.admin.revoke(&token.id).await?;
    let actor = format!("token:{}", ops.id);
    let all = entries(&mut scene.admin, v1::ListEntriesRequest::default()).await?;
    let by = |wanted: &dyn Fn(&&v1::Entry) -> bool| all.iter().filter(wanted).cloned().collect::<Vec<_>>();
    let issued = by(&|entry| entry.kind() == EntryKind::TokenIssued);
    let middle = all[all.len() / 2].time;
    let before = |one: &v1::Entry| one.time.map(|time| (time.seconds, time.nanos)) < middle.map(|time| (time.seconds, time.nanos));
    for (request, wanted) in [
        (
            v1::ListEntriesRequest { actor: actor.clone(), ..Default::default() },
            by(&|entry| entry.actor == actor),
        ),
        (
            v1::ListEntriesRequest { kinds: vec![EntryKind::TokenIssued.into()], ..Default::default() },
            issued,
        ),
        (
            v1::ListEntriesRequest {
                namespace: "notes".to_owned(),
                subject: token.subject.clone(),
                ..Default::default()
            },
            by(&|entry| entry.token_id == token.id),
        ),
        (
            v1::ListEntriesRequest { time_before: middle, ..Default::default() },
            by(&|entry| before(entry)),
        ),
        (
            v1::ListEntriesRequest { time_after: middle, page_size: 1, ..Default::default() },
            by(&|entry| !before(entry)),
        ),
        (
            v1::ListEntriesRequest { after_revision: 3, page_size: 2, ..Default::default() },
            by(&|entry| entry.revision > 3),
        ),
    ] {
        assert_eq!(entries(&mut scene.admin, request.clone()).await?, wanted, "{request:?}");
        assert!(!wanted.is_empty(), "{request:?}");
    }
    for wrong in [
        v1::ListEntriesRequest { subject: "ada".to_owned(), ..Default::default() },
        v1::ListEntriesRequest { kinds: vec![99], ..Default::default() },
        v1::ListEntriesRequest { after_revision: -1, ..Default::default() },
        v1::ListEntriesRequest { after_revision: 1, time_after: middle, ..Default::default() },
    ] {
        let status = entries(&mut scene.admin, wrong).await.err();
        assert_eq!(status.map(|status| status.code()), Some(Code::InvalidArgument));
    }
    scene.server.stop().await
}

#[tokio::test]
async fn an_entry_is_found_by_the_request_id_itself() -> Outcome {
    let mut scene = Scene::start().await?;
    let request_id = "9f0a1c3e-57d4-4b6e-8f21-3c5d7e9b1a24".to_owned();
    let (token, _) = scene.admin.issue("notes", &["read"]).await?;
    let request = v1::RevokeRequest {
        token_id: token.id.clone(),
        request_id: request_id.clone(),
        ..Default::default()
    };
    scene.admin.tokens.revoke(request).await?;
    for (namespace, found) in [("", 1), ("notes", 1), ("tasks", 0)] {
        let request = v1::ListEntriesRequest {
            request_id: request_id.clone(),
            namespace: namespace.to_owned(),
            ..Default::default()
        };
        let entries = entries(&mut scene.admin, request).await?;
        assert_eq!(entries.len(), found, "{namespace:?}");
        assert!(entries.iter().all(|entry| entry.token_id == token.id));
    }
    scene.server.stop().await
}

#[tokio::test]
async fn what_an_update_changed_is_told_with_before_and_after() -> Outcome {
    let mut scene = Scene::start().await?;
    let namespace = v1::Namespace {
        slug: "notes".to_owned(),
        display_name: "Notes".to_owned(),
        policy: Some(v1::NamespacePolicy {
            name_required: true,
            ..Default::default()
        }),
        ..Default::default()
    };
    for required in [true, false] {
        let mut namespace = namespace.clone();
        namespace.policy = namespace.policy.map(|policy| v1::NamespacePolicy {
            name_required: required,
            ..policy
        });
        let request = v1::UpdateNamespaceRequest {
            namespace: Some(namespace),
            ..Default::default()
        };
        scene.admin.namespaces.update_namespace(request).await?;
    }
    let request = v1::ListEntriesRequest {
        namespace: "notes".to_owned(),
        kinds: vec![EntryKind::NamespaceUpdated.into()],
        ..Default::default()
    };
    let updates = entries(&mut scene.admin, request).await?;
    let told: Vec<Vec<_>> = updates
        .iter()
        .map(|entry| {
            let changes = entry.changes.iter();
            changes.map(|change| (change.path.as_str(), change.before.as_str(), change.after.as_str())).collect()
        })
        .collect();
    assert!(told[0].contains(&("display_name", "", "\"Notes\"")), "{told:?}");
    assert!(told[0].iter().any(|(path, _, after)| (*path, *after) == ("policy.name_required", "true")), "{told:?}");
    assert_eq!(told[1].len(), 1, "{told:?}");
    assert_eq!((told[1][0].0, told[1][0].1), ("policy.name_required", "true"), "{told:?}");

    let (token, _) = scene.admin.issue("notes", &["read"]).await?;
    let request = v1::UpdateRequest {
        token: Some(v1::Token {
            id: token.id.clone(),
            scopes: vec!["read".to_owned(), "write".to_owned()],
            ..Default::default()
        }),
        ..Default::default()
    };
    scene.admin.tokens.update(request).await?;
    let request = v1::ListEntriesRequest {
        token_id: token.id,
        kinds: vec![EntryKind::TokenUpdated.into()],
        ..Default::default()
    };
    let updates = entries(&mut scene.admin, request).await?;
    let wanted = v1::FieldChange {
        path: "scopes".to_owned(),
        before: "[\"read\"]".to_owned(),
        after: "[\"read\",\"write\"]".to_owned(),
    };
    assert_eq!(updates[0].changes, [wanted]);
    scene.server.stop().await
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
    assert!(client.revoke("019a2b3c-4d5e-7f60-8a9b-0c1d2e3f4a5b").await.is_err());
    client.revoke(&of_notes.id).await?;
    let rotated = v1::RotateRequest {
        token_id: of_notes.id.clone(),
        ..Default::default()
    };
    let refused = scene.admin.tokens.rotate(rotated).await.err();
    assert_eq!(refused.map(|status| status.code()), Some(Code::FailedPrecondition));

    let all = recorded(&mut scene.admin, "", 4).await?;
    let told: Vec<_> = all
        .iter()
        .map(|call| (call.method.as_str(), call.reason.as_str(), call.namespace.as_str(), call.token_id.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            // Refused before they were read: they name nothing.
            ("TokenService/Issue", "PERMISSION_DENIED", "", ""),
            ("TokenService/List", "PERMISSION_DENIED", "", ""),
            ("TokenService/Revoke", "TOKEN_NOT_FOUND", "tasks", of_tasks.id.as_str()),
            ("TokenService/Rotate", "TOKEN_REVOKED", "notes", of_notes.id.as_str()),
        ]
    );
    let actor = format!("token:{}", stranger.id);
    assert!(all[..3].iter().all(|call| call.actor == actor && call.time.is_some()));
    assert!(!format!("{all:?}").contains(&secret), "what was sent is not on record");
    // The namespace whose token it was hears of it, the other one of its own, and neither of the rest.
    assert_eq!(refused_calls(&mut auditor, "tasks").await?, all[2..3]);
    assert_eq!(refused_calls(&mut other, "notes").await?, all[3..]);
    for (client, namespace) in [(&mut auditor, "notes"), (&mut other, "tasks"), (&mut auditor, "")] {
        let refused = refused_calls(client, namespace).await.err();
        assert_eq!(refused.map(|status| status.code()), Some(Code::PermissionDenied), "{namespace:?}");
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
    let kinds: Vec<_> = own.iter().map(|entry| (entry.kind(), entry.token_id.as_str())).collect();
    assert_eq!(kinds, [(EntryKind::TokenFirstUsed, token.id.as_str())]);
    scene.server.stop().await
}

#[tokio::test]
async fn a_checkpoint_is_signed_when_asked_and_kept() -> Outcome {
    let mut scene = Scene::start().await?;
    scene.admin.issue("notes", &["read"]).await?;
    let signed = scene.admin.audit.get_checkpoint(v1::GetCheckpointRequest {}).await?.into_inner();
    let key: tokenward::journal::checkpoint::VerifyingKey = signed.verification_key.parse()?;
    let checkpoint = signed.checkpoint.ok_or("none was signed")?;
    let opened = key.open(&checkpoint.note)?;
    let head = scene.admin.audit.get_head(v1::GetHeadRequest {}).await?.into_inner();
    assert_eq!(i64::try_from(opened.revision.get())?, head.revision);
    let mut range = tokenward::journal::tree::Range::default();
    for entry in entries(&mut scene.admin, v1::ListEntriesRequest::default()).await? {
        range.append(&entry.body);
    }
    assert_eq!(opened.root, range.root());
    let again = scene.admin.audit.get_checkpoint(v1::GetCheckpointRequest {}).await?.into_inner();
    assert_eq!(again.checkpoint.as_ref(), Some(&checkpoint));
    let listed = scene.admin.audit.list_checkpoints(v1::ListCheckpointsRequest::default()).await?;
    assert_eq!(listed.into_inner().checkpoints.first(), Some(&checkpoint));
    scene.server.stop().await
}
