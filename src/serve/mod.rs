//! One server: builds everything, binds late, and ends without losing what it has begun.

mod bootstrap;
mod calls;
mod checkpoint_key;
mod chores;
mod connection;
mod drain;
mod engine;
mod entrance;
mod handshakes;
mod identities;
mod lifecycle;
mod limits;
mod listen;
mod metrics;
mod occupancy;
mod open;
mod options;
mod pepper;
pub mod private_file;
mod recording;
mod streams;
mod supervise;
mod tls;
mod traces;
mod webhooks;
mod witness;
mod writing;

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;

use tokio::runtime;
use tokio_util::sync::CancellationToken;

use crate::store::{StoreError, postgres, sqlite};
pub use bootstrap::FirstAdminError;
pub use checkpoint_key::{CheckpointKeyError, create as create_checkpoint_key, load as load_checkpoint_key};
pub use identities::IdentitiesError;
pub use limits::Limits;
pub use listen::BindError;
pub use open::bootstrap_store;
pub use options::{Options, StoreAddress, WebhookOptions};
pub use pepper::{PepperError, Retiring, Rotated, create as create_pepper, rotate as rotate_pepper};
use supervise::supervise;
pub use tls::{TlsError, TlsOptions};
pub use traces::{TraceOptions, TracesError};
pub use webhooks::WebhookCaError;

/// Threads for the store, the follower and the streams. They wait more than they work.
const STORE_THREADS: usize = 2;

/// Why a server did not start, or how it failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(
        "{listen} is not a loopback address, and calls are not encrypted: give it --tls-cert and --tls-key, listen on 127.0.0.1 or [::1], or say --insecure"
    )]
    NotLoopback { listen: SocketAddr },
    #[error(
        "{listen} is not a loopback address, and metrics are not encrypted: listen for them on 127.0.0.1 or [::1], or say --insecure"
    )]
    MetricsNotLoopback { listen: SocketAddr },
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    OpenSqlite(#[from] sqlite::OpenError),
    #[error(transparent)]
    OpenPostgres(#[from] postgres::OpenError),
    #[error(transparent)]
    Pepper(#[from] PepperError),
    #[error(transparent)]
    Traces(#[from] TracesError),
    #[error(transparent)]
    WebhookCa(#[from] WebhookCaError),
    #[error(transparent)]
    CheckpointKey(#[from] CheckpointKeyError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    FirstAdmin(#[from] FirstAdminError),
    #[error("a runtime could not be built: {0}")]
    Runtime(#[from] std::io::Error),
    #[error("the server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    #[error("a thread of the server panicked; its log says where")]
    Panicked,
}

/// The addresses a server has.
#[derive(Clone, Copy, Debug)]
struct Bound {
    calls: SocketAddr,
    metrics: Option<SocketAddr>,
}

/// A server that accepts calls.
#[derive(Debug)]
pub struct Running {
    bound: Bound,
    shutdown: CancellationToken,
    ended: CancellationToken,
    supervisor: thread::JoinHandle<Result<(), ServeError>>,
}

impl Running {
    /// Starts a server, and returns when it accepts calls.
    pub fn start(options: Options) -> Result<Running, ServeError> {
        refuse_exposure(&options)?;
        let (shutdown, ended) = (CancellationToken::new(), CancellationToken::new());
        let (ready, started) = mpsc::sync_channel(1);
        let supervisor = {
            let (shutdown, ended) = (shutdown.clone(), ended.clone().drop_guard());
            thread::Builder::new()
                .name("tokenward".to_owned())
                .spawn(move || {
                    let _ended = ended;
                    let store_runtime = runtime::Builder::new_multi_thread()
                        .worker_threads(STORE_THREADS)
                        .thread_name("tokenward-store")
                        .enable_all()
                        .build()?;
                    let result = store_runtime.block_on(supervise(options, shutdown, ready));
                    // What was cut off is not waited for once more.
                    store_runtime.shutdown_background();
                    result
                })?
        };
        match started.recv() {
            Ok(bound) => Ok(Running {
                bound,
                shutdown,
                ended,
                supervisor,
            }),
            // It ended before it was ready, and says why.
            Err(_) => Err(join(supervisor).err().unwrap_or(ServeError::Panicked)),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.bound.calls
    }

    /// Where it answers for its metrics, if it was told to.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.bound.metrics
    }

    /// Returns when the server has ended by itself.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Ends the server: no new calls, streams end resumably, calls under way are answered, what was
    /// queued is written.
    pub fn stop(self) -> Result<(), ServeError> {
        self.shutdown.cancel();
        join(self.supervisor)
    }
}

/// Encrypted or on loopback: nothing else, unless it was asked for in so many words.
fn refuse_exposure(options: &Options) -> Result<(), ServeError> {
    let beyond = |listen: &SocketAddr| !options.insecure && !listen.ip().is_loopback();
    if let Some(listen) = options.metrics_listen.filter(beyond) {
        return Err(ServeError::MetricsNotLoopback { listen });
    }
    match Some(options.listen).filter(beyond) {
        Some(listen) if !options.tls.is_on() => Err(ServeError::NotLoopback { listen }),
        _ => Ok(()),
    }
}

fn join(thread: thread::JoinHandle<Result<(), ServeError>>) -> Result<(), ServeError> {
    thread.join().unwrap_or(Err(ServeError::Panicked))
}
