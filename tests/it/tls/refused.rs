//! Client certificates that are refused, and what the log says of them.

use super::{Clients, Outcome, Served, call};
use crate::certificates::{Ca, Pair};

/// Shows `client` to a server, which must say `why` it turns it away.
async fn refused(served: &Served, client: &Pair, why: &str) -> Outcome {
    // With TLS 1.3 the client learns of it a little later than that it is connected.
    if let Ok(channel) = served.connect(Some(client)).await {
        assert!(call(channel).await.is_err(), "it got in: {why}");
    }
    let line = served.line_with(&format!("client certificate refused: {why}"))?;
    assert!(
        line.contains("WARN") && line.contains("a connection from 127.0.0.1:"),
        "{line}"
    );
    Ok(())
}

#[tokio::test]
async fn certificates_that_prove_nothing_are_refused_in_plain_words() -> Outcome {
    let clients = Clients {
        ca: Ca::new("clients")?,
        required: false,
    };
    let served = Served::start(Some(&clients), &[])?;
    let spiffe = "spiffe://example.org/ns/prod/sa/gateway";
    let cases = [
        (
            clients.ca.expired_client(&[spiffe])?,
            "expired on 2020-02-01T00:00:00Z",
        ),
        (
            Ca::new("strangers")?.client(&[spiffe])?,
            "not signed by a CA of --client-ca",
        ),
        // Another key under the same name.
        (
            Ca::new("clients")?.client(&[spiffe])?,
            "not signed by a CA of --client-ca",
        ),
        (clients.ca.client(&[])?, "it has no SPIFFE or DNS name"),
        (
            clients.ca.client(&["https://example.org/x"])?,
            "it has no SPIFFE or DNS name",
        ),
        (
            clients.ca.client(&[spiffe, "https://example.org/x"])?,
            "it has 2 URI names, and may have one",
        ),
        (clients.ca.server(7)?, "not made for clients"),
    ];
    for (client, wanted) in &cases {
        refused(&served, client, wanted).await?;
    }
    // It goes on.
    call(served.connect(Some(&clients.ca.client(&[spiffe])?)).await?).await?;
    Ok(())
}
