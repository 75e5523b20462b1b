//! Handshakes: many at once, each in its own time, and none for ever.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_stream::Stream;

use super::super::connection::Connection;
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

/// Connections that are ready to be served: where there is TLS, those whose handshake has ended well.
pub(in crate::serve) struct Handshakes<S> {
    connections: S,
    acceptor: Option<Acceptor>,
    under_way: JoinSet<Option<Connection>>,
}

impl<S> Handshakes<S> {
    pub(in crate::serve) fn new(connections: S, acceptor: Option<Acceptor>) -> Handshakes<S> {
        Handshakes {
            connections,
            acceptor,
            under_way: JoinSet::new(),
        }
    }
}

impl<S> Stream for Handshakes<S>
where
    S: Stream<Item = io::Result<Connection>> + Unpin,
{
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            while let Poll::Ready(Some(ended)) = self.under_way.poll_join_next(context) {
                if let Ok(Some(connection)) = ended {
                    return Poll::Ready(Some(Ok(connection)));
                }
            }
            match Pin::new(&mut self.connections).poll_next(context) {
                Poll::Ready(Some(Ok(connection))) => match self.acceptor.clone() {
                    None => return Poll::Ready(Some(Ok(connection))),
                    Some(acceptor) => {
                        self.under_way
                            .spawn(async move { connection.secured(&acceptor).await });
                    }
                },
                Poll::Ready(None) if !self.under_way.is_empty() => return Poll::Pending,
                other => return other,
            }
        }
    }
}
