//! Events at their endpoints, over the wire: every one, in order, signed, whatever the receiver does.

mod endpoints;

use std::time::Duration;

use tokenward::proto::v1;
use tokenward::serve::{Options, Running, WebhookOptions};
use tokenward::token::webhook::pace::Pace;
use tokenward::token::webhook::reach::Reach;
use tonic::Status;

use crate::receiver::{Mood, Received, Receiver, failing_thrice_in_ten, taken};
use crate::server::{Client, Outcome, Server, hex, stop};
use crate::shared_store::SharedStore;

/// Sends to loopback over http, and is soon back.
pub(crate) fn to_loopback(options: &mut Options) {
    options.webhooks = WebhookOptions {
        reach: Reach {
            allow: ["127.0.0.0/8".parse()].into_iter().flatten().collect(),
            http: true,
        },
        pace: Pace {
            retry_min: Duration::from_millis(10),
            retry_max: Duration::from_millis(40),
            send_max: Duration::from_millis(500),
            ..Pace::default()
        },
        ca: None,
    };
}

/// An endpoint of `notes`, and its secret.
pub(crate) async fn endpoint(
    client: &mut Client,
    url: String,
    events: &[&str],
) -> Result<(v1::WebhookEndpoint, String), Status> {
    let request = v1::CreateEndpointRequest {
        namespace: "notes".to_owned(),
        url,
        events: events.iter().map(|kind| (*kind).to_owned()).collect(),
        ..Default::default()
    };
    let created = client.webhooks.create_endpoint(request).await?.into_inner();
    Ok((created.endpoint.unwrap_or_default(), created.secret))
}

/// Issues tokens and revokes every other; the revisions of both, with the secrets of the tokens.
async fn happen(
    client: &mut Client,
    tokens: usize,
) -> Result<(Vec<u64>, Vec<String>), Box<dyn std::error::Error>> {
    let mut secrets = Vec::new();
    for number in 0..tokens {
        let (token, secret) = client.issue("notes", &["read"]).await?;
        secrets.push(secret);
        if number % 2 == 0 {
            client.revoke(&token.id).await?;
        }
    }
    let request = v1::ListEntriesRequest {
        namespace: "notes".to_owned(),
        page_size: 1000,
        ..Default::default()
    };
    let entries = client.audit.list_entries(request).await?.into_inner().entries;
    let of_tokens = entries.iter().filter(|entry| !entry.token_id.is_empty());
    let revisions = of_tokens.map(|entry| entry.revision.unsigned_abs()).collect();
    Ok((revisions, secrets))
}

/// What was all is every event in order, signed, and says nothing secret.
fn assert_all_came(all: &[Received], wanted: &[u64], secret: &str, secrets: &[String]) {
    assert_eq!(taken(all), wanted);
    for one in all {
        assert!(one.is_signed_with(secret), "{one:?}");
        assert!(
            !secrets.iter().any(|secret| one.body.contains(&secret[3..])),
            "{one:?}"
        );
        assert_eq!(one.header("content-type"), "application/json");
    }
    // What is sent again is the same to the byte, under the same id.
    for one in all {
        let again = all
            .iter()
            .find(|other| other.header("webhook-id") == one.header("webhook-id"));
        assert_eq!(again.map(|again| &again.body), Some(&one.body));
    }
}

async fn every_event_comes(mut client: Client) -> Outcome {
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let mut receiver = Receiver::start(failing_thrice_in_ten(7)).await?;
    let (_, secret) = endpoint(&mut client, receiver.url(), &[]).await?;
    let (_, first) = happen(&mut client, 20).await?;
    receiver.once(|all| taken(all).len() > 5).await?;
    receiver.restart().await?;
    let (wanted, mut secrets) = happen(&mut client, 20).await?;
    secrets.extend(first);
    assert_eq!(wanted.len(), 60);
    let all = receiver.once(|all| taken(all).len() == wanted.len()).await?;
    let failed = all.iter().filter(|one| one.mood != Mood::Take).count();
    assert!(failed > 10, "{failed} of {}", all.len());
    assert_all_came(&all, &wanted, &secret, &secrets);
    Ok(())
}

#[tokio::test]
async fn every_event_comes_in_order_to_a_receiver_that_fails_hangs_and_restarts() -> Outcome {
    let server = Server::start_with(to_loopback)?;
    every_event_comes(server.client().await?).await?;
    server.stop().await
}

#[tokio::test]
async fn the_same_on_a_shared_store_by_whichever_server_delivers() -> Outcome {
    let store = SharedStore::new().await?;
    let mut servers = Vec::new();
    for _ in 0..2 {
        let mut options = store.server()?;
        to_loopback(&mut options);
        servers.push(Running::start(options)?);
    }
    every_event_comes(Client::connect(servers[1].address()).await?).await?;
    for server in servers {
        stop(server).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_starts_again_goes_on_where_it_was() -> Outcome {
    let server = Server::start_with(to_loopback)?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let mut mood = Mood::Take;
    let mut left = 3;
    let mut receiver = Receiver::start(move || {
        if left == 0 {
            mood = Mood::Fail;
        }
        left -= i32::from(left > 0);
        mood
    })
    .await?;
    let (_, secret) = endpoint(&mut client, receiver.url(), &[]).await?;
    let (wanted, secrets) = happen(&mut client, 4).await?;
    let before = receiver.once(|all| all.len() > 5).await?;
    assert_eq!(taken(&before), wanted[..3]);
    let (url, address) = (receiver.url(), receiver.address);
    let folder = server.stop_keeping_folder().await?;
    receiver.stop().await;
    let again = Receiver::start_at(address, || Mood::Take).await?;
    assert_eq!(again.url(), url);
    let mut options = Options::new(
        tokenward::serve::StoreAddress::Sqlite(folder.path().join("tokenward.db")),
        std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
    );
    crate::admin::known_to(&mut options);
    to_loopback(&mut options);
    let server = Running::start(options)?;
    let last = *wanted.last().ok_or("nothing happened")?;
    let all = again.once(|all| taken(all).last() == Some(&last)).await?;
    // What was taken before and noted is not sent again; at most what was not noted is.
    let came = taken(&all);
    assert!(wanted.ends_with(&came), "{came:?} of {wanted:?}");
    assert!(came.len() >= wanted.len() - 3);
    assert!(all.iter().all(|one| one.is_signed_with(&secret)));
    assert!(
        !all.iter()
            .any(|one| secrets.iter().any(|secret| one.body.contains(&secret[3..])))
    );
    stop(server).await
}

#[tokio::test]
async fn an_endpoint_that_hangs_delays_no_other() -> Outcome {
    let server = Server::start_with(|options| {
        to_loopback(options);
        // Longer than the other one is waited for.
        options.webhooks.pace.send_max = Duration::from_mins(10);
    })?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let hanging = Receiver::start(|| Mood::Hang).await?;
    let good = Receiver::start(|| Mood::Take).await?;
    endpoint(&mut client, hanging.url(), &[]).await?;
    let (_, secret) = endpoint(&mut client, good.url(), &[]).await?;
    let (wanted, secrets) = happen(&mut client, 4).await?;
    let all = good.once(|all| taken(all).len() == wanted.len()).await?;
    assert_all_came(&all, &wanted, &secret, &secrets);
    assert_eq!(hanging.once(|all| !all.is_empty()).await?.len(), 1);
    server.stop().await
}
