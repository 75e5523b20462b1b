//! Connections: as many at once as may be, and none that says nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Connected, TcpIncoming};

use super::tls::{Acceptor, Io};
use crate::rpc::Peer;

/// What every HTTP/2 client sends first, in bytes, and how long it may take to.
const PREFACE_BYTES: usize = 24;
const PREFACE_WITHIN: Duration = Duration::from_secs(10);

/// Accepted connections, as many at once as there are places.
pub(super) struct Connections {
    incoming: TcpIncoming,
    places: Arc<Semaphore>,
    drain: CancellationToken,
}

impl Connections {
    pub(super) fn new(
        incoming: TcpIncoming,
        places: Arc<Semaphore>,
        drain: CancellationToken,
    ) -> Connections {
        Connections {
            incoming,
            places,
            drain,
        }
    }
}

impl Stream for Connections {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(Pin::new(&mut self.incoming).poll_next(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(stream)) => {
                    if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                        return Poll::Ready(Some(Ok(Connection {
                            stream: Io::Plain(stream),
                            preface: Some(Preface::awaited(self.drain.clone())),
                            _place: place,
                        })));
                    }
                    // Closed rather than kept waiting: a balancer then tries another server.
                    tracing::warn!("a connection was closed: there are as many as there may be");
                }
            }
        }
    }
}

/// A connection that holds its place until it closes.
pub(super) struct Connection {
    stream: Io,
    /// `None` once it has come.
    preface: Option<Preface>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    /// The same connection after its handshake; `None` when that came to nothing.
    pub(super) async fn secured(self, acceptor: &Acceptor) -> Option<Connection> {
        let stream = match self.stream {
            Io::Plain(tcp) => acceptor.accept(tcp).await?,
            secured @ Io::Tls(_) => secured,
        };
        Some(Connection { stream, ..self })
    }
}

/// The beginning of a connection. Until it has come the HTTP/2 server waits without a bound, and does not
/// end either: whoever connects and is silent would keep its place, and hold the end of the server up.
struct Preface {
    bytes_missing: usize,
    given_up: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Preface {
    fn awaited(drain: CancellationToken) -> Preface {
        Preface {
            bytes_missing: PREFACE_BYTES,
            given_up: Box::pin(async move {
                tokio::select! {
                    () = drain.cancelled() => {}
                    () = tokio::time::sleep(PREFACE_WITHIN) => {}
                }
            }),
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.stream.peer()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some(preface) = &mut self.preface else {
            return read;
        };
        if read.is_pending() {
            ready!(preface.given_up.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let bytes = buffer.filled().len() - before;
        preface.bytes_missing = preface.bytes_missing.saturating_sub(bytes);
        if preface.bytes_missing == 0 {
            self.preface = None;
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
