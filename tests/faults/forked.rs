//! A database that has lost what was acknowledged, as a backup restored in haste has: whoever followed it sees
//! that and refuses everything until a person has started it again.

use std::io::{Read, Seek};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use tokenward::proto::v1::{self, Verdict};
use tokio::time::timeout;
use tonic::transport::Endpoint;
use tonic::{Code, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::cluster::Mode;
use crate::fleet::{Fleet, Recorder, Token, Told, reason};
use crate::proxy::Proxy;
use crate::replica::Replica;
use crate::server::{Client, Outcome};

/// A test that waits longer waits in vain.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a replica that has refused for good is asked again.
const ASKED_AGAIN: usize = 200;

/// Takes the last entry of the journal, a revocation, and all that came of it away.
const LOSE_THE_LAST: [&str; 4] = [
    "CREATE TABLE lost AS SELECT * FROM journal ORDER BY revision DESC LIMIT 1",
    "UPDATE token SET version = 1, revoke_time = NULL, revoke_reason = NULL
     WHERE id = (SELECT token_id FROM lost)",
    "DELETE FROM journal WHERE revision = (SELECT revision FROM lost)",
    "UPDATE journal_head SET (revision, link) =
         (SELECT revision, link FROM journal ORDER BY revision DESC LIMIT 1)",
];

/// A replica that has followed the journal, with its log and a stream of it.
struct Follower {
    replica: Replica,
    client: Client,
    stream: Streaming<v1::WatchRevocationsResponse>,
    log: std::fs::File,
}

#[tokio::test]
async fn replicas_refuse_a_journal_that_has_lost_an_entry_until_they_are_started_again() -> Outcome {
    let fleet = Fleet::start(1, Told::Barrier).await?;
    let mut followers = [
        Follower::start(&fleet, &fleet.networks[0]).await?,
        Follower::start(&fleet, &fleet.networks[0]).await?,
    ];
    let recorder = Recorder::default();
    let good = Token::issue(&mut followers[0].client, 0).await?;
    let revoked = Token::issue(&mut followers[0].client, 1).await?;
    recorder.revoke(&mut followers[0].client, &revoked).await?;

    let mut database = connect(&fleet).await?;
    lose_the_last(&mut database).await?;
    fleet.cluster.restart(Mode::Immediate).await?;
    for follower in &mut followers {
        follower.sees_it(&recorder, &[&good, &revoked]).await?;
        follower.refuses_for_good(&recorder, &[&good, &revoked]).await?;
    }
    // Nobody has built on it.
    let mut database = connect(&fleet).await?;
    let entries: i64 = sqlx::query_scalar("SELECT count(*) FROM journal WHERE namespace <> 'system'")
        .fetch_one(&mut database)
        .await?;
    assert_eq!(entries, 3);
    assert_eq!(recorder.violations(), []);

    let [first, second] = followers;
    for follower in [first, second] {
        assert!(follower.replica.terminate().await?.success());
        let restarted = fleet.replica(&fleet.networks[0]).await?;
        let verdict = restarted.client().await?.verdict(&good.secret).await?;
        assert_eq!(verdict, Verdict::Accepted);
    }
    Ok(())
}

#[tokio::test]
async fn a_replica_that_was_away_refuses_a_journal_that_has_since_grown_past_what_it_lost() -> Outcome {
    let mut fleet = Fleet::start(1, Told::Barrier).await?;
    let mut away = fleet.cluster.proxy()?;
    let mut follower = Follower::start(&fleet, &away).await?;
    let recorder = Recorder::default();
    let good = Token::issue(&mut follower.client, 0).await?;
    let revoked = Token::issue(&mut follower.client, 1).await?;
    recorder.revoke(&mut follower.client, &revoked).await?;

    away.refuse().await;
    away.cut();
    // The other replica is started on what was restored.
    fleet.replicas.clear();
    lose_the_last(&mut connect(&fleet).await?).await?;
    let started = fleet.replica(&fleet.networks[0]).await?;
    let mut other = started.client().await?;
    for _ in 0..3 {
        other.issue("notes", &[]).await?;
    }
    away.heal().await;
    follower.sees_it(&recorder, &[&good, &revoked]).await?;
    follower.refuses_for_good(&recorder, &[&good, &revoked]).await?;
    assert_eq!(recorder.violations(), []);
    // What was done since stands.
    assert_eq!(other.verdict(&good.secret).await?, Verdict::Accepted);
    other.issue("notes", &[]).await?;
    Ok(())
}

async fn connect(fleet: &Fleet) -> Result<PgConnection, sqlx::Error> {
    fleet.cluster.url().parse::<PgConnectOptions>()?.connect().await
}

async fn lose_the_last(database: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("BEGIN").execute(&mut *database).await?;
    for statement in LOSE_THE_LAST {
        sqlx::raw_sql(statement).execute(&mut *database).await?;
    }
    sqlx::raw_sql("COMMIT").execute(database).await?;
    Ok(())
}

impl Follower {
    async fn start(fleet: &Fleet, network: &Proxy) -> Result<Follower, Box<dyn std::error::Error>> {
        let log = tempfile::tempfile()?;
        let replica = fleet.replica_logging(network, log.try_clone()?).await?;
        let mut client = replica.client().await?;
        let request = v1::WatchRevocationsRequest::default();
        let stream = client.revocations.watch_revocations(request).await?.into_inner();
        Ok(Follower {
            replica,
            client,
            stream,
            log,
        })
    }

    /// Returns when it has noticed.
    async fn sees_it(&mut self, recorder: &Recorder, tokens: &[&Token]) -> Outcome {
        let asking = async {
            loop {
                for token in tokens {
                    // Until it has asked the database, or while it cannot, it answers something else.
                    if let Err(status) = recorder.verify(&mut self.client, token, None).await
                        && is_forked(&status)
                    {
                        return;
                    }
                }
            }
        };
        Ok(timeout(PATIENCE, asking).await?)
    }

    /// Watches, and resumes for as long as that may help: why it does not.
    async fn watch_to_the_end(&mut self) -> Status {
        let mut cursor = String::new();
        loop {
            let status = match self.stream.message().await {
                Ok(Some(message)) => {
                    cursor = message.cursor;
                    continue;
                }
                Ok(None) => return Status::unknown("it ended without a word"),
                Err(status) => status,
            };
            if reason(&status) != "STORE_UNAVAILABLE" {
                return status;
            }
            self.stream = loop {
                let request = v1::WatchRevocationsRequest {
                    cursor: cursor.clone(),
                    ..Default::default()
                };
                match self.client.revocations.watch_revocations(request).await {
                    Ok(stream) => break stream.into_inner(),
                    Err(status) if reason(&status) == "STORE_UNAVAILABLE" => {}
                    Err(status) => return status,
                }
            };
        }
    }

    async fn refuses_for_good(&mut self, recorder: &Recorder, tokens: &[&Token]) -> Outcome {
        assert!(is_forked(&timeout(PATIENCE, self.watch_to_the_end()).await?));
        assert_forked(self.client.issue("notes", &[]).await);
        for token in tokens {
            assert_forked(self.client.revoke(&token.id).await);
        }
        for asked in 0..ASKED_AGAIN {
            let token = tokens[asked % tokens.len()];
            assert_forked(recorder.verify(&mut self.client, token, None).await);
        }
        assert_eq!(health(&self.replica).await?, ServingStatus::NotServing);
        let mut log = String::new();
        self.log.rewind()?;
        self.log.read_to_string(&mut log)?;
        for words in [
            "refusing to judge until this server is started again",
            "the store is not the one that was followed",
        ] {
            assert!(log.contains(words), "{log}");
        }
        Ok(())
    }
}

fn is_forked(status: &Status) -> bool {
    status.code() == Code::Unavailable && reason(status) == "STORE_FORKED"
}

fn assert_forked<T>(answer: Result<T, Status>) {
    let refused = answer.err();
    assert!(refused.as_ref().is_some_and(is_forked), "{refused:?}");
}

/// What a balancer is told, as soon as it is not to call.
async fn health(replica: &Replica) -> Result<ServingStatus, Box<dyn std::error::Error>> {
    let channel = Endpoint::new(format!("http://{}", replica.address))?
        .connect()
        .await?;
    let request = HealthCheckRequest {
        service: String::new(),
    };
    let mut told = HealthClient::new(channel).watch(request).await?.into_inner();
    let waiting = async {
        loop {
            let health = told.message().await?.ok_or("nobody tells any more")?;
            if health.status() != ServingStatus::Serving {
                return Ok(health.status());
            }
        }
    };
    timeout(PATIENCE, waiting).await?
}
