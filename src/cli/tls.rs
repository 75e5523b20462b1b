//! TLS to the server: which certificates are trusted and shown, and what is said when they do not do.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, AlertDescription, CertificateError, ClientConfig, RootCertStore};

use super::failure::Failure;
use crate::serve::private_file;

/// Keys are shorter.
const KEY_BYTES_MAX: u64 = 64 * 1024;

#[derive(clap::Args, Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct ClientTls {
    /// The CA that signed the server's certificate, in PEM [default: those this machine trusts]
    #[arg(
        long,
        global = true,
        env = "TOKENWARD_CA",
        value_name = "FILE",
        help_heading = "Options of every command"
    )]
    ca: Option<PathBuf>,
    /// The certificate to show to the server, in PEM
    #[arg(
        long,
        global = true,
        env = "TOKENWARD_CLIENT_CERT",
        value_name = "FILE",
        help_heading = "Options of every command"
    )]
    client_cert: Option<PathBuf>,
    /// Its private key, in PEM
    #[arg(
        long,
        global = true,
        env = "TOKENWARD_CLIENT_KEY",
        value_name = "FILE",
        help_heading = "Options of every command"
    )]
    client_key: Option<PathBuf>,
}

impl ClientTls {
    /// Whether any of it was asked for.
    pub(super) fn is_asked_for(&self) -> bool {
        self.ca.is_some() || self.client_cert.is_some() || self.client_key.is_some()
    }

    pub(super) fn config(&self) -> Result<ClientConfig, Failure> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)
            .map_err(Failure::new)?
            .with_root_certificates(self.roots()?);
        let mut config = match (&self.client_cert, &self.client_key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), Some(key)) => {
                let chain = certificates(cert)?;
                let fit = builder.with_client_auth_cert(chain, private_key(key)?);
                fit.map_err(|error| {
                    let (cert, key) = (cert.display(), key.display());
                    Failure::new(format_args!(
                        "{key} is not the key of the certificate in {cert}: {error}"
                    ))
                })?
            }
            (Some(_), None) => {
                return Err(Failure::usage(
                    "--client-cert needs --client-key, its private key",
                ));
            }
            (None, Some(_)) => {
                let alone = "--client-key needs --client-cert, the certificate that it is the key of";
                return Err(Failure::usage(alone));
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    fn roots(&self) -> Result<RootCertStore, Failure> {
        let mut roots = RootCertStore::empty();
        let Some(path) = &self.ca else {
            // What of it cannot be read is of no use to anybody else either.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return if roots.is_empty() {
                let none = Failure::new("this machine trusts no CA");
                Err(none.but("name that of the server with --ca"))
            } else {
                Ok(roots)
            };
        };
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| {
                let path = path.display();
                Failure::new(format_args!(
                    "{path} has a certificate that cannot be used: {error}"
                ))
            })?;
        }
        Ok(roots)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| Failure::new(format_args!("{} cannot be read: {error}", path.display())))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let pem = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(Failure::new(format_args!(
            "{} has no certificate in PEM, after -----BEGIN CERTIFICATE-----",
            path.display()
        ))),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Failure> {
    let pem = private_file::read(path, KEY_BYTES_MAX).map_err(Failure::new)?;
    let pem = pem.ok_or_else(|| Failure::new(format_args!("{} does not exist", path.display())))?;
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
        Failure::new(format_args!(
            "{} has no private key in PEM, or an encrypted one",
            path.display()
        ))
    })
}

/// Why there is no TLS with the server at `address`, if it was TLS that failed.
pub(super) fn refused(address: &str, error: &(dyn Error + 'static)) -> Option<Failure> {
    let failure = match of_tls(error)? {
        rustls::Error::InvalidCertificate(why) => of_certificate(address, why),
        rustls::Error::InvalidMessage(_) => {
            let plain = address.replacen("https", "http", 1);
            Failure::new(format_args!("{address} does not speak TLS"))
                .but(format_args!("is it {plain}, or another port?"))
        }
        rustls::Error::AlertReceived(alert) => turned_away(address, *alert),
        other => Failure::new(format_args!("there is no TLS with {address}: {other}")),
    };
    Some(failure)
}

pub(super) fn turned_away(address: &str, alert: AlertDescription) -> Failure {
    let failure = Failure::new(format_args!("{address} refused the connection ({alert:?})"));
    match alert {
        AlertDescription::CertificateRequired => {
            failure.but("it wants a certificate: --client-cert and --client-key")
        }
        _ => failure.but("its log says why: is --client-cert what it wants?"),
    }
}

fn of_certificate(address: &str, why: &CertificateError) -> Failure {
    match why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Failure::new(format_args!(
            "the certificate of {address} is not signed by a CA that is trusted here"
        ))
        .but("name its CA with --ca"),
        CertificateError::NotValidForNameContext { presented, .. } => Failure::new(format_args!(
            "the certificate of {address} is for other names: {}",
            presented.join(", ")
        ))
        .but("call the server by one of them"),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Failure::new(format_args!("the certificate of {address} has expired"))
                .but("tell whoever operates the server")
        }
        other => Failure::new(format_args!("the certificate of {address} is not good: {other}")),
    }
}

/// What TLS said, wherever it is among the causes.
pub(super) fn of_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        // An io::Error does not count what it is made of among its causes.
        let inner = error.downcast_ref().and_then(io::Error::get_ref);
        let inner = inner.and_then(|inner| inner.downcast_ref());
        if let Some(found) = error.downcast_ref().or(inner) {
            return Some(found);
        }
        cause = error.source();
    }
    None
}
