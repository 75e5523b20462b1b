//! Certificates that change while the server runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use tokenward::serve::TlsOptions;
use tokio::net::TcpStream;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{BOUND, Clients, Error, Outcome, Served, call, connect};
use crate::certificates::Ca;
use crate::server::Server;

/// The number of the certificate that a new connection is shown.
async fn serial(address: &str, ca: &Ca) -> Result<u64, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes())?)?;
    let config =
        ClientConfig::builder_with_provider(Arc::new(tokio_rustls::rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
    let tcp = TcpStream::connect(address).await?;
    let tls = TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from("localhost")?, tcp)
        .await?;
    let shown = tls.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let (_, shown) = X509Certificate::from_der(shown.ok_or("no certificate")?)?;
    Ok(shown.serial.clone().try_into()?)
}

/// Returns when new connections are shown that one.
async fn shown(number: u64, address: &str, ca: &Ca) -> Outcome {
    let shown = async {
        while serial(address, ca).await? != number {}
        Ok(())
    };
    timeout(BOUND, shown).await?
}

/// Sets `link` to `folder` at one stroke, as mounted secrets are.
fn relink(link: &Path, folder: &Path) -> std::io::Result<()> {
    let next = link.with_extension("next");
    symlink(folder, &next)?;
    fs::rename(next, link)
}

/// Calls until told to end, over one connection or each time over a new one; counts what failed.
#[derive(Default)]
struct Load {
    ended: AtomicBool,
    calls: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Load {
    fn count(&self, outcome: Result<(), Error>) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if let Err(error) = outcome {
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            failures.push(error.to_string());
        }
    }

    async fn over_one_connection(&self, address: &str, ca: &Ca) -> Outcome {
        let channel = connect(address, ca, None).await?;
        while !self.ended.load(Ordering::SeqCst) {
            self.count(call(channel.clone()).await.map_err(Error::from));
        }
        Ok(())
    }

    async fn over_new_connections(&self, address: &str, ca: &Ca) -> Outcome {
        while !self.ended.load(Ordering::SeqCst) {
            let outcome = match connect(address, ca, None).await {
                Ok(channel) => call(channel).await.map_err(Error::from),
                Err(error) => Err(error.into()),
            };
            self.count(outcome);
        }
        Ok(())
    }

    /// Returns when as many calls again have been made.
    async fn another(&self, calls: u64) -> Result<(), Elapsed> {
        let enough = self.calls.load(Ordering::SeqCst) + calls;
        let made = async {
            while self.calls.load(Ordering::SeqCst) < enough {
                tokio::task::yield_now().await;
            }
        };
        timeout(BOUND, made).await
    }
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_under_load_and_no_call_is_lost() -> Outcome {
    let folder = tempfile::tempdir()?;
    let ca = Ca::new("servers")?;
    let link = folder.path().join("current");
    for number in 1..=3 {
        let version = folder.path().join(number.to_string());
        fs::create_dir(&version)?;
        ca.server(number)?.write(&version)?;
    }
    symlink(folder.path().join("1"), &link)?;
    let server = Server::start_with(|options| {
        options.tls = TlsOptions {
            certificate: Some(link.join("tls.crt")),
            key: Some(link.join("tls.key")),
            ..TlsOptions::default()
        };
    })?;
    let address = server.address.to_string();
    let (old, new) = (Load::default(), Load::default());
    let rotate = async {
        let outcome = async {
            assert_eq!(serial(&address, &ca).await?, 1);
            for number in 2..=3 {
                old.another(100).await?;
                new.another(5).await?;
                relink(&link, &folder.path().join(number.to_string()))?;
                shown(number, &address, &ca).await?;
            }
            old.another(100).await?;
            new.another(5).await?;
            Ok::<_, Error>(())
        }
        .await;
        // Also when it failed: the callers go on for ever otherwise.
        old.ended.store(true, Ordering::SeqCst);
        new.ended.store(true, Ordering::SeqCst);
        outcome
    };
    let (rotated, kept, fresh) = tokio::join!(
        rotate,
        old.over_one_connection(&address, &ca),
        new.over_new_connections(&address, &ca)
    );
    rotated?;
    kept?;
    fresh?;
    for load in [old, new] {
        assert_eq!(load.failures.into_inner()?, Vec::<String>::new());
    }
    server.stop().await
}

#[tokio::test]
async fn files_that_do_not_do_are_named_and_the_old_ones_stay_in_force() -> Outcome {
    let clients = Clients {
        ca: Ca::new("clients")?,
        required: true,
    };
    let client = clients.ca.client(&["a.example"])?;
    let served = Served::start(Some(&clients), &[])?;
    let works = async || {
        call(served.connect(Some(&client)).await?)
            .await
            .map_err(Error::from)
    };

    fs::write(served.path("tls.crt"), "-----BEGIN NONSENSE-----")?;
    let line = served.line_with("what was read before stays in force")?;
    assert!(
        line.contains("ERROR") && line.contains("tls.crt is not a file in PEM"),
        "{line}"
    );
    works().await?;

    // The key of another certificate.
    fs::write(served.path("tls.crt"), served.ca.server(2)?.certificate)?;
    let line = served.line_with("what was read before stays in force")?;
    let wanted = format!(
        "{} is not the key of the certificate in {}",
        served.path("tls.key").display(),
        served.path("tls.crt").display()
    );
    assert!(line.contains(&wanted), "{line}");
    works().await?;

    fs::remove_file(served.path("clients.crt"))?;
    served.ca.server(3)?.write(served.folder.path())?;
    let line = served.line_with("what was read before stays in force")?;
    assert!(
        line.contains("clients.crt cannot be read: No such file"),
        "{line}"
    );
    works().await?;

    // Other CAs, together with a good certificate: whom they signed gets in, and nobody else.
    let successors = Ca::new("successors")?;
    fs::write(served.path("clients.crt"), successors.pem())?;
    let line = served.line_with("new connections get what was read again")?;
    assert!(
        line.contains("INFO") && line.contains("good until 4096-01-01T00:00:00Z"),
        "{line}"
    );
    assert!(works().await.is_err());
    served.line_with("not signed by a CA of --client-ca")?;
    call(served.connect(Some(&successors.client(&["a.example"])?)).await?).await?;
    Ok(())
}

#[tokio::test]
async fn a_hangup_does_not_end_the_server_but_has_it_read_again() -> Outcome {
    let served = Served::start(None, &[])?;
    assert_eq!(serial(&served.address, &served.ca).await?, 1);
    served.ca.server(2)?.write(served.folder.path())?;
    let process = i32::try_from(served.child.id())?;
    kill_process(Pid::from_raw(process).ok_or("no process")?, Signal::HUP)?;
    shown(2, &served.address, &served.ca).await
}
