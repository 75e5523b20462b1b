//! Connections: as many at once as may be, none that says nothing, and none for ever.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::{Sleep, sleep};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Connected, TcpIncoming};

use super::Limits;
use super::entrance::{Entrance, Neighbours};
use super::metrics::CallCounts;
use super::occupancy::Occupancy;
use super::tls::{Acceptor, Io};
use super::traces::Traces;
use crate::clock::Clock;
use crate::limit::Place;

/// What every HTTP/2 client sends first, in bytes.
const PREFACE_BYTES: usize = 24;
/// As much as one connection may say before the others on its thread have their turn. Frames that cost nothing
/// to send would otherwise be answered by the ten thousand first.
const TURN_BYTES: usize = 2 * 1024;
/// How long to wait when no connection can be taken: for file descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What the connections of a server have in common.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) limits: Limits,
    pub(super) entrance: Arc<Entrance>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) drain: CancellationToken,
    pub(super) calls: Arc<CallCounts>,
    pub(super) traces: Option<Traces>,
}

/// Accepted connections, as many at once as there are places.
pub(super) struct Connections {
    incoming: TcpIncoming,
    shared: Shared,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Connections {
    pub(super) fn new(incoming: TcpIncoming, shared: Shared) -> Connections {
        Connections {
            incoming,
            shared,
            pause: None,
        }
    }

    /// Closed rather than kept waiting, where there is no place: a balancer then tries another server.
    fn admit(&self, stream: TcpStream) -> Option<Connection> {
        // Whoever has left already has no address.
        let address = stream.peer_addr().ok()?;
        let Shared {
            limits,
            entrance,
            clock,
            drain,
            ..
        } = &self.shared;
        let place = entrance.take(Neighbours::from(address.ip()))?;
        let occupancy = Occupancy::new(address, limits, clock, entrance);
        Some(Connection {
            stream: Io::Plain(stream),
            preface: Some(Preface::awaited(drain.clone(), limits.preface_max)),
            ended: Box::pin(occupancy.clone().ended()),
            occupancy,
            said: 0,
            _place: place,
        })
    }
}

impl Stream for Connections {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            match ready!(Pin::new(&mut self.incoming).poll_next(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => {
                    // Whoever is asked at once answers the same, for as long as there is nothing to spare.
                    tracing::warn!(%error, "a connection could not be taken");
                    self.pause = Some(Box::pin(sleep(ACCEPT_PAUSE)));
                }
                Some(Ok(stream)) => {
                    if let Some(connection) = self.admit(stream) {
                        return Poll::Ready(Some(Ok(connection)));
                    }
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
    occupancy: Occupancy,
    /// Bytes read in this turn.
    said: usize,
    ended: Pin<Box<dyn Future<Output = ()> + Send>>,
    _place: Place<Neighbours>,
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
    fn awaited(drain: CancellationToken, at_most: Duration) -> Preface {
        Preface {
            bytes_missing: PREFACE_BYTES,
            given_up: Box::pin(async move {
                tokio::select! {
                    () = drain.cancelled() => {}
                    () = sleep(at_most) => {}
                }
            }),
        }
    }
}

impl Connection {
    /// Becomes an error when the connection has ended, be it that nothing can be read or written.
    fn unless_ended<T>(
        &mut self,
        context: &mut Context<'_>,
        done: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.occupancy.is_closed() || done.is_pending() && self.ended.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        done
    }
}

impl Connected for Connection {
    type ConnectInfo = Occupancy;

    fn connect_info(&self) -> Occupancy {
        self.occupancy.clone().named(self.stream.names())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.said >= TURN_BYTES {
            self.said = 0;
            // Not `wake_by_ref`: the thread would go on with this one for many turns before it looks at its sockets.
            let _ = pin!(yield_now()).poll(context);
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let left = (TURN_BYTES - self.said) as u64;
        let read = pin!((&mut self.stream).take(left)).poll_read(context, buffer);
        let bytes = buffer.filled().len() - before;
        self.said = if read.is_pending() { 0 } else { self.said + bytes };
        let read = self.unless_ended(context, read);
        let Some(preface) = &mut self.preface else {
            return read;
        };
        if read.is_pending() {
            ready!(preface.given_up.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
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
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.unless_ended(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.unless_ended(context, written)
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
