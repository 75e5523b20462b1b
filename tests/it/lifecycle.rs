//! What time brings tokens to, from the rules of a namespace to the journal, the webhooks and the verdict.

use std::time::Duration;

use tokenward::lifecycle::Pace;
use tokenward::proto::v1::{self, EntryKind, Verdict};
use tokenward::serve::Running;
use tokenward::token::time::Span;

use crate::place::{Fallible, Place};
use crate::receiver::{Mood, Receiver, taken};
use crate::server::{Client, Outcome, hex, stop};
use crate::webhooks::{endpoint, to_loopback};

const TOLD: [&str; 3] = ["token.expiring", "token.rotation_due", "token.unused"];

fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

fn start(place: &Place, servers: usize) -> Fallible<Vec<Running>> {
    let mut options = place.options()?;
    to_loopback(&mut options);
    options.usage_flush = Some(Duration::from_secs(1));
    options.lifecycle = Pace {
        interval: Duration::from_millis(200),
        // Of uses there are none here that could be on their way.
        use_late_max: Span::ZERO,
    };
    let servers = (0..servers).map(|_| Running::start(options.clone()));
    Ok(servers.collect::<Result<_, _>>()?)
}

/// A token whose end is told of a second from now.
async fn issue(client: &mut Client) -> Fallible<(String, String)> {
    let request = v1::IssueRequest {
        namespace: "notes".to_owned(),
        subject: "ada".to_owned(),
        name: "Laptop".to_owned(),
        expiration: Some(v1::issue_request::Expiration::Ttl(seconds(3601))),
        ..Default::default()
    };
    let issued = client.tokens.issue(request).await?.into_inner();
    Ok((issued.token.unwrap_or_default().id, issued.secret))
}

async fn entries(client: &mut Client, token_id: &str) -> Fallible<Vec<v1::Entry>> {
    let request = v1::ListEntriesRequest {
        token_id: token_id.to_owned(),
        ..Default::default()
    };
    Ok(client.audit.list_entries(request).await?.into_inner().entries)
}

async fn until_revoked(client: &mut Client, token_id: &str) -> Fallible<Vec<v1::Entry>> {
    loop {
        let entries = entries(client, token_id).await?;
        if entries
            .iter()
            .any(|entry| entry.kind() == EntryKind::TokenRevoked)
        {
            return Ok(entries);
        }
        tokio::task::yield_now().await;
    }
}

async fn each_thing_is_told_once(place: Place, count: usize) -> Outcome {
    let servers = start(&place, count)?;
    let mut client = Client::connect(servers[0].address()).await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let receiver = Receiver::start(|| Mood::Take).await?;
    let (_, signing) = endpoint(&mut client, receiver.url(), &TOLD).await?;
    let request = v1::UpdateNamespaceRequest {
        namespace: Some(v1::Namespace {
            slug: "notes".to_owned(),
            policy: Some(v1::NamespacePolicy {
                expiring_leads: vec![seconds(3600)],
                rotation_due_after: Some(seconds(1)),
                unused_after: Some(seconds(2)),
                unused_action: v1::UnusedAction::Revoke.into(),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    client.namespaces.update_namespace(request).await?;
    let (token_id, secret) = issue(&mut client).await?;
    let told = until_revoked(&mut client, &token_id).await?;
    let kinds: Vec<_> = told.iter().map(v1::Entry::kind).collect();
    let story = [
        EntryKind::TokenIssued,
        EntryKind::TokenExpiring,
        EntryKind::TokenRotationDue,
        EntryKind::TokenUnused,
        EntryKind::TokenRevoked,
    ];
    assert_eq!(kinds, story);
    assert!(told[1..].iter().all(|entry| entry.actor == "tokenward:lifecycle"));
    let reason = told[4]
        .changes
        .iter()
        .find(|change| change.path == "revoke_reason");
    assert!(reason.is_some_and(|reason| reason.after.contains("not used since")));

    // Their receiver is told of each, signed, and in order; a revocation it did not ask for.
    let came = receiver.once(|all| taken(all).len() == TOLD.len()).await?;
    let revisions: Vec<_> = told[1..4].iter().map(|it| it.revision.unsigned_abs()).collect();
    assert_eq!(taken(&came), revisions);
    for (received, kind) in came.iter().zip(TOLD) {
        assert!(received.is_signed_with(&signing));
        assert_eq!(received.json()["type"], kind);
        assert!(!received.body.contains(&secret[3..]), "{received:?}");
    }

    // Whoever begins anew finds all of it told: the next token has its story, and the first one gets no more.
    for server in servers {
        stop(server).await?;
    }
    let servers = start(&place, count)?;
    let mut client = Client::connect(servers[0].address()).await?;
    assert_eq!(client.verdict(&secret).await?, Verdict::Revoked);
    let (next, _) = issue(&mut client).await?;
    let of_next = until_revoked(&mut client, &next).await?;
    assert_eq!(of_next.iter().map(v1::Entry::kind).collect::<Vec<_>>(), story);
    assert_eq!(entries(&mut client, &token_id).await?, told);

    let address = format!("http://{}", servers[0].address());
    let said = crate::cli::tokenward(&["--address", &address, "audit", "report", &token_id], "")?;
    for told in [
        "**token.unused** by tokenward:lifecycle",
        "**token.rotation_due**",
    ] {
        assert!(said.out.contains(told), "{told}: {}", said.out);
    }
    let listing = ["--address", &address, "audit", "list", "--kind", "token.expiring"];
    let listed = crate::cli::tokenward(&listing, "")?;
    assert!(
        listed.out.contains(&token_id) && listed.out.contains(&next),
        "{listed:?}"
    );
    for server in servers {
        stop(server).await?;
    }
    drop(place);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_thing_is_told_once_on_sqlite() -> Outcome {
    each_thing_is_told_once(Place::sqlite()?, 1).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_thing_is_told_once_on_postgres_by_whichever_server_has_the_duty() -> Outcome {
    each_thing_is_told_once(Place::postgres().await?, 2).await
}
