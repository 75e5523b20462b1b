//! `tokenward serve`: one server, until it is told to end.

mod limits;

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use tokio::signal::unix::{SignalKind, signal};

use super::failure::{Failure, Outcome};
use super::output;
use super::store::StoreArgs;
use crate::serve::{Options, Running, TlsOptions};
use crate::telemetry::{self, LogFormat};
use limits::LimitArgs;

#[derive(clap::Args, Debug)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// Address and port to accept calls on; port 0 takes a free one
    #[arg(
        long,
        env = "TOKENWARD_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:7117"
    )]
    listen: SocketAddr,
    /// Address and port to answer GET /metrics on, over plain HTTP [default: none]
    #[arg(long, env = "TOKENWARD_METRICS_LISTEN", value_name = "ADDRESS")]
    metrics_listen: Option<SocketAddr>,
    /// Listen beyond loopback although calls and the credentials in them, or metrics, are not encrypted
    #[arg(long)]
    insecure: bool,
    #[command(flatten)]
    tls: TlsArgs,
    /// The file that keeps the pepper; a Postgres store needs one that is there [default: beside the SQLite
    /// file, with .pepper at the end]
    #[arg(long, env = "TOKENWARD_PEPPER_FILE", value_name = "PATH")]
    pepper_file: Option<PathBuf>,
    /// Where the first credential is put, at the first start [default: beside the SQLite file, with .admin at
    /// the end]
    #[arg(long, env = "TOKENWARD_ADMIN_FILE", value_name = "PATH")]
    admin_file: Option<PathBuf>,
    /// The file with the key that signs checkpoints of the journal, made by `tokenward audit keygen` [default: beside
    /// the SQLite file, with .checkpoint-key at the end, where one is made; for a Postgres store none]
    #[arg(long, env = "TOKENWARD_CHECKPOINT_KEY_FILE", value_name = "PATH")]
    checkpoint_key_file: Option<PathBuf>,
    /// How often what was written since is signed [default: 1m]
    #[arg(long, value_name = "SPAN", value_parser = limits::span)]
    checkpoint_interval: Option<humantime::Duration>,
    /// Threads that serve calls [default: one a core]
    #[arg(long, value_name = "COUNT")]
    threads: Option<NonZeroUsize>,
    /// Tokens whose facts are held in memory [default: 100000]
    #[arg(long, value_name = "COUNT")]
    cache_tokens: Option<NonZeroUsize>,
    #[command(flatten)]
    limits: LimitArgs,
    /// How long calls under way may take to end after SIGTERM [default: 10s]
    #[arg(long, value_name = "SPAN", value_parser = limits::span)]
    drain_max: Option<humantime::Duration>,
    /// What people know this server by, where several share a store [default: host and process id]
    #[arg(long, env = "TOKENWARD_REPLICA_NAME", value_name = "NAME")]
    replica_name: Option<String>,
    /// Which lines are logged, such as info or tokenward=debug,h2=warn
    #[arg(long, env = "TOKENWARD_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
    /// How they are written
    #[arg(
        long,
        env = "TOKENWARD_LOG_FORMAT",
        value_name = "FORM",
        default_value = "text"
    )]
    log_format: LogForm,
}

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "TLS: files in PEM, read again when they change and on SIGHUP")]
struct TlsArgs {
    /// The server's certificate, followed by those of the CAs between it and a root
    #[arg(long, env = "TOKENWARD_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// Its private key, which nobody but the owner may read
    #[arg(long, env = "TOKENWARD_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// The CAs that sign the certificates of clients
    #[arg(long, env = "TOKENWARD_CLIENT_CA", value_name = "FILE")]
    client_ca: Option<PathBuf>,
    /// Turn away clients without a certificate, bearers of credentials included
    #[arg(long, env = "TOKENWARD_CLIENT_CERT_REQUIRED")]
    client_cert_required: bool,
    /// What callers may do who are known by their certificate, in TOML
    #[arg(long, env = "TOKENWARD_IDENTITIES", value_name = "FILE")]
    identities: Option<PathBuf>,
    /// How long a handshake may take
    #[arg(long, value_name = "SPAN", default_value_t = TlsOptions::default().handshake_max.into(), value_parser = limits::span)]
    handshake_max: humantime::Duration,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogForm {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

pub(super) async fn run(args: ServeArgs) -> Outcome {
    let format = match args.log_format {
        LogForm::Text => LogFormat::Text,
        LogForm::Json => LogFormat::Json,
    };
    telemetry::start(&args.log, format).map_err(Failure::usage)?;
    // Listened to before there is a server, so that none is missed.
    let (mut terminate, mut interrupt) =
        signals().map_err(|error| Failure::new(format_args!("signals cannot be received: {error}")))?;
    let server = Running::start(args.options()?).map_err(Failure::new)?;
    output::line(&format!("tokenward: listening on {}", server.address()))?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = server.ended() => {}
    }
    let stopping = tokio::task::spawn_blocking(|| server.stop());
    tokio::select! {
        stopped = stopping => {
            let stopped = stopped.map_err(|_| Failure::new("the server panicked"))?;
            stopped.map(|()| ExitCode::SUCCESS).map_err(Failure::new)
        }
        // Whoever asks twice does not want to wait; what was acknowledged is on disk.
        _ = terminate.recv() => std::process::exit(1),
        _ = interrupt.recv() => std::process::exit(1),
    }
}

fn signals() -> io::Result<(tokio::signal::unix::Signal, tokio::signal::unix::Signal)> {
    Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
}

impl ServeArgs {
    fn options(&self) -> Result<Options, Failure> {
        let default = Options::new(self.store.address()?, self.listen);
        let mut options = Options {
            metrics_listen: self.metrics_listen,
            insecure: self.insecure,
            tls: TlsOptions {
                certificate: self.tls.tls_cert.clone(),
                key: self.tls.tls_key.clone(),
                client_ca: self.tls.client_ca.clone(),
                client_cert_required: self.tls.client_cert_required,
                identities: self.tls.identities.clone(),
                handshake_max: self.tls.handshake_max.into(),
            },
            pepper_file: self.pepper_file.clone(),
            admin_file: self.admin_file.clone(),
            checkpoint_key_file: self.checkpoint_key_file.clone(),
            checkpoint_interval: self
                .checkpoint_interval
                .map_or(default.checkpoint_interval, Into::into),
            threads: self.threads.unwrap_or(default.threads),
            cache_tokens: self.cache_tokens.unwrap_or(default.cache_tokens),
            drain_max: self.drain_max.map_or(default.drain_max, Into::into),
            replica_name: self
                .replica_name
                .clone()
                .unwrap_or_else(|| default.replica_name.clone()),
            ..default
        };
        self.limits.set(&mut options);
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;
    use clap::{Args, Command};

    use super::*;

    #[test]
    fn a_handshake_and_a_drain_may_take_some_time_and_not_for_ever() {
        let serve = ServeArgs::augment_args(Command::new("serve"));
        let told = |option: &str, span: &str| serve.clone().try_get_matches_from(["serve", option, span]);
        for option in ["--handshake-max", "--drain-max"] {
            for span in ["1ms", "90s", "365days"] {
                assert!(told(option, span).is_ok(), "{option} {span}");
            }
            for span in ["0s", "999us", "366days"] {
                let error = told(option, span).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ValueValidation, "{option} {span}");
                let said = error.to_string();
                assert!(said.contains(option), "{said}");
                assert!(said.contains("must be from 1ms to 365days"), "{said}");
            }
        }
    }
}
