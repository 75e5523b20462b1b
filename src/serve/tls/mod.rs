//! TLS: what a server is told about it, and the configuration that new connections get.

mod acceptor;
mod certificate;
mod files;
mod io;
mod refusal;
mod reload;
mod verifier;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) use acceptor::Acceptor;
pub use files::TlsError;
pub(super) use io::Io;

use super::identities;
use crate::rpc::{Identities, IdentityTable};
use files::{CertificateFiles, Certified};
use reload::Watched;

/// How long a handshake may take unless told otherwise: as long as the beginning of a plain connection.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// The files that TLS is made of. Without any, calls are not encrypted.
#[derive(Clone, Debug)]
pub struct TlsOptions {
    /// The certificate with those of the CAs between it and a root, PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM, for the owner's eyes only.
    pub key: Option<PathBuf>,
    /// The CAs that sign client certificates, PEM. `None`: clients are not asked for one.
    pub client_ca: Option<PathBuf>,
    /// Turn clients away that show none.
    pub client_cert_required: bool,
    /// What callers may do who are known by a name in their certificate.
    pub identities: Option<PathBuf>,
    pub handshake_max: Duration,
}

impl Default for TlsOptions {
    fn default() -> TlsOptions {
        TlsOptions {
            certificate: None,
            key: None,
            client_ca: None,
            client_cert_required: false,
            identities: None,
            handshake_max: HANDSHAKE_MAX,
        }
    }
}

impl TlsOptions {
    /// `None` where nothing is asked for; half of it is a mistake, and never less than what was asked for.
    fn files(&self) -> Result<Option<CertificateFiles>, TlsError> {
        let (certificate, key) = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
            (Some(_), None) => return Err(TlsError::NoKey),
            (None, Some(_)) => return Err(TlsError::NoCertificate),
            (None, None) if self.client_ca.is_some() => return Err(TlsError::ClientCaAlone),
            (None, None) if self.client_cert_required => return Err(TlsError::RequiredOfNobody),
            (None, None) if self.identities.is_some() => return Err(TlsError::IdentitiesOfNobody),
            (None, None) => return Ok(None),
        };
        match &self.client_ca {
            None if self.client_cert_required => Err(TlsError::RequiredOfNobody),
            None if self.identities.is_some() => Err(TlsError::IdentitiesOfNobody),
            client_ca => Ok(Some(CertificateFiles {
                certificate,
                key,
                client_ca: client_ca.clone(),
                client_cert_required: self.client_cert_required,
            })),
        }
    }

    /// Whether calls are encrypted.
    pub(super) fn is_on(&self) -> bool {
        self.certificate.is_some()
    }
}

/// Reads the files, and goes on reading them: what changes is in force for the connections and calls that
/// come after.
pub(super) fn start(options: &TlsOptions) -> Result<(Option<Acceptor>, Identities), TlsError> {
    let Some(files) = options.files()? else {
        return Ok((None, Identities::none()));
    };
    let (certified, current) = Watched::start(files.paths(), move || Certified::load(&files))?;
    tracing::info!(certificate = %*current.borrow(), "calls are encrypted");
    let table = match options.identities.clone() {
        None => None,
        Some(path) => {
            let load = move || identities(&path);
            Some(Watched::start(
                options.identities.iter().cloned().collect(),
                load,
            )?)
        }
    };
    let (table, identities) = table.unzip();
    reload::spawn(certified, table)?;
    let acceptor = Acceptor {
        certified: current,
        at_most: options.handshake_max,
    };
    Ok((
        Some(acceptor),
        identities.map_or_else(Identities::none, Identities::from),
    ))
}

fn identities(path: &Path) -> Result<IdentityTable, TlsError> {
    let content = files::read(path)?;
    // What is not text is not TOML either, and the parser says where.
    Ok(identities::parse(path, &String::from_utf8_lossy(&content))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_configuration_says_what_is_missing() {
        type Change = fn(&mut TlsOptions);
        let file = || Some(PathBuf::from("f"));
        let whole = TlsOptions {
            certificate: file(),
            key: file(),
            client_ca: file(),
            client_cert_required: true,
            identities: file(),
            ..TlsOptions::default()
        };
        assert!(matches!(whole.files(), Ok(Some(_))));
        assert!(matches!(TlsOptions::default().files(), Ok(None)));
        let without = |change: Change| {
            let mut options = whole.clone();
            change(&mut options);
            options.files().err().map(|error| error.to_string())
        };
        let cases: [(Change, &str); 6] = [
            (|it| it.key = None, "--tls-cert needs --tls-key"),
            (|it| it.certificate = None, "--tls-key needs --tls-cert"),
            (
                |it| (it.certificate, it.key) = (None, None),
                "--client-ca needs --tls-cert and --tls-key",
            ),
            (
                |it| it.client_ca = None,
                "--client-cert-required needs --client-ca",
            ),
            (
                |it| (it.client_ca, it.client_cert_required) = (None, false),
                "--identities needs --client-ca",
            ),
            (
                |it| {
                    *it = TlsOptions {
                        identities: it.identities.take(),
                        ..TlsOptions::default()
                    }
                },
                "--identities needs --client-ca",
            ),
        ];
        for (change, wanted) in cases {
            let told = without(change).unwrap_or_default();
            assert!(told.starts_with(wanted), "{told:?} where {wanted:?} was wanted");
        }
    }
}
