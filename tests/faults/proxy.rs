//! A network that can be broken: a TCP proxy that delays, holds back, falls silent, cuts and refuses.

mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixStream};
use tokio::runtime::{self, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::either::Either;

/// Bytes read at once.
const PIECE_BYTES_MAX: usize = 16 * 1024;
/// Pieces that one direction of a connection holds; then its sender has to wait.
const PIECES_MAX: usize = 256;
/// Connections that wait to be accepted.
const BACKLOG_MAX: u32 = 1024;
/// How long it may take to do as it is told.
const REACT_MAX: Duration = Duration::from_secs(20);

/// Passes connections on to a server, as well as it was told. It runs on a thread of its own, so that a busy
/// test does not disturb it, and ends with all its connections when it is dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    faults: watch::Sender<Faults>,
    reached: watch::Receiver<Reached>,
    runtime: Option<Runtime>,
}

/// To whom connections are passed on.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Where bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// What is wrong with the network. The first two are by [`Way`].
#[derive(Debug, Default)]
struct Faults {
    delay: [Duration; 2],
    blocked: [bool; 2],
    silent: bool,
    refusing: bool,
    /// How often all connections were reset.
    cuts: usize,
}

/// How far the proxy has come with what it was told and given.
#[derive(Clone, Copy, Debug)]
struct Reached {
    listening: bool,
    accepted: usize,
}

impl Proxy {
    /// Listens on loopback, on a port of its own.
    pub(crate) fn start(target: Target) -> io::Result<Proxy> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("proxy")
            .enable_all()
            .build()?;
        let entered = runtime.enter();
        let port = socket(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = port.local_addr()?;
        let listener = socket(address)?.listen(BACKLOG_MAX)?;
        let (faults, told) = watch::channel(Faults::default());
        let (reports, reached) = watch::channel(Reached {
            listening: true,
            accepted: 0,
        });
        runtime.spawn(async move {
            // Never listens: it only keeps the port while connections are refused.
            let _port = port;
            accept(listener, target, told, reports).await
        });
        drop(entered);
        Ok(Proxy {
            address,
            faults,
            reached,
            runtime: Some(runtime),
        })
    }

    /// Where the database of a cluster is reached through it.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres?sslmode=disable", self.address)
    }

    /// Bytes that arrive from now on take so much longer, each way.
    pub(crate) fn delay(&self, to_server: Duration, to_client: Duration) {
        self.faults
            .send_modify(|faults| faults.delay = [to_server, to_client]);
    }

    /// Holds back what goes that way, the ends of connections too, until [`Proxy::heal`]; then it arrives.
    pub(crate) fn block(&self, way: Way) {
        self.faults
            .send_modify(|faults| faults.blocked[way as usize] = true);
    }

    /// Leaves every connection half-open: it stays established, and a new one is accepted, but nobody reads or
    /// hears anything, not even that the other end is gone. [`Proxy::heal`] resets them all.
    pub(crate) fn silence(&self) {
        self.faults.send_modify(|faults| faults.silent = true);
    }

    /// Resets all connections there are; what was under way is lost.
    pub(crate) fn cut(&self) {
        self.faults.send_modify(|faults| faults.cuts += 1);
    }

    /// Refuses connections from now on; those there are stay.
    pub(crate) async fn refuse(&mut self) {
        self.faults.send_modify(|faults| faults.refusing = true);
        self.until(|reached| !reached.listening).await;
    }

    /// All is well again.
    pub(crate) async fn heal(&mut self) {
        self.faults.send_modify(|faults| {
            *faults = Faults {
                cuts: faults.cuts + usize::from(faults.silent),
                ..Faults::default()
            }
        });
        self.until(|reached| reached.listening).await;
    }

    /// Returns when so many connections were accepted, since the start.
    pub(crate) async fn accepted(&mut self, connections: usize) {
        self.until(|reached| reached.accepted >= connections).await;
    }

    async fn until(&mut self, condition: impl FnMut(&Reached) -> bool) {
        let reached = timeout(REACT_MAX, self.reached.wait_for(condition)).await;
        assert!(
            matches!(reached, Ok(Ok(_))),
            "the proxy does not do as it is told"
        );
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A socket bound to `address`, which it shares with the others of this proxy.
fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn accept(
    mut listener: TcpListener,
    target: Target,
    mut faults: watch::Receiver<Faults>,
    reached: watch::Sender<Reached>,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let mut told = faults.clone();
    loop {
        tokio::select! {
            biased;
            told = told.wait_for(|faults| faults.refusing) => drop(told.map_err(io::Error::other)?),
            accepted = listener.accept() => {
                let (client, _) = accepted?;
                let cuts = faults.borrow().cuts;
                tokio::spawn(carry(client, target.clone(), faults.clone(), cuts));
                reached.send_modify(|reached| reached.accepted += 1);
                continue;
            }
        }
        drop(listener);
        reached.send_modify(|reached| reached.listening = false);
        faults
            .wait_for(|faults| !faults.refusing)
            .await
            .map_err(io::Error::other)?;
        listener = socket(address)?.listen(BACKLOG_MAX)?;
        reached.send_modify(|reached| reached.listening = true);
    }
}

/// One connection, to its end. `cuts` is how many there had been when it was accepted.
async fn carry(
    mut client: TcpStream,
    target: Target,
    faults: watch::Receiver<Faults>,
    cuts: usize,
) -> io::Result<()> {
    let mut told = faults.clone();
    // Reset when it is dropped, at either end, unless it is said otherwise before.
    client.set_zero_linger()?;
    client.set_nodelay(true)?;
    let mut passing = pin!(pass(&mut client, &target, faults));
    tokio::select! {
        biased;
        _ = told.wait_for(|faults| faults.silent || faults.cuts != cuts) => {}
        passed = &mut passing => return passed,
    }
    // Both ends are kept and neither is listened to; then both are dropped.
    let _ = told.wait_for(|faults| faults.cuts != cuts).await;
    Ok(())
}

/// Passes a connection on until both ends have closed it.
async fn pass(client: &mut TcpStream, target: &Target, faults: watch::Receiver<Faults>) -> io::Result<()> {
    let mut server = match target {
        Target::Tcp(address) => {
            let server = TcpSocket::new_v4()?;
            server.set_zero_linger()?;
            server.set_nodelay(true)?;
            Either::Left(server.connect(*address).await?)
        }
        Target::Unix(path) => Either::Right(UnixStream::connect(path).await?),
    };
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = tokio::io::split(&mut server);
    tokio::try_join!(
        pump(from_client, to_server, Way::ToServer, faults.clone()),
        pump(from_server, to_client, Way::ToClient, faults),
    )?;
    if let Either::Left(server) = &server {
        SockRef::from(server).set_linger(None)?;
    }
    SockRef::from(&*client).set_linger(None)
}

/// Passes one direction on, its end too.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    way: Way,
    faults: watch::Receiver<Faults>,
) -> io::Result<()> {
    let mut told = faults.clone();
    let (pieces, mut due) = mpsc::channel(PIECES_MAX);
    let reading = async {
        loop {
            let mut piece = vec![0; PIECE_BYTES_MAX];
            // Its end is a piece too, and as late as the others.
            let read = from.read(&mut piece).await;
            piece.truncate(*read.as_ref().unwrap_or(&0));
            let (ended, at) = (
                piece.is_empty(),
                Instant::now() + faults.borrow().delay[way as usize],
            );
            if pieces.send((at, read.map(|_| piece))).await.is_err() || ended {
                return Ok(());
            }
        }
    };
    let writing = async {
        while let Some((at, piece)) = due.recv().await {
            sleep_until(at).await;
            let heard = told.wait_for(|faults| !faults.blocked[way as usize]).await;
            drop(heard.map_err(io::Error::other)?);
            match piece? {
                end if end.is_empty() => break,
                piece => to.write_all(&piece).await?,
            }
        }
        to.shutdown().await
    };
    tokio::try_join!(reading, writing).map(drop)
}
