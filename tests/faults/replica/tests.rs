//! What the faults do to a process: without these, a driver whose signals went nowhere would report success.

use tokenward::proto::v1;

use super::*;
use crate::server::Outcome;

/// How long nothing must happen; the answer that must not come takes a millisecond.
const SILENCE: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_paused_replica_answers_when_it_is_resumed_and_ends_when_it_is_told() -> Outcome {
    let replica = Replica::start(&["--store", "memory:"]).await?;
    let mut client = replica.client().await?;
    client.audit.get_head(v1::GetHeadRequest {}).await?;
    replica.pause()?;
    let mut asking = tokio::spawn(async move { client.audit.get_head(v1::GetHeadRequest {}).await });
    assert!(timeout(SILENCE, &mut asking).await.is_err(), "it runs on");
    replica.resume()?;
    timeout(START_MAX, asking).await???;
    assert!(replica.terminate().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_killed_replica_is_gone_with_its_connections() -> Outcome {
    let mut replica = Replica::start(&["--store", "memory:"]).await?;
    let mut client = replica.client().await?;
    replica.kill()?;
    assert!(client.audit.get_head(v1::GetHeadRequest {}).await.is_err());
    assert!(replica.client().await.is_err());
    assert!(replica.pause().is_err());
    Ok(())
}

#[tokio::test]
async fn a_replica_that_does_not_start_is_an_error() {
    let started = Replica::start(&["--store", "sqlite:/nowhere/at/all.db"]).await;
    assert_eq!(
        started.err().map(|error| error.to_string()).as_deref(),
        Some("it did not start")
    );
}
