//! What is said of files that do not do.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use rcgen::{CertificateParams, KeyPair};

use super::*;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// A folder with a certificate for itself, its key, and what is wrong with neither.
fn folder() -> Result<(tempfile::TempDir, CertificateFiles), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let files = CertificateFiles {
        certificate: folder.path().join("tls.crt"),
        key: folder.path().join("tls.key"),
        client_ca: Some(folder.path().join("clients.crt")),
        client_cert_required: false,
    };
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)?;
    fs::write(&files.certificate, certificate.pem())?;
    fs::write(folder.path().join("clients.crt"), certificate.pem())?;
    fs::write(&files.key, key.serialize_pem())?;
    fs::set_permissions(&files.key, Permissions::from_mode(0o600))?;
    Ok((folder, files))
}

#[test]
fn what_is_good_is_taken_with_its_end() -> Outcome {
    let (_folder, files) = folder()?;
    let certified = Certified::load(&files)?;
    assert_eq!(
        certified.to_string(),
        format!("{}, good until 4096-01-01T00:00:00Z", files.certificate.display())
    );
    assert_eq!(certified.config.alpn_protocols, [b"h2".to_vec()]);
    assert!(!certified.config.session_storage.can_cache());
    Ok(())
}

#[test]
fn each_file_that_does_not_do_is_named() -> Outcome {
    type Spoil = fn(&CertificateFiles) -> io::Result<()>;
    let cases: [(Spoil, &str); 12] = [
        (
            |it| fs::remove_file(&it.certificate),
            "tls.crt cannot be read: No such file",
        ),
        (
            |it| fs::remove_file(&it.key),
            "tls.key cannot be read: entity not found",
        ),
        (
            |it| fs::write(&it.certificate, ""),
            "tls.crt has no certificate: it must have one in PEM",
        ),
        (
            |it| fs::copy(&it.key, &it.certificate).map(drop),
            "tls.crt has no certificate",
        ),
        (
            |it| fs::write(&it.certificate, "-----BEGIN CERTIFICATE-----"),
            "tls.crt is not a file in PEM",
        ),
        (
            |it| {
                fs::write(
                    &it.certificate,
                    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                )
            },
            "tls.crt has a certificate that cannot be used: it is malformed",
        ),
        (
            |it| fs::write(&it.certificate, " ".repeat(1024 * 1024 + 1)),
            "tls.crt is longer than 1048576 bytes",
        ),
        (
            |it| fs::write(&it.key, "x"),
            "tls.key has no private key: it must have one in PEM, and not encrypted",
        ),
        (
            |it| fs::set_permissions(&it.key, Permissions::from_mode(0o640)),
            "tls.key can be read by others (mode 640): chmod 600 it",
        ),
        (
            |it| {
                let other = KeyPair::generate().map_err(io::Error::other)?;
                fs::write(&it.key, other.serialize_pem())
            },
            "tls.key is not the key of the certificate in ",
        ),
        (
            |it| {
                fs::write(
                    &it.key,
                    "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                )
            },
            "tls.key has a key that cannot be used",
        ),
        (
            |it| it.client_ca.iter().try_for_each(|path| fs::write(path, "")),
            "clients.crt has no certificate",
        ),
    ];
    for (spoil, wanted) in cases {
        let (_folder, files) = folder()?;
        spoil(&files)?;
        let told = Certified::load(&files).err().ok_or(wanted)?.to_string();
        assert!(told.contains(wanted), "{told:?} where {wanted:?} was wanted");
        assert!(!told.contains("PRIVATE"), "{told:?}");
    }
    Ok(())
}
