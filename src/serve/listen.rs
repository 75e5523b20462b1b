//! The sockets and the threads that serve them: one runtime a thread, each with a listener of its own.
//!
//! A call that the cache can answer never leaves the thread its connection is on.

use std::any::Any;
use std::io;
use std::iter;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::runtime;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower_http::catch_panic::CatchPanicLayer;

use super::connection::Connections;
use super::deadline::DeadlineLayer;
use super::handshakes::Handshakes;
use super::tls::Acceptor;
use super::{Options, ServeError};
use crate::proto::DESCRIPTORS;
use crate::proto::v1::audit_service_server::AuditServiceServer;
use crate::proto::v1::caller_service_server::CallerServiceServer;
use crate::proto::v1::namespace_service_server::NamespaceServiceServer;
use crate::proto::v1::revocation_service_server::RevocationServiceServer;
use crate::proto::v1::token_service_server::TokenServiceServer;
use crate::proto::v1::verification_service_server::VerificationServiceServer;
use crate::rpc::{AdmissionLayer, Api, Problem};

/// Connections the kernel holds for a thread that is busy.
const BACKLOG: i32 = 1024;
/// How long an idle connection may be silent before it is asked whether it still lives, and may take to say so.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// What one server grants its callers.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one request; a longer one is refused with OUT_OF_RANGE before it is read.
    pub message_bytes_max: usize,
    /// Bytes of all headers of one request.
    pub header_bytes_max: u32,
    /// Calls and streams open at once on one connection.
    pub streams_max: u32,
    /// Connections open at once; a further one is closed at once.
    pub connections_max: usize,
    /// A call takes no longer, whatever its own deadline is.
    pub deadline_max: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            message_bytes_max: 64 * 1024,
            header_bytes_max: 8 * 1024,
            streams_max: 256,
            connections_max: 10_000,
            deadline_max: Duration::from_secs(30),
        }
    }
}

/// Why the address could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct BindError {
    pub(super) address: SocketAddr,
    pub(super) source: io::Error,
}

/// The threads of a server, accepting calls.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) address: SocketAddr,
    health: HealthReporter,
    /// Cancelled when any of the threads has ended.
    ended: CancellationToken,
    threads: Vec<thread::JoinHandle<Result<(), ServeError>>>,
}

impl Serving {
    /// Binds the address and serves `api` on it until `drain` is cancelled.
    pub(super) async fn start(
        options: &Options,
        api: Api,
        admission: AdmissionLayer,
        acceptor: Option<Acceptor>,
        drain: &CancellationToken,
    ) -> Result<Serving, ServeError> {
        let limits = options.limits;
        let listeners = bind(options.listen, options.threads.get())?;
        let address = listeners
            .first()
            .map_or(Ok(options.listen), TcpListener::local_addr)?;
        let (health, health_service) = tonic_health::server::health_reporter();
        // Before anybody can ask: a client that is told that there is no such service stays away for a while.
        tell(&health, true).await;
        let routes = Routes::new(health_service);
        let routes = add_services(routes, api, limits.message_bytes_max);
        let places = Arc::new(Semaphore::new(limits.connections_max));
        let ended = CancellationToken::new();
        let threads = listeners.into_iter().enumerate().map(|(number, listener)| {
            let (routes, admission, acceptor, places, drain) = (
                routes.clone(),
                admission.clone(),
                acceptor.clone(),
                Arc::clone(&places),
                CancellationToken::clone(drain),
            );
            let ended = ended.clone().drop_guard();
            thread::Builder::new()
                .name(format!("tokenward-rpc-{number}"))
                .spawn(move || {
                    let _ended = ended;
                    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
                    runtime.block_on(serve(
                        listener, routes, admission, limits, acceptor, places, drain,
                    ))
                })
        });
        Ok(Serving {
            address,
            health,
            ended: ended.clone(),
            threads: threads.collect::<Result<_, _>>()?,
        })
    }

    /// Tells health checks whether to send calls here.
    pub(super) async fn set_health(&self, healthy: bool) {
        tell(&self.health, healthy).await;
    }

    /// Ends the streams of those who watch the health, after the last thing they were told.
    pub(super) async fn end_health(&self) {
        let mut health = self.health.clone();
        for service in SERVICES {
            health.clear_service_status(service).await;
        }
    }

    /// Returns when a thread has ended, be it by itself.
    pub(super) async fn thread_ended(&self) {
        self.ended.cancelled().await;
    }

    /// Waits for every thread to end.
    pub(super) fn join(self) -> Result<(), ServeError> {
        let ends = self.threads.into_iter().map(super::join).collect::<Vec<_>>();
        ends.into_iter().collect()
    }
}

async fn tell(health: &HealthReporter, healthy: bool) {
    let status = if healthy {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    for service in SERVICES {
        health.set_service_status(service, status).await;
    }
}

/// The empty name stands for the server as a whole.
const SERVICES: [&str; 7] = [
    "",
    "tokenward.v1.AuditService",
    "tokenward.v1.CallerService",
    "tokenward.v1.NamespaceService",
    "tokenward.v1.RevocationService",
    "tokenward.v1.TokenService",
    "tokenward.v1.VerificationService",
];

fn add_services(routes: Routes, api: Api, bytes_max: usize) -> Routes {
    let reflection =
        || tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(DESCRIPTORS);
    let mut routes = routes
        .add_service(TokenServiceServer::new(api.clone()).max_decoding_message_size(bytes_max))
        .add_service(VerificationServiceServer::new(api.clone()).max_decoding_message_size(bytes_max))
        .add_service(RevocationServiceServer::new(api.clone()).max_decoding_message_size(bytes_max))
        .add_service(NamespaceServiceServer::new(api.clone()).max_decoding_message_size(bytes_max))
        .add_service(CallerServiceServer::new(api.clone()).max_decoding_message_size(bytes_max))
        .add_service(AuditServiceServer::new(api).max_decoding_message_size(bytes_max));
    // Older clients ask for v1alpha.
    match (reflection().build_v1(), reflection().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => routes = routes.add_service(v1).add_service(v1alpha),
        (Err(error), _) | (_, Err(error)) => tracing::error!(%error, "there will be no reflection"),
    }
    routes.prepare()
}

async fn serve(
    listener: TcpListener,
    routes: Routes,
    admission: AdmissionLayer,
    limits: Limits,
    acceptor: Option<Acceptor>,
    places: Arc<Semaphore>,
    drain: CancellationToken,
) -> Result<(), ServeError> {
    let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(listener)?).with_nodelay(Some(true));
    let connections = Connections::new(incoming, places, drain.clone());
    Server::builder()
        .max_concurrent_streams(limits.streams_max)
        .http2_max_header_list_size(limits.header_bytes_max)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(DeadlineLayer {
            at_most: limits.deadline_max,
        })
        .layer(admission)
        .add_routes(routes)
        .serve_with_incoming_shutdown(Handshakes::new(connections, acceptor), drain.cancelled_owned())
        .await?;
    Ok(())
}

/// The panic hook has logged where and why; the caller learns only that it was not their fault.
fn panicked(_: Box<dyn Any + Send>) -> http::Response<Body> {
    Status::from(Problem::Panicked).into_http()
}

/// One listener for each thread, all on one address; the kernel deals connections out among them.
fn bind(address: SocketAddr, threads: usize) -> Result<Vec<TcpListener>, BindError> {
    let failed = |source| BindError { address, source };
    if address.port() != 0 {
        // Sharing would let a second server take half of this one's calls: first make sure nobody is there.
        drop(socket(address, false).map_err(failed)?);
    }
    // A free port is looked for once, among those that nobody shares.
    let first = TcpListener::from(socket(address, true).map_err(failed)?);
    let address = first.local_addr().map_err(failed)?;
    let others = (1..threads).map(|_| socket(address, true).map(TcpListener::from).map_err(failed));
    iter::once(Ok(first)).chain(others).collect()
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Without it a restart fails while an old connection is in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}
