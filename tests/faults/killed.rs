//! A server killed in the middle of its writes loses nothing it has acknowledged.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tokenward::clock::ManualEntropy;
use tokenward::journal::link::Link;
use tokenward::proto::v1::{self, Verdict};
use tokio::sync::mpsc;
use tonic::transport::Endpoint;

use crate::server::{Client, Outcome, hex};
use crate::{below, sized};

const SEED: u64 = 0x51_6b11;
const CALLERS: usize = 8;

/// The program itself, as a process that can be killed.
struct Process {
    child: Child,
    address: String,
}

/// What one token went through, as far as its owner knows.
struct Known {
    token_id: String,
    /// The secret that was acknowledged last.
    secret: String,
    acknowledged: Stage,
    /// What was asked for and not answered any more, which may have happened or not.
    asked: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Stage {
    Issued,
    Rotated,
    Revoked,
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed() -> Outcome {
    let rounds = sized(5, 200);
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("tokenward.db");
    let entropy = ManualEntropy::seeded(SEED);
    let mut process = Process::start(&store)?;
    process
        .client()
        .await?
        .create_namespace("notes", "kn_", hex(40))
        .await?;
    let mut acknowledged = 0;
    for round in 0..rounds {
        let known = load_until_killed(process, below(&entropy, 60)).await?;
        process = Process::start(&store)?;
        let mut client = process.client().await?;
        for known in &known {
            let verdict = client.verdict(&known.secret).await?;
            assert!(
                known.explains(verdict),
                "seed {SEED:#x}, round {round}: {} is {verdict:?}, was {:?}",
                known.token_id,
                known.acknowledged
            );
        }
        check_chain(&mut client).await?;
        acknowledged += known.len();
    }
    assert!(acknowledged > rounds, "the load did nothing");
    Ok(())
}

/// Loads the server until so many changes were acknowledged, kills it, and tells what every owner knows.
async fn load_until_killed(
    mut process: Process,
    kill_after: u64,
) -> Result<Vec<Known>, Box<dyn std::error::Error>> {
    let (acknowledgements, mut acknowledged) = mpsc::channel::<()>(1024);
    let mut owners = tokio::task::JoinSet::new();
    let client = Arc::new(process.client().await?);
    for _ in 0..CALLERS {
        owners.spawn(own(Client::clone(&client), acknowledgements.clone()));
    }
    drop(acknowledgements);
    for _ in 0..=kill_after {
        acknowledged.recv().await.ok_or("the load ended by itself")?;
    }
    process.kill()?;
    // The owners find the connection gone.
    acknowledged.close();
    let mut all = Vec::new();
    while let Some(known) = owners.join_next().await {
        all.extend(known?);
    }
    Ok(all)
}

/// Issues, rotates and revokes tokens, one after another, until the server is gone.
async fn own(mut client: Client, acknowledgements: mpsc::Sender<()>) -> Vec<Known> {
    let mut all = Vec::new();
    loop {
        let Ok((token, secret)) = client.issue("notes", &[]).await else {
            return all;
        };
        let stage = Stage::Issued;
        all.push(Known {
            token_id: token.id.clone(),
            secret,
            acknowledged: stage,
            asked: stage,
        });
        let Some(known) = all.last_mut() else { return all };
        // Nobody counts any more once the server was killed.
        let _ = acknowledgements.send(()).await;
        known.asked = Stage::Rotated;
        let request = v1::RotateRequest {
            token_id: token.id.clone(),
            ..Default::default()
        };
        let Ok(rotated) = client.tokens.rotate(request).await else {
            return all;
        };
        known.secret = rotated.into_inner().secret;
        known.acknowledged = Stage::Rotated;
        let _ = acknowledgements.send(()).await;
        known.asked = Stage::Revoked;
        if client.revoke(&token.id).await.is_err() {
            return all;
        }
        known.acknowledged = Stage::Revoked;
        let _ = acknowledgements.send(()).await;
    }
}

impl Known {
    /// Whether `verdict` on the secret agrees with what was acknowledged, and what may have happened since.
    fn explains(&self, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Accepted => self.acknowledged < Stage::Revoked,
            // A rotation that was not answered has retired this secret.
            Verdict::SecretRetired => self.acknowledged == Stage::Issued && self.asked == Stage::Rotated,
            Verdict::Revoked => self.asked == Stage::Revoked,
            _ => false,
        }
    }
}

/// The journal is dense, and every link follows from the one before.
async fn check_chain(client: &mut Client) -> Outcome {
    let head = client.audit.get_head(v1::GetHeadRequest {}).await?.into_inner();
    let (mut revision, mut link, mut page_token) = (0, Link::START, String::new());
    loop {
        let request = v1::ListEntriesRequest {
            page_size: 1000,
            page_token,
            ..Default::default()
        };
        let page = client.audit.list_entries(request).await?.into_inner();
        for entry in page.entries {
            revision += 1;
            link = link.then(&entry.body);
            assert_eq!(
                (entry.revision, &entry.link[..]),
                (revision, &link.as_bytes()[..])
            );
        }
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    assert_eq!((head.revision, &head.link[..]), (revision, &link.as_bytes()[..]));
    Ok(())
}

impl Process {
    fn start(store: &Path) -> Result<Process, Box<dyn std::error::Error>> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tokenward"))
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "warn", "--store"])
            .arg(format!("sqlite:{}", store.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
        let address = line
            .trim()
            .strip_prefix("tokenward: listening on ")
            .ok_or("it did not start")?;
        Ok(Process {
            address: address.to_owned(),
            child,
        })
    }

    async fn client(&self) -> Result<Client, tonic::transport::Error> {
        let endpoint = Endpoint::new(format!("http://{}", self.address))?;
        Ok(Client::over(endpoint.connect().await?))
    }

    /// SIGKILL: the process gets no chance to write anything.
    fn kill(&mut self) -> std::io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.kill();
    }
}
