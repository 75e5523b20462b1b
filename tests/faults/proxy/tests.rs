//! Each fault, seen from both ends of a connection.

use std::io::ErrorKind;
use std::net::Ipv4Addr;

use tokenward::clock::{Entropy, ManualEntropy};
use tokio::net::UnixListener;

use super::*;
use crate::below;
use crate::server::Outcome;

const SEED: u64 = 0x9_0c5e;
/// A test that waits longer waits in vain.
const PATIENCE: Duration = Duration::from_secs(20);

/// A proxy, and the server behind it.
struct Network {
    proxy: Proxy,
    server: TcpListener,
}

impl Network {
    async fn start() -> io::Result<Network> {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let proxy = Proxy::start(Target::Tcp(server.local_addr()?))?;
        Ok(Network { proxy, server })
    }

    /// Both ends of a new connection.
    async fn connect(&self) -> io::Result<(TcpStream, TcpStream)> {
        let client = TcpStream::connect(self.proxy.address).await?;
        let (server, _) = timeout(PATIENCE, self.server.accept()).await??;
        Ok((client, server))
    }
}

/// Sends a few bytes and sees them arrive.
async fn passes(from: &mut TcpStream, to: &mut TcpStream) -> Outcome {
    from.write_all(b"hello").await?;
    assert_eq!(hear(to, 5).await?, b"hello");
    Ok(())
}

async fn hear(from: &mut TcpStream, bytes: usize) -> io::Result<Vec<u8>> {
    let mut heard = vec![0; bytes];
    timeout(PATIENCE, from.read_exact(&mut heard)).await??;
    Ok(heard)
}

/// How reading on ends when nothing more can come: `None` in order, or with an error.
async fn end(of: &mut TcpStream) -> io::Result<Option<ErrorKind>> {
    let ended = timeout(PATIENCE, of.read_to_end(&mut Vec::new())).await?;
    Ok(ended.err().map(|error| error.kind()))
}

/// Nothing has come, not even an end.
fn hears_nothing(at: &TcpStream) {
    let heard = at.try_read(&mut [0; 8]);
    assert!(
        matches!(&heard, Err(error) if error.kind() == ErrorKind::WouldBlock),
        "{heard:?}"
    );
}

#[tokio::test]
async fn every_byte_arrives_in_order_through_delays_and_blocks() -> Outcome {
    const ROUNDS: usize = 300;
    let mut network = Network::start().await?;
    let (mut client, mut server) = network.connect().await?;
    let echo = tokio::spawn(async move {
        let (mut from, mut to) = server.split();
        tokio::io::copy(&mut from, &mut to).await
    });
    let entropy = ManualEntropy::seeded(SEED);
    let (mut from, mut to) = client.split();
    let (mut sent, mut heard) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        match below(&entropy, 4) {
            0 => {
                let [there, back] = [below(&entropy, 4), below(&entropy, 4)].map(Duration::from_millis);
                network.proxy.delay(there, back);
            }
            1 => network.proxy.block(Way::ToServer),
            2 => network.proxy.block(Way::ToClient),
            _ => network.proxy.heal().await,
        }
        let mut piece = vec![0; below(&entropy, 3000) as usize];
        entropy.fill(&mut piece);
        to.write_all(&piece).await?;
        sent.extend(piece);
    }
    network.proxy.heal().await;
    to.shutdown().await?;
    timeout(PATIENCE, from.read_to_end(&mut heard)).await??;
    assert!(
        heard == sent,
        "seed {SEED:#x}: {} of {} bytes",
        heard.len(),
        sent.len()
    );
    assert_eq!(echo.await??, sent.len() as u64);
    Ok(())
}

#[tokio::test]
async fn bytes_take_as_long_as_their_way_is_delayed() -> Outcome {
    const THERE: Duration = Duration::from_millis(30);
    const BACK: Duration = Duration::from_millis(70);
    let network = Network::start().await?;
    let (mut client, mut server) = network.connect().await?;
    network.proxy.delay(THERE, BACK);
    let start = Instant::now();
    passes(&mut client, &mut server).await?;
    let there = start.elapsed();
    let start = Instant::now();
    passes(&mut server, &mut client).await?;
    let back = start.elapsed();
    assert!(there >= THERE, "{there:?}");
    assert!(back >= BACK, "{back:?}");
    Ok(())
}

#[tokio::test]
async fn a_blocked_way_holds_bytes_and_ends_while_the_other_flows() -> Outcome {
    for way in [Way::ToServer, Way::ToClient] {
        let mut network = Network::start().await?;
        let (client, server) = network.connect().await?;
        let (mut held, mut waits) = match way {
            Way::ToServer => (client, server),
            Way::ToClient => (server, client),
        };
        network.proxy.block(way);
        held.write_all(b"late").await?;
        held.shutdown().await?;
        // Had it not been held back, it would have overtaken these.
        for _ in 0..20 {
            passes(&mut waits, &mut held).await?;
        }
        hears_nothing(&waits);
        network.proxy.heal().await;
        assert_eq!(hear(&mut waits, 4).await?, b"late");
        assert_eq!(end(&mut waits).await?, None);
        passes(&mut waits, &mut held).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_end_and_the_reset_of_one_side_reach_the_other() -> Outcome {
    let network = Network::start().await?;
    let (mut client, mut server) = network.connect().await?;
    client.shutdown().await?;
    assert_eq!(end(&mut server).await?, None);
    // More than a client takes before it reads: what was sent before the end arrives, however late it is read.
    let last_words = vec![7; 256 * 1024];
    timeout(PATIENCE, server.write_all(&last_words)).await??;
    drop(server);
    let (mut other, mut end_of_other) = network.connect().await?;
    for _ in 0..100 {
        passes(&mut other, &mut end_of_other).await?;
    }
    assert!(hear(&mut client, last_words.len()).await? == last_words);
    assert_eq!(end(&mut client).await?, None);

    let (client, mut server) = network.connect().await?;
    client.set_zero_linger()?;
    drop(client);
    assert_eq!(end(&mut server).await?, Some(ErrorKind::ConnectionReset));
    Ok(())
}

#[tokio::test]
async fn a_cut_resets_what_there_is_and_nothing_later() -> Outcome {
    let mut network = Network::start().await?;
    let mut connections = Vec::new();
    for _ in 0..3 {
        // Those from before the last cut and from after it.
        connections.push(network.connect().await?);
        network.proxy.heal().await;
        connections.push(network.connect().await?);
        for (client, server) in &mut connections {
            passes(client, server).await?;
        }
        network.proxy.cut();
        for (mut client, mut server) in connections.drain(..) {
            assert_eq!(end(&mut client).await?, Some(ErrorKind::ConnectionReset));
            assert_eq!(end(&mut server).await?, Some(ErrorKind::ConnectionReset));
        }
        let (mut client, mut server) = network.connect().await?;
        passes(&mut client, &mut server).await?;
        connections.push((client, server));
    }
    Ok(())
}

#[tokio::test]
async fn in_silence_nothing_is_heard_and_afterwards_all_is_reset() -> Outcome {
    let mut network = Network::start().await?;
    let (mut client, mut server) = network.connect().await?;
    let (gone, mut forgotten) = network.connect().await?;
    passes(&mut client, &mut server).await?;
    network.proxy.silence();
    let mut late = TcpStream::connect(network.proxy.address).await?;
    for connection in [&mut client, &mut server, &mut late] {
        connection.write_all(b"anyone?").await?;
    }
    drop(gone);
    network.proxy.accepted(3).await;
    for connection in [&client, &server, &forgotten, &late] {
        hears_nothing(connection);
    }
    network.proxy.heal().await;
    for connection in [&mut client, &mut server, &mut forgotten, &mut late] {
        assert_eq!(end(connection).await?, Some(ErrorKind::ConnectionReset));
    }
    let (mut client, mut server) = network.connect().await?;
    passes(&mut client, &mut server).await
}

#[tokio::test]
async fn refusing_spares_what_there_is_and_heals_on_the_same_port() -> Outcome {
    let mut network = Network::start().await?;
    let (mut client, mut server) = network.connect().await?;
    for _ in 0..3 {
        network.proxy.refuse().await;
        let refused = TcpStream::connect(network.proxy.address).await;
        assert_eq!(
            refused.err().map(|error| error.kind()),
            Some(ErrorKind::ConnectionRefused)
        );
        passes(&mut client, &mut server).await?;
        network.proxy.heal().await;
        let (mut client, mut server) = network.connect().await?;
        passes(&mut client, &mut server).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_server_on_a_unix_socket_is_reached_and_missed() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("socket");
    let server = UnixListener::bind(&path)?;
    let proxy = Proxy::start(Target::Unix(path.clone()))?;
    let mut client = TcpStream::connect(proxy.address).await?;
    let (mut accepted, _) = timeout(PATIENCE, server.accept()).await??;
    client.write_all(b"hello").await?;
    client.shutdown().await?;
    let mut heard = Vec::new();
    timeout(PATIENCE, accepted.read_to_end(&mut heard)).await??;
    assert_eq!(heard, b"hello");
    accepted.write_all(b"bye").await?;
    drop(accepted);
    assert_eq!(hear(&mut client, 3).await?, b"bye");
    assert_eq!(end(&mut client).await?, None);

    drop(server);
    std::fs::remove_file(path)?;
    // It may be told so before it knows that it was connected.
    let missed = match TcpStream::connect(proxy.address).await {
        Ok(mut client) => end(&mut client).await?,
        Err(error) => Some(error.kind()),
    };
    assert_eq!(missed, Some(ErrorKind::ConnectionReset));
    Ok(())
}
