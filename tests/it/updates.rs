//! Update, Suspend and Resume over the wire: what they change is in force when they have answered, and those who watch
//! hear of what they take.

use tokenward::proto::v1::watch_revocations_response::Event;
use tokenward::proto::v1::{self, TokenState, Verdict};

use crate::refusal::refused;
use crate::server::{Client, Outcome, Server, hex};

const FIRST: &str = "7d444840-9dc0-41d1-b245-5ffdce74fad2";
const SECOND: &str = "7d444840-9dc0-41d1-b245-5ffdce74fad3";

fn update(token: v1::Token, paths: &[&str]) -> v1::UpdateRequest {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    v1::UpdateRequest {
        token: Some(token),
        update_mask: Some(prost_types::FieldMask { paths }),
        request_id: String::new(),
    }
}

/// A hundred requests a minute.
fn limit() -> v1::RateLimit {
    v1::RateLimit {
        requests: 100,
        period: Some(prost_types::Duration {
            seconds: 60,
            nanos: 0,
        }),
    }
}

fn from(secret: &str, address: &str) -> v1::VerifyRequest {
    v1::VerifyRequest {
        secret: secret.to_owned(),
        context: Some(v1::RequestContext {
            client_address: address.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

async fn verdict_from(client: &mut Client, secret: &str, address: &str) -> Result<Verdict, tonic::Status> {
    let answer = client.verification.verify(from(secret, address)).await?;
    Ok(answer.into_inner().verdict())
}

#[tokio::test]
async fn a_change_is_in_force_when_it_is_answered_and_what_it_takes_is_an_event() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let (token, secret) = client.issue("notes", &["read"]).await?;
    assert_eq!(client.verdict(&secret).await?, Verdict::Accepted);
    let watched = client
        .revocations
        .watch_revocations(v1::WatchRevocationsRequest::default());
    let mut watched = watched.await?.into_inner();

    // Wider: known at once, and of no interest to whoever has to forget.
    let wider = v1::Token {
        scopes: vec!["write".to_owned(), "read".to_owned()],
        ..token.clone()
    };
    let updated = client
        .tokens
        .update(update(wider, &["scopes"]))
        .await?
        .into_inner();
    let wide = updated.token.unwrap_or_default();
    assert_eq!(wide.scopes, ["read", "write"]);
    assert_ne!(wide.etag, token.etag);
    assert_eq!(
        client.verify(&secret, &["write"]).await?.verdict(),
        Verdict::Accepted
    );

    // Of another etag nothing is changed.
    let stale = refused(client.tokens.update(update(token.clone(), &["scopes"])).await)?;
    assert_eq!(stale.reason, "ETAG_MISMATCH");

    // Narrower: without a mask, whatever is set, and nothing else.
    let narrower = v1::Token {
        id: token.id.clone(),
        networks: vec!["192.0.2.0/24".to_owned(), "2001:db8::7".to_owned()],
        rate_limit: Some(limit()),
        ..Default::default()
    };
    let updated = client.tokens.update(update(narrower, &[])).await?.into_inner();
    let bound = updated.token.unwrap_or_default();
    assert_eq!((&bound.name, &bound.scopes), (&wide.name, &wide.scopes));
    assert_eq!(bound.networks, ["192.0.2.0/24", "2001:db8::7/128"]);
    let suspend = v1::SuspendRequest {
        token_id: token.id.clone(),
        reason: "lost".to_owned(),
        ..Default::default()
    };
    let suspended = client.tokens.suspend(suspend).await?.into_inner();
    let paused = suspended.token.unwrap_or_default();
    assert_eq!(
        (paused.state(), &*paused.suspend_reason),
        (TokenState::Suspended, "lost")
    );
    assert_eq!(
        verdict_from(&mut client, &secret, "192.0.2.9").await?,
        Verdict::Suspended
    );
    let resume = v1::ResumeRequest {
        token_id: token.id.clone(),
        ..Default::default()
    };
    let resumed = client
        .tokens
        .resume(resume)
        .await?
        .into_inner()
        .token
        .unwrap_or_default();
    assert_eq!(
        (resumed.state(), resumed.suspend_time),
        (TokenState::Active, None)
    );
    assert_eq!(resumed.etag, bound.etag);
    // What is named and not set is emptied.
    let free = v1::Token {
        id: token.id.clone(),
        ..Default::default()
    };
    let freed = client
        .tokens
        .update(update(free, &["networks", "rate_limit"]))
        .await?
        .into_inner();
    assert_eq!(freed.token.unwrap_or_default().networks, Vec::<String>::new());
    assert_eq!(client.verdict(&secret).await?, Verdict::Accepted);

    let mut told = Vec::new();
    while told.len() < 3 {
        match watched.message().await?.ok_or("the stream ended")?.event {
            Some(Event::Narrowed(it)) => told.push(("narrowed", it.token_id)),
            Some(Event::Suspended(it)) => told.push(("suspended", it.token_id)),
            Some(Event::Started(_) | Event::Heartbeat(_)) => {}
            other => return Err(format!("{other:?}").into()),
        }
    }
    // The last one is the rate limit, which whoever enforces it must hear of.
    let wanted = ["narrowed", "suspended", "narrowed"].map(|what| (what, token.id.clone()));
    assert_eq!(told, wanted);
    server.stop().await
}

#[tokio::test]
async fn a_token_bound_to_networks_is_good_from_there_alone() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let issue = v1::IssueRequest {
        namespace: "notes".to_owned(),
        subject: "ada".to_owned(),
        networks: vec!["192.0.2.0/24".to_owned(), "2001:db8::7".to_owned()],
        rate_limit: Some(limit()),
        ..Default::default()
    };
    let secret = client.tokens.issue(issue).await?.into_inner().secret;
    for (address, verdict) in [
        ("192.0.2.9", Verdict::Accepted),
        ("::ffff:192.0.2.9", Verdict::Accepted),
        ("2001:db8::7", Verdict::Accepted),
        ("2001:db8::8", Verdict::AddressNotAllowed),
        ("192.0.3.9", Verdict::AddressNotAllowed),
        ("", Verdict::AddressNotAllowed),
    ] {
        assert_eq!(
            verdict_from(&mut client, &secret, address).await?,
            verdict,
            "{address}"
        );
    }
    let batch = v1::BatchVerifyRequest {
        requests: ["192.0.2.9", "192.0.3.9"]
            .map(|address| from(&secret, address))
            .to_vec(),
    };
    let judged = client
        .verification
        .batch_verify(batch)
        .await?
        .into_inner()
        .responses;
    let verdicts: Vec<_> = judged.iter().map(v1::VerifyResponse::verdict).collect();
    assert_eq!(verdicts, [Verdict::Accepted, Verdict::AddressNotAllowed]);
    let limit = judged[0].token.as_ref().and_then(|token| token.rate_limit);
    assert_eq!(limit.map(|limit| limit.requests), Some(100));
    assert_eq!(judged[1].token, None);
    server.stop().await
}

#[tokio::test]
async fn a_change_can_be_repeated_and_its_id_serves_no_other() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let (token, _) = client.issue("notes", &[]).await?;
    let named = |name: &str| {
        let named = v1::Token {
            name: name.to_owned(),
            ..token.clone()
        };
        v1::UpdateRequest {
            request_id: FIRST.to_owned(),
            ..update(named, &["name"])
        }
    };
    let first = client.tokens.update(named("phone")).await?.into_inner();
    assert_eq!(client.tokens.update(named("phone")).await?.into_inner(), first);
    let other = refused(client.tokens.update(named("tablet")).await)?;
    assert_eq!(other.reason, "REQUEST_ID_REUSED");
    let suspend = |reason: &str| v1::SuspendRequest {
        token_id: token.id.clone(),
        reason: reason.to_owned(),
        request_id: SECOND.to_owned(),
    };
    let first = client.tokens.suspend(suspend("lost")).await?.into_inner();
    assert_eq!(client.tokens.suspend(suspend("lost")).await?.into_inner(), first);
    let resume = |request_id: &str| v1::ResumeRequest {
        token_id: token.id.clone(),
        request_id: request_id.to_owned(),
    };
    for other in [
        refused(client.tokens.suspend(suspend("found")).await)?,
        refused(client.tokens.resume(resume(SECOND)).await)?,
        refused(client.tokens.resume(resume(FIRST)).await)?,
    ] {
        assert_eq!(other.reason, "REQUEST_ID_REUSED");
    }
    server.stop().await
}

/// What a credential may do is looked at with every call, so what was taken is gone with the next one; and one that is
/// bound to networks is good from there.
#[tokio::test]
async fn a_credential_that_is_narrowed_may_do_less_with_its_next_call() -> Outcome {
    let server = Server::start()?;
    let mut admin = server.client().await?;
    admin.create_namespace("notes", "kn_", hex(40)).await?;
    let (credential, secret) = admin
        .issue("system", &["audit.read:*", "revocations.watch:*"])
        .await?;
    let channel = server.endpoint()?.connect().await?;
    let mut client = Client::with(channel, crate::admin::Bearer::new(&secret));
    client.audit.get_head(v1::GetHeadRequest {}).await?;
    let watched = client
        .revocations
        .watch_revocations(v1::WatchRevocationsRequest::default());
    let mut watched = watched.await?.into_inner();
    let bound = |scopes: &[&str], network: &str| v1::Token {
        id: credential.id.clone(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        networks: vec![network.to_owned()],
        ..Default::default()
    };
    let here = bound(&["revocations.watch:*"], "127.0.0.0/8");
    admin.tokens.update(update(here, &[])).await?;
    let denied = refused(client.audit.get_head(v1::GetHeadRequest {}).await)?;
    assert_eq!(denied.reason, "PERMISSION_DENIED");
    client.caller.get_caller(v1::GetCallerRequest {}).await?;
    let ended = loop {
        match watched.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return Err("the stream ended without a reason".into()),
            Err(status) => break crate::refusal::Refusal::from(status),
        }
    };
    assert_eq!(ended.reason, "UNAUTHENTICATED");
    let there = bound(&["revocations.watch:*"], "192.0.2.0/24");
    admin.tokens.update(update(there, &[])).await?;
    let nobody = refused(client.caller.get_caller(v1::GetCallerRequest {}).await)?;
    assert_eq!(nobody.reason, "UNAUTHENTICATED");
    let unknown = bound(&["audit.raed:*"], "127.0.0.0/8");
    let typo = refused(admin.tokens.update(update(unknown, &[])).await)?;
    assert_eq!(
        (&*typo.reason, &*typo.fields),
        ("INVALID_FIELD", &["token.scopes".to_owned()][..])
    );
    server.stop().await
}
