//! What is read from a certificate beside its key: whom it names, and until when it is good.

use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate that cannot be read.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it is malformed")]
pub(super) struct Malformed;

/// Why a certificate, good as it may be otherwise, names no caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Nameless {
    #[error("it is malformed")]
    Malformed,
    #[error("it has no SPIFFE or DNS name")]
    NoName,
    /// An X.509-SVID has exactly one.
    #[error("it has {0} URI names, and may have one")]
    SeveralUris(usize),
}

/// One SPIFFE ID, else every DNS name, in lower case and in the order of the certificate.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Result<Vec<String>, Nameless> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| Nameless::Malformed)?;
    let extension = certificate
        .subject_alternative_name()
        .map_err(|_| Nameless::Malformed)?;
    let (mut uris, mut hosts) = (Vec::new(), Vec::new());
    for name in extension
        .iter()
        .flat_map(|extension| &extension.value.general_names)
    {
        match name {
            GeneralName::URI(uri) => uris.push(*uri),
            GeneralName::DNSName(host) => hosts.push(host.to_ascii_lowercase()),
            _ => {}
        }
    }
    match uris.as_slice() {
        [id] if id.starts_with("spiffe://") => Ok(vec![(*id).to_owned()]),
        [] | [_] if hosts.is_empty() => Err(Nameless::NoName),
        [] | [_] => Ok(hosts),
        several => Err(Nameless::SeveralUris(several.len())),
    }
}

/// Until when it is good, for people.
pub(super) fn not_after(certificate: &CertificateDer<'_>) -> Result<String, Malformed> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| Malformed)?;
    Ok(instant(certificate.validity().not_after.timestamp()))
}

/// An instant of rustls, for people.
pub(super) fn unix_time(time: UnixTime) -> String {
    instant(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

fn instant(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(instant) => instant.to_string(),
        Err(_) => format!("{seconds} s since 1970"),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn a_certificate_names_one_spiffe_id_or_hosts() -> Outcome {
        let key = KeyPair::generate()?;
        let named = |sans: &[&str]| {
            let mut params = CertificateParams::default();
            for san in sans {
                params.subject_alt_names.push(match *san {
                    mail if mail.contains('@') => SanType::Rfc822Name(mail.try_into()?),
                    uri if uri.contains(':') => SanType::URI(uri.try_into()?),
                    host => SanType::DnsName(host.try_into()?),
                });
            }
            let certificate = params.self_signed(&key)?;
            Ok::<_, rcgen::Error>(names(certificate.der()).map(|names| names.join(" ")))
        };
        let id = "spiffe://example.org/x";
        assert_eq!(named(&[id])?.as_deref(), Ok(id));
        assert_eq!(named(&["a.example", id])?.as_deref(), Ok(id));
        assert_eq!(
            named(&["B.example", "a.example"])?.as_deref(),
            Ok("b.example a.example")
        );
        assert_eq!(
            named(&["https://a.example", "a.example"])?.as_deref(),
            Ok("a.example")
        );
        assert_eq!(
            named(&[id, "spiffe://example.org/y"])?,
            Err(Nameless::SeveralUris(2))
        );
        assert_eq!(
            named(&[id, "https://a.example", "a.example"])?,
            Err(Nameless::SeveralUris(2))
        );
        for nameless in [&[][..], &["https://a.example"], &["a@example.org"]] {
            assert_eq!(named(nameless)?, Err(Nameless::NoName), "{nameless:?}");
        }
        assert_eq!(names(&CertificateDer::from(&b"x"[..])), Err(Nameless::Malformed));
        Ok(())
    }
}
