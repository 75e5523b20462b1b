//! How many calls are worked on, for how long, and what of a call is not taken at all.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use prost::Message;
use sqlx::{Connection, SqliteConnection};
use tokenward::proto::v1;
use tokio::net::TcpStream;
use tonic::{Code, Status};

use super::{BOUND, head, watch};
use crate::admin::{Bearer, CREDENTIAL};
use crate::metrics::{scrape, value};
use crate::refusal::refused;
use crate::server::{Client, Outcome, Server, hex};
use crate::wire::message;

type Failure = Box<dyn std::error::Error>;

/// The program's own store, locked against writing until this is dropped.
async fn lock(server: &Server) -> Result<SqliteConnection, Failure> {
    let file = server.folder.path().join("tokenward.db");
    let mut other = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await?;
    Ok(other)
}

/// A call by a client that adds nothing of its own: what the server answers, headers and trailers in one.
async fn call(
    server: &Server,
    path: &str,
    headers: &[(&'static str, &str)],
    body: Vec<u8>,
) -> Result<HeaderMap, Failure> {
    let (client, connection) = h2::client::handshake(TcpStream::connect(server.address).await?).await?;
    let connection = tokio::spawn(connection);
    let mut request = Request::post(format!("http://tokenward/{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}", *CREDENTIAL));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (response, mut sending) = client.ready().await?.send_request(request.body(())?, false)?;
    sending.send_data(Bytes::from(body), true)?;
    let (head, mut body) = response.await?.into_parts();
    let mut told = head.headers;
    while let Some(data) = body.data().await {
        body.flow_control().release_capacity(data?.len())?;
    }
    told.extend(body.trailers().await?.unwrap_or_default());
    connection.abort();
    Ok(told)
}

#[tokio::test]
async fn a_call_beyond_those_worked_on_waits_and_streams_do_not_count() -> Outcome {
    let server = Server::start_with(|options| options.limits.handlers_max = 1)?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let (token, _) = client.issue("notes", &[]).await?;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let stream = client
            .revocations
            .watch_revocations(watch(Duration::from_millis(100)));
        streams.push(stream.await?.into_inner());
    }
    let locked = lock(&server).await?;
    let mut waiting = client.clone();
    let mut revocation = Box::pin(waiting.revoke(&token.id));
    let mut behind = client.clone();
    let mut behind = Box::pin(head(&mut behind));
    // Beats go on, so the connection does.
    for _ in 0..3 {
        tokio::select! {
            biased;
            _ = &mut revocation => return Err("the lock did not hold".into()),
            _ = &mut behind => return Err("a second call was worked on".into()),
            message = streams[0].message() => drop(message?),
        }
    }
    // Another connection has places of its own.
    head(&mut server.client().await?).await?;
    locked.close().await?;
    let (revoked, head) = tokio::join!(revocation, behind);
    revoked?;
    head?;
    server.stop().await
}

/// By a client that does not watch its own deadline, so that the server must.
#[tokio::test]
async fn a_shorter_deadline_of_the_callers_own_is_kept() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let (token, _) = client.issue("notes", &[]).await?;
    let locked = lock(&server).await?;
    let revoke = v1::RevokeRequest {
        token_id: token.id,
        ..Default::default()
    };
    for deadline in ["1m", "50m"] {
        let path = "tokenward.v1.TokenService/Revoke";
        let headers = [("grpc-timeout", deadline)];
        let told = call(&server, path, &headers, message(&revoke.encode_to_vec()));
        let told = tokio::time::timeout(BOUND, told).await??;
        let status = Status::from_header_map(&told).ok_or("no status")?;
        let refusal = refused::<()>(Err(status))?;
        assert_eq!(refusal.code, Code::DeadlineExceeded, "{deadline}");
        assert_eq!(refusal.reason, "DEADLINE_EXCEEDED", "{deadline}");
    }
    locked.close().await?;
    server.stop().await
}

/// Its own clients end such calls with a reset. That is not held against them.
#[tokio::test]
async fn clients_whose_deadlines_pass_keep_their_connection() -> Outcome {
    let server = Server::start_with(|options| {
        options.limits.cancelled.burst = std::num::NonZeroU32::MIN;
        options.limits.cancelled.rate = std::num::NonZeroU32::MIN;
        options.limits.handlers_max = 1;
        options.metrics_listen = Some(([127, 0, 0, 1], 0).into());
    })?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let (token, _) = client.issue("notes", &[]).await?;
    let locked = lock(&server).await?;
    let deadline = Duration::from_secs(1);
    let mut giving_up = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let (mut client, token_id) = (client.clone(), token.id.clone());
        giving_up.spawn(async move {
            let mut revoke = tonic::Request::new(v1::RevokeRequest {
                token_id,
                ..Default::default()
            });
            revoke.set_timeout(deadline);
            // Before the server does, so that there is something to reset.
            tokio::time::timeout(deadline * 9 / 10, client.tokens.revoke(revoke))
                .await
                .is_err()
        });
    }
    assert!(
        giving_up.join_all().await.contains(&true),
        "the lock did not hold"
    );
    // There is one place, and all of them came before: it is answered once the server has done with them.
    let answered = head(&mut client).await;
    locked.close().await?;
    let samples = scrape(server.running()?).await?;
    assert_eq!(value(&samples, "tokenward_connections_cut_total"), Some(0.0));
    answered?;
    server.stop().await
}

#[tokio::test]
async fn nothing_compressed_is_taken() -> Outcome {
    let server = Server::start()?;
    for path in [
        "tokenward.v1.TokenService/Issue",
        "tokenward.v1.TokenService/Revoke",
        "tokenward.v1.VerificationService/Verify",
        "tokenward.v1.VerificationService/BatchVerify",
        "tokenward.v1.RevocationService/WatchRevocations",
        "tokenward.v1.NamespaceService/CreateNamespace",
        "tokenward.v1.AuditService/ListEntries",
        "grpc.health.v1.Health/Check",
    ] {
        // Said to be compressed, and marked as such.
        let body = vec![1, 0, 0, 0, 3, 0x1f, 0x8b, 8];
        let told = call(&server, path, &[("grpc-encoding", "gzip")], body).await?;
        let status = Status::from_header_map(&told).ok_or("no status")?;
        assert_eq!(status.code(), Code::Unimplemented, "{path}: {status:?}");
        let accepted = told.get("grpc-accept-encoding").ok_or("nothing is said")?;
        assert_eq!(accepted, "identity", "{path}");
    }
    server.stop().await
}

#[tokio::test]
async fn a_message_too_long_is_refused_by_its_length_alone() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    let longest = 64 * 1024;
    for length in [longest + 1, 1 << 30, u32::MAX] {
        // It never comes; the length is enough.
        let body = [&[0], length.to_be_bytes().as_slice()].concat();
        let told = call(&server, "tokenward.v1.VerificationService/Verify", &[], body).await?;
        let status = Status::from_header_map(&told).ok_or("no status")?;
        assert_eq!(status.code(), Code::OutOfRange, "{length}: {status:?}");
    }
    // One byte for the field, three for its length.
    let secret = "s".repeat(longest as usize - 4);
    let verdict = client.verdict(&secret).await?;
    assert_eq!(verdict, v1::Verdict::Malformed);
    server.stop().await
}

#[tokio::test]
async fn a_message_of_too_many_elements_is_refused_before_it_is_decoded() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    for (elements, told) in [
        (1025, "fields and elements"),
        (1024, "1 to 100 elements, not 1024"),
    ] {
        let requests = vec![v1::VerifyRequest::default(); elements];
        let asked = client
            .verification
            .batch_verify(v1::BatchVerifyRequest { requests })
            .await;
        let status = asked.err().ok_or("it was judged")?;
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(told), "{status}");
    }
    server.stop().await
}

#[tokio::test]
async fn a_page_has_a_thousand_at_most() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let mut issuing = tokio::task::JoinSet::new();
    for _ in 0..1001 {
        let mut client = client.clone();
        issuing.spawn(async move { client.issue("notes", &[]).await.map(drop) });
    }
    for issued in issuing.join_all().await {
        issued?;
    }
    let tokens = v1::ListRequest {
        namespace: "notes".to_owned(),
        page_size: i32::MAX,
        ..Default::default()
    };
    let entries = v1::ListEntriesRequest {
        page_size: 1001,
        ..Default::default()
    };
    let tokens = client.tokens.list(tokens).await?.into_inner();
    let entries = client.audit.list_entries(entries).await?.into_inner();
    assert_eq!((tokens.tokens.len(), entries.entries.len()), (1000, 1000));
    assert!(!tokens.next_page_token.is_empty() && !entries.next_page_token.is_empty());
    server.stop().await
}

#[tokio::test]
async fn who_asks_for_tokens_that_are_not_there_is_told_when_to_come_back() -> Outcome {
    let server = Server::start_with(|options| {
        options.misses.burst = std::num::NonZeroU32::MIN.saturating_add(4);
        options.misses.rate = std::num::NonZeroU32::MIN;
    })?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let (_, secret) = client.issue("notes", &[]).await?;
    let unknown = |number: u32| format!("kn_{number:040x}");
    let refusal = 'guessing: {
        // A busy machine gives some back meanwhile.
        for number in 0..1000 {
            match client.verdict(&unknown(number)).await {
                Ok(verdict) => assert_eq!(verdict, v1::Verdict::Unknown),
                Err(status) => {
                    assert!(number >= 5, "{number}: {status:?}");
                    break 'guessing refused::<()>(Err(status))?;
                }
            }
        }
        return Err("it goes on for ever".into());
    };
    assert_eq!(refusal.code, Code::ResourceExhausted);
    assert_eq!(refusal.reason, "MISSES_EXHAUSTED");
    let wait = refusal.retry_delay.ok_or("no time to wait")?;
    assert!(
        wait > Duration::ZERO && wait <= Duration::from_secs(1),
        "{wait:?}"
    );
    // Another caller has a budget of its own, and what it had looked up is known to all.
    let (_, credential) = client.issue("system", &["tokens.verify:*"]).await?;
    let mut other = Client::with(server.endpoint()?.connect().await?, Bearer::new(&credential));
    assert_eq!(other.verdict(&secret).await?, v1::Verdict::Accepted);
    assert_eq!(client.verdict(&secret).await?, v1::Verdict::Accepted);
    server.stop().await
}
