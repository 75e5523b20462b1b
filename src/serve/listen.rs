//! The sockets and the threads that serve them: one runtime a thread, each with a listener of its own.
//!
//! A call that the cache can answer never leaves the thread its connection is on.

use std::any::Any;
use std::io;
use std::iter;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::runtime;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::service::{LayerExt, Routes};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower_http::catch_panic::CatchPanicLayer;

use super::calls::CallsLayer;
use super::connection::{Connections, Shared};
use super::handshakes::Handshakes;
use super::streams::StreamsLayer;
use super::tls::Acceptor;
use super::{Limits, Options, ServeError};
use crate::proto::DESCRIPTORS;
use crate::proto::v1::audit_service_server::AuditServiceServer;
use crate::proto::v1::caller_service_server::CallerServiceServer;
use crate::proto::v1::import_service_server::ImportServiceServer;
use crate::proto::v1::namespace_service_server::NamespaceServiceServer;
use crate::proto::v1::revocation_service_server::RevocationServiceServer;
use crate::proto::v1::subject_service_server::SubjectServiceServer;
use crate::proto::v1::token_service_server::TokenServiceServer;
use crate::proto::v1::verification_service_server::VerificationServiceServer;
use crate::proto::v1::webhook_service_server::WebhookServiceServer;
use crate::rpc::{AdmissionLayer, Api, Problem};

/// Connections the kernel holds for a thread that is busy.
const BACKLOG: i32 = 1024;

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
    /// Binds the address and serves `api` on it until the server is to drain.
    pub(super) async fn start(
        options: &Options,
        api: Api,
        admission: AdmissionLayer,
        acceptor: Option<Acceptor>,
        shared: Shared,
    ) -> Result<Serving, ServeError> {
        let listeners = bind(options.listen, options.threads.get())?;
        let address = listeners
            .first()
            .map_or(Ok(options.listen), TcpListener::local_addr)?;
        let (health, health_service) = tonic_health::server::health_reporter();
        // Before anybody can ask: a client that is told that there is no such service stays away for a while.
        tell(&health, true).await;
        let streams = StreamsLayer {
            drain: shared.drain.clone(),
        };
        let health_service = health_service.max_decoding_message_size(HEALTH_BYTES_MAX);
        let routes = Routes::new(streams.named_layer(health_service));
        let routes = add_services(routes, api, shared.limits.message_bytes_max, &streams);
        let ended = CancellationToken::new();
        let threads = listeners.into_iter().enumerate().map(|(number, listener)| {
            let (routes, admission) = (routes.clone(), admission.clone());
            let (acceptor, shared) = (acceptor.clone(), shared.clone());
            let ended = ended.clone().drop_guard();
            thread::Builder::new()
                .name(format!("tokenward-rpc-{number}"))
                .spawn(move || {
                    let _ended = ended;
                    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
                    runtime.block_on(serve(listener, routes, admission, acceptor, shared))
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

/// A health check names a service, and is sent by anybody.
const HEALTH_BYTES_MAX: usize = 1024;

/// The empty name stands for the server as a whole.
const SERVICES: [&str; 9] = [
    "",
    "tokenward.v1.AuditService",
    "tokenward.v1.CallerService",
    "tokenward.v1.ImportService",
    "tokenward.v1.NamespaceService",
    "tokenward.v1.RevocationService",
    "tokenward.v1.SubjectService",
    "tokenward.v1.TokenService",
    "tokenward.v1.VerificationService",
];

fn add_services(routes: Routes, api: Api, bytes_max: usize, streams: &StreamsLayer) -> Routes {
    let reflection =
        || tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(DESCRIPTORS);
    let mut routes = routes
        .add_service(
            streams.named_layer(TokenServiceServer::new(api.clone()).max_decoding_message_size(bytes_max)),
        )
        .add_service(VerificationServiceServer::new(api.clone()).max_decoding_message_size(bytes_max))
        .add_service(
            streams
                .named_layer(RevocationServiceServer::new(api.clone()).max_decoding_message_size(bytes_max)),
        )
        .add_service(
            streams.named_layer(ImportServiceServer::new(api.clone()).max_decoding_message_size(bytes_max)),
        )
        .add_service(NamespaceServiceServer::new(api.clone()).max_decoding_message_size(bytes_max))
        .add_service(SubjectServiceServer::new(api.clone()).max_decoding_message_size(bytes_max))
        .add_service(WebhookServiceServer::new(api.clone()).max_decoding_message_size(bytes_max))
        .add_service(CallerServiceServer::new(api.clone()).max_decoding_message_size(bytes_max))
        .add_service(AuditServiceServer::new(api).max_decoding_message_size(bytes_max));
    // Older clients ask for v1alpha.
    match (reflection().build_v1(), reflection().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => {
            routes = routes
                .add_service(streams.named_layer(v1.max_decoding_message_size(bytes_max)))
                .add_service(streams.named_layer(v1alpha.max_decoding_message_size(bytes_max)));
        }
        (Err(error), _) | (_, Err(error)) => tracing::error!(%error, "there will be no reflection"),
    }
    routes.prepare()
}

async fn serve(
    listener: TcpListener,
    routes: Routes,
    admission: AdmissionLayer,
    acceptor: Option<Acceptor>,
    shared: Shared,
) -> Result<(), ServeError> {
    let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(listener)?).with_nodelay(Some(true));
    let Limits {
        streams_max,
        header_bytes_max,
        keepalive_interval,
        keepalive_timeout,
        connection_age_max,
        deadline_max,
        ..
    } = shared.limits;
    let drain = shared.drain.clone();
    let calls = CallsLayer {
        deadline_max,
        counts: Arc::clone(&shared.calls),
        traces: shared.traces.clone(),
    };
    let connections = Connections::new(incoming, shared);
    Server::builder()
        .max_concurrent_streams(streams_max)
        .http2_max_header_list_size(header_bytes_max)
        .http2_keepalive_interval(Some(keepalive_interval))
        .http2_keepalive_timeout(Some(keepalive_timeout))
        // With a grace of its own tonic would close it without a word; the connection sees to its end itself.
        .max_connection_age(connection_age_max)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(calls)
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
