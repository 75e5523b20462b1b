//! How a server ends: what was begun is finished, what is new is turned away, and streams say why.

use std::time::Duration;

use sqlx::{Connection, SqliteConnection};
use tokenward::proto::v1;
use tokenward::proto::v1::revoke_matching_response::Event;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tonic::service::interceptor::InterceptedService;
use tonic::{Code, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use crate::admin::Bearer;
use crate::matching::streamed::many;
use crate::refusal::{Refusal, refused};
use crate::server::{Outcome, Server, hex};

/// Nothing is cut off in these tests: a call that holds the end up holds the test up.
const UNTIL_DONE: Duration = Duration::from_hours(1);

/// Longer than anything here takes that ends at all.
const BOUND: Duration = Duration::from_mins(1);

type Failure = Box<dyn std::error::Error>;

/// How a stream of revocations ends.
async fn end_of(mut stream: Streaming<v1::WatchRevocationsResponse>) -> Result<Refusal, Failure> {
    loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return Err("the stream ended without a reason".into()),
            Err(status) => return Ok(status.into()),
        }
    }
}

async fn watch_health(server: &Server) -> Result<Streaming<HealthCheckResponse>, Failure> {
    let mut health = HealthClient::new(server.endpoint()?.connect().await?);
    Ok(health.watch(HealthCheckRequest::default()).await?.into_inner())
}

#[tokio::test]
async fn a_call_under_way_is_answered_and_new_ones_are_turned_away() -> Outcome {
    let server = Server::start_with(|options| options.drain_max = UNTIL_DONE)?;
    let address = server.address;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let (token, _) = client.issue("notes", &[]).await?;
    let mut watcher = server.client().await?;
    let stream = watcher
        .revocations
        .watch_revocations(v1::WatchRevocationsRequest::default());
    let stream = stream.await?.into_inner();

    // A lock on the file keeps the revocation from ending before it is let go.
    let file = server.folder.path().join("tokenward.db");
    let mut other = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await?;
    let mut waiting = client.clone();
    let mut revocation = Box::pin(waiting.revoke(&token.id));
    tokio::select! {
        biased;
        _ = &mut revocation => return Err("the lock did not hold".into()),
        // Sent later on the same connection: the revocation has arrived as well.
        head = client.audit.get_head(v1::GetHeadRequest {}) => drop(head?),
    }

    let mut stopping = Box::pin(server.stop());
    let refusal = tokio::select! {
        biased;
        _ = &mut stopping => return Err("it ended before its calls".into()),
        refusal = end_of(stream) => refusal?,
    };
    assert_eq!(refusal.code, Code::Unavailable);
    assert_eq!(refusal.reason, "DRAINING");
    // Its threads stop listening one after the other.
    timeout(BOUND, async {
        while TcpStream::connect(address).await.is_ok() {}
    })
    .await?;
    sqlx::query("ROLLBACK").execute(&mut other).await?;
    other.close().await?;
    let revoked = revocation.await?.token.unwrap_or_default();
    assert_eq!(revoked.state(), v1::TokenState::Revoked);
    stopping.await
}

#[tokio::test]
async fn health_tells_of_every_service_and_of_the_end() -> Outcome {
    let server = Server::start_with(|options| options.drain_max = UNTIL_DONE)?;
    let mut health = HealthClient::new(server.endpoint()?.connect().await?);
    for service in [
        "",
        "tokenward.v1.TokenService",
        "tokenward.v1.VerificationService",
    ] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = health.check(request).await?.into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let unknown = HealthCheckRequest {
        service: "nobody".to_owned(),
    };
    assert_eq!(refused(health.check(unknown).await)?.code, Code::NotFound);
    let mut watched = watch_health(&server).await?;
    let first = watched.message().await?.ok_or("no first message")?;
    assert_eq!(first.status(), ServingStatus::Serving);
    let mut stopping = Box::pin(server.stop());
    let next = tokio::select! {
        biased;
        _ = &mut stopping => return Err("it ended without telling".into()),
        next = watched.message() => next?.ok_or("the stream ended without telling")?,
    };
    assert_eq!(next.status(), ServingStatus::NotServing);
    stopping.await
}

/// Balancers keep a health stream open for ever, and clients a connection they do not use.
#[tokio::test]
async fn nobody_who_only_waits_holds_the_end_up() -> Outcome {
    let server = Server::start_with(|options| {
        options.drain_max = UNTIL_DONE;
        options.limits.connections_max = 4;
    })?;
    // Asked once, kept open for more.
    let mut reflection = ServerReflectionClient::new(InterceptedService::new(
        server.endpoint()?.connect().await?,
        Bearer::admin(),
    ));
    let questions = tokio_stream::once(ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    });
    let questions = questions.chain(tokio_stream::pending());
    let mut reflected = reflection.server_reflection_info(questions).await?.into_inner();
    reflected.message().await?.ok_or("no reflection")?;
    let mut idle = server.client().await?;
    idle.audit.get_head(v1::GetHeadRequest {}).await?;
    let _watched = watch_health(&server).await?;
    let _silent = TcpStream::connect(server.address).await?;
    // One more is closed once the last, which says nothing, has been taken.
    let full = async {
        loop {
            let mut more = TcpStream::connect(server.address).await?;
            if !matches!(more.read(&mut [0; 9]).await, Ok(9)) {
                return Outcome::Ok(());
            }
        }
    };
    timeout(BOUND, full).await??;
    let stopped = timeout(BOUND, server.stop());
    stopped
        .await
        .map_err(|_| "somebody who only waits holds the end up")?
}

/// The execution of a plan, after it has said how far it is.
async fn revoking(server: &Server) -> Result<Streaming<v1::RevokeMatchingResponse>, Failure> {
    let mut client = server.client().await?;
    let request = many(&mut client).await?;
    let mut stream = client.tokens.revoke_matching(request).await?.into_inner();
    let first = stream.message().await?.and_then(|message| message.event);
    assert!(matches!(first, Some(Event::Progress(_))), "{first:?}");
    Ok(stream)
}

/// Its stream ends as others do, and whoever asked goes on with the same call. A lock on the file keeps it from going on
/// here.
#[tokio::test]
async fn what_is_being_revoked_in_bulk_does_not_hold_the_end_up() -> Outcome {
    let server = Server::start_with(|options| {
        options.drain_max = Duration::ZERO;
        options.progress_interval = Duration::ZERO;
    })?;
    let file = server.folder.path().join("tokenward.db");
    let mut stream = revoking(&server).await?;
    let mut other = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await?;
    let stopped = timeout(BOUND, server.stop()).await;
    sqlx::query("ROLLBACK").execute(&mut other).await?;
    other.close().await?;
    // Whatever was said until then, it ended: nobody waits for what will not come.
    while let Ok(Some(_)) = timeout(BOUND, stream.message()).await? {}
    stopped?
}
