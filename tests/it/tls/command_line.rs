//! The command line over TLS.

use super::{Clients, Error, Outcome, Served};
use crate::certificates::Ca;
use crate::program::{PATH, deaf};

/// Runs a command against the server at `address`; its exit code and what it said on stderr.
fn said(address: &str, args: &[&str]) -> Result<(Option<i32>, String), Error> {
    let output = deaf(PATH).args(["--address", address]).args(args).output()?;
    Ok((output.status.code(), String::from_utf8(output.stderr)?))
}

const COMMAND: [&str; 2] = ["namespace", "list"];

#[test]
fn https_addresses_are_called_with_a_ca_and_a_certificate() -> Outcome {
    let clients = Clients {
        ca: Ca::new("clients")?,
        required: true,
    };
    let client = tempfile::tempdir()?;
    let (folder, identities) = (client.path(), client.path().join("identities.toml"));
    let row = "[[identity]]\nsan = \"cli.example\"\nrole = \"admin\"\n";
    std::fs::write(&identities, row)?;
    let identities = identities.display().to_string();
    let served = Served::start(Some(&clients), &["--identities", &identities])?;
    clients.ca.client(&["cli.example"])?.write(folder)?;
    let path = |path: std::path::PathBuf| path.display().to_string();
    let (ca, cert, key) = (
        path(served.path("ca.crt")),
        path(folder.join("tls.crt")),
        path(folder.join("tls.key")),
    );
    let address = format!("https://{}", served.address);
    let whole = ["--ca", &ca, "--client-cert", &cert, "--client-key", &key];
    let call = |options: &[&str]| said(&address, &[&COMMAND[..], options].concat());

    let (code, err) = call(&whole)?;
    assert_eq!(code, Some(0), "{err}");

    let (code, err) = call(&whole[..2])?;
    assert_eq!(code, Some(1));
    assert!(
        err.contains("CertificateRequired") && err.contains("--client-cert"),
        "{err}"
    );
    let (_, err) = call(&whole[2..])?;
    assert!(
        err.contains("is not signed by a CA that is trusted here; name its CA with --ca"),
        "{err}"
    );
    let (code, err) = call(&whole[..4])?;
    assert_eq!(code, Some(2));
    assert!(err.contains("--client-cert needs --client-key"), "{err}");
    let (_, err) = call(&["--ca", &key])?;
    assert!(err.contains("tls.key has no certificate in PEM"), "{err}");

    let (code, err) = said(
        &format!("http://{}", served.address),
        &[&COMMAND[..], &whole[..2]].concat(),
    )?;
    assert_eq!(code, Some(2));
    assert!(err.contains("which is not encrypted; write https://"), "{err}");
    Ok(())
}

#[test]
fn a_certificate_for_other_names_or_no_tls_at_all_is_said_so() -> Outcome {
    let served = Served::start(None, &[])?;
    served
        .ca
        .server_for(&["tokenward.example"], 2)?
        .write(served.folder.path())?;
    served.line_with("new connections get what was read again")?;
    let ca = served.path("ca.crt").display().to_string();
    let (_, err) = said(
        &format!("https://{}", served.address),
        &[&COMMAND[..], &["--ca", &ca]].concat(),
    )?;
    assert!(
        err.contains("is for other names: ") && err.contains("tokenward.example"),
        "{err}"
    );

    // Somebody who speaks, but not TLS.
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let speaker = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n")?;
        // Until the other side leaves, however it does that.
        let _ = std::io::Read::read_to_end(&mut stream, &mut Vec::new());
        std::io::Result::Ok(())
    });
    let (_, err) = said(
        &format!("https://{address}"),
        &[&COMMAND[..], &["--ca", &ca]].concat(),
    )?;
    assert!(
        err.contains(&format!(
            "https://{address} does not speak TLS; is it http://{address}"
        )),
        "{err}"
    );
    speaker.join().map_err(|_| "the speaker panicked")??;
    Ok(())
}
