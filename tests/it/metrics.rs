//! Metrics, as a machine that watches servers reads them.

mod told;

use std::net::SocketAddr;
use std::time::Duration;

use sqlx::Connection;
use tokenward::journal::cursor::Epoch;
use tokenward::proto::v1;
use tokenward::serve::{Options, Running, ServeError, StoreAddress};
use tokenward::store::postgres;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::admin;
use crate::server::{Client, Outcome, hex, stop};
use crate::shared::Fleet;

type Failure = Box<dyn std::error::Error>;

/// Longer than anything here takes that ends at all.
const BOUND: Duration = Duration::from_mins(1);

/// The answer to one request, head and body.
async fn ask(server: &Running, request: &str) -> Result<(String, String), Failure> {
    let address = server.metrics_address().ok_or("no metrics")?;
    let mut stream = TcpStream::connect(address).await?;
    let head = format!("{request} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no head")?;
    Ok((head.to_owned(), body.to_owned()))
}

/// The lines that are no comments.
pub(crate) async fn scrape(server: &Running) -> Result<Vec<String>, Failure> {
    let (_, body) = ask(server, "GET /metrics").await?;
    let samples = body.lines().filter(|line| !line.starts_with('#'));
    Ok(samples.map(str::to_owned).collect())
}

/// The value of one sample, if it is there.
pub(crate) fn value(samples: &[String], name: &str) -> Option<f64> {
    let mut lines = samples.iter();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// The reasons given for not judging.
fn reasons(samples: &[String]) -> Vec<&str> {
    let given = samples.iter().filter_map(|line| {
        line.strip_prefix("tokenward_not_judging{reason=\"")?
            .strip_suffix("\"} 1")
    });
    given.collect()
}

/// Scrapes until the server judges, or until this is the reason why it does not.
async fn until(server: &Running, wanted: Option<&str>) -> Result<Vec<String>, Failure> {
    let scraping = async {
        loop {
            let samples = scrape(server).await?;
            let given = reasons(&samples);
            let judging = if given.is_empty() { 1.0 } else { 0.0 };
            assert_eq!(value(&samples, "tokenward_judging"), Some(judging), "{given:?}");
            if given.as_slice() == wanted.as_slice() {
                return Ok(samples);
            }
        }
    };
    tokio::time::timeout(BOUND, scraping).await?
}

async fn until_not_serving(address: SocketAddr) -> Outcome {
    let channel = tonic::transport::Endpoint::new(format!("http://{address}"))?
        .connect()
        .await?;
    let mut health = HealthClient::new(channel)
        .watch(HealthCheckRequest::default())
        .await?
        .into_inner();
    let told = async {
        while health.message().await?.ok_or("the stream ended")?.status() != ServingStatus::NotServing {}
        Ok(())
    };
    tokio::time::timeout(BOUND, told).await?
}

fn embedded() -> Options {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut options = Options::new(StoreAddress::Memory, loopback);
    admin::known_to(&mut options);
    options.metrics_listen = Some(loopback);
    options
}

#[tokio::test]
async fn what_is_not_there_or_not_a_get_is_refused() -> Outcome {
    let server = Running::start(embedded())?;
    for (request, status) in [
        ("GET /", 404),
        ("GET /readyz/", 404),
        ("POST /livez", 405),
        ("POST /readyz", 405),
        ("GET /metrics/", 404),
        ("POST /", 404),
        ("POST /metrics", 405),
        ("DELETE /metrics", 405),
        ("nonsense", 400),
    ] {
        let (head, body) = ask(&server, request).await?;
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {head}"
        );
        assert_eq!(
            head.contains("\r\nallow: GET"),
            status == 405,
            "{request}: {head}"
        );
        assert_eq!(body, "", "{request}");
    }
    stop(server).await
}

#[tokio::test]
async fn it_ends_with_the_server_whoever_waits() -> Outcome {
    let server = Running::start(embedded())?;
    let address = server.metrics_address().ok_or("no metrics")?;
    let mut silent = TcpStream::connect(address).await?;
    scrape(&server).await?;
    stop(server).await?;
    assert!(TcpStream::connect(address).await.is_err());
    assert!(!matches!(silent.read(&mut [0; 1]).await, Ok(1)));
    Ok(())
}

#[tokio::test]
async fn it_is_off_unless_asked_for_and_beyond_loopback_only_if_told_to() -> Outcome {
    let mut options = embedded();
    options.metrics_listen = None;
    let server = Running::start(options.clone())?;
    assert_eq!(server.metrics_address(), None);

    options.metrics_listen = Some(server.address());
    let error = Running::start(options.clone()).err().ok_or("it started")?;
    let told = format!("cannot listen on {}: ", server.address());
    assert!(error.to_string().starts_with(&told), "{error}");
    stop(server).await?;

    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    options.metrics_listen = Some(everywhere);
    let error = Running::start(options.clone()).err().ok_or("it started")?;
    assert!(matches!(error, ServeError::MetricsNotLoopback { listen } if listen == everywhere));
    options.insecure = true;
    stop(Running::start(options)?).await
}

#[tokio::test]
async fn a_store_that_forked_is_told_by_metric_and_by_health() -> Outcome {
    let fleet = Fleet::start(2).await?;
    for server in &fleet.servers {
        let samples = until(server, None).await?;
        let remaining = value(&samples, "tokenward_lease_remaining_seconds").ok_or("no lease")?;
        assert!(remaining > 0.0 && remaining <= 1.0, "{remaining}");
    }
    postgres::recover(&fleet.store.database.url.parse()?, Epoch::new([2; 16])).await?;
    for server in &fleet.servers {
        // Its lease may run out before it has asked again.
        let samples = until(server, Some("store_forked")).await?;
        // Nothing that was applied holds any more.
        assert_eq!(value(&samples, "tokenward_applied_revision"), None);
        until_not_serving(server.address()).await?;
    }
    fleet.stop().await
}

#[tokio::test]
async fn a_lease_that_ran_out_is_told_until_the_store_is_heard_from_again() -> Outcome {
    let fleet = Fleet::start(1).await?;
    let server = &fleet.servers[0];
    until(server, None).await?;
    let mut other = fleet
        .store
        .database
        .connect()
        .await
        .map_err(|error| error.to_string())?;
    // No renewal gets past it.
    let mut renewals = other.begin().await?;
    sqlx::query("LOCK TABLE member IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *renewals)
        .await?;
    let samples = until(server, Some("lease_lost")).await?;
    assert_eq!(value(&samples, "tokenward_lease_remaining_seconds"), Some(0.0));
    assert_eq!(value(&samples, "tokenward_applied_revision"), Some(3.0));
    renewals.rollback().await?;
    until(server, None).await?;
    other.close().await?;
    fleet.stop().await
}

/// The value of `tokenward_rpc_calls_total` for a method of this package.
fn calls(samples: &[String], method: &str, code: &str) -> Option<f64> {
    let labels = format!("{{method=\"tokenward.v1.{method}\",code=\"{code}\"}}");
    value(samples, &format!("tokenward_rpc_calls_total{labels}"))
}

#[tokio::test]
async fn calls_are_told_by_method_and_code() -> Outcome {
    let server = Running::start(embedded())?;
    let mut client = Client::connect(server.address()).await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let (_, secret) = client.issue("notes", &[]).await?;
    for _ in 0..3 {
        client.verdict(&secret).await?;
    }
    client.revoke("nonsense").await.err().ok_or("revoked")?;
    let channel = tonic::transport::Endpoint::new(format!("http://{}", server.address()))?
        .connect()
        .await?;
    let nobody = v1::caller_service_client::CallerServiceClient::new(channel)
        .get_caller(v1::GetCallerRequest {})
        .await;
    nobody.err().ok_or("recognised")?;
    let samples = scrape(&server).await?;
    for (method, code, count) in [
        ("VerificationService/Verify", "OK", 3.0),
        ("TokenService/Issue", "OK", 1.0),
        ("TokenService/Revoke", "INVALID_ARGUMENT", 1.0),
        ("TokenService/Revoke", "OK", 0.0),
        ("CallerService/GetCaller", "UNAUTHENTICATED", 1.0),
    ] {
        assert_eq!(calls(&samples, method, code), Some(count), "{method} {code}");
    }
    let timed =
        "tokenward_rpc_call_duration_seconds_count{method=\"tokenward.v1.VerificationService/Verify\"}";
    assert_eq!(value(&samples, timed), Some(3.0));
    stop(server).await
}

#[tokio::test]
async fn watchers_are_told_and_none_is_behind_for_long() -> Outcome {
    let server = Running::start(embedded())?;
    let mut client = Client::connect(server.address()).await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let mut stream = client
        .revocations
        .watch_revocations(v1::WatchRevocationsRequest::default())
        .await?
        .into_inner();
    stream.message().await?.ok_or("ended")?;
    client.issue("notes", &[]).await?;
    let told = async {
        loop {
            let samples = scrape(&server).await?;
            assert_eq!(value(&samples, "tokenward_watchers"), Some(1.0));
            // It may be looked at before it has read what was issued.
            if value(&samples, "tokenward_watcher_lag_revisions") == Some(0.0) {
                return Ok::<_, Failure>(());
            }
        }
    };
    tokio::time::timeout(BOUND, told).await??;
    stop(server).await
}

#[tokio::test]
async fn readiness_is_what_health_says() -> Outcome {
    let fleet = Fleet::start(1).await?;
    let server = &fleet.servers[0];
    until(server, None).await?;
    let (head, body) = ask(server, "GET /readyz").await?;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, "ok\n");
    postgres::recover(&fleet.store.database.url.parse()?, Epoch::new([2; 16])).await?;
    until(server, Some("store_forked")).await?;
    let (head, body) = ask(server, "GET /readyz").await?;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(body.contains("not the one"), "{body}");
    // It lives, and can be asked why it is not ready.
    let (head, body) = ask(server, "GET /livez").await?;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, "ok\n");
    fleet.stop().await
}
