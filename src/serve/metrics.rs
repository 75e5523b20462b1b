//! Metrics, over plain HTTP: what this server says of itself to whoever watches it. What is known elsewhere is
//! looked up when it is asked for, so that nothing is kept twice and no call pays for it.

mod evidence;
mod load;

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
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::BindError;
use super::entrance::Entrance;
use super::witness::Witness;
use crate::verify::{Following, NotJudging, Stop, Verifier};
use evidence::Evidence;
use load::Load;

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

/// The listener that answers for the metrics.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) address: SocketAddr,
    /// Dropped, it closes them too, a little later.
    serving: AbortOnDropHandle<()>,
}

impl Metrics {
    /// Binds the address, and answers on it from the current runtime until it is ended.
    pub(super) async fn start(listen: SocketAddr, registry: Registry) -> Result<Metrics, BindError> {
        let failed = |source| BindError {
            address: listen,
            source,
        };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        tracing::info!(%address, "metrics");
        Ok(Metrics {
            address,
            serving: AbortOnDropHandle::new(tokio::spawn(serve(listener, Arc::new(registry)))),
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
pub(super) fn registry(verifier: Arc<Verifier>, entrance: Arc<Entrance>, witness: &Witness) -> Registry {
    let mut registry = Registry::with_prefix("tokenward");
    let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "The program that runs here", version);
    registry.register_collector(Box::new(Standing(Arc::clone(&verifier))));
    registry.register_collector(Box::new(Load { verifier, entrance }));
    registry.register_collector(Box::new(Evidence {
        refusals: Arc::clone(&witness.refusals),
        notary: witness.notary.clone(),
    }));
    registry
}

/// Whether this server judges, why it does not, and how long it may go on.
#[derive(Debug)]
struct Standing(Arc<Verifier>);

/// Why a server does not judge: each is there all the time, so that an alarm can name it.
const REASONS: [&str; 4] = ["lease_lost", "store_forked", "store_corrupt", "ended"];

fn reason(why: &NotJudging) -> &'static str {
    let [lease_lost, store_forked, store_corrupt, ended] = REASONS;
    match why {
        NotJudging::LeaseLost(_) => lease_lost,
        NotJudging::Stopped(Stop::Forked { .. }) => store_forked,
        NotJudging::Stopped(Stop::Corrupt { .. }) => store_corrupt,
        NotJudging::Stopped(Stop::Ended) => ended,
    }
}

impl Collector for Standing {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let Standing(verifier) = self;
        let why = verifier.standing().err().map(|why| reason(&why));
        let gauge = MetricType::Gauge;
        to.encode_descriptor(
            "judging",
            "Whether Verify is answered (1) or not (0)",
            None,
            gauge,
        )?
        .encode_gauge(&u32::from(why.is_none()))?;
        let help =
            "Why Verify is not answered (1); all but lease_lost last until the server is started again";
        let mut not_judging = to.encode_descriptor("not_judging", help, None, gauge)?;
        for reason in REASONS {
            not_judging
                .encode_family(&[("reason", reason)])?
                .encode_gauge(&u32::from(why == Some(reason)))?;
        }
        if let Following::Applied(revision) = &*verifier.following().borrow() {
            let help = "The last revision of the journal that is in force here; absent once nothing is";
            to.encode_descriptor("applied_revision", help, None, gauge)?
                .encode_gauge(&revision.get())?;
        }
        if let Some(remaining) = verifier.lease_remaining() {
            let help = "How long Verify may still be answered without hearing from the shared store";
            to.encode_descriptor("lease_remaining", help, Some(&Unit::Seconds), gauge)?
                .encode_gauge(&remaining.as_secs_f64())?;
        }
        Ok(())
    }
}

async fn serve(listener: TcpListener, registry: Arc<Registry>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => drop(connections.spawn(scraped(stream, Arc::clone(&registry)))),
                Err(error) => {
                    tracing::warn!(%error, "a connection for metrics could not be taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

/// One request, one answer: who keeps a connection open keeps it from others.
async fn scraped(stream: TcpStream, registry: Arc<Registry>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(request.method(), request.uri().path(), &registry);
        async { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // Whoever is too slow, or sends what is not HTTP, is gone.
    let _ = tokio::time::timeout(SCRAPE_MAX, connection).await;
}

fn answer(method: &Method, path: &str, registry: &Registry) -> Response<String> {
    let mut response = Response::new(String::new());
    if path != "/metrics" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    } else if method != Method::GET {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET"));
    } else if let Err(fmt::Error) = text::encode(response.body_mut(), registry) {
        response = Response::new(String::new());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    } else {
        response.headers_mut().insert(CONTENT_TYPE, OPEN_METRICS);
    }
    response
}

#[cfg(test)]
mod tests;
