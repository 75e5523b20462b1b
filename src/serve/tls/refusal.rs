//! Why a handshake came to nothing, in words for whoever reads the log.

use std::io;

use tokio_rustls::rustls::{CertificateError, Error};

use super::certificate;

/// `None` where there is nothing to say: whoever connects and goes away again looks whether anybody is there.
pub(super) fn told(error: &io::Error) -> Option<String> {
    let error = error.get_ref().and_then(|source| source.downcast_ref())?;
    Some(match error {
        Error::InvalidCertificate(why) => format!("client certificate refused: {}", of_certificate(why)),
        Error::NoCertificatesPresented => {
            "client certificate missing: --client-cert-required asks for one".to_owned()
        }
        Error::InvalidMessage(_) => "it does not speak TLS".to_owned(),
        Error::NoApplicationProtocol => "it does not speak HTTP/2 (ALPN h2)".to_owned(),
        Error::PeerIncompatible(why) => {
            format!("it wants what this server does not have, which is TLS 1.2 or later ({why:?})")
        }
        Error::AlertReceived(alert) => format!("it did not take this server's certificate ({alert:?})"),
        other => other.to_string(),
    })
}

fn of_certificate(why: &CertificateError) -> String {
    match why {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("expired on {}", certificate::unix_time(*not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("not good before {}", certificate::unix_time(*not_before))
        }
        CertificateError::UnknownIssuer => "not signed by a CA of --client-ca".to_owned(),
        CertificateError::BadSignature => {
            "not signed by a CA of --client-ca, or shown without its key".to_owned()
        }
        CertificateError::InvalidPurposeContext { .. } => {
            "not made for clients (its extended key usage lacks clientAuth)".to_owned()
        }
        CertificateError::Other(nameless) => nameless.0.to_string(),
        other => other.to_string(),
    }
}
