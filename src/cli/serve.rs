//! `tokenward serve`: one server, until it is told to end.

mod limits;
mod webhooks;

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
use crate::lifecycle;
use crate::serve::{Options, Running, TlsOptions, TraceOptions};
use crate::telemetry::{self, LogFormat};
use crate::token::context::Prefixes;
use crate::usage::FLUSH_INTERVAL;
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
    /// The collector that traces are sent to, over OTLP and gRPC, such as http://127.0.0.1:4317 [default: none]
    #[arg(long, env = "TOKENWARD_TRACE_ENDPOINT", value_name = "URL", value_parser = collector)]
    trace_endpoint: Option<http::Uri>,
    /// Of the calls that do not say themselves whether they are traced, the part that is: 0 to 1
    #[arg(long, env = "TOKENWARD_TRACE_RATIO", value_name = "PART", default_value_t = 0.01, value_parser = part)]
    trace_ratio: f64,
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
    /// How often it is written what tokens were used for: 1s to 60s; so much of it is lost with the process
    #[arg(long, value_name = "SPAN", default_value_t = FLUSH_INTERVAL.into(), value_parser = limits::flush)]
    usage_flush: humantime::Duration,
    /// Do not record what tokens are used for; all servers of a store must agree
    #[arg(long, conflicts_with = "usage_flush")]
    no_usage: bool,
    /// Bits of an IPv4 address that are kept of where a token was used from
    #[arg(long, value_name = "BITS", default_value_t = Prefixes::DEFAULT.ipv4, value_parser = clap::value_parser!(u8).range(0..=32))]
    usage_ipv4_prefix: u8,
    /// The same, of an IPv6 address
    #[arg(long, value_name = "BITS", default_value_t = Prefixes::DEFAULT.ipv6, value_parser = clap::value_parser!(u8).range(0..=128))]
    usage_ipv6_prefix: u8,
    /// What people know this server by, where several share a store [default: host and process id]
    #[arg(long, env = "TOKENWARD_REPLICA_NAME", value_name = "NAME")]
    replica_name: Option<String>,
    #[command(flatten)]
    webhooks: webhooks::WebhookArgs,
    /// How often it is looked whether time has brought tokens to something: 1s to 1h
    #[arg(long, value_name = "SPAN", default_value_t = lifecycle::Pace::default().interval.into(), value_parser = limits::lifecycle)]
    lifecycle_interval: humantime::Duration,
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

fn collector(text: &str) -> Result<http::Uri, &'static str> {
    let url: Option<http::Uri> = text.parse().ok();
    url.filter(|url| matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some())
        .ok_or("must be a URL such as http://127.0.0.1:4317")
}

fn part(text: &str) -> Result<f64, &'static str> {
    let part: Option<f64> = text.parse().ok();
    part.filter(|part| (0.0..=1.0).contains(part))
        .ok_or("must be a number from 0 to 1, such as 0.01")
}

fn signals() -> io::Result<(tokio::signal::unix::Signal, tokio::signal::unix::Signal)> {
    Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
}

impl ServeArgs {
    fn options(&self) -> Result<Options, Failure> {
        let default = Options::new(self.store.address()?, self.listen);
        let mut options = Options {
            metrics_listen: self.metrics_listen,
            traces: self.trace_endpoint.clone().map(|endpoint| TraceOptions {
                endpoint,
                ratio: self.trace_ratio,
            }),
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
            usage_flush: (!self.no_usage).then(|| self.usage_flush.into()),
            usage_prefixes: Prefixes {
                ipv4: self.usage_ipv4_prefix,
                ipv6: self.usage_ipv6_prefix,
            },
            replica_name: self
                .replica_name
                .clone()
                .unwrap_or_else(|| default.replica_name.clone()),
            lifecycle: lifecycle::Pace {
                interval: self.lifecycle_interval.into(),
                ..default.lifecycle
            },
            ..default
        };
        self.limits.set(&mut options);
        self.webhooks.set(&mut options.webhooks);
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;
    use clap::{Args, Command};

    use super::*;

    #[test]
    fn traces_go_to_a_collector_and_are_of_a_part_of_the_calls() {
        let serve = ServeArgs::augment_args(Command::new("serve"));
        let told = |option: &str, value: &str| serve.clone().try_get_matches_from(["serve", option, value]);
        for (option, value) in [
            ("--trace-endpoint", "http://127.0.0.1:4317"),
            ("--trace-endpoint", "https://collector.example"),
            ("--trace-ratio", "0"),
            ("--trace-ratio", "0.5"),
            ("--trace-ratio", "1"),
        ] {
            assert!(told(option, value).is_ok(), "{option} {value}");
        }
        for (option, value) in [
            ("--trace-endpoint", "127.0.0.1:4317"),
            ("--trace-endpoint", "collector"),
            ("--trace-endpoint", "unix:///run/collector"),
            ("--trace-endpoint", ""),
            ("--trace-ratio", "1.1"),
            ("--trace-ratio", "NaN"),
            ("--trace-ratio", "all"),
        ] {
            let error = told(option, value).unwrap_err().to_string();
            assert!(error.contains(option) && error.contains("must be"), "{error}");
        }
    }

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

    #[test]
    fn the_lives_of_tokens_are_looked_at_every_so_often() {
        let serve = ServeArgs::augment_args(Command::new("serve"));
        let told = |span: &str| {
            serve
                .clone()
                .try_get_matches_from(["serve", "--lifecycle-interval", span])
        };
        for span in ["1s", "1m", "1h"] {
            assert!(told(span).is_ok(), "{span}");
        }
        for span in ["0s", "999ms", "61m", "often"] {
            assert!(told(span).is_err(), "{span}");
        }
    }
}
