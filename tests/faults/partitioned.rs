//! A replica that is cut off from the database, in every way there is: it ceases to accept before anybody is told
//! that a token is revoked, and serves again by itself.

use std::time::Duration;

use tokenward::clock::{Clock, ManualEntropy, SystemClock};
use tokenward::membership::Terms;
use tokenward::proto::v1::Verdict;
use tokio::time::timeout;
use tonic::transport::Endpoint;
use tonic::{Code, Status, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::fleet::{Fleet, Recorder, Token, Told, percentile, reason};
use crate::proxy::{Proxy, Way};
use crate::replica::Replica;
use crate::server::{Client, Outcome};
use crate::{below, report, sized};

const SEED: u64 = 0xc_07ff;
/// How often a token is asked for again once it must be refused.
const ASKED_AGAIN: usize = 20;
/// How long a replica may be cut off beyond its lease. What waits longer and longer would show then.
const CUT_OFF_MAX: Duration = Duration::from_secs(6);
/// How much longer than a lease everything around it may take on a machine with other things to do.
const SLACK: Duration = Duration::from_secs(1);
/// A replica that is reached again and still does not serve after this needs a person.
const HEALED_WITHIN: Duration = Duration::from_secs(3);
/// A test that waits longer waits in vain.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ways to be cut off.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// What it sends does not arrive.
    ToDatabase,
    /// What it is sent does not arrive.
    FromDatabase,
    BothWays,
    /// Its connections are half-open, and nobody ever hears that they have ended.
    Silence,
    /// Its connections are reset, and new ones refused.
    Refusal,
}

impl Cut {
    const ALL: [Cut; 5] = [
        Cut::ToDatabase,
        Cut::FromDatabase,
        Cut::BothWays,
        Cut::Silence,
        Cut::Refusal,
    ];

    async fn make(self, network: &mut Proxy) {
        match self {
            Cut::ToDatabase => network.block(Way::ToServer),
            Cut::FromDatabase => network.block(Way::ToClient),
            Cut::BothWays => {
                network.block(Way::ToServer);
                network.block(Way::ToClient);
            }
            Cut::Silence => network.silence(),
            Cut::Refusal => {
                network.refuse().await;
                network.cut();
            }
        }
    }
}

/// What one cut has shown.
#[derive(Default)]
struct Spans {
    refused: Vec<Duration>,
    serving: Vec<Duration>,
}

#[tokio::test]
async fn a_replica_cut_off_from_the_database_ceases_to_accept_and_serves_again_by_itself() -> Outcome {
    let rounds = sized(1, 8);
    let entropy = ManualEntropy::seeded(SEED);
    let mut fleet = Fleet::start(2, Told::Barrier).await?;
    let mut scene = Scene::new(&fleet).await?;
    for cut in Cut::ALL {
        let mut spans = Spans::default();
        for round in 0..rounds {
            // The first time no longer than it takes to see that it refuses.
            let stay = match round {
                0 => Duration::ZERO,
                _ => Duration::from_millis(below(&entropy, CUT_OFF_MAX.as_millis() as u64)),
            };
            let network = fleet.networks.last_mut().ok_or("no network")?;
            scene.cut_off(network, cut, stay, &mut spans).await?;
        }
        let Spans {
            mut refused,
            mut serving,
        } = spans;
        report(format_args!(
            "{cut:?}: refused after {:?} at most, served again after {:?} (half of them), {:?} (slowest)",
            percentile(&mut refused, 100),
            percentile(&mut serving, 50),
            percentile(&mut serving, 100),
        ));
        let slowest = percentile(&mut serving, 100);
        assert!(slowest < HEALED_WITHIN, "{cut:?}, seed {SEED:#x}: {slowest:?}");
    }
    assert_eq!(scene.recorder.violations(), [], "seed {SEED:#x}");
    Ok(())
}

/// Two replicas, of which the second is cut off, and what is known of their tokens.
struct Scene {
    recorder: Recorder,
    healthy: Client,
    cut_off: Client,
    health: Streaming<HealthCheckResponse>,
    /// One that is never revoked.
    good: Token,
    tokens: usize,
}

impl Scene {
    async fn new(fleet: &Fleet) -> Result<Scene, Box<dyn std::error::Error>> {
        let mut healthy = fleet.replicas[0].client().await?;
        let good = Token::issue(&mut healthy, 0).await?;
        let mut health = health(&fleet.replicas[1]).await?;
        until_health(&mut health, ServingStatus::Serving).await?;
        Ok(Scene {
            recorder: Recorder::default(),
            healthy,
            cut_off: fleet.replicas[1].client().await?,
            health,
            good,
            tokens: 1,
        })
    }

    async fn cut_off(&mut self, network: &mut Proxy, cut: Cut, stay: Duration, spans: &mut Spans) -> Outcome {
        let Scene {
            recorder,
            healthy,
            cut_off,
            health,
            good,
            tokens,
        } = self;
        let revoked = Token::issue(healthy, *tokens).await?;
        *tokens += 1;
        for token in [&*good, &revoked] {
            for _ in 0..2 {
                for client in [&mut *healthy, &mut *cut_off] {
                    assert_eq!(recorder.verify(client, token, None).await?, Verdict::Accepted);
                }
            }
        }

        cut.make(network).await;
        let cut_at = SystemClock.uptime();
        let (revocation, refused_at) = tokio::join!(
            recorder.revoke(healthy, &revoked),
            first(recorder, cut_off, &revoked, lease_lost),
        );
        revocation?;
        let refused_after = refused_at?.saturating_sub(cut_at);
        assert!(
            refused_after < Terms::DEFAULT.lease + SLACK,
            "{cut:?}: it accepted for {refused_after:?}"
        );
        spans.refused.push(refused_after);
        until_health(health, ServingStatus::NotServing).await?;
        let stay_until = SystemClock.uptime() + stay;
        let mut asked = 0;
        while asked < ASKED_AGAIN || SystemClock.uptime() < stay_until {
            asked += 1;
            for token in [&*good, &revoked] {
                let judged = recorder.verify(cut_off, token, None).await;
                assert!(lease_lost(&judged), "{cut:?}: {judged:?}");
            }
        }

        network.heal().await;
        let healed_at = SystemClock.uptime();
        let serves = |judged: &Judged| matches!(judged, Ok(Verdict::Accepted));
        let serving_at = first(recorder, cut_off, good, serves).await?;
        spans.serving.push(serving_at.saturating_sub(healed_at));
        assert_eq!(recorder.verify(cut_off, &revoked, None).await?, Verdict::Revoked);
        until_health(health, ServingStatus::Serving).await
    }
}

type Judged = Result<Verdict, Status>;

fn lease_lost(judged: &Judged) -> bool {
    let refused = judged.as_ref().err();
    refused.is_some_and(|status| status.code() == Code::Unavailable && reason(status) == "LEASE_LOST")
}

/// Asks until the answer is as wanted; uptime when that was heard.
async fn first(
    recorder: &Recorder,
    client: &mut Client,
    token: &Token,
    wanted: impl Fn(&Judged) -> bool,
) -> Result<Duration, Box<dyn std::error::Error>> {
    let asking = async {
        while !wanted(&recorder.verify(client, token, None).await) {}
        SystemClock.uptime()
    };
    Ok(timeout(PATIENCE, asking).await?)
}

/// What a balancer is told.
async fn health(replica: &Replica) -> Result<Streaming<HealthCheckResponse>, Box<dyn std::error::Error>> {
    let channel = Endpoint::new(format!("http://{}", replica.address))?
        .connect()
        .await?;
    let request = HealthCheckRequest {
        service: String::new(),
    };
    Ok(HealthClient::new(channel).watch(request).await?.into_inner())
}

async fn until_health(told: &mut Streaming<HealthCheckResponse>, wanted: ServingStatus) -> Outcome {
    let waiting = async {
        while let Some(health) = told.message().await? {
            if health.status == wanted as i32 {
                return Ok(());
            }
        }
        Err("nobody tells any more".into())
    };
    timeout(PATIENCE, waiting).await?
}
