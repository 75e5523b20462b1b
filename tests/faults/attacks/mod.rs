//! Callers that mean harm: what a server does to them, what they cost it, and what others notice of it.
//!
//! Each attack runs against a process of its own, while a well-behaved caller at another address goes on
//! verifying. What is asserted is what happened: how the attack ended, what was begun for it, and that the other
//! caller saw no error. Memory is asserted with much to spare; times are reported and never asserted, for they are
//! the machine's.

mod amplified;
mod floods;
mod good;
mod idle;
mod misses;
mod resets;

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::admin::Bearer;
use crate::replica::Replica;
use crate::server::{Client, Outcome, hex};
use crate::{report, sized};
use good::{Asks, Good, Seen};

type Failure = Box<dyn Error>;

/// Where attacks come from; the good caller is elsewhere.
const ATTACKER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const GOOD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// By then anything here has happened that happens at all.
const BOUND: Duration = Duration::from_mins(15);

/// What an attack may cost in memory. Each of them would cost many times this if nothing were bounded.
const GROWTH_KIB_MAX: u64 = 32 * 1024;

/// The lowest priority there is.
const LAST: i32 = 19;

/// Where its metrics are, and what goes wrong.
const LOGGED: &str = "error,tokenward::serve::metrics=info";

/// A server under attack.
struct Target {
    replica: Replica,
    address: SocketAddr,
    metrics: SocketAddr,
    client: Client,
    /// A token that is good.
    secret: String,
    folder: TempDir,
    /// Where its log is, and what that said when it had started.
    log: (PathBuf, String),
}

/// What a server says of its calls.
#[derive(Clone, Copy, Default, Debug)]
struct Counted {
    calls: u64,
    cancelled: u64,
    cut: u64,
    turned_away: u64,
    queries: u64,
}

impl Target {
    /// With these options besides; the namespace `notes` has a token.
    async fn start(options: &[&str]) -> Result<Target, Failure> {
        let folder = tempfile::tempdir()?;
        let store = format!("sqlite:{}", folder.path().join("tokenward.db").display());
        let log = folder.path().join("log");
        let mut args = vec![
            "--store",
            &store,
            "--metrics-listen",
            "127.0.0.1:0",
            "--log",
            LOGGED,
        ];
        args.extend(options);
        let replica = Replica::start_logging(&args, File::create(&log)?).await?;
        let said = std::fs::read_to_string(&log)?;
        let metrics = said.lines().find_map(|line| line.split_once("metrics address="));
        let (_, metrics) = metrics.ok_or_else(|| format!("no metrics in {said:?}"))?;
        let metrics = metrics.parse()?;
        let address = replica.address.parse()?;
        let mut client = connect(address, GOOD).await?;
        client.create_namespace("notes", "kn_", hex(40)).await?;
        let (_, secret) = client.issue("notes", &[]).await?;
        client.verdict(&secret).await?;
        Ok(Target {
            replica,
            address,
            metrics,
            client,
            secret,
            folder,
            log: (log, said),
        })
    }

    /// The same with the default limits.
    async fn start_as_is() -> Result<Target, Failure> {
        Target::start(&[]).await
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("tokenward.db")
    }

    async fn counted(&self) -> Result<Counted, Failure> {
        let mut stream = TcpStream::connect(self.metrics).await?;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let value = |name: &str| {
            let mut lines = answer.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix("_total ")?.parse().ok());
            value.ok_or_else(|| format!("{name} is not told"))
        };
        Ok(Counted {
            calls: value("tokenward_calls")?,
            cancelled: value("tokenward_calls_cancelled")?,
            cut: value("tokenward_connections_cut")?,
            turned_away: value("tokenward_connections_turned_away")?,
            queries: value("tokenward_look_up_queries")?,
        })
    }

    /// Somebody else than the good caller, who may verify.
    async fn guesser(&self) -> Result<Client, Failure> {
        let (_, credential) = self.client.clone().issue("system", &["tokens.verify:*"]).await?;
        connect_as(self.address, ATTACKER, Bearer::new(&credential)).await
    }

    /// Resident memory now, and at its peak, in KiB.
    fn memory(&self) -> Result<(u64, u64), Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.replica.pid()))?;
        let value = |name: &str| {
            let mut lines = status.lines();
            let line = lines.find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
            Ok::<u64, Failure>(line.ok_or("no such line")?.parse()?)
        };
        Ok((value("VmRSS:")?, value("VmHWM:")?))
    }

    /// Runs `attack` while the good caller goes on, and sees that it notices nothing and memory stays bounded.
    async fn under<T: fmt::Debug>(
        &self,
        name: &str,
        attack: impl Future<Output = Result<T, Failure>>,
    ) -> Result<(T, Counted), Failure> {
        self.under_while(name, Asks::Memory, GROWTH_KIB_MAX, attack).await
    }

    /// The same, where the good caller asks for more, and so much memory may be needed.
    async fn under_while<T: fmt::Debug>(
        &self,
        name: &str,
        asks: Asks,
        growth_kib_max: u64,
        attack: impl Future<Output = Result<T, Failure>>,
    ) -> Result<(T, Counted), Failure> {
        let good = Good {
            address: self.address,
            secret: self.secret.clone(),
            asks,
        };
        let quiet = good.alone(sized(200, 5000)).await?;
        let ((before, _), counted) = (self.memory()?, self.counted().await?);
        // On a machine of its own an attacker would leave this one's processors to the server and to the good caller,
        // whose thread is there by now. Of Linux a priority is that of a thread.
        rustix::process::setpriority_process(None, LAST)?;
        let (outcome, attacked) = good.during(tokio::time::timeout(BOUND, attack)).await?;
        let (log, at_first) = &self.log;
        let said = std::fs::read_to_string(log)?;
        if let Some(meanwhile) = said.strip_prefix(at_first).filter(|said| !said.is_empty()) {
            report(format_args!("{name}: {meanwhile}"));
        }
        let outcome = outcome.map_err(|_| format!("{name} does not end"))??;
        let ((after, peak), now) = (self.memory()?, self.counted().await?);
        let of_good = match asks {
            Asks::Memory => 0,
            Asks::Store => attacked.calls(),
        };
        let caused = Counted {
            // Those of the good caller are not the attacker's.
            calls: now.calls.saturating_sub(counted.calls + attacked.calls()),
            cancelled: now.cancelled - counted.cancelled,
            cut: now.cut - counted.cut,
            turned_away: now.turned_away - counted.turned_away,
            queries: now.queries.saturating_sub(counted.queries + of_good),
        };
        report(format_args!("{name}: {outcome:?}; {caused:?}"));
        report(format_args!(
            "{name}: RSS {before} -> {after} KiB, peak {peak}; good caller, p99: {}",
            compared(&quiet, &attacked)
        ));
        assert_eq!(attacked.errors, 0, "{name}: the good caller saw errors");
        assert!(
            peak.saturating_sub(before) < growth_kib_max,
            "{name}: {before} KiB grew to {peak}"
        );
        Ok((outcome, caused))
    }

    /// Ends it as SIGTERM does: an attack leaves nothing that holds this up.
    async fn stop(self) -> Outcome {
        let Target { replica, client, .. } = self;
        drop(client);
        assert!(tokio::time::timeout(BOUND, replica.terminate()).await??.success());
        Ok(())
    }
}

/// A client of the admin's, from that address.
async fn connect(to: SocketAddr, from: IpAddr) -> Result<Client, Failure> {
    connect_as(to, from, Bearer::admin()).await
}

async fn connect_as(to: SocketAddr, from: IpAddr, bearer: Bearer) -> Result<Client, Failure> {
    let endpoint = tonic::transport::Endpoint::new(format!("http://{to}"))?.local_address(Some(from));
    Ok(Client::with(endpoint.connect().await?, bearer))
}

fn compared(quiet: &Seen, attacked: &Seen) -> String {
    let (before, during) = (quiet.p99(), attacked.p99());
    let ratio = during.as_secs_f64() / before.as_secs_f64();
    let calls = attacked.calls();
    format!("{before:?} quiet, {during:?} under attack ({ratio:.2}x, {calls} calls)")
}
