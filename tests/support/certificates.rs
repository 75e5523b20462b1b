//! Certificates of a test's own.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};

/// One that signs others.
pub(crate) struct Ca {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, both in PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Ca {
    pub(crate) fn new(name: &str) -> Result<Ca, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Ok(Ca {
            certificate: params.self_signed(&key)?,
            issuer: Issuer::new(params, key),
        })
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// For a server on this host.
    pub(crate) fn server(&self, serial: u64) -> Result<Pair, rcgen::Error> {
        self.server_for(&["localhost", "127.0.0.1"], serial)
    }

    pub(crate) fn server_for(&self, names: &[&str], serial: u64) -> Result<Pair, rcgen::Error> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.serial_number = Some(SerialNumber::from(serial));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params)
    }

    /// For a client with such alternative names: `spiffe://…` is a URI, what has no colon a host.
    pub(crate) fn client(&self, names: &[&str]) -> Result<Pair, rcgen::Error> {
        self.sign(&client_params(names)?)
    }

    pub(crate) fn expired_client(&self, names: &[&str]) -> Result<Pair, rcgen::Error> {
        let mut params = client_params(names)?;
        params.not_after = date_time_ymd(2020, 2, 1);
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Result<Pair, rcgen::Error> {
        let key = KeyPair::generate()?;
        Ok(Pair {
            certificate: params.signed_by(&key, &self.issuer)?.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn client_params(names: &[&str]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "somebody");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    for name in names {
        params.subject_alt_names.push(if name.contains(':') {
            SanType::URI((*name).try_into()?)
        } else {
            SanType::DnsName((*name).try_into()?)
        });
    }
    Ok(params)
}

impl Pair {
    /// Writes `tls.crt` and `tls.key` into `folder`, as a secret is mounted.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        std::fs::write(folder.join("tls.crt"), &self.certificate)?;
        std::fs::write(folder.join("tls.key"), &self.key)?;
        std::fs::set_permissions(folder.join("tls.key"), Permissions::from_mode(0o600))
    }
}
