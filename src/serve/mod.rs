//! One server: builds everything, binds late, and ends without losing what it has begun.

mod connection;
mod deadline;
mod drain;
mod listen;
mod pepper;

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::authority::{Authority, Writer};
use crate::clock::{Clock, Entropy, SystemClock, SystemEntropy, random};
use crate::journal::cursor::Epoch;
use crate::membership::{Barrier, Seat, Terms};
use crate::rpc::{Api, InForce};
use crate::store::memory::MemoryStore;
use crate::store::postgres::{self, NotPostgresUrl, PostgresOptions, PostgresStore};
use crate::store::spawned::Spawned;
use crate::store::sqlite::{self, SqliteStore};
use crate::store::{Store, StoreError};
use crate::token::secret::Pepper;
use crate::token::text::{Actor, TextError};
use crate::verify::{Cache, Following, Stop, Verifier, VerifierTasks};
use crate::watch::{Watch, WatchLimits};
pub use listen::{BindError, Limits};
pub use pepper::{PepperError, create as create_pepper};

/// Threads for the store, the follower and the streams. They wait more than they work.
const STORE_THREADS: usize = 2;

const CACHE_TOKENS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(99_999);
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// How long the store may take to let go of its file, after all is written.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// Everything a server can be told.
#[derive(Clone, Debug)]
pub struct Options {
    pub store: StoreAddress,
    pub listen: SocketAddr,
    /// Listen beyond loopback although callers are neither known nor encrypted.
    pub insecure: bool,
    /// `None`: beside the embedded store. A shared store has no such place, so it must be named.
    pub pepper_file: Option<PathBuf>,
    /// Threads that serve calls.
    pub threads: NonZeroUsize,
    /// Tokens whose facts are held in memory.
    pub cache_tokens: NonZeroUsize,
    pub limits: Limits,
    pub watch: WatchLimits,
    /// How long calls under way may take to end after the server was told to.
    pub drain_max: Duration,
    /// What people know this server by, where several share a store.
    pub replica_name: String,
    /// Answer a change without waiting for it to be in force. For tests, which must see what comes of it.
    #[doc(hidden)]
    pub in_force_nowhere: bool,
}

/// Where tokens are kept.
#[derive(Clone, Debug)]
pub enum StoreAddress {
    Sqlite(PathBuf),
    /// Shared with other servers.
    Postgres(PostgresOptions),
    /// Nothing survives the process.
    Memory,
}

impl Options {
    /// A server with everything else as it is unless told otherwise.
    pub fn new(store: StoreAddress, listen: SocketAddr) -> Options {
        Options {
            store,
            listen,
            insecure: false,
            pepper_file: None,
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            cache_tokens: CACHE_TOKENS,
            limits: Limits::default(),
            watch: WatchLimits::default(),
            drain_max: DRAIN_MAX,
            replica_name: host_and_process(),
            in_force_nowhere: false,
        }
    }
}

/// Tells apart what several servers on one host say of themselves.
fn host_and_process() -> String {
    let host = rustix::system::uname();
    format!("{}/{}", host.nodename().to_string_lossy(), std::process::id())
}

/// Why a server did not start, or how it failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(
        "{listen} is not a loopback address, and calls are neither encrypted nor authenticated yet: listen on 127.0.0.1 or [::1], or say --insecure"
    )]
    NotLoopback { listen: SocketAddr },
    #[error(transparent)]
    OpenSqlite(#[from] sqlite::OpenError),
    #[error(transparent)]
    OpenPostgres(#[from] postgres::OpenError),
    #[error(transparent)]
    Pepper(#[from] PepperError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Actor(#[from] TextError),
    #[error("a runtime could not be built: {0}")]
    Runtime(#[from] std::io::Error),
    #[error("the server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    #[error("a thread of the server panicked; its log says where")]
    Panicked,
}

/// A server that accepts calls.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    shutdown: CancellationToken,
    ended: CancellationToken,
    supervisor: thread::JoinHandle<Result<(), ServeError>>,
}

impl Running {
    /// Starts a server, and returns when it accepts calls.
    pub fn start(options: Options) -> Result<Running, ServeError> {
        if !options.insecure && !options.listen.ip().is_loopback() {
            return Err(ServeError::NotLoopback {
                listen: options.listen,
            });
        }
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
            Ok(address) => Ok(Running {
                address,
                shutdown,
                ended,
                supervisor,
            }),
            // It ended before it was ready, and says why.
            Err(_) => Err(join(supervisor).err().unwrap_or(ServeError::Panicked)),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
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

fn join(thread: thread::JoinHandle<Result<(), ServeError>>) -> Result<(), ServeError> {
    thread.join().unwrap_or(Err(ServeError::Panicked))
}

/// Runs on the store's runtime, and holds everything together.
async fn supervise(
    options: Options,
    shutdown: CancellationToken,
    ready: mpsc::SyncSender<SocketAddr>,
) -> Result<(), ServeError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let (store, pepper) = open(&options, &*entropy).await?;
    let head = store.head().await?;
    let stop_writing = CancellationToken::new();
    let (writer, writing) = Writer::spawn(Arc::clone(&store), stop_writing.clone());
    let handle = runtime::Handle::current();
    let detached: Arc<dyn Store> = Arc::new(Spawned::new(Arc::clone(&store), handle.clone()));
    let (in_force, seat) = membership(&options, &store, &clock, &entropy);
    let stop_following = CancellationToken::new();
    let (verifier, tasks) = Verifier::start(
        Arc::clone(&store),
        seat,
        Arc::clone(&pepper),
        Arc::clone(&clock),
        Cache::new(options.cache_tokens),
        stop_following.clone(),
    )
    .await?;
    let verifier = Arc::new(verifier);
    let authority = Authority::new(
        Arc::clone(&detached),
        writer,
        Arc::clone(&clock),
        entropy,
        pepper,
        head.epoch,
    );
    let drain = CancellationToken::new();
    let forked = CancellationToken::new();
    tokio::spawn(cancel_when_forked(verifier.following(), forked.clone()));
    let watch = Watch::new(
        Arc::clone(&detached),
        handle,
        drain.clone(),
        forked,
        options.watch,
    );
    let api = Api::new(
        Arc::new(authority),
        Arc::clone(&verifier),
        in_force,
        Arc::new(watch),
        detached,
        clock,
        Actor::try_from("anonymous".to_owned())?,
    );
    let serving = listen::Serving::start(&options, api, &drain)?;
    tracing::info!(address = %serving.address, revision = %head.revision, "listening");
    // Whoever started it may have left.
    let _ = ready.send(serving.address);
    let result = drain::until_told(shutdown, verifier, serving, drain, options.drain_max).await;
    // What was queued is written, also for calls that were cut off.
    stop_writing.cancel();
    let VerifierTasks { follower, misses } = tasks;
    misses.abort();
    stop_following.cancel();
    // It gives its place on the roll up; if it cannot, the others find out by themselves.
    let _ = timeout(CLOSE_MAX, follower).await;
    writing.await.map_err(|_| ServeError::Panicked)?;
    // Calls that were cut off may still hold it; whatever they began to read is theirs to lose.
    let _ = timeout(CLOSE_MAX, store.close()).await;
    tracing::info!("ended");
    result
}

/// This process's place among those that answer for the store, and what its changes wait for.
fn membership(
    options: &Options,
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> (InForce, Seat) {
    let terms = Terms::DEFAULT;
    let in_force = match (options.in_force_nowhere, store.roll()) {
        (true, _) => InForce::Unawaited,
        (false, None) => InForce::Here,
        (false, Some(_)) => {
            let (barrier, keeper) = Barrier::new(Arc::clone(store), Arc::clone(clock), terms);
            tokio::spawn(keeper);
            InForce::Everywhere(barrier)
        }
    };
    let seat = Seat::new(
        Arc::clone(store),
        Arc::clone(clock),
        Arc::clone(entropy),
        options.replica_name.clone(),
        terms,
    );
    (in_force, seat)
}

async fn cancel_when_forked(mut following: watch::Receiver<Following>, forked: CancellationToken) {
    let is_forked = |following: &Following| matches!(following, Following::Stopped(Stop::Forked { .. }));
    if following.wait_for(is_forked).await.is_ok() {
        forked.cancel();
    }
}

async fn open(options: &Options, entropy: &dyn Entropy) -> Result<(Arc<dyn Store>, Arc<Pepper>), ServeError> {
    let epoch = Epoch::new(random(entropy));
    match &options.store {
        StoreAddress::Sqlite(path) => {
            let store = SqliteStore::open(path, epoch).await?;
            let file = options
                .pepper_file
                .clone()
                .unwrap_or_else(|| pepper::beside(path));
            // A store that holds anything was written with a pepper; a new one would make all of it unknown.
            let fresh = store.head().await?.revision.get() == 0;
            let pepper = pepper::load_or_create(&file, fresh, entropy)?;
            Ok((Arc::new(store), Arc::new(pepper)))
        }
        StoreAddress::Postgres(database) => {
            let pepper = pepper::load_shared(options.pepper_file.as_deref())?;
            let store = PostgresStore::open(database).await?;
            Ok((Arc::new(store), Arc::new(pepper)))
        }
        StoreAddress::Memory => {
            tracing::warn!("the store is in memory: nothing survives this process");
            let pepper = match &options.pepper_file {
                Some(file) => pepper::load_or_create(file, true, entropy)?,
                None => pepper::new(entropy),
            };
            Ok((Arc::new(MemoryStore::new(epoch)), Arc::new(pepper)))
        }
    }
}

impl FromStr for StoreAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<StoreAddress, &'static str> {
        match text.split_once(':') {
            Some(("memory", "")) => Ok(StoreAddress::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(StoreAddress::Sqlite(PathBuf::from(path))),
            Some((scheme, _)) if PostgresOptions::SCHEMES.contains(&scheme) => text
                .parse()
                .map(StoreAddress::Postgres)
                .map_err(|NotPostgresUrl| "must be a URL such as postgres://user@host:5432/database"),
            _ => Err("must be sqlite:PATH, postgres://USER@HOST/DATABASE or memory:"),
        }
    }
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreAddress::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            StoreAddress::Postgres(database) => database.fmt(f),
            StoreAddress::Memory => f.write_str("memory:"),
        }
    }
}
