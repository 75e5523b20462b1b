//! Replicas come and go while tokens are revoked elsewhere: none accepts what was revoked, and a Revoke waits for
//! nobody who left in good order.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokenward::clock::{Clock, ManualEntropy, SystemClock};
use tokenward::proto::v1::Propagation;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::Status;

use crate::fleet::{Fleet, Recorder, Token, Told, percentile};
use crate::history::Answer;
use crate::replica::Replica;
use crate::server::{Client, Outcome};
use crate::{below, report, sized};

const SEED: u64 = 0x10_1e55;
/// Replicas that stay, and where tokens are revoked.
const HOSTS: usize = 2;
const CALLERS: usize = 4;
/// Tokens that each caller revokes while one replica goes and another comes.
const TOKENS: usize = 15;
/// A Revoke waits for 1.01 s at most, on a machine that has time for it.
const REVOKE_MAX: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Leaving {
    /// SIGTERM.
    InGoodOrder,
    /// SIGKILL.
    AtOnce,
}

/// Callers of the hosts, and of whoever else is there.
#[derive(Clone)]
struct Load {
    hosts: Vec<Client>,
    guest: Arc<Mutex<Client>>,
    recorder: Recorder,
    /// How many Revokes were answered, in this round.
    answered: watch::Sender<u64>,
}

/// How long one Revoke took, and how it became certain.
type Revoked = (Duration, Propagation);

#[tokio::test]
async fn replicas_that_come_and_go_accept_nothing_that_was_revoked() -> Outcome {
    let rounds = sized(4, 40);
    let entropy = ManualEntropy::seeded(SEED);
    let mut fleet = Fleet::start(HOSTS + 1, Told::Barrier).await?;
    let mut guest = fleet.replicas.pop().ok_or("no guest")?;
    let mut load = Load {
        hosts: fleet.clients().await?,
        guest: Arc::new(Mutex::new(guest.client().await?)),
        recorder: Recorder::default(),
        answered: watch::Sender::new(0),
    };
    let (mut spans, mut waited_out) = (Vec::new(), 0);
    for round in 0..rounds {
        let leaving = [Leaving::InGoodOrder, Leaving::AtOnce][round % 2];
        load.answered = watch::Sender::new(0);
        let after = below(&entropy, (CALLERS * TOKENS / 2) as u64);
        let (revoked, next) = tokio::join!(
            load.revoke_all(round),
            change(&fleet, guest, leaving, &load, after)
        );
        guest = next?;
        let revoked = revoked?;
        let waited = revoked
            .iter()
            .filter(|(_, propagation)| *propagation != Propagation::Acknowledged)
            .count();
        let most = match leaving {
            Leaving::InGoodOrder => 0,
            // Those under way, and what each caller asks for until the dead one is off the roll.
            Leaving::AtOnce => CALLERS * 2,
        };
        assert!(
            waited <= most,
            "seed {SEED:#x}, round {round}, {leaving:?}: {waited} waited out: {revoked:?}"
        );
        waited_out += waited;
        spans.extend(revoked.into_iter().map(|(span, _)| span));
    }
    assert_eq!(load.recorder.violations(), [], "seed {SEED:#x}");
    let slowest = percentile(&mut spans, 100);
    assert!(slowest < REVOKE_MAX, "a Revoke took {slowest:?}");
    let operations = load.recorder.operations();
    let accepted = operations
        .iter()
        .filter(|operation| operation.answer == Answer::Accepted)
        .count();
    report(format_args!(
        "{rounds} replicas left, every other one killed: {} Revokes, p50 {:?}, slowest {slowest:?}, {waited_out} waited out; {accepted} accepted before",
        spans.len(),
        percentile(&mut spans, 50),
    ));
    assert!(
        accepted > spans.len() * HOSTS,
        "the guests were never asked in time"
    );
    Ok(())
}

/// Ends the guest when so many Revokes were answered, and starts another.
async fn change(
    fleet: &Fleet,
    mut guest: Replica,
    leaving: Leaving,
    load: &Load,
    after: u64,
) -> Result<Replica, Box<dyn std::error::Error>> {
    let mut answered = load.answered.subscribe();
    answered.wait_for(|answered| *answered >= after).await?;
    match leaving {
        Leaving::InGoodOrder => {
            let status = guest.terminate().await?;
            assert!(status.success(), "{status}");
        }
        Leaving::AtOnce => guest.kill()?,
    }
    let next = fleet.replica(&fleet.networks[HOSTS]).await?;
    *load.guest.lock().unwrap_or_else(PoisonError::into_inner) = next.client().await?;
    Ok(next)
}

impl Load {
    /// Lets each caller issue and revoke its tokens, one after another.
    async fn revoke_all(&self, round: usize) -> Result<Vec<Revoked>, Status> {
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let load = self.clone();
            callers.spawn(async move {
                let mut revoked = Vec::new();
                for n in 0..TOKENS {
                    let number = (round * CALLERS + caller) * TOKENS + n;
                    revoked.push(load.revoke_one(number).await?);
                    load.answered.send_modify(|answered| *answered += 1);
                }
                Ok(revoked)
            });
        }
        let revoked = callers.join_all().await;
        let revoked: Vec<Vec<_>> = revoked.into_iter().collect::<Result<_, Status>>()?;
        Ok(revoked.concat())
    }

    /// Revokes a token that all have in their caches, and asks all.
    async fn revoke_one(&self, number: usize) -> Result<Revoked, Status> {
        let mut host = self.hosts[number % HOSTS].clone();
        let token = Token::issue(&mut host, number).await?;
        self.verify_everywhere(&token).await;
        let start = SystemClock.uptime();
        let revoked = self.recorder.revoke(&mut host, &token).await?;
        let span = SystemClock.uptime().saturating_sub(start);
        self.verify_everywhere(&token).await;
        Ok((span, revoked.propagation()))
    }

    async fn verify_everywhere(&self, token: &Token) {
        let guest = self.guest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let all = [&self.hosts[..], &[guest]].concat();
        // The guest may be going, or gone.
        let _ = self.recorder.verify_at_all(&all, token).await;
    }
}
