//! An encrypted connection to the server, and what the server said if it cut it off.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{AlertDescription, ClientConfig, Error};

use super::tls::of_tls;

/// Where a server listens for TLS unless the address has a port.
const DEFAULT_PORT: u16 = 443;

/// Why the server cut a connection off. With TLS 1.3 it looks at a certificate only when the client has
/// begun to call already; the call then just ends, and its error does not say of what.
pub(super) type Heard = Arc<OnceLock<AlertDescription>>;

/// A connection that listens for what the server says last.
pub(super) struct Dialled {
    tls: TlsStream<TcpStream>,
    heard: Heard,
    /// Why it cannot be written to any more.
    broken: Option<io::Error>,
}

pub(super) async fn dial(uri: &Uri, config: Arc<ClientConfig>, heard: Heard) -> io::Result<TokioIo<Dialled>> {
    // The brackets of an IPv6 address belong to the URI.
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let tcp = TcpStream::connect((host, uri.port_u16().unwrap_or(DEFAULT_PORT))).await?;
    tcp.set_nodelay(true)?;
    let tls = TlsConnector::from(config).connect(name, tcp).await?;
    Ok(TokioIo::new(Dialled {
        tls,
        heard,
        broken: None,
    }))
}

impl Dialled {
    /// Hands on what a write came to; if it failed, once all is read that the server said before it went.
    fn written<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(Err(error)) => self.broken = Some(error),
            other => return other,
        }
        self.last_words(context).map(Err)
    }

    fn last_words(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let mut rest = [0; 1024];
            let mut rest = ReadBuf::new(&mut rest);
            let read = ready!(Pin::new(&mut *self).poll_read(context, &mut rest));
            if read.is_err() || rest.filled().is_empty() {
                let gone = || io::ErrorKind::BrokenPipe.into();
                return Poll::Ready(self.broken.take().unwrap_or_else(gone));
            }
        }
    }
}

impl AsyncRead for Dialled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.tls).poll_read(context, buffer);
        if let Poll::Ready(Err(error)) = &read
            && let Some(Error::AlertReceived(alert)) = of_tls(error)
        {
            self.heard.get_or_init(|| *alert);
        }
        read
    }
}

impl AsyncWrite for Dialled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.broken.is_some() {
            return self.last_words(context).map(Err);
        }
        let written = Pin::new(&mut self.tls).poll_write(context, bytes);
        self.written(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken.is_some() {
            return self.last_words(context).map(Err);
        }
        let flushed = Pin::new(&mut self.tls).poll_flush(context);
        self.written(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(context)
    }
}
