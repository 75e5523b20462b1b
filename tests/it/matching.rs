//! Many tokens revoked at once, and one by the secret that leaked: as asked, and nothing else.

pub(crate) mod streamed;

use tokenward::proto::v1::revoke_issued_request::Target;
use tokenward::proto::v1::revoke_matching_response::Event;
use tokenward::proto::v1::{self, Propagation, TokenState, Verdict};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::lists;
use crate::permissions::Scene;
use crate::server::{Client, Outcome, Server, hex};
use crate::subjects::{revoke_issued, suspend};

fn prefix(text: &str) -> v1::TokenFilter {
    v1::TokenFilter {
        name_prefix: text.to_owned(),
        ..Default::default()
    }
}

fn of_notes(filter: v1::TokenFilter) -> v1::RevokeMatchingRequest {
    v1::RevokeMatchingRequest {
        selector: Some(v1::TokenSelector {
            namespace: "notes".to_owned(),
            filter: Some(filter),
            ..Default::default()
        }),
        reason: "leaked".to_owned(),
        ..Default::default()
    }
}

/// All that one call is answered with.
async fn events(client: &mut Client, request: v1::RevokeMatchingRequest) -> Result<Vec<Event>, Status> {
    let mut stream = client.tokens.revoke_matching(request).await?.into_inner();
    let mut events = Vec::new();
    while let Some(message) = stream.message().await? {
        events.extend(message.event);
    }
    Ok(events)
}

async fn preview(
    client: &mut Client,
    request: &v1::RevokeMatchingRequest,
) -> Result<v1::MatchingPreview, Status> {
    let request = v1::RevokeMatchingRequest {
        validate_only: true,
        ..request.clone()
    };
    match <[Event; 1]>::try_from(events(client, request).await?) {
        Ok([Event::Preview(preview)]) => Ok(preview),
        other => Err(Status::unknown(format!("no preview: {other:?}"))),
    }
}

/// What was previewed, as it is asked for.
fn planned(request: &v1::RevokeMatchingRequest, preview: &v1::MatchingPreview) -> v1::RevokeMatchingRequest {
    v1::RevokeMatchingRequest {
        plan_token: preview.plan_token.clone(),
        expected_count: preview.count,
        ..request.clone()
    }
}

async fn done(client: &mut Client, request: v1::RevokeMatchingRequest) -> Result<v1::MatchingDone, Status> {
    match events(client, request).await?.pop() {
        Some(Event::Done(done)) => Ok(done),
        other => Err(Status::unknown(format!("not done: {other:?}"))),
    }
}

async fn issue(client: &mut Client, name: &str) -> Result<(String, String), Status> {
    let request = v1::IssueRequest {
        namespace: "notes".to_owned(),
        name: name.to_owned(),
        subject: "ada".to_owned(),
        ..Default::default()
    };
    let issued = client.tokens.issue(request).await?.into_inner();
    Ok((issued.token.unwrap_or_default().id, issued.secret))
}

fn reason(answer: Result<impl std::fmt::Debug, Status>) -> Option<String> {
    let info = answer.err()?.get_details_error_info()?;
    Some(info.reason)
}

#[tokio::test]
async fn what_matches_is_revoked_once_it_was_previewed_and_counted() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let mut meant = Vec::new();
    for number in 0..30 {
        meant.push(issue(&mut client, &format!("ci-{number}")).await?);
    }
    let (_, other) = issue(&mut client, "laptop").await?;
    let request = of_notes(prefix("ci-"));
    let told = preview(&mut client, &request).await?;
    assert_eq!((told.count, told.sample.len()), (30, 20));
    assert!(told.sample.iter().all(|token| token.name.starts_with("ci-")));

    let mut wrong = planned(&request, &told);
    wrong.expected_count = 29;
    let refused = events(&mut client, wrong).await;
    let info = refused.as_ref().err().and_then(StatusExt::get_details_error_info);
    let metadata = info.map(|info| info.metadata).unwrap_or_default();
    assert_eq!(
        (metadata["expected"].as_str(), metadata["found"].as_str()),
        ("29", "30")
    );
    assert_eq!(
        refused.err().map(|status| status.code()),
        Some(Code::FailedPrecondition)
    );
    let narrower = planned(&of_notes(prefix("ci-1")), &told);
    assert_eq!(
        reason(events(&mut client, narrower).await).as_deref(),
        Some("PLAN_INVALID")
    );
    assert_eq!(client.verdict(&meant[0].1).await?, Verdict::Accepted);

    let ended = done(&mut client, planned(&request, &told)).await?;
    assert_eq!((ended.revoked, ended.passed_over), (30, 0));
    assert_eq!(ended.propagation(), Propagation::Acknowledged);
    for (_, secret) in &meant {
        assert_eq!(client.verdict(secret).await?, Verdict::Revoked);
    }
    assert_eq!(client.verdict(&other).await?, Verdict::Accepted);
    // The same call again finds all of it done.
    let again = done(&mut client, planned(&request, &told)).await?;
    assert_eq!((again.revoked, again.passed_over), (30, 0));
    assert_eq!(preview(&mut client, &request).await?.count, 0);
    server.stop().await
}

/// A token is meant by the state that it is shown in; what is dead already, whoever has revoked it, is passed over.
#[tokio::test]
async fn what_is_meant_by_state_is_what_is_shown_in_it() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let mut ids = Vec::new();
    for subject in ["ada", "bob", "carl", "bob"] {
        ids.push(lists::states::issue(&mut client, subject, subject).await?);
    }
    client.subjects.suspend_subject(suspend("bob")).await?;
    let ada = revoke_issued(Some(Target::Subject("ada".to_owned())));
    client.subjects.revoke_issued(ada).await?;
    let in_state = |state: TokenState| {
        of_notes(v1::TokenFilter {
            states: vec![state.into()],
            ..Default::default()
        })
    };
    for (state, count) in [
        (TokenState::Active, 1),
        (TokenState::Suspended, 2),
        (TokenState::Revoked, 0),
    ] {
        let told = preview(&mut client, &in_state(state)).await?;
        assert_eq!((told.count, told.sample.len()), (count, usize::try_from(count)?));
        assert!(told.sample.iter().all(|token| token.state() == state));
    }
    // Without a namespace, too.
    let named = v1::RevokeMatchingRequest {
        selector: Some(v1::TokenSelector {
            filter: Some(v1::TokenFilter {
                token_ids: ids.clone(),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..of_notes(v1::TokenFilter::default())
    };
    assert_eq!(preview(&mut client, &named).await?.count, 3);
    let suspended = in_state(TokenState::Suspended);
    let told = preview(&mut client, &suspended).await?;
    let ended = done(&mut client, planned(&suspended, &told)).await?;
    assert_eq!((ended.revoked, ended.passed_over), (2, 0));

    let told = preview(&mut client, &named).await?;
    assert_eq!(told.count, 1);
    let whole = revoke_issued(Some(Target::WholeNamespace(true)));
    client.subjects.revoke_issued(whole).await?;
    // The last one is dead by now: it is no longer what was counted.
    let refused = events(&mut client, planned(&named, &told)).await;
    assert_eq!(reason(refused).as_deref(), Some("COUNT_MISMATCH"));
    assert_eq!(preview(&mut client, &named).await?.count, 0);
    server.stop().await
}

#[tokio::test]
async fn nothing_never_means_all() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let (id, secret) = issue(&mut client, "laptop").await?;
    let of = |selector: v1::TokenSelector| v1::RevokeMatchingRequest {
        selector: Some(selector),
        validate_only: true,
        ..Default::default()
    };
    let notes = || v1::TokenSelector {
        namespace: "notes".to_owned(),
        ..Default::default()
    };
    let by_id = v1::TokenFilter {
        token_ids: vec![id],
        ..Default::default()
    };
    for selector in [
        v1::TokenSelector::default(),
        notes(),
        v1::TokenSelector {
            filter: Some(v1::TokenFilter::default()),
            ..notes()
        },
        v1::TokenSelector {
            filter: Some(prefix("l")),
            ..Default::default()
        },
        v1::TokenSelector {
            all_in_namespace: true,
            ..Default::default()
        },
        v1::TokenSelector {
            filter: Some(prefix("l")),
            all_in_namespace: true,
            ..notes()
        },
        v1::TokenSelector {
            namespace: "system".to_owned(),
            all_in_namespace: true,
            ..notes()
        },
    ] {
        let refused = events(&mut client, of(selector.clone())).await;
        assert_eq!(reason(refused).as_deref(), Some("INVALID_FIELD"), "{selector:?}");
    }
    for selector in [
        v1::TokenSelector {
            all_in_namespace: true,
            ..notes()
        },
        v1::TokenSelector {
            filter: Some(by_id.clone()),
            ..notes()
        },
        v1::TokenSelector {
            filter: Some(by_id),
            ..Default::default()
        },
    ] {
        assert_eq!(preview(&mut client, &of(selector)).await?.count, 1);
    }
    let mut without_plan = of_notes(prefix("l"));
    without_plan.expected_count = 1;
    assert_eq!(
        reason(events(&mut client, without_plan).await).as_deref(),
        Some("INVALID_FIELD")
    );
    assert_eq!(client.verdict(&secret).await?, Verdict::Accepted);
    server.stop().await
}

#[tokio::test]
async fn both_rights_are_needed_to_revoke_what_matches() -> Outcome {
    let mut scene = Scene::start().await?;
    let (_, mut revoker) = scene.caller(&["tokens.revoke:notes".to_owned()]).await?;
    let refused = preview(&mut revoker, &of_notes(prefix("x"))).await;
    assert_eq!(reason(refused).as_deref(), Some("PERMISSION_DENIED"));
    let both = ["tokens.revoke:notes".to_owned(), "tokens.list:notes".to_owned()];
    let (_, mut caller) = scene.caller(&both).await?;
    let told = preview(&mut caller, &of_notes(prefix("x"))).await?;
    // A plan is its maker's.
    let stolen = events(&mut scene.admin, planned(&of_notes(prefix("x")), &told)).await;
    assert_eq!(reason(stolen).as_deref(), Some("PLAN_INVALID"));
    // A token that may not be known of is not there.
    let (foreign, _) = scene.admin.issue("tasks", &[]).await?;
    let by_id = v1::RevokeMatchingRequest {
        selector: Some(v1::TokenSelector {
            filter: Some(v1::TokenFilter {
                token_ids: vec![foreign.id],
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    assert_eq!(preview(&mut caller, &by_id).await?.count, 0);
    assert_eq!(preview(&mut scene.admin, &by_id).await?.count, 1);
    scene.server.stop().await
}

/// Whoever presents a secret that was found learns nothing by it.
#[tokio::test]
async fn a_leaked_secret_is_revoked_and_nothing_else_is_told() -> Outcome {
    let mut scene = Scene::start().await?;
    let (_, mut scanner) = scene.caller(&["tokens.revoke_leaked:notes".to_owned()]).await?;
    let (own, live) = scene.admin.issue("notes", &[]).await?;
    let (other, foreign) = scene.admin.issue("tasks", &[]).await?;
    let (rotated, retired) = scene.admin.issue("notes", &[]).await?;
    let rotate = v1::RotateRequest {
        token_id: rotated.id.clone(),
        ..Default::default()
    };
    let current = scene.admin.tokens.rotate(rotate).await?.into_inner().secret;
    let (_, credential) = scene.admin.issue("system", &["tokens.list:notes"]).await?;
    let entries = async |admin: &mut Client| {
        let head = admin.audit.get_head(v1::GetHeadRequest {}).await?;
        Ok::<_, Status>(head.into_inner().revision)
    };
    let before = entries(&mut scene.admin).await?;
    for (secret, revokes) in [
        ("kn_0123456789abcdef0123456789abcdef01234567", 0),
        ("kn_garbage", 0),
        ("garbage", 0),
        (foreign.as_str(), 0),
        (retired.as_str(), 0),
        (credential.as_str(), 0),
        (live.as_str(), 1),
        (live.as_str(), 0),
    ] {
        let before = entries(&mut scene.admin).await?;
        let request = v1::RevokeLeakedRequest {
            secret: secret.to_owned(),
            reason: "found in a repository".to_owned(),
        };
        let answer = scanner.tokens.revoke_leaked(request).await?;
        assert_eq!(answer.into_inner(), v1::RevokeLeakedResponse {}, "{secret:.8}");
        assert_eq!(entries(&mut scene.admin).await? - before, revokes, "{secret:.8}");
    }
    assert_eq!(entries(&mut scene.admin).await? - before, 1);
    assert_eq!(scene.admin.verdict(&live).await?, Verdict::Revoked);
    assert_eq!(scene.admin.verdict(&foreign).await?, Verdict::Accepted);
    assert_eq!(scene.admin.verdict(&current).await?, Verdict::Accepted);
    let get = v1::GetRequest { token_id: own.id };
    let told = scene
        .admin
        .tokens
        .get(get)
        .await?
        .into_inner()
        .token
        .unwrap_or_default();
    assert_eq!(told.revoke_reason, "found in a repository");
    assert!(!other.id.is_empty());
    scene.server.stop().await
}

#[tokio::test]
async fn a_scanner_that_guesses_runs_out() -> Outcome {
    let server = Server::start_with(|options| {
        options.misses.burst = std::num::NonZeroU32::MIN;
        options.misses.rate = std::num::NonZeroU32::MIN;
    })?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let mut refused = None;
    for number in 0..50 {
        let guess = v1::RevokeLeakedRequest {
            secret: format!("kn_{number:040x}"),
            ..Default::default()
        };
        refused = reason(client.tokens.revoke_leaked(guess).await);
        if refused.is_some() {
            break;
        }
    }
    assert_eq!(refused.as_deref(), Some("MISSES_EXHAUSTED"));
    server.stop().await
}
