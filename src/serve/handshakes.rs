//! Handshakes: many at once, each in its own time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::JoinSet;
use tokio_stream::Stream;

use super::connection::Connection;
use super::tls::Acceptor;

/// Connections that are ready to be served: where there is TLS, those whose handshake has ended well.
pub(super) struct Handshakes<S> {
    connections: S,
    acceptor: Option<Acceptor>,
    under_way: JoinSet<Option<Connection>>,
}

impl<S> Handshakes<S> {
    pub(super) fn new(connections: S, acceptor: Option<Acceptor>) -> Handshakes<S> {
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
