//! TLS as clients meet it: who gets in, what is said of those who do not, and certificates that change.

mod command_line;
mod handshakes;
mod identities;
mod refused;
mod rotation;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::certificates::{Ca, Pair};
use crate::program::{PATH, deaf};
use crate::server::Outcome;

type Error = Box<dyn std::error::Error>;

/// Longer than anything here takes that ends at all.
const BOUND: Duration = Duration::from_mins(1);

/// `tokenward serve` with TLS, as a process whose log is read.
struct Served {
    child: Child,
    address: String,
    log: mpsc::Receiver<String>,
    ca: Ca,
    folder: TempDir,
}

/// The CA of the clients, beside the server's own certificate.
struct Clients {
    ca: Ca,
    required: bool,
}

impl Served {
    fn start(clients: Option<&Clients>, more: &[&str]) -> Result<Served, Error> {
        let folder = tempfile::tempdir()?;
        let ca = Ca::new("servers")?;
        ca.server(1)?.write(folder.path())?;
        fs::write(folder.path().join("ca.crt"), ca.pem())?;
        let path = |name: &str| folder.path().join(name);
        let mut command = deaf(PATH);
        command
            .args(["serve", "--store", "memory:", "--listen", "127.0.0.1:0"])
            .arg("--tls-cert")
            .arg(path("tls.crt"))
            .arg("--tls-key")
            .arg(path("tls.key"))
            .args(more);
        if let Some(clients) = clients {
            fs::write(path("clients.crt"), clients.ca.pem())?;
            command.arg("--client-ca").arg(path("clients.crt"));
            if clients.required {
                command.arg("--client-cert-required");
            }
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (lines, log) = mpsc::channel();
        let mut served = Served {
            child,
            address: String::new(),
            log,
            ca,
            folder,
        };
        let stderr = BufReader::new(stderr.ok_or("no stderr")?);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    return;
                }
            }
        });
        let mut line = String::new();
        BufReader::new(stdout.ok_or("no stdout")?).read_line(&mut line)?;
        let address = line.trim().strip_prefix("tokenward: listening on ");
        address
            .ok_or_else(|| format!("it said {line:?}"))?
            .clone_into(&mut served.address);
        Ok(served)
    }

    /// The next line of the log that has `text` in it.
    fn line_with(&self, text: &str) -> Result<String, Error> {
        let mut others = Vec::new();
        loop {
            match self.log.recv_timeout(BOUND) {
                Ok(line) if line.contains(text) => return Ok(line),
                Ok(line) => others.push(line),
                Err(_) => return Err(format!("no line with {text:?} among {others:#?}").into()),
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn connect(&self, client: Option<&Pair>) -> Result<Channel, tonic::transport::Error> {
        connect(&self.address, &self.ca, client).await
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection of its own to a server whose certificate `ca` has signed.
async fn connect(address: &str, ca: &Ca, client: Option<&Pair>) -> Result<Channel, tonic::transport::Error> {
    let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca.pem()));
    if let Some(pair) = client {
        config = config.identity(Identity::from_pem(&pair.certificate, &pair.key));
    }
    Endpoint::new(format!("https://{address}"))?
        .tls_config(config)?
        .connect()
        .await
}

/// Asks the server whether it is well: who gets that far has shaken hands.
async fn call(channel: Channel) -> Result<(), tonic::Status> {
    let request = tonic_health::pb::HealthCheckRequest::default();
    let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
    client.check(request).await.map(drop)
}
