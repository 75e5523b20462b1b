//! A server killed in the middle of its writes loses nothing it has acknowledged.

use std::sync::Arc;

use tokenward::clock::ManualEntropy;
use tokenward::proto::v1::{self, Verdict};
use tokio::sync::mpsc;

use crate::replica::Replica;
use crate::server::{Client, Outcome, hex};
use crate::{below, journal, sized};

const SEED: u64 = 0x51_6b11;
const CALLERS: usize = 8;

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
    let store = format!("sqlite:{}", folder.path().join("tokenward.db").display());
    let entropy = ManualEntropy::seeded(SEED);
    let mut replica = Replica::start(&["--store", &store]).await?;
    replica
        .client()
        .await?
        .create_namespace("notes", "kn_", hex(40))
        .await?;
    let mut acknowledged = 0;
    for round in 0..rounds {
        let known = load_until_killed(replica, below(&entropy, 60)).await?;
        replica = Replica::start(&["--store", &store]).await?;
        let mut client = replica.client().await?;
        for known in &known {
            let verdict = client.verdict(&known.secret).await?;
            assert!(
                known.explains(verdict),
                "seed {SEED:#x}, round {round}: {} is {verdict:?}, was {:?}",
                known.token_id,
                known.acknowledged
            );
        }
        journal::read(&mut client).await?;
        acknowledged += known.len();
    }
    assert!(acknowledged > rounds, "the load did nothing");
    Ok(())
}

/// Loads the server until so many changes were acknowledged, kills it, and tells what every owner knows.
async fn load_until_killed(
    mut replica: Replica,
    kill_after: u64,
) -> Result<Vec<Known>, Box<dyn std::error::Error>> {
    let (acknowledgements, mut acknowledged) = mpsc::channel::<()>(1024);
    let mut owners = tokio::task::JoinSet::new();
    let client = Arc::new(replica.client().await?);
    for _ in 0..CALLERS {
        owners.spawn(own(Client::clone(&client), acknowledgements.clone()));
    }
    drop(acknowledgements);
    for _ in 0..=kill_after {
        acknowledged.recv().await.ok_or("the load ended by itself")?;
    }
    replica.kill()?;
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
