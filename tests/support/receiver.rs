//! A receiver of webhooks on loopback, that fails as it is told to and remembers what it was sent.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long a test waits for what is to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_mins(1);

/// What it does with one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mood {
    Take,
    Fail,
    /// Says nothing, for ever.
    Hang,
    /// Takes it, and hangs up before it has said so.
    HangUp,
}

/// What it was sent, and what it did with it.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
    pub(crate) mood: Mood,
}

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    received: watch::Sender<Vec<Received>>,
    mood: Arc<Mutex<dyn FnMut() -> Mood + Send>>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Asks `mood` for each request.
    pub(crate) async fn start(mood: impl FnMut() -> Mood + Send + 'static) -> io::Result<Receiver> {
        Receiver::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), mood).await
    }

    pub(crate) async fn start_at(
        address: SocketAddr,
        mood: impl FnMut() -> Mood + Send + 'static,
    ) -> io::Result<Receiver> {
        let received = watch::Sender::new(Vec::new());
        let mood: Arc<Mutex<dyn FnMut() -> Mood + Send>> = Arc::new(Mutex::new(mood));
        let listener = TcpListener::bind(address).await?;
        Ok(Receiver {
            address: listener.local_addr()?,
            task: tokio::spawn(serve(listener, received.clone(), Arc::clone(&mood))),
            received,
            mood,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks", self.address)
    }

    /// Ends it with all connections, and starts it again where it was.
    pub(crate) async fn restart(&mut self) -> io::Result<()> {
        self.stop().await;
        let listener = TcpListener::bind(self.address).await?;
        self.task = tokio::spawn(serve(listener, self.received.clone(), Arc::clone(&self.mood)));
        Ok(())
    }

    /// Ends it with all connections; its address is free then.
    pub(crate) async fn stop(&mut self) {
        self.task.abort();
        // Cancelled, as it was told to be.
        let _ = (&mut self.task).await;
    }

    /// All it was sent, once that is enough.
    pub(crate) async fn once(
        &self,
        enough: impl FnMut(&Vec<Received>) -> bool,
    ) -> Result<Vec<Received>, Box<dyn std::error::Error>> {
        let mut received = self.received.subscribe();
        let all = tokio::time::timeout(ARRIVES_WITHIN, received.wait_for(enough)).await;
        let all = all.map_err(|_| format!("not enough came: {:?}", self.received.borrow().len()))??;
        Ok(all.clone())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    pub(crate) fn revision(&self) -> u64 {
        self.json()["data"]["revision"].as_u64().unwrap_or_default()
    }

    /// Whether one of its signatures was made with `secret`, as the specification has it.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let key = BASE64
            .decode(secret.trim_start_matches("whsec_").as_bytes())
            .unwrap_or_default();
        let Ok(mac) = <Hmac<Sha256>>::new_from_slice(&key) else {
            return false;
        };
        let (id, time) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let mac = mac.chain_update(format!("{id}.{time}.{}", self.body)).finalize();
        let signature = format!("v1,{}", BASE64.encode(&mac.into_bytes()));
        self.header("webhook-signature")
            .split(' ')
            .any(|one| one == signature)
    }
}

/// The revisions of what was taken, in the order it came in, each once.
pub(crate) fn taken(received: &[Received]) -> Vec<u64> {
    let mut seen = std::collections::HashSet::new();
    let taken = received
        .iter()
        .filter(|one| matches!(one.mood, Mood::Take | Mood::HangUp));
    taken
        .filter(|one| seen.insert(one.header("webhook-id").to_owned()))
        .map(Received::revision)
        .collect()
}

/// Fails three times in ten, in one way or the other; the same for the same seed.
pub(crate) fn failing_thrice_in_ten(mut seed: u64) -> impl FnMut() -> Mood + Send {
    let mut hangs = 0;
    move || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        match (seed >> 33) % 20 {
            3..5 => Mood::HangUp,
            // A hang takes as long as the server waits.
            5 if hangs < 3 => {
                hangs += 1;
                Mood::Hang
            }
            0..3 | 5 => Mood::Fail,
            _ => Mood::Take,
        }
    }
}

async fn serve(
    listener: TcpListener,
    received: watch::Sender<Vec<Received>>,
    mood: Arc<Mutex<dyn FnMut() -> Mood + Send>>,
) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (received, mood) = (received.clone(), Arc::clone(&mood));
        connections.spawn(async move {
            // Whoever sends it will see what became of it.
            let _ = answer(stream, &received, &mood).await;
        });
    }
}

async fn answer(
    mut stream: TcpStream,
    received: &watch::Sender<Vec<Received>>,
    mood: &Mutex<dyn FnMut() -> Mood + Send>,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    let (headers, body) = loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let headers: HashMap<_, _> = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length: usize = headers
            .get("content-length")
            .and_then(|n| n.parse().ok())
            .unwrap_or(0);
        if body.len() >= length {
            break (headers, body.to_owned());
        }
    };
    let mood = mood.lock().unwrap_or_else(PoisonError::into_inner)();
    received.send_modify(|all| all.push(Received { headers, body, mood }));
    match mood {
        Mood::Take => stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await,
        Mood::Fail => {
            let failed = b"HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noops";
            stream.write_all(failed).await
        }
        Mood::Hang => {
            std::future::pending::<()>().await;
            Ok(())
        }
        Mood::HangUp => Ok(()),
    }
}
