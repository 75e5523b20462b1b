//! A watcher that is cut off again and again sees every revocation, in order.

use tokenward::clock::ManualEntropy;
use tokenward::proto::v1;
use tokenward::proto::v1::watch_revocations_response::Event;

use crate::server::{Client, Outcome, Server, hex};
use crate::{below, journal, sized};

const SEED: u64 = 0x0c07;

/// What one watcher has seen, over all its streams.
#[derive(Default)]
struct Seen {
    cursor: String,
    /// Revision and token of every event, as they came.
    events: Vec<(i64, String)>,
    /// Revision of every heartbeat, and how many events had come before it.
    heartbeats: Vec<(i64, usize)>,
    streams: usize,
}

#[tokio::test]
async fn a_watcher_cut_at_random_points_sees_every_revocation_once_in_order() -> Outcome {
    let (revocations, cuts) = (sized(300, 10_000), sized(30, 1_000));
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let mut ids = Vec::new();
    for _ in 0..revocations {
        ids.push(client.issue("notes", &[]).await?.0.id);
    }
    let head = client.audit.get_head(v1::GetHeadRequest {}).await?.into_inner();
    let revoking = tokio::spawn(revoke_all(client.clone(), ids));

    let entropy = ManualEntropy::seeded(SEED);
    let mut seen = Seen {
        cursor: head.cursor,
        ..Seen::default()
    };
    while seen.streams < cuts || seen.events.len() < revocations {
        // Of a connection of its own, which is cut with it.
        let mut watcher = server.client().await?;
        // The last one is not cut, so that the test ends.
        let cut_after = if seen.streams < cuts {
            below(&entropy, 20)
        } else {
            u64::MAX
        };
        seen.watch(&mut watcher, cut_after, revocations).await?;
    }
    let revoked = revoking.await??;
    assert_eq!(seen.events, revoked, "seed {SEED:#x}");
    for (revision, events_before) in seen.heartbeats {
        let due = revoked
            .iter()
            .filter(|(of_event, _)| *of_event <= revision)
            .count();
        assert!(
            events_before >= due,
            "a heartbeat at {revision} came before an event up to it"
        );
    }
    server.stop().await
}

/// Revokes from several tasks at once; the answer is what was revoked, in commit order.
async fn revoke_all(client: Client, ids: Vec<String>) -> Result<Vec<(i64, String)>, tonic::Status> {
    let mut tasks = tokio::task::JoinSet::new();
    for part in ids.chunks(ids.len().div_ceil(4)) {
        let (mut client, part) = (client.clone(), part.to_vec());
        tasks.spawn(async move {
            for id in part {
                client.revoke(&id).await?;
            }
            Ok::<_, tonic::Status>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| tonic::Status::internal(error.to_string()))??;
    }
    let entries = journal::read(&mut client.clone()).await?;
    let revoked = entries
        .into_iter()
        .filter(|entry| entry.kind() == v1::EntryKind::TokenRevoked);
    Ok(revoked.map(|entry| (entry.revision, entry.token_id)).collect())
}

impl Seen {
    /// Watches from the last cursor until `cut_after` messages have come, or all events have.
    async fn watch(&mut self, client: &mut Client, cut_after: u64, all: usize) -> Outcome {
        self.streams += 1;
        let request = v1::WatchRevocationsRequest {
            cursor: self.cursor.clone(),
            heartbeat_interval: Some(prost_types::Duration {
                seconds: 0,
                nanos: 100_000_000,
            }),
            ..Default::default()
        };
        let mut stream = client.revocations.watch_revocations(request).await?.into_inner();
        for _ in 0..=cut_after {
            let message = stream.message().await?.ok_or("the stream ended")?;
            self.cursor = message.cursor;
            match message.event {
                Some(Event::Revoked(revoked)) => self.events.push((message.revision, revoked.token_id)),
                Some(Event::Heartbeat(_)) => self.heartbeats.push((message.revision, self.events.len())),
                Some(Event::Started(_)) => {}
                other => return Err(format!("an event nobody caused: {other:?}").into()),
            }
            if self.events.len() >= all {
                return Ok(());
            }
        }
        Ok(())
    }
}
