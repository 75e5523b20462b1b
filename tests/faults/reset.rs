//! Callers that vanish in the middle of their calls: what they had begun is done wholly or not at all, and no
//! connection to the database is left in the middle of anything, or thrown away.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use tokenward::clock::{ManualEntropy, random};
use tokenward::proto::v1::{self, EntryKind, TokenState, Verdict};
use tokenward::token::id::{RequestDigest, RequestId};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::Status;

use crate::fleet::{Fleet, Told, issue_request, revoke_request};
use crate::proxy::{Proxy, Target};
use crate::server::{Client, Outcome};
use crate::{below, journal, report, sized};

const SEED: u64 = 0x4e_5e70;
/// Each way, between the replica and the database.
const DATABASE_DELAY: Duration = Duration::from_millis(1);
/// Calls under way when the callers vanish, and the connections they come by.
const CALLS_AT_ONCE: usize = 10;
const CONNECTIONS: usize = 5;
/// How long after their calls the callers vanish, in milliseconds: a call takes about as long.
const VANISH_AFTER_MAX: u64 = 250;
/// By then no transaction is open any more. The server ends those that are after five seconds.
const SETTLED_WITHIN: Duration = Duration::from_secs(2);

/// Connections that are there for as long as the replica, once they were needed.
const BACKENDS: &str = "
    SELECT application_name || ' ' || pid || ' ' || backend_start FROM pg_stat_activity
    WHERE application_name IN ('tokenward/writer', 'tokenward/misses', 'tokenward/renewals')";

const OPEN_TRANSACTIONS: &str = "
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name LIKE 'tokenward/%' AND state LIKE 'idle in transaction%'";

/// How callers vanish.
#[derive(Clone, Copy, Debug)]
enum Vanish {
    /// Their connections are reset.
    Reset,
    /// They cancel their calls, and stay connected.
    Cancel,
}

/// A change that was asked for.
#[derive(Clone, Debug)]
enum Wish {
    Issue,
    Revoke { token_id: String },
}

/// What was asked for, by the digest of the request id, and what was answered.
#[derive(Default)]
struct Asked {
    wishes: BTreeMap<String, Wish>,
    /// The token that was changed, and its secret if it is new.
    answered: BTreeMap<String, (String, Option<String>)>,
}

#[tokio::test]
async fn callers_that_vanish_leave_whole_changes_and_the_connections_as_they_were() -> Outcome {
    let rounds = sized(20, 100);
    let entropy = ManualEntropy::seeded(SEED);
    let fleet = Fleet::start(1, Told::Barrier).await?;
    let front = Proxy::start(Target::Tcp(fleet.replicas[0].address.parse()?))?;
    let mut direct = fleet.replicas[0].client().await?;
    let mut database: PgConnection = fleet.cluster.url().parse::<PgConnectOptions>()?.connect().await?;
    // They are revoked later; and all connections to the database are made meanwhile.
    let mut tokens = issue(&direct, rounds * CALLS_AT_ONCE / 2).await?;
    let before = backends(&mut database).await?;
    fleet.networks[0].delay(DATABASE_DELAY, DATABASE_DELAY);

    let mut asked = Asked::default();
    for round in 0..rounds {
        let vanish = if round % 2 == 0 {
            Vanish::Reset
        } else {
            Vanish::Cancel
        };
        let after = Duration::from_millis(1 + below(&entropy, VANISH_AFTER_MAX));
        let wishes = (0..CALLS_AT_ONCE).map(|number| match tokens.pop() {
            Some(token_id) if number % 2 == 0 => Wish::Revoke { token_id },
            spared => {
                tokens.extend(spared);
                Wish::Issue
            }
        });
        let wishes = wishes
            .map(|wish| (RequestId::new(random(&entropy)), wish))
            .collect();
        asked.round(&front, wishes, vanish, after).await?;
    }
    // Whoever came before it has been dealt with when this is answered.
    direct.issue("notes", &[]).await?;
    timeout(SETTLED_WITHIN, no_open_transaction(&mut database)).await??;
    let after = backends(&mut database).await?;
    let replaced: Vec<_> = before.difference(&after).collect();
    assert!(replaced.is_empty(), "seed {SEED:#x}: {replaced:?}");
    asked.check(&mut direct).await
}

async fn issue(client: &Client, tokens: usize) -> Result<Vec<String>, Status> {
    let mut ids = Vec::new();
    while ids.len() < tokens {
        let mut issuing = JoinSet::new();
        for _ in 0..CALLS_AT_ONCE {
            let mut client = client.clone();
            issuing.spawn(async move { client.issue("notes", &[]).await });
        }
        for issued in issuing.join_all().await {
            ids.push(issued?.0.id);
        }
    }
    Ok(ids)
}

async fn backends(database: &mut PgConnection) -> Result<BTreeSet<String>, sqlx::Error> {
    let backends: Vec<String> = sqlx::query_scalar(BACKENDS).fetch_all(database).await?;
    Ok(backends.into_iter().collect())
}

async fn no_open_transaction(database: &mut PgConnection) -> Result<(), sqlx::Error> {
    loop {
        let open: i64 = sqlx::query_scalar(OPEN_TRANSACTIONS)
            .fetch_one(&mut *database)
            .await?;
        if open == 0 {
            return Ok(());
        }
    }
}

impl Wish {
    async fn ask(self, mut client: Client, request_id: String) -> Result<(String, Option<String>), Status> {
        match self {
            Wish::Issue => {
                let issued = client.tokens.issue(issue_request(request_id)).await?.into_inner();
                Ok((issued.token.unwrap_or_default().id, Some(issued.secret)))
            }
            Wish::Revoke { token_id } => {
                let request = revoke_request(&token_id, request_id);
                client.tokens.revoke(request).await?;
                Ok((token_id, None))
            }
        }
    }
}

impl Asked {
    /// Asks for all of it at once, and vanishes.
    async fn round(
        &mut self,
        front: &Proxy,
        wishes: Vec<(RequestId, Wish)>,
        vanish: Vanish,
        after: Duration,
    ) -> Outcome {
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            clients.push(Client::connect(front.address).await?);
        }
        let mut calls = JoinSet::new();
        for (number, (request_id, wish)) in wishes.into_iter().enumerate() {
            let in_journal = RequestDigest::of(&request_id).to_string();
            self.wishes.insert(in_journal.clone(), wish.clone());
            let client = clients[number % CONNECTIONS].clone();
            calls.spawn(async move {
                let answer = wish.ask(client, request_id.expose()).await;
                (in_journal, answer)
            });
        }
        sleep(after).await;
        match vanish {
            Vanish::Reset => front.cut(),
            Vanish::Cancel => calls.abort_all(),
        }
        while let Some(ended) = calls.join_next().await {
            if let Ok((in_journal, Ok(answer))) = ended {
                self.answered.insert(in_journal, answer);
            }
        }
        Ok(())
    }

    /// What the journal says was done was asked for, is what was answered, and is what there is.
    async fn check(&self, client: &mut Client) -> Outcome {
        let (mut done, mut revoked) = (BTreeMap::new(), BTreeMap::new());
        for entry in journal::read(client).await? {
            let of_token = match entry.kind() {
                EntryKind::TokenIssued => revoked.insert(entry.token_id.clone(), false).is_none(),
                EntryKind::TokenRevoked => revoked.insert(entry.token_id.clone(), true) == Some(false),
                _ => continue,
            };
            assert!(of_token, "seed {SEED:#x}: {} twice", entry.token_id);
            if let Some(wish) = self.wishes.get(&entry.request_id) {
                let as_asked = match wish {
                    Wish::Issue => entry.kind() == EntryKind::TokenIssued,
                    Wish::Revoke { token_id } => *token_id == entry.token_id,
                };
                assert!(
                    as_asked,
                    "seed {SEED:#x}: {wish:?} is revision {}",
                    entry.revision
                );
                done.insert(entry.request_id, entry.token_id);
            }
        }
        for (request_id, (token_id, secret)) in &self.answered {
            assert_eq!(done.get(request_id), Some(token_id), "seed {SEED:#x}");
            if let Some(secret) = secret {
                assert_eq!(client.verdict(secret).await?, Verdict::Accepted);
            }
        }
        assert_eq!(states(client).await?, revoked, "seed {SEED:#x}");
        let unanswered = done.len() - self.answered.len();
        report(format_args!(
            "{} calls: {} answered, {unanswered} done without an answer, {} not done",
            self.wishes.len(),
            self.answered.len(),
            self.wishes.len() - done.len(),
        ));
        // Otherwise nobody has vanished from anything.
        assert!(unanswered > 0, "seed {SEED:#x}");
        Ok(())
    }
}

/// Every token there is, and whether it is revoked.
async fn states(client: &mut Client) -> Result<BTreeMap<String, bool>, Status> {
    let (mut states, mut page_token) = (BTreeMap::new(), String::new());
    loop {
        let request = v1::ListRequest {
            namespace: "notes".to_owned(),
            page_size: 1000,
            page_token,
            ..Default::default()
        };
        let page = client.tokens.list(request).await?.into_inner();
        let tokens = page.tokens.into_iter();
        states.extend(tokens.map(|token| (token.id.clone(), token.state() == TokenState::Revoked)));
        if page.next_page_token.is_empty() {
            return Ok(states);
        }
        page_token = page.next_page_token;
    }
}
