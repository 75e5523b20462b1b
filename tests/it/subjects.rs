//! What a namespace rules and what is said of subjects, over the wire: in force at once, with one entry and one event.

mod many;
mod rotation;
mod rules;

use std::time::Duration;

use tokenward::proto::v1::issued_revoked;
use tokenward::proto::v1::revoke_issued_request::Target;
use tokenward::proto::v1::watch_revocations_response::Event;
use tokenward::proto::v1::{self, Propagation, TokenState, Verdict};
use tonic::{Code, Status, Streaming};

use crate::refusal::refused;
use crate::server::{Client, Outcome, Server, hex, stop};
use crate::shared_store::SharedStore;

/// So long a test waits for what must come.
const BOUND: Duration = Duration::from_secs(30);

pub(crate) type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

pub(crate) fn suspend(subject: &str) -> v1::SuspendSubjectRequest {
    v1::SuspendSubjectRequest {
        namespace: "notes".to_owned(),
        subject: subject.to_owned(),
        reason: "unpaid".to_owned(),
        request_id: String::new(),
    }
}

fn resume(subject: &str) -> v1::ResumeSubjectRequest {
    v1::ResumeSubjectRequest {
        namespace: "notes".to_owned(),
        subject: subject.to_owned(),
        request_id: String::new(),
    }
}

pub(crate) fn revoke_issued(target: Option<Target>) -> v1::RevokeIssuedRequest {
    v1::RevokeIssuedRequest {
        namespace: "notes".to_owned(),
        target,
        reason: "leaked".to_owned(),
        request_id: String::new(),
    }
}

fn subject(name: &str) -> Target {
    Target::Subject(name.to_owned())
}

/// A stream of `notes`, from now on.
pub(crate) async fn watch(client: &mut Client) -> Fallible<Streaming<v1::WatchRevocationsResponse>> {
    let request = v1::WatchRevocationsRequest {
        namespaces: vec!["notes".to_owned()],
        ..Default::default()
    };
    let mut stream = client.revocations.watch_revocations(request).await?.into_inner();
    let started = stream.message().await?.and_then(|message| message.event);
    assert!(matches!(started, Some(Event::Started(_))), "{started:?}");
    Ok(stream)
}

/// The next event that is no heartbeat, and the revision it came with.
pub(crate) async fn next(stream: &mut Streaming<v1::WatchRevocationsResponse>) -> Fallible<(i64, Event)> {
    let news = async {
        loop {
            let message = stream
                .message()
                .await?
                .ok_or(Status::unknown("the stream ended"))?;
            match message.event {
                Some(Event::Heartbeat(_)) => {}
                Some(event) => return Ok::<_, Status>((message.revision, event)),
                None => return Err(Status::unknown("an event without a name")),
            }
        }
    };
    Ok(tokio::time::timeout(BOUND, news).await??)
}

async fn state(client: &mut Client, token: &v1::Token) -> Fallible<v1::Token> {
    let request = v1::GetRequest {
        token_id: token.id.clone(),
    };
    let answer = client.tokens.get(request).await?.into_inner();
    Ok(answer.token.ok_or("no token")?)
}

/// Two servers on one database, with the namespace `notes`.
pub(crate) async fn two_servers() -> Fallible<(SharedStore, Vec<tokenward::serve::Running>, Vec<Client>)> {
    let store = SharedStore::new().await?;
    let mut servers = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..2 {
        let server = tokenward::serve::Running::start(store.server()?)?;
        clients.push(Client::connect(server.address()).await?);
        servers.push(server);
    }
    clients[0].create_namespace("notes", "kn_", hex(40)).await?;
    Ok((store, servers, clients))
}

#[tokio::test]
async fn a_subject_is_suspended_resumed_and_revoked_at_every_server_at_once() -> Outcome {
    let (_store, servers, mut clients) = two_servers().await?;
    let mut stream = watch(&mut clients[1]).await?;
    let (token, secret) = clients[0].issue("notes", &[]).await?;
    for round in 0..3 {
        for client in &mut clients {
            for _ in 0..2 {
                assert_eq!(client.verdict(&secret).await?, Verdict::Accepted);
            }
        }
        let here = &mut clients[round % 2];
        let suspended = here.subjects.suspend_subject(suspend("ada")).await?.into_inner();
        assert_eq!(suspended.propagation(), Propagation::Acknowledged);
        for client in &mut clients {
            assert_eq!(client.verdict(&secret).await?, Verdict::Suspended);
            assert_eq!(state(client, &token).await?.state(), TokenState::Suspended);
        }
        let (_, event) = next(&mut stream).await?;
        let told = match event {
            Event::SubjectSuspended(it) => (it.namespace, it.subject, it.reason),
            other => return Err(format!("{other:?}").into()),
        };
        assert_eq!(told, ("notes".to_owned(), "ada".to_owned(), "unpaid".to_owned()));
        clients[(round + 1) % 2]
            .subjects
            .resume_subject(resume("ada"))
            .await?;
    }
    let revoked = clients[1]
        .subjects
        .revoke_issued(revoke_issued(Some(subject("ada"))))
        .await?
        .into_inner();
    assert_eq!(revoked.propagation(), Propagation::Acknowledged);
    for client in &mut clients {
        assert_eq!(client.verdict(&secret).await?, Verdict::Revoked);
        let shown = state(client, &token).await?;
        assert_eq!(shown.state(), TokenState::Revoked);
        assert_eq!(
            (shown.revoke_time, shown.revoke_reason.as_str()),
            (revoked.not_before_time, "leaked")
        );
        // What comes after is good.
        let (_, later) = client.issue("notes", &[]).await?;
        assert_eq!(client.verdict(&later).await?, Verdict::Accepted);
    }
    let (_, event) = next(&mut stream).await?;
    let Event::IssuedRevoked(told) = event else {
        return Err(format!("{event:?}").into());
    };
    assert_eq!(
        told.target,
        Some(issued_revoked::Target::Subject("ada".to_owned()))
    );
    assert_eq!(told.not_before_time, revoked.not_before_time);
    for server in servers {
        stop(server).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_red_button_ends_every_token_of_a_namespace_and_no_other() -> Outcome {
    let (_store, servers, mut clients) = two_servers().await?;
    clients[0].create_namespace("tasks", "kt_", hex(40)).await?;
    let mut stream = watch(&mut clients[1]).await?;
    let (_, one) = clients[0].issue("notes", &[]).await?;
    let (_, other) = clients[1].issue("tasks", &[]).await?;
    for client in &mut clients {
        assert_eq!(client.verdict(&one).await?, Verdict::Accepted);
        assert_eq!(client.verdict(&other).await?, Verdict::Accepted);
    }
    let whole = revoke_issued(Some(Target::WholeNamespace(true)));
    let revoked = clients[0].subjects.revoke_issued(whole).await?.into_inner();
    for client in &mut clients {
        assert_eq!(client.verdict(&one).await?, Verdict::Revoked);
        assert_eq!(client.verdict(&other).await?, Verdict::Accepted);
        let (_, later) = client.issue("notes", &[]).await?;
        assert_eq!(client.verdict(&later).await?, Verdict::Accepted);
    }
    let (_, event) = next(&mut stream).await?;
    let Event::IssuedRevoked(told) = event else {
        return Err(format!("{event:?}").into());
    };
    assert_eq!(told.target, Some(issued_revoked::Target::WholeNamespace(true)));
    let request = v1::GetNamespaceRequest {
        namespace: "notes".to_owned(),
    };
    let shown = clients[1].namespaces.get_namespace(request).await?.into_inner();
    let shown = shown.namespace.unwrap_or_default();
    assert_eq!(
        (shown.not_before_time, shown.not_before_reason.as_str()),
        (revoked.not_before_time, "leaked")
    );
    for server in servers {
        stop(server).await?;
    }
    Ok(())
}

/// Nothing said is never all; and whoever may manage one subject at a time has no red button.
#[tokio::test]
async fn the_red_button_must_be_meant_and_permitted() -> Outcome {
    let server = Server::start()?;
    let mut admin = server.client().await?;
    admin.create_namespace("notes", "kn_", hex(40)).await?;
    for (target, field) in [
        (None, "target"),
        (Some(Target::WholeNamespace(false)), "whole_namespace"),
        (Some(subject("")), "subject"),
    ] {
        let answer = admin.subjects.revoke_issued(revoke_issued(target)).await;
        let refusal = refused(answer)?;
        assert_eq!(
            (refusal.reason.as_str(), refusal.fields),
            ("INVALID_FIELD", vec![field.to_owned()])
        );
    }
    let whole = || revoke_issued(Some(Target::WholeNamespace(true)));
    let in_system = |target| v1::RevokeIssuedRequest {
        namespace: "system".to_owned(),
        ..revoke_issued(target)
    };
    let channel = server.endpoint()?.connect().await?;
    let mut lent = Vec::new();
    for scopes in [
        &["subjects.manage:notes", "subjects.manage:system"][..],
        &[
            "subjects.manage:notes",
            "namespaces.manage",
            "subjects.manage:system",
        ],
    ] {
        let (_, secret) = admin.issue("system", scopes).await?;
        lent.push(Client::with(channel.clone(), crate::admin::Bearer::new(&secret)));
    }
    let denied = lent[0].subjects.revoke_issued(whole()).await.err();
    assert_eq!(denied.map(|status| status.code()), Some(Code::PermissionDenied));
    lent[0]
        .subjects
        .revoke_issued(revoke_issued(Some(subject("ada"))))
        .await?;
    lent[1].subjects.revoke_issued(whole()).await?;
    // Among the credentials are those of whoever is above it.
    for target in [subject("admin"), Target::WholeNamespace(true)] {
        let refusal = refused(lent[1].subjects.revoke_issued(in_system(Some(target))).await)?;
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::PermissionDenied, "NOT_GRANTABLE")
        );
    }
    server.stop().await
}

#[tokio::test]
async fn a_stream_and_a_credential_end_with_their_subject() -> Outcome {
    let server = Server::start()?;
    let mut admin = server.client().await?;
    admin.create_namespace("notes", "kn_", hex(40)).await?;
    let (_, secret) = admin.issue("system", &["revocations.watch:notes"]).await?;
    let channel = server.endpoint()?.connect().await?;
    let mut watcher = Client::with(channel, crate::admin::Bearer::new(&secret));
    let mut stream = watch(&mut watcher).await?;
    let request = v1::SuspendSubjectRequest {
        namespace: "system".to_owned(),
        ..suspend("ada")
    };
    admin.subjects.suspend_subject(request).await?;
    let ended = async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return Code::Ok,
                Err(status) => return status.code(),
            }
        }
    };
    assert_eq!(tokio::time::timeout(BOUND, ended).await?, Code::Unauthenticated);
    let again = watch(&mut watcher).await.err().map(|error| error.to_string());
    assert!(again.is_some_and(|told| told.contains("credential is not good")));
    server.stop().await
}

#[tokio::test]
async fn subjects_are_shown_and_listed() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let get = |name: &str| v1::GetSubjectRequest {
        namespace: "notes".to_owned(),
        subject: name.to_owned(),
    };
    let nobody = client.subjects.get_subject(get("carl")).await?.into_inner();
    let named = v1::Subject {
        namespace: "notes".to_owned(),
        subject: "carl".to_owned(),
        ..Default::default()
    };
    assert_eq!(nobody.subject, Some(named));
    let mut changed = Vec::new();
    for name in ["bob", "Ann", "ann"] {
        let request = v1::UpdateSubjectRequest {
            subject: Some(v1::Subject {
                namespace: "notes".to_owned(),
                subject: name.to_owned(),
                plan: format!("plan of {name}"),
                ..Default::default()
            }),
            ..Default::default()
        };
        let answer = client.subjects.update_subject(request).await?.into_inner();
        let subject = answer.subject.ok_or("no subject")?;
        let read = client.subjects.get_subject(get(name)).await?.into_inner();
        assert_eq!(read.subject.as_ref(), Some(&subject));
        changed.push(subject);
    }
    changed.sort_by(|one, other| one.subject.cmp(&other.subject));
    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListSubjectsRequest {
            namespace: "notes".to_owned(),
            page_size: 2,
            page_token,
        };
        let page = client.subjects.list_subjects(request).await?.into_inner();
        listed.extend(page.subjects);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, changed);
    server.stop().await
}
