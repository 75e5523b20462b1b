//! The certificate, the key and the CAs, read from their files and fit for each other.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use zeroize::Zeroizing;

use super::super::identities::IdentitiesError;
use super::super::private_file::{self, PrivateFileError};
use super::certificate::{self, Malformed};
use super::verifier::NamedClients;

/// Bytes of one file; a bundle of every public CA has a quarter of it.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Bytes of the file with the key; that of the longest RSA key has a tenth of it.
const KEY_BYTES_MAX: u64 = 64 * 1024;

/// Why calls cannot be encrypted, or callers not told apart.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("--tls-cert needs --tls-key, the private key of the certificate")]
    NoKey,
    #[error("--tls-key needs --tls-cert, the certificate that it is the key of")]
    NoCertificate,
    #[error("--client-ca needs --tls-cert and --tls-key: clients show certificates over TLS only")]
    ClientCaAlone,
    #[error("--client-cert-required needs --client-ca, the CAs that sign the certificates of clients")]
    RequiredOfNobody,
    #[error("--identities needs --client-ca, the CAs that sign the certificates of clients")]
    IdentitiesOfNobody,
    #[error("{path} cannot be read: {source}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is longer than {FILE_BYTES_MAX} bytes", path = path.display())]
    TooLong { path: PathBuf },
    #[error(transparent)]
    Key(#[from] PrivateFileError),
    #[error("{path} has no certificate: it must have one in PEM, after -----BEGIN CERTIFICATE-----", path = path.display())]
    NoCertificateThere { path: PathBuf },
    #[error("{path} has no private key: it must have one in PEM, and not encrypted", path = path.display())]
    NoKeyThere { path: PathBuf },
    #[error("{path} is not a file in PEM: {source}", path = path.display())]
    NotPem { path: PathBuf, source: pem::Error },
    #[error("{path} has a certificate that cannot be used: {why}", path = path.display())]
    BadCertificate { path: PathBuf, why: String },
    #[error("{path} has a key that cannot be used: {source}", path = path.display())]
    BadKey { path: PathBuf, source: rustls::Error },
    #[error("{key} is not the key of the certificate in {certificate}", key = key.display(), certificate = certificate.display())]
    NotItsKey { key: PathBuf, certificate: PathBuf },
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
    #[error(transparent)]
    Identities(#[from] IdentitiesError),
    #[error("the signal to read files again cannot be received: {0}")]
    Signal(io::Error),
}

/// Where certificates and keys are.
#[derive(Clone, Debug)]
pub(super) struct CertificateFiles {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) client_ca: Option<PathBuf>,
    pub(super) client_cert_required: bool,
}

impl CertificateFiles {
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let own = [self.certificate.clone(), self.key.clone()];
        own.into_iter().chain(self.client_ca.clone()).collect()
    }
}

/// What the files are good for: handshakes.
#[derive(Clone, Debug)]
pub(super) struct Certified {
    pub(super) config: Arc<ServerConfig>,
    file: PathBuf,
    not_after: String,
}

/// For the log.
impl fmt::Display for Certified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, good until {}", self.file.display(), self.not_after)
    }
}

impl Certified {
    pub(super) fn load(files: &CertificateFiles) -> Result<Certified, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let chain = certificates(&files.certificate)?;
        let leaf = chain.first().ok_or_else(|| TlsError::NoCertificateThere {
            path: files.certificate.clone(),
        })?;
        let bad = |path: &Path, why: &dyn fmt::Display| TlsError::BadCertificate {
            path: path.to_owned(),
            why: why.to_string(),
        };
        let not_after =
            certificate::not_after(leaf).map_err(|Malformed| bad(&files.certificate, &Malformed))?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)?;
        let builder = match &files.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for root in certificates(path)? {
                    roots.add(root).map_err(|error| bad(path, &error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = if files.client_cert_required {
                    verifier
                } else {
                    verifier.allow_unauthenticated()
                };
                let verifier = verifier.build().map_err(|error| bad(path, &error))?;
                builder.with_client_cert_verifier(Arc::new(NamedClients(verifier)))
            }
        };
        let mut config = builder
            .with_single_cert(chain, key(&files.key)?)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => TlsError::NotItsKey {
                    key: files.key.clone(),
                    certificate: files.certificate.clone(),
                },
                rustls::Error::InvalidCertificate(why) => bad(&files.certificate, &why),
                source => TlsError::BadKey {
                    path: files.key.clone(),
                    source,
                },
            })?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        // Who resumes is not asked for a certificate again, and it may have expired since.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Certified {
            config: Arc::new(config),
            file: files.certificate.clone(),
            not_after,
        })
    }
}

/// The whole of a file, which may be a secret.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let unreadable = |source| TlsError::Read {
        path: path.to_owned(),
        source,
    };
    let too_long = || TlsError::TooLong {
        path: path.to_owned(),
    };
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let length = usize::try_from(length.min(FILE_BYTES_MAX)).map_err(|_| too_long())?;
    // As long as it will get: what a vector leaves behind when it grows is not erased.
    let mut content = Zeroizing::new(Vec::with_capacity(length + 1));
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut content)
        .map_err(unreadable)?;
    if content.len() as u64 > FILE_BYTES_MAX {
        return Err(too_long());
    }
    Ok(content)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let content = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(TlsError::NoCertificateThere {
            path: path.to_owned(),
        }),
        Ok(certificates) => Ok(certificates),
        Err(source) => Err(TlsError::NotPem {
            path: path.to_owned(),
            source,
        }),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let content = private_file::read(path, KEY_BYTES_MAX)?.ok_or_else(|| TlsError::Read {
        path: path.to_owned(),
        source: io::ErrorKind::NotFound.into(),
    })?;
    PrivateKeyDer::from_pem_slice(content.as_bytes()).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKeyThere {
            path: path.to_owned(),
        },
        source => TlsError::NotPem {
            path: path.to_owned(),
            source,
        },
    })
}

#[cfg(test)]
mod tests;
