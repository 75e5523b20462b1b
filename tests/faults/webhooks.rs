//! The server that delivers webhooks is killed: another one goes on where it was.

use tokenward::proto::v1;

use crate::cluster::Cluster;
use crate::fleet::{ONE_AT_A_TIME, prepare};
use crate::receiver::{Receiver, failing_thrice_in_ten, taken};
use crate::replica::Replica;
use crate::server::{Client, Outcome, hex};

/// Issues so many tokens; the revision of the last one.
async fn issue(client: &mut Client, tokens: usize) -> Result<u64, Box<dyn std::error::Error>> {
    for _ in 0..tokens {
        client.issue("notes", &[]).await?;
    }
    let head = client.audit.get_head(v1::GetHeadRequest {}).await?.into_inner();
    Ok(head.revision.unsigned_abs())
}

#[tokio::test]
async fn every_event_comes_in_order_although_who_delivers_is_killed() -> Outcome {
    let _turn = ONE_AT_A_TIME.lock().await;
    let cluster = Cluster::start().await?;
    prepare(&cluster)?;
    let url = cluster.url();
    let args = [
        "--store",
        &url,
        "--webhook-allow",
        "127.0.0.0/8",
        "--webhook-allow-http",
        "--webhook-retry-min",
        "10ms",
        "--webhook-retry-max",
        "40ms",
        "--webhook-send-max",
        "500ms",
    ];
    let receiver = Receiver::start(failing_thrice_in_ten(11)).await?;
    // The first to start has the duty, which something it has delivered shows.
    let mut first = Replica::start(&args).await?;
    let mut client = first.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let request = v1::CreateEndpointRequest {
        namespace: "notes".to_owned(),
        url: receiver.url(),
        ..Default::default()
    };
    let created = client.webhooks.create_endpoint(request).await?.into_inner();
    let begun = client
        .audit
        .get_head(v1::GetHeadRequest {})
        .await?
        .into_inner()
        .revision;
    issue(&mut client, 20).await?;
    receiver.once(|arrived| taken(arrived).len() > 5).await?;
    let second = Replica::start(&args).await?;
    first.kill()?;
    let last = issue(&mut second.client().await?, 20).await?;
    let arrived = receiver
        .once(|arrived| taken(arrived).last() == Some(&last))
        .await?;
    let wanted: Vec<_> = (begun.unsigned_abs() + 1..=last).collect();
    assert_eq!(wanted.len(), 40);
    assert_eq!(taken(&arrived), wanted);
    assert!(arrived.iter().all(|one| one.is_signed_with(&created.secret)));
    second.terminate().await?;
    Ok(())
}
