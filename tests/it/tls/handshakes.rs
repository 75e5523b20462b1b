//! Who gets in, and what a handshake may cost the server.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use tokenward::serve::{Options, Running, ServeError, StoreAddress, TlsOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{BOUND, Clients, Outcome, Served, call, connect};
use crate::certificates::Ca;
use crate::server::Server;

#[tokio::test]
async fn with_tls_alone_calls_are_encrypted_and_nothing_else_is_answered() -> Outcome {
    let served = Served::start(None, &[])?;
    let line = served.line_with("calls are encrypted")?;
    assert!(
        line.contains("tls.crt, good until 4096-01-01T00:00:00Z"),
        "{line}"
    );
    call(served.connect(None).await?).await?;
    // A certificate that nobody asked for does no harm.
    let strange = Ca::new("strangers")?.client(&["a.example"])?;
    call(served.connect(Some(&strange)).await?).await?;

    let mut plain = TcpStream::connect(&served.address).await?;
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    // An alert at most: no settings, which is how HTTP/2 begins.
    assert!(answer.is_empty() || answer.first() == Some(&21), "{answer:?}");
    let line = served.line_with("was closed: it does not speak TLS")?;
    assert!(
        line.contains(&format!("a connection from {}", plain.local_addr()?)) && line.contains("WARN"),
        "{line}"
    );
    Ok(())
}

/// The beginning of a connection that offers TLS 1.1 at most.
fn client_hello_of_tls_1_1() -> Vec<u8> {
    let (record, handshake, version) = ([22, 3, 1, 0, 45], [1, 0, 0, 41], [3, 2]);
    let (random, no_session) = ([0; 32], [0]);
    // TLS_RSA_WITH_AES_128_CBC_SHA, and no compression.
    let (suites, compression) = ([0, 2, 0, 0x2f], [1, 0]);
    let parts = [
        &record[..],
        &handshake,
        &version,
        &random,
        &no_session,
        &suites,
        &compression,
    ];
    parts.concat()
}

#[tokio::test]
async fn what_is_too_old_is_refused() -> Outcome {
    let served = Served::start(None, &[])?;
    let mut old = TcpStream::connect(&served.address).await?;
    old.write_all(&client_hello_of_tls_1_1()).await?;
    let mut answer = Vec::new();
    old.read_to_end(&mut answer).await?;
    // A fatal alert, and the end.
    assert_eq!(
        (answer.first(), answer.get(5), answer.len()),
        (Some(&21), Some(&2), 7),
        "{answer:?}"
    );
    served.line_with("which is TLS 1.2 or later")?;
    Ok(())
}

#[tokio::test]
async fn a_certificate_with_a_name_gets_in_and_none_does_where_none_is_required() -> Outcome {
    let mut clients = Clients {
        ca: Ca::new("clients")?,
        required: false,
    };
    let spiffe = clients.ca.client(&["spiffe://example.org/ns/prod/sa/gateway"])?;
    let hosts = clients.ca.client(&["a.example", "b.example"])?;
    let served = Served::start(Some(&clients), &[])?;
    for client in [None, Some(&spiffe), Some(&hosts)] {
        call(served.connect(client).await?).await?;
    }
    drop(served);

    clients.required = true;
    let served = Served::start(Some(&clients), &[])?;
    call(served.connect(Some(&spiffe)).await?).await?;
    let outcome = match served.connect(None).await {
        Ok(channel) => call(channel).await.is_ok(),
        Err(_) => false,
    };
    assert!(!outcome);
    served.line_with("client certificate missing: --client-cert-required asks for one")?;
    Ok(())
}

fn tls(folder: &std::path::Path) -> TlsOptions {
    TlsOptions {
        certificate: Some(folder.join("tls.crt")),
        key: Some(folder.join("tls.key")),
        ..TlsOptions::default()
    }
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_closed_and_gives_its_place_back() -> Outcome {
    let folder = tempfile::tempdir()?;
    let ca = Ca::new("servers")?;
    ca.server(1)?.write(folder.path())?;
    let server = Server::start_with(|options| {
        options.tls = TlsOptions {
            handshake_max: Duration::from_millis(300),
            ..tls(folder.path())
        };
        options.limits.connections_max = 1;
    })?;
    let mut silent = TcpStream::connect(server.address).await?;
    // The beginning of one, and no more of it.
    silent.write_all(&client_hello_of_tls_1_1()[..20]).await?;
    assert_eq!(silent.read(&mut [0; 1]).await?, 0);
    // The place is free a little later.
    let free = async {
        loop {
            if let Ok(channel) = connect(&server.address.to_string(), &ca, None).await {
                break channel;
            }
        }
    };
    call(tokio::time::timeout(BOUND, free).await?).await?;
    server.stop().await
}

#[tokio::test]
async fn handshakes_hold_places_and_do_not_wait_for_each_other() -> Outcome {
    let folder = tempfile::tempdir()?;
    let ca = Ca::new("servers")?;
    ca.server(1)?.write(folder.path())?;
    let server = Server::start_with(|options| {
        options.tls = TlsOptions {
            handshake_max: Duration::from_hours(1),
            ..tls(folder.path())
        };
        options.limits.connections_max = 21;
        // One listener, which takes connections in the order in which they were made.
        options.threads = NonZeroUsize::MIN;
    })?;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(server.address).await?);
    }
    let channel = connect(&server.address.to_string(), &ca, None).await?;
    call(channel.clone()).await?;
    let too_many = connect(&server.address.to_string(), &ca, None).await;
    assert!(too_many.is_err(), "handshakes hold no places");
    call(channel).await?;
    // Nor does the end of the server wait for them.
    server.stop().await?;
    for mut silent in silent {
        assert!(matches!(silent.read(&mut [0; 1]).await, Ok(0) | Err(_)));
    }
    Ok(())
}

#[tokio::test]
async fn with_tls_it_listens_beyond_loopback_but_does_not_show_its_metrics_there() -> Outcome {
    let folder = tempfile::tempdir()?;
    Ca::new("servers")?.server(1)?.write(folder.path())?;
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let mut options = Options::new(StoreAddress::Memory, everywhere);
    options.tls = tls(folder.path());
    tokio::task::spawn_blocking({
        let options = options.clone();
        || Running::start(options)?.stop()
    })
    .await??;
    options.metrics_listen = Some(everywhere);
    let error = Running::start(options).err().ok_or("it started")?;
    assert!(matches!(error, ServeError::MetricsNotLoopback { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("listen for them on 127.0.0.1 or [::1]"),
        "{error}"
    );
    Ok(())
}
