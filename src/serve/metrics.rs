//! Metrics and health, over plain HTTP: what this server says of itself to whoever watches it. What is known
//! elsewhere is looked up when it is asked for, so that nothing is kept twice and no call pays for it.

mod access;
mod calls;
mod evidence;
mod lifecycle;
mod load;
mod rate_limits;
mod standing;
mod usage;
mod verdicts;
mod watchers;
mod webhooks;
mod writing;

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prometheus_client::encoding::text;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::BindError;
use super::engine::Engine;
use super::entrance::Entrance;
use crate::clock::Clock;
use crate::watch::Watch;
use access::Access;
pub(super) use calls::CallCounts;
use calls::Calls;
use evidence::Evidence;
use lifecycle::Lifecycle;
use load::Load;
use rate_limits::RateLimits;
use standing::Standing;
use usage::Recorded;
use verdicts::Verdicts;
use watchers::Watchers;
use webhooks::Webhooks;
use writing::Writing;

/// Connections served at once; a further one waits for one of them to end.
const CONNECTIONS_MAX: usize = 16;
/// How long a connection may take for its one request, up to the last byte of the answer.
const SCRAPE_MAX: Duration = Duration::from_secs(10);
/// Bytes of all headers of one request; hyper has no smaller bound.
const HEADER_BYTES_MAX: usize = 8 * 1024;
/// How long to wait when no connection can be taken: for file descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// The standard form of Prometheus' text.
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Whether calls are to be sent to this server; if not, why.
pub(super) type Ready = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What is told.
struct Told {
    registry: Registry,
    ready: Ready,
}

/// The listener that answers for the metrics.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) address: SocketAddr,
    /// Dropped, it closes them too, a little later.
    serving: AbortOnDropHandle<()>,
}

impl Metrics {
    /// Binds the address, and answers on it from the current runtime until it is ended.
    pub(super) async fn start(
        listen: SocketAddr,
        registry: Registry,
        ready: Ready,
    ) -> Result<Metrics, BindError> {
        let failed = |source| BindError {
            address: listen,
            source,
        };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        tracing::info!(%address, "metrics");
        let told = Told { registry, ready };
        Ok(Metrics {
            address,
            serving: AbortOnDropHandle::new(tokio::spawn(serve(listener, Arc::new(told)))),
        })
    }

    /// Closes the listener and its connections.
    pub(super) async fn end(self) {
        self.serving.abort();
        // Cancelled, as it was told to be.
        let _ = self.serving.await;
    }
}

/// Everything a server tells of itself.
pub(super) fn registry(
    engine: &Engine,
    watch: &Arc<Watch>,
    entrance: &Arc<Entrance>,
    calls: &Arc<CallCounts>,
    clock: &Arc<dyn Clock>,
) -> Registry {
    let verifier = || Arc::clone(&engine.verifier);
    let mut registry = Registry::with_prefix("tokenward");
    let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "The program that runs here", version);
    registry.register_collector(Box::new(Standing(verifier())));
    registry.register_collector(Box::new(Load {
        verifier: verifier(),
        entrance: Arc::clone(entrance),
    }));
    registry.register_collector(Box::new(Calls(Arc::clone(calls))));
    registry.register_collector(Box::new(Verdicts(verifier())));
    registry.register_collector(Box::new(Writing {
        authority: Arc::clone(engine.authority()),
        in_force: engine.in_force.clone(),
    }));
    registry.register_collector(Box::new(Watchers {
        watch: Arc::clone(watch),
        verifier: verifier(),
    }));
    registry.register_collector(Box::new(Recorded {
        recorder: Arc::clone(&engine.recording.notes.recorder),
        clock: Arc::clone(clock),
    }));
    registry.register_collector(Box::new(Access(Arc::clone(&engine.recording.notes.access))));
    registry.register_collector(Box::new(RateLimits(verifier())));
    registry.register_collector(Box::new(Webhooks {
        tally: Arc::clone(&engine.webhooks.tally),
        clock: Arc::clone(clock),
    }));
    registry.register_collector(Box::new(Lifecycle {
        tally: Arc::clone(&engine.lifecycle.tally),
        clock: Arc::clone(clock),
    }));
    registry.register_collector(Box::new(Evidence {
        refusals: Arc::clone(&engine.witness.refusals),
        notary: engine.witness.notary.clone(),
    }));
    registry
}

/// A number of things, as a gauge takes it.
fn number(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}

async fn serve(listener: TcpListener, told: Arc<Told>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => drop(connections.spawn(scraped(stream, Arc::clone(&told)))),
                Err(error) => {
                    tracing::warn!(%error, "a connection for metrics could not be taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

/// One request, one answer: who keeps a connection open keeps it from others.
async fn scraped(stream: TcpStream, told: Arc<Told>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(request.method(), request.uri().path(), &told);
        async { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // Whoever is too slow, or sends what is not HTTP, is gone.
    let _ = tokio::time::timeout(SCRAPE_MAX, connection).await;
}

fn answer(method: &Method, path: &str, told: &Told) -> Response<String> {
    let body = match path {
        "/metrics" | "/livez" | "/readyz" if method != Method::GET => {
            let mut response = with_status(StatusCode::METHOD_NOT_ALLOWED, "");
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET"));
            return response;
        }
        "/metrics" => return metrics(&told.registry),
        // Whoever gets this answer knows all that there is to know.
        "/livez" => Ok(()),
        "/readyz" => (told.ready)(),
        _ => return with_status(StatusCode::NOT_FOUND, ""),
    };
    match body {
        Ok(()) => with_status(StatusCode::OK, "ok\n"),
        Err(why) => with_status(StatusCode::SERVICE_UNAVAILABLE, &format!("{why}\n")),
    }
}

fn metrics(registry: &Registry) -> Response<String> {
    let mut text = String::new();
    if let Err(fmt::Error) = text::encode(&mut text, registry) {
        return with_status(StatusCode::INTERNAL_SERVER_ERROR, "");
    }
    let mut response = Response::new(text);
    response.headers_mut().insert(CONTENT_TYPE, OPEN_METRICS);
    response
}

fn with_status(status: StatusCode, body: &str) -> Response<String> {
    let mut response = Response::new(body.to_owned());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
