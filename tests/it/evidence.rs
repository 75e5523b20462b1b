//! The audit over the wire: what is looked for is found, what changed is told, and what was refused is on record.

mod kept;

use tokenward::proto::v1::{self, EntryKind};
use tonic::{Code, Status};

use crate::permissions::Scene;
use crate::server::{Client, Outcome};

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

#[tokio::test]
async fn entries_are_found_by_what_is_known_of_them() -> Outcome {
    let mut scene = Scene::start().await?;
    let (ops, mut client) = scene
        .caller(
            &[
                "tokens.issue:notes",
                "tokens.grant:notes:*",
                "tokens.update:notes",
            ]
            .map(str::to_owned),
        )
        .await?;
    let (token, _) = client.issue("notes", &["read"]).await?;
    scene.admin.issue("tasks", &["read"]).await?;
    scene.admin.revoke(&token.id).await?;
    let actor = format!("token:{}", ops.id);
    let all = entries(&mut scene.admin, v1::ListEntriesRequest::default()).await?;
    let by = |wanted: &dyn Fn(&&v1::Entry) -> bool| all.iter().filter(wanted).cloned().collect::<Vec<_>>();
    let issued = by(&|entry| entry.kind() == EntryKind::TokenIssued);
    let middle = all[all.len() / 2].time;
    let before = |one: &v1::Entry| {
        one.time.map(|time| (time.seconds, time.nanos)) < middle.map(|time| (time.seconds, time.nanos))
    };
    for (request, wanted) in [
        (
            v1::ListEntriesRequest {
                actor: actor.clone(),
                ..Default::default()
            },
            by(&|entry| entry.actor == actor),
        ),
        (
            v1::ListEntriesRequest {
                kinds: vec![EntryKind::TokenIssued.into()],
                ..Default::default()
            },
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
            v1::ListEntriesRequest {
                time_before: middle,
                ..Default::default()
            },
            by(&|entry| before(entry)),
        ),
        (
            v1::ListEntriesRequest {
                time_after: middle,
                page_size: 1,
                ..Default::default()
            },
            by(&|entry| !before(entry)),
        ),
        (
            v1::ListEntriesRequest {
                after_revision: 3,
                page_size: 2,
                ..Default::default()
            },
            by(&|entry| entry.revision > 3),
        ),
    ] {
        assert_eq!(
            entries(&mut scene.admin, request.clone()).await?,
            wanted,
            "{request:?}"
        );
        assert!(!wanted.is_empty(), "{request:?}");
    }
    for wrong in [
        v1::ListEntriesRequest {
            subject: "ada".to_owned(),
            ..Default::default()
        },
        v1::ListEntriesRequest {
            kinds: vec![99],
            ..Default::default()
        },
        v1::ListEntriesRequest {
            after_revision: -1,
            ..Default::default()
        },
        v1::ListEntriesRequest {
            after_revision: 1,
            time_after: middle,
            ..Default::default()
        },
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
            changes
                .map(|change| {
                    (
                        change.path.as_str(),
                        change.before.as_str(),
                        change.after.as_str(),
                    )
                })
                .collect()
        })
        .collect();
    assert!(told[0].contains(&("display_name", "", "\"Notes\"")), "{told:?}");
    assert!(
        told[0]
            .iter()
            .any(|(path, _, after)| (*path, *after) == ("policy.name_required", "true")),
        "{told:?}"
    );
    assert_eq!(told[1].len(), 1, "{told:?}");
    assert_eq!(
        (told[1][0].0, told[1][0].1),
        ("policy.name_required", "true"),
        "{told:?}"
    );

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
