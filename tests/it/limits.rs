//! What one server grants at most: headers, streams, connections, watchers and time.

mod calls;
mod connections;

use std::time::Duration;

use sqlx::{Connection, SqliteConnection};
use tokenward::proto::v1;
use tokenward::serve::StoreAddress;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request};

use crate::admin::Bearer;
use crate::refusal::refused;
use crate::server::{Client, Outcome, Server, hex};

/// Longer than anything here takes that ends at all.
const BOUND: Duration = Duration::from_mins(1);

async fn head(client: &mut Client) -> Result<v1::GetHeadResponse, tonic::Status> {
    Ok(client.audit.get_head(v1::GetHeadRequest {}).await?.into_inner())
}

fn watch(heartbeat: Duration) -> v1::WatchRevocationsRequest {
    v1::WatchRevocationsRequest {
        heartbeat_interval: prost_types::Duration::try_from(heartbeat).ok(),
        ..Default::default()
    }
}

#[tokio::test]
async fn headers_too_long_are_refused_and_hurt_nobody_else() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    for bytes in [9 * 1024, 1024 * 1024] {
        let mut request = Request::new(v1::GetHeadRequest {});
        let long = MetadataValue::try_from("h".repeat(bytes))?;
        request.metadata_mut().insert("x-long", long);
        let refusal = refused(client.audit.get_head(request).await)?;
        assert_eq!(refusal.reason, "", "{bytes}");
        head(&mut client).await?;
    }
    let mut request = Request::new(v1::GetHeadRequest {});
    let short = MetadataValue::try_from("h".repeat(7 * 1024))?;
    request.metadata_mut().insert("x-short", short);
    client.audit.get_head(request).await?;
    server.stop().await
}

#[tokio::test]
async fn a_call_beyond_the_streams_of_a_connection_waits_for_one_to_end() -> Outcome {
    let server = Server::start_with(|options| options.limits.streams_max = 2)?;
    let mut client = server.client().await?;
    // An answer shows that the client has been told the limit.
    head(&mut client).await?;
    let beat = Duration::from_millis(100);
    let mut first = client
        .revocations
        .watch_revocations(watch(beat))
        .await?
        .into_inner();
    let mut second = client
        .revocations
        .watch_revocations(watch(beat))
        .await?
        .into_inner();
    second.message().await?.ok_or("no first message")?;
    let mut waiting = client.clone();
    let mut third = Box::pin(head(&mut waiting));
    for _ in 0..3 {
        tokio::select! {
            biased;
            _ = &mut third => return Err("a third stream was served".into()),
            message = first.message() => drop(message?),
        }
    }
    // Another connection has streams of its own.
    head(&mut server.client().await?).await?;
    drop(second);
    third.await?;
    drop(first);
    server.stop().await
}

/// Whether the server closes a new connection at once.
async fn turned_away(server: &Server) -> Result<bool, std::io::Error> {
    let mut stream = TcpStream::connect(server.address).await?;
    // A server that takes the connection speaks first: its settings.
    let read = stream.read(&mut [0; 9]).await;
    Ok(matches!(read, Ok(0) | Err(_)))
}

#[tokio::test]
async fn a_connection_too_many_is_closed_until_another_one_ends() -> Outcome {
    let server = Server::start_with(|options| options.limits.connections_max = 1)?;
    let mut client = server.client().await?;
    head(&mut client).await?;
    for _ in 0..3 {
        assert!(turned_away(&server).await?);
    }
    head(&mut client).await?;
    drop(client);
    // The server learns of the end a little later.
    let free = async {
        while turned_away(&server).await? {}
        Outcome::Ok(())
    };
    timeout(BOUND, free).await??;
    server.stop().await
}

#[tokio::test]
async fn a_watcher_too_many_is_told_to_come_back() -> Outcome {
    let server = Server::start_with(|options| options.watch.watchers_max = 1)?;
    let mut client = server.client().await?;
    let request = v1::WatchRevocationsRequest::default;
    let stream = client.revocations.watch_revocations(request()).await?;
    let refusal = refused(client.revocations.watch_revocations(request()).await)?;
    assert_eq!(refusal.code, Code::ResourceExhausted);
    assert_eq!(refusal.reason, "OVERLOADED");
    assert!(refusal.retry_delay.is_some());
    drop(stream);
    // The server learns of the end a little later.
    let free = async {
        while let Err(status) = client.revocations.watch_revocations(request()).await {
            assert_eq!(refused::<()>(Err(status))?.reason, "OVERLOADED");
        }
        Outcome::Ok(())
    };
    timeout(BOUND, free).await??;
    server.stop().await
}

#[tokio::test]
async fn one_caller_does_not_take_all_places_for_watchers() -> Outcome {
    let server = Server::start_with(|options| options.watch.watchers_per_caller_max = 1)?;
    let mut client = server.client().await?;
    let request = v1::WatchRevocationsRequest::default;
    let _stream = client.revocations.watch_revocations(request()).await?;
    // However many connections they come by.
    for client in [&mut client.clone(), &mut server.client().await?] {
        let refusal = refused(client.revocations.watch_revocations(request()).await)?;
        assert_eq!(refusal.code, Code::ResourceExhausted);
        assert_eq!(refusal.reason, "OVERLOADED");
    }
    let (_, credential) = client.issue("system", &["revocations.watch:*"]).await?;
    let mut other = Client::with(server.endpoint()?.connect().await?, Bearer::new(&credential));
    other.revocations.watch_revocations(request()).await?;
    server.stop().await
}

/// The store is locked, so a revocation has to wait for longer than this server lets any call take.
#[tokio::test]
async fn a_call_that_takes_too_long_says_so_and_can_be_retried() -> Outcome {
    let before = Server::start()?;
    let file = before.folder.path().join("tokenward.db");
    let mut client = before.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let (token, _) = client.issue("notes", &[]).await?;
    // The folder lives as long as this does.
    let folder = before.stop_keeping_folder().await?;

    let address = StoreAddress::Sqlite(file.clone());
    let hasty = Server::start_with(|options| {
        options.store = address.clone();
        options.limits.deadline_max = Duration::from_millis(1);
    })?;
    let mut other = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await?;
    let request = v1::RevokeRequest {
        token_id: token.id.clone(),
        request_id: "7d444840-9dc0-41d1-b245-5ffdce74fad2".to_owned(),
        ..Default::default()
    };
    let mut client = hasty.client().await?;
    let mut unhurried = Request::new(request.clone());
    // A longer one of the caller's own does not buy time.
    unhurried.set_timeout(Duration::from_hours(1));
    let refusal = refused(client.tokens.revoke(unhurried).await)?;
    assert_eq!(refusal.code, Code::DeadlineExceeded);
    assert_eq!(refusal.reason, "DEADLINE_EXCEEDED");
    sqlx::query("ROLLBACK").execute(&mut other).await?;
    other.close().await?;
    hasty.stop().await?;

    let patient = Server::start_with(|options| options.store = address)?;
    let mut client = patient.client().await?;
    client.tokens.revoke(request).await?;
    let of_token = v1::ListEntriesRequest {
        token_id: token.id,
        ..Default::default()
    };
    let entries = client.audit.list_entries(of_token).await?.into_inner().entries;
    assert_eq!(
        entries.iter().map(v1::Entry::kind).collect::<Vec<_>>(),
        [v1::EntryKind::TokenIssued, v1::EntryKind::TokenRevoked]
    );
    patient.stop().await?;
    folder.close()?;
    Ok(())
}
