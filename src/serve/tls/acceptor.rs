//! The beginning of TLS on a connection, with a certificate that may be another one each time.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::files::Certified;
use super::{Io, refusal};

/// Begins TLS on connections, with the certificate of the moment.
#[derive(Clone, Debug)]
pub(in crate::serve) struct Acceptor {
    pub(super) certified: watch::Receiver<Certified>,
    pub(super) at_most: Duration,
}

impl Acceptor {
    /// `None` when it came to nothing, which the log says unless whoever it was just went away.
    pub(in crate::serve) async fn accept(&self, tcp: TcpStream) -> Option<Io> {
        // One that is gone already has none.
        let peer = tcp.peer_addr().ok()?;
        let config = Arc::clone(&self.certified.borrow().config);
        let why = match timeout(self.at_most, TlsAcceptor::from(config).accept(tcp)).await {
            Ok(Ok(tls)) => return Some(Io::Tls(Box::new(tls))),
            Ok(Err(error)) => refusal::told(&error)?,
            Err(_) => format!("the handshake did not end within {:?}", self.at_most),
        };
        tracing::warn!("a connection from {peer} was closed: {why}");
        None
    }
}
