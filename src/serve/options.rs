//! What a server can be told, and where it keeps its tokens.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use super::limits::Limits;
use super::private_file;
use super::tls::TlsOptions;
use super::traces::TraceOptions;
use crate::lifecycle;
use crate::limit::Allowance;
use crate::rpc::PROGRESS_INTERVAL;
use crate::store::postgres::{NotPostgresUrl, PostgresOptions};
use crate::token::context::Prefixes;
use crate::token::webhook::pace::Pace;
use crate::token::webhook::reach::Reach;
use crate::usage::FLUSH_INTERVAL;
use crate::verify::MISSES;
use crate::watch::WatchLimits;

const CACHE_TOKENS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(99_999);
const DRAIN_MAX: Duration = Duration::from_secs(10);
const CHECKPOINT_INTERVAL: Duration = Duration::from_mins(1);

/// Everything a server can be told.
#[derive(Clone, Debug)]
pub struct Options {
    pub store: StoreAddress,
    pub listen: SocketAddr,
    /// Where metrics are answered for, over plain HTTP. `None`: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Where traces are sent. `None`: there are none.
    pub traces: Option<TraceOptions>,
    pub tls: TlsOptions,
    /// Listen beyond loopback although calls, and the credentials in them, are not encrypted.
    pub insecure: bool,
    /// `None`: beside the embedded store. A shared store has no such place, so it must be named.
    pub pepper_file: Option<PathBuf>,
    /// Where the first credential is put. `None`: beside the embedded store; a shared store gets none by itself.
    pub admin_file: Option<PathBuf>,
    /// The key that signs checkpoints of the journal. `None`: beside the embedded store, where one is made if there is
    /// none; of a shared store none are signed.
    pub checkpoint_key_file: Option<PathBuf>,
    /// How often what was written since is signed.
    pub checkpoint_interval: Duration,
    /// Threads that serve calls.
    pub threads: NonZeroUsize,
    /// Tokens whose facts are held in memory.
    pub cache_tokens: NonZeroUsize,
    pub limits: Limits,
    pub watch: WatchLimits,
    /// Secrets that one caller may ask for although they belong to no token.
    pub misses: Allowance,
    /// How long calls under way may take to end after the server was told to.
    pub drain_max: Duration,
    /// How often it is written what tokens were used for; `None`: that is not recorded.
    pub usage_flush: Option<Duration>,
    /// How much of the addresses that they are used from is kept.
    pub usage_prefixes: Prefixes,
    /// What people know this server by, where several share a store.
    pub replica_name: String,
    pub webhooks: WebhookOptions,
    /// How often it is looked whether time has brought tokens to something.
    pub lifecycle: lifecycle::Pace,
    /// Answer a change without waiting for it to be in force. For tests, which must see what comes of it.
    #[doc(hidden)]
    pub in_force_nowhere: bool,
    /// How often it is said how far a RevokeMatching is. For tests, of which none takes as long as it takes to be said.
    #[doc(hidden)]
    pub progress_interval: Duration,
}

/// What endpoints of webhooks may be, and when they are tried again.
#[derive(Clone, Default, Debug)]
pub struct WebhookOptions {
    pub reach: Reach,
    pub pace: Pace,
    /// Certificates in PEM of CAs that endpoints are trusted by, besides those of the system.
    pub ca: Option<PathBuf>,
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
            metrics_listen: None,
            traces: None,
            tls: TlsOptions::default(),
            insecure: false,
            pepper_file: None,
            admin_file: None,
            checkpoint_key_file: None,
            checkpoint_interval: CHECKPOINT_INTERVAL,
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            cache_tokens: CACHE_TOKENS,
            limits: Limits::default(),
            watch: WatchLimits::default(),
            misses: MISSES,
            drain_max: DRAIN_MAX,
            usage_flush: Some(FLUSH_INTERVAL),
            usage_prefixes: Prefixes::DEFAULT,
            replica_name: host_and_process(),
            webhooks: WebhookOptions::default(),
            lifecycle: lifecycle::Pace::default(),
            in_force_nowhere: false,
            progress_interval: PROGRESS_INTERVAL,
        }
    }
}

impl Options {
    /// Where the first credential of this store is put, if anywhere.
    pub(super) fn admin_path(&self) -> Option<PathBuf> {
        let beside = match &self.store {
            StoreAddress::Sqlite(path) => Some(private_file::beside(path, ".admin")),
            StoreAddress::Postgres(_) | StoreAddress::Memory => None,
        };
        self.admin_file.clone().or(beside)
    }
}

impl Options {
    /// Where the key of checkpoints is made if there is none, if anywhere.
    pub(super) fn checkpoint_key_path(&self) -> Option<PathBuf> {
        match &self.store {
            StoreAddress::Sqlite(path) => Some(private_file::beside(path, ".checkpoint-key")),
            StoreAddress::Postgres(_) | StoreAddress::Memory => None,
        }
    }
}

/// Tells apart what several servers on one host say of themselves.
fn host_and_process() -> String {
    let host = rustix::system::uname();
    format!("{}/{}", host.nodename().to_string_lossy(), std::process::id())
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
