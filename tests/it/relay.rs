//! A connection that breaks at the worst moment: the change is made, and its answer never arrives.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Passes one connection on to a server, and cuts it when a secret comes back.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    relaying: JoinHandle<io::Result<String>>,
}

impl Relay {
    /// `secret` finds the secret in what has come back, once it is there as a whole.
    pub(crate) async fn start(server: SocketAddr, secret: fn(&[u8]) -> Option<String>) -> io::Result<Relay> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Relay {
            address: listener.local_addr()?,
            relaying: tokio::spawn(async move {
                let (client, _) = listener.accept().await?;
                until(secret, client, TcpStream::connect(server).await?).await
            }),
        })
    }

    /// The secret that nobody has been shown.
    pub(crate) async fn lost(self) -> Result<String, Box<dyn std::error::Error>> {
        Ok(self.relaying.await??)
    }
}

async fn until(
    secret: fn(&[u8]) -> Option<String>,
    client: TcpStream,
    server: TcpStream,
) -> io::Result<String> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asking = async {
        io::copy(&mut from_client, &mut to_server).await?;
        // The client has ended; what comes back is still read.
        std::future::pending().await
    };
    let answering = async {
        let (mut answered, mut piece) = (Vec::new(), [0; 4096]);
        loop {
            let read = from_server.read(&mut piece).await?;
            if read == 0 {
                return Err(io::Error::other("the server ended without a secret"));
            }
            answered.extend_from_slice(&piece[..read]);
            match secret(&answered) {
                Some(secret) => return Ok(secret),
                None => to_client.write_all(&piece[..read]).await?,
            }
        }
    };
    tokio::select! {
        asked = asking => asked,
        answered = answering => answered,
    }
}
