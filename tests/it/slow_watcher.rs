//! A watcher that does not take its messages loses its stream, and no event.

use std::time::Duration;

use tokenward::proto::v1::watch_revocations_response::Event;
use tokenward::proto::v1::{self, WatchRevocationsRequest, WatchRevocationsResponse};
use tonic::{Status, Streaming};

use crate::refusal::refused;
use crate::server::{Client, Outcome, Server, hex};

/// More than wait for a watcher and for its connection together.
const TOKENS: usize = 250;

/// Opens a stream as soon as the only place for one is free.
async fn open(client: &mut Client, cursor: &str) -> Result<Streaming<WatchRevocationsResponse>, Status> {
    let request = WatchRevocationsRequest {
        cursor: cursor.to_owned(),
        ..Default::default()
    };
    loop {
        match client.revocations.watch_revocations(request.clone()).await {
            Ok(stream) => return Ok(stream.into_inner()),
            Err(status) => match refused::<()>(Err(status.clone())) {
                Ok(refusal) if refusal.reason == "OVERLOADED" => {}
                _ => return Err(status),
            },
        }
    }
}

/// Reads until the stream ends or `wanted` events have come; keeps the last cursor.
async fn read(
    stream: &mut Streaming<WatchRevocationsResponse>,
    wanted: usize,
    cursor: &mut String,
) -> (Vec<String>, Option<Status>) {
    let mut revoked = Vec::new();
    while revoked.len() < wanted {
        match stream.message().await {
            Ok(Some(message)) => {
                *cursor = message.cursor;
                if let Some(Event::Revoked(event)) = message.event {
                    revoked.push(event.token_id);
                }
            }
            Ok(None) => return (revoked, Some(Status::unknown("ended without a reason"))),
            Err(status) => return (revoked, Some(status)),
        }
    }
    (revoked, None)
}

/// Revokes many tokens at once; their ids in the order of the journal.
async fn revoke_many(client: &mut Client) -> Result<Vec<String>, Status> {
    let mut revoking = tokio::task::JoinSet::new();
    for _ in 0..TOKENS {
        let mut client = client.clone();
        revoking.spawn(async move {
            let (token, _) = client.issue("notes", &[]).await?;
            let request = v1::RevokeRequest {
                token_id: token.id,
                reason: "r".repeat(500),
                ..Default::default()
            };
            client.tokens.revoke(request).await
        });
    }
    for revoked in revoking.join_all().await {
        revoked?;
    }
    let request = v1::ListEntriesRequest {
        page_size: 1000,
        ..Default::default()
    };
    let entries = client.audit.list_entries(request).await?.into_inner().entries;
    let revoked = entries
        .into_iter()
        .filter(|entry| entry.kind() == v1::EntryKind::TokenRevoked);
    Ok(revoked.map(|entry| entry.token_id).collect())
}

#[tokio::test]
async fn a_slow_watcher_is_ended_after_its_queue_and_resumes_without_loss() -> Outcome {
    let server = Server::start_with(|options| {
        options.watch.stall_max = Duration::from_millis(1);
        options.watch.watchers_max = 1;
    })?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let head = client.audit.get_head(v1::GetHeadRequest {}).await?.into_inner();
    let expected = revoke_many(&mut client).await?;
    assert_eq!(expected.len(), TOKENS);

    // A small window, so that what is not read stays with the server.
    let narrow = server
        .endpoint()?
        .initial_stream_window_size(1024)
        .connect()
        .await?;
    let mut cursor = head.cursor;
    let mut slow = open(&mut Client::over(narrow), &cursor).await?;
    // There is place for another one when the server has given the first one up.
    drop(open(&mut client, "").await?);
    let (mut seen, end) = read(&mut slow, TOKENS, &mut cursor).await;
    let end = refused::<()>(Err(end.ok_or("it was not too slow")?))?;
    assert_eq!(
        (end.code, end.reason.as_str()),
        (tonic::Code::ResourceExhausted, "WATCHER_TOO_SLOW")
    );
    assert!(!seen.is_empty(), "what had been queued did not come");

    // On a busy machine the next one may be too slow as well, and gets a little further.
    while seen.len() < TOKENS {
        let mut stream = open(&mut client, &cursor).await?;
        let (more, end) = read(&mut stream, TOKENS - seen.len(), &mut cursor).await;
        seen.extend(more);
        if let Some(status) = end {
            assert_eq!(refused::<()>(Err(status))?.reason, "WATCHER_TOO_SLOW");
        }
    }
    assert_eq!(seen, expected);
    server.stop().await
}
