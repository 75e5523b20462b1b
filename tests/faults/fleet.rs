//! Replicas over one database, each with a network of its own, and what they were asked and answered.

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokenward::clock::{Clock, SystemClock};
use tokenward::proto::v1::consistency::Requirement;
use tokenward::proto::v1::{self, Verdict};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use tokio::task::JoinSet;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tonic::Status;
use tonic_types::StatusExt;

use crate::admin::FILES;
use crate::cluster::Cluster;
use crate::history::{Answer, Operation, Violation, violations};
use crate::proxy::Proxy;
use crate::replica::Replica;
use crate::server::{Client, Outcome, hex};

/// Whoever waits longer for a replica waits in vain.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A fleet has more processes than a machine has cores: with one at a time, spans tell something.
pub(crate) static ONE_AT_A_TIME: AsyncMutex<()> = AsyncMutex::const_new(());

/// Replicas with the namespace `notes`. They go first, their database last.
pub(crate) struct Fleet {
    pub(crate) replicas: Vec<Replica>,
    /// By replica: its way to the database.
    pub(crate) networks: Vec<Proxy>,
    pub(crate) cluster: Cluster,
    told: Told,
    pepper: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

/// How the others are told of a Revoke.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    /// As promised: it is answered when it is in force everywhere.
    Barrier,
    /// It is answered when it is committed, and the others have only a hint that there is news. What a test finds
    /// here shows that it can find something.
    Hints,
}

/// A token, and the number under which the history knows it.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) number: usize,
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// Everything that was asked and answered, by all tasks of a test.
#[derive(Clone, Default, Debug)]
pub(crate) struct Recorder(Arc<Mutex<Vec<Operation>>>);

impl Fleet {
    pub(crate) async fn start(size: usize, told: Told) -> Result<Fleet, Box<dyn Error>> {
        let turn = ONE_AT_A_TIME.lock().await;
        let cluster = Cluster::start().await?;
        let pepper = FILES.pepper.clone();
        prepare(&cluster)?;
        let mut fleet = Fleet {
            replicas: Vec::new(),
            networks: Vec::new(),
            cluster,
            told,
            pepper,
            _turn: turn,
        };
        for _ in 0..size {
            let network = fleet.cluster.proxy()?;
            fleet.replicas.push(fleet.replica(&network).await?);
            fleet.networks.push(network);
        }
        let mut client = fleet.replicas[0].client().await?;
        client.create_namespace("notes", "kn_", hex(40)).await?;
        Ok(fleet)
    }

    /// One more replica, over that network; where it belongs is up to the caller.
    pub(crate) async fn replica(&self, network: &Proxy) -> Result<Replica, Box<dyn Error>> {
        start(self.told, &network.url(), &self.pepper).await
    }

    /// The same, as promised to callers; what it has to say goes to `log`.
    pub(crate) async fn replica_logging(
        &self,
        network: &Proxy,
        log: File,
    ) -> Result<Replica, Box<dyn Error>> {
        let pepper = self.pepper.to_string_lossy();
        Replica::start_logging(&["--store", &network.url(), "--pepper-file", &pepper], log).await
    }

    /// A client of each, over a connection of its own.
    pub(crate) async fn clients(&self) -> Result<Vec<Client>, tonic::transport::Error> {
        let mut clients = Vec::new();
        for replica in &self.replicas {
            clients.push(replica.client().await?);
        }
        Ok(clients)
    }
}

async fn start(told: Told, store: &str, pepper: &Path) -> Result<Replica, Box<dyn Error>> {
    match told {
        Told::Barrier => {
            Replica::start(&["--store", store, "--pepper-file", &pepper.to_string_lossy()]).await
        }
        Told::Hints => Replica::start_with_hints(store, pepper).await,
    }
}

/// Brings the database to the schema, and makes the admin.
/// Gives a database its schema and its first credential.
pub(crate) fn prepare(cluster: &Cluster) -> Outcome {
    let url = cluster.url();
    let (pepper, admin) = (FILES.pepper.to_string_lossy(), FILES.admin.to_string_lossy());
    let bootstrap = [
        "bootstrap",
        "--store",
        &url,
        "--pepper-file",
        &pepper,
        "--admin-file",
        &admin,
    ];
    for args in [&["migrate", "--store", &url][..], &bootstrap] {
        let done = Command::new(env!("CARGO_BIN_EXE_tokenward"))
            .args(args)
            .output()?;
        if !done.status.success() {
            return Err(String::from_utf8_lossy(&done.stderr).into());
        }
    }
    Ok(())
}

/// An Issue that can be told from others.
pub(crate) fn issue_request(request_id: String) -> v1::IssueRequest {
    v1::IssueRequest {
        namespace: "notes".to_owned(),
        subject: "ada".to_owned(),
        request_id,
        ..Default::default()
    }
}

/// A Revoke that can be told from others.
pub(crate) fn revoke_request(token_id: &str, request_id: String) -> v1::RevokeRequest {
    v1::RevokeRequest {
        token_id: token_id.to_owned(),
        reason: "left".to_owned(),
        request_id,
    }
}

impl Token {
    pub(crate) async fn issue(client: &mut Client, number: usize) -> Result<Token, Status> {
        let (token, secret) = client.issue("notes", &[]).await?;
        Ok(Token {
            number,
            id: token.id,
            secret,
        })
    }
}

impl Recorder {
    /// Asks one replica once; with a cursor, for an answer that takes into account everything up to it.
    pub(crate) async fn verify(
        &self,
        client: &mut Client,
        token: &Token,
        cursor: Option<&str>,
    ) -> Result<Verdict, Status> {
        let consistency = cursor.map(|cursor| v1::Consistency {
            requirement: Some(Requirement::AtLeast(cursor.to_owned())),
        });
        let request = v1::VerifyRequest {
            secret: token.secret.clone(),
            consistency,
            ..Default::default()
        };
        let invoked = SystemClock.uptime();
        let judged = client.verification.verify(request).await;
        let judged = judged.map(|response| response.into_inner().verdict());
        let answer = match &judged {
            Ok(Verdict::Accepted) => Answer::Accepted,
            Ok(verdict) => {
                assert_eq!(*verdict, Verdict::Revoked, "nobody caused any other");
                Answer::Refused
            }
            Err(_) => Answer::Unjudged,
        };
        self.add(token, invoked, answer);
        judged
    }

    /// Asks all at once, each once.
    pub(crate) async fn verify_at_all(
        &self,
        clients: &[Client],
        token: &Token,
    ) -> Result<Vec<Verdict>, Status> {
        let mut asked = JoinSet::new();
        for client in clients {
            let (recorder, mut client, token) = (self.clone(), client.clone(), token.clone());
            asked.spawn(async move { recorder.verify(&mut client, &token, None).await });
        }
        asked.join_all().await.into_iter().collect()
    }

    /// Asks one replica until it judges: again and again, while it has no lease.
    pub(crate) async fn judged(&self, client: &mut Client, token: &Token) -> Result<Verdict, Elapsed> {
        let judging = async {
            loop {
                if let Ok(verdict) = self.verify(client, token, None).await {
                    return verdict;
                }
            }
        };
        timeout(PATIENCE, judging).await
    }

    pub(crate) async fn revoke(
        &self,
        client: &mut Client,
        token: &Token,
    ) -> Result<v1::RevokeResponse, Status> {
        let invoked = SystemClock.uptime();
        let revoked = client.revoke(&token.id).await;
        let answer = match revoked {
            Ok(_) => Answer::Revoked,
            Err(_) => Answer::Unknown,
        };
        self.add(token, invoked, answer);
        revoked
    }

    pub(crate) fn add(&self, token: &Token, invoked: Duration, answer: Answer) {
        let operation = Operation {
            token: token.number,
            invoked,
            returned: SystemClock.uptime(),
            answer,
        };
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(operation);
    }

    pub(crate) fn operations(&self) -> Vec<Operation> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn violations(&self) -> Vec<Violation> {
        violations(&self.operations())
    }
}

/// Tokens that every replica has in its cache, numbered from zero.
pub(crate) async fn warm_tokens(
    clients: &[Client],
    recorder: &Recorder,
    tokens: usize,
) -> Result<Vec<Token>, Status> {
    let mut issuing = JoinSet::new();
    for number in 0..tokens {
        let mut client = clients[number % clients.len()].clone();
        issuing.spawn(async move { Token::issue(&mut client, number).await });
    }
    let tokens: Vec<_> = issuing.join_all().await.into_iter().collect::<Result<_, _>>()?;
    for token in &tokens {
        // The first answer may be read through, past the cache.
        for _ in 0..2 {
            let verdicts = recorder.verify_at_all(clients, token).await?;
            assert_eq!(verdicts, vec![Verdict::Accepted; clients.len()]);
        }
    }
    Ok(tokens)
}

/// The reason of a call that failed; empty where nothing was heard.
pub(crate) fn reason(status: &Status) -> String {
    let told = status.get_details_error_info();
    told.map(|info| info.reason).unwrap_or_default()
}

/// The span that so many percent of them do not exceed.
pub(crate) fn percentile(spans: &mut [Duration], percent: usize) -> Duration {
    spans.sort_unstable();
    let at = spans.len() * percent / 100;
    spans
        .get(at.min(spans.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}
