//! Postgres restarted again and again under load: nothing acknowledged is lost, nothing is done twice, and whoever
//! was left without an answer gets one by asking again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokenward::clock::{Clock, ManualEntropy, SystemClock, random};
use tokenward::proto::v1::{self, EntryKind};
use tokenward::token::id::{RequestDigest, RequestId};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::cluster::Mode;
use crate::fleet::{Fleet, Recorder, Token, Told, issue_request, revoke_request};
use crate::history::Answer;
use crate::server::{Client, Outcome};
use crate::{below, journal, report, sized};

const SEED: u64 = 0x2e_57a7;
const REPLICAS: usize = 2;
const CALLERS: usize = 6;
/// Changes acknowledged between one restart and the next, at most.
const BETWEEN_MAX: u64 = 40;
/// A test that waits longer waits in vain.
const PATIENCE: Duration = Duration::from_secs(20);

/// What all callers have done.
struct Ledger {
    entropy: ManualEntropy,
    recorder: Recorder,
    done: AtomicBool,
    tokens: AtomicUsize,
    /// Calls that ended without a clear answer.
    unknown: AtomicUsize,
    written: watch::Sender<Written>,
}

/// What was acknowledged.
#[derive(Default)]
struct Written {
    /// By the digest of the request id, as the journal has it: what, and to which token.
    changes: HashMap<String, (EntryKind, String)>,
    /// Uptime of each acknowledgement.
    times: Vec<Duration>,
}

#[tokio::test]
async fn nothing_is_lost_or_done_twice_when_postgres_is_restarted() -> Outcome {
    let restarts = sized(4, 20);
    let fleet = Fleet::start(REPLICAS, Told::Barrier).await?;
    let ledger = Arc::new(Ledger {
        entropy: ManualEntropy::seeded(SEED),
        recorder: Recorder::default(),
        done: AtomicBool::new(false),
        tokens: AtomicUsize::new(0),
        unknown: AtomicUsize::new(0),
        written: watch::Sender::new(Written::default()),
    });
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        let mut clients = fleet.clients().await?;
        // Half of them ask one replica first, half the other.
        clients.rotate_left(number % REPLICAS);
        let caller = Caller {
            ledger: Arc::clone(&ledger),
            clients,
        };
        callers.spawn(caller.run());
    }
    for restart in 0..restarts {
        let mode = if restart % 2 == 0 {
            Mode::Fast
        } else {
            Mode::Immediate
        };
        ledger
            .more_acknowledged(below(&ledger.entropy, BETWEEN_MAX) as usize)
            .await?;
        fleet.cluster.restart(mode).await?;
    }
    ledger.more_acknowledged(BETWEEN_MAX as usize).await?;
    ledger.done.store(true, Ordering::SeqCst);
    while let Some(ended) = timeout(PATIENCE, callers.join_next()).await? {
        ended??;
    }
    let mut client = fleet.replicas[0].client().await?;
    ledger.check(journal::read(&mut client).await?);
    assert_eq!(ledger.recorder.violations(), [], "seed {SEED:#x}");
    let written = ledger.written.borrow();
    report(format_args!(
        "{restarts} restarts, {} changes acknowledged: {} calls without a clear answer, and asked again; {:?} at most \
         without an acknowledgement",
        written.times.len(),
        ledger.unknown.load(Ordering::SeqCst),
        written.longest_gap(),
    ));
    Ok(())
}

impl Ledger {
    /// Returns when so many more changes were acknowledged.
    async fn more_acknowledged(&self, changes: usize) -> Outcome {
        let mut written = self.written.subscribe();
        let wanted = written.borrow().times.len() + changes;
        let acknowledged = written.wait_for(|written| written.times.len() >= wanted);
        timeout(PATIENCE, acknowledged).await??;
        Ok(())
    }

    fn acknowledged(&self, request_id: &RequestId, kind: EntryKind, token_id: &str) {
        let in_journal = RequestDigest::of(request_id).to_string();
        self.written.send_modify(|written| {
            written.changes.insert(in_journal, (kind, token_id.to_owned()));
            written.times.push(SystemClock.uptime());
        });
    }

    /// Every change that was acknowledged is in the journal once, and no other is.
    fn check(&self, entries: Vec<v1::Entry>) {
        let mut left = self.written.borrow().changes.clone();
        let mut first_uses = HashSet::new();
        for entry in entries {
            if entry.kind() == EntryKind::NamespaceCreated {
                continue;
            }
            // Nobody asks for it: a secret was judged for the first time. It is written once, whatever fails.
            if entry.kind() == EntryKind::TokenFirstUsed {
                let body: Value = serde_json::from_slice(&entry.body).unwrap_or_default();
                let version = body["change"]["token"]["change"]["first_used"]["version"].as_u64();
                assert_eq!(
                    (entry.actor.as_str(), version.is_some()),
                    ("tokenward", true),
                    "{body}"
                );
                assert!(
                    first_uses.insert((entry.token_id, version)),
                    "seed {SEED:#x}: {body}"
                );
                continue;
            }
            let acknowledged = left.remove(&entry.request_id);
            let found = Some((entry.kind(), entry.token_id));
            assert_eq!(found, acknowledged, "seed {SEED:#x}: revision {}", entry.revision);
        }
        assert!(left.is_empty(), "seed {SEED:#x}: lost {left:?}");
    }
}

impl Written {
    fn longest_gap(&self) -> Duration {
        let pairs = self.times.windows(2);
        let gaps = pairs.map(|pair| pair[1].saturating_sub(pair[0]));
        gaps.max().unwrap_or_default()
    }
}

/// Issues, rotates and revokes tokens, one after another, and has each judged by all replicas.
struct Caller {
    ledger: Arc<Ledger>,
    clients: Vec<Client>,
}

impl Caller {
    async fn run(mut self) -> Result<(), Status> {
        while !self.ledger.done.load(Ordering::SeqCst) {
            self.one_token().await?;
        }
        Ok(())
    }

    async fn one_token(&mut self) -> Result<(), Status> {
        let (id, mut secret) = self.until_known(Wish::Issue).await?;
        while below(&self.ledger.entropy, 2) == 0 {
            secret = self.until_known(Wish::Rotate(&id)).await?.1;
        }
        let token = Token {
            number: self.ledger.tokens.fetch_add(1, Ordering::SeqCst),
            id,
            secret,
        };
        self.judge(&token).await;
        self.until_known(Wish::Revoke(&token)).await?;
        self.judge(&token).await;
        Ok(())
    }

    async fn judge(&mut self, token: &Token) {
        for client in &mut self.clients {
            // Without an answer there is nothing to check.
            let _ = self.ledger.recorder.verify(client, token, None).await;
        }
    }

    /// Asks for a change until it is known to have been made, each time with the same request id: the token
    /// it was made to, and its secret, which an answer that was lost may have shown before.
    async fn until_known(&mut self, wish: Wish<'_>) -> Result<(String, String), Status> {
        let request_id = RequestId::new(random(&self.ledger.entropy));
        let answer = loop {
            self.clients.rotate_left(1);
            match wish
                .ask(&self.ledger.recorder, &mut self.clients[0], request_id.expose())
                .await
            {
                Ok(answer) => break answer,
                Err(status) if may_be_asked_again(&status) => {
                    self.ledger.unknown.fetch_add(1, Ordering::SeqCst);
                }
                Err(status) => return Err(status),
            }
        };
        self.ledger.acknowledged(&request_id, wish.kind(), &answer.0);
        Ok(answer)
    }
}

/// A change that a caller wants.
#[derive(Clone, Copy)]
enum Wish<'a> {
    Issue,
    Rotate(&'a str),
    Revoke(&'a Token),
}

impl Wish<'_> {
    fn kind(self) -> EntryKind {
        match self {
            Wish::Issue => EntryKind::TokenIssued,
            Wish::Rotate(_) => EntryKind::TokenRotated,
            Wish::Revoke(_) => EntryKind::TokenRevoked,
        }
    }

    /// The token that was changed, and its secret.
    async fn ask(
        self,
        recorder: &Recorder,
        client: &mut Client,
        request_id: String,
    ) -> Result<(String, String), Status> {
        match self {
            Wish::Issue => {
                let issued = client.tokens.issue(issue_request(request_id)).await?.into_inner();
                Ok((issued.token.unwrap_or_default().id, issued.secret))
            }
            Wish::Rotate(token_id) => {
                let request = v1::RotateRequest {
                    token_id: token_id.to_owned(),
                    request_id,
                    ..Default::default()
                };
                let rotated = client.tokens.rotate(request).await?.into_inner();
                Ok((rotated.token.unwrap_or_default().id, rotated.secret))
            }
            Wish::Revoke(token) => {
                let request = revoke_request(&token.id, request_id);
                let invoked = SystemClock.uptime();
                let revoked = client.tokens.revoke(request).await;
                let answer = match revoked {
                    Ok(_) => Answer::Revoked,
                    Err(_) => Answer::Unknown,
                };
                recorder.add(token, invoked, answer);
                revoked.map(|_| (token.id.clone(), String::new()))
            }
        }
    }
}

fn may_be_asked_again(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::Aborted | Code::DeadlineExceeded | Code::ResourceExhausted
    )
}
