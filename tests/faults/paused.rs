//! A replica that was paused while a token was revoked elsewhere does not accept it when it goes on, although its
//! cache is warm and the question was waiting in its socket.

use std::time::Duration;

use tokenward::clock::{Clock, SystemClock};
use tokenward::proto::v1::{Propagation, Verdict};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::Status;

use crate::fleet::{Fleet, Recorder, Token, Told, reason, warm_tokens};
use crate::history::Violation;
use crate::report;
use crate::server::{Client, Outcome};

/// Paused at once; one more replica runs on.
const PAUSED: usize = 5;
/// So that there are ten first answers.
const ROUNDS: usize = 2;
/// How long nothing must be heard of a paused replica; it would answer within milliseconds.
const SILENCE: Duration = Duration::from_millis(100);
/// A Revoke waits for 1.01 s at most, on a machine that has time for it.
const REVOKE_MAX: Duration = Duration::from_secs(5);

/// What came of it.
#[derive(Default)]
struct Seen {
    recorder: Recorder,
    revocations: Vec<(Duration, Propagation)>,
    /// First answers to what was asked while the Revoke was yet to come, and when it had been answered.
    early: Vec<Result<Verdict, Status>>,
    late: Vec<Result<Verdict, Status>>,
}

#[tokio::test]
async fn a_paused_replica_does_not_accept_what_was_revoked_meanwhile() -> Outcome {
    let seen = drive(Told::Barrier, ROUNDS).await?;
    assert_eq!(seen.recorder.violations(), []);
    assert_eq!(seen.late.len(), PAUSED * ROUNDS);
    for answer in seen.late {
        match answer {
            Ok(verdict) => assert_eq!(verdict, Verdict::Revoked),
            Err(status) => assert_eq!(reason(&status), "LEASE_LOST", "{status:?}"),
        }
    }
    for (span, _) in seen.revocations {
        assert!(span < REVOKE_MAX, "a Revoke took {span:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_driver_finds_paused_replicas_that_nobody_waited_for() -> Outcome {
    let seen = drive(Told::Hints, 1).await?;
    let found = seen.recorder.violations();
    assert!(
        found
            .iter()
            .any(|violation| matches!(violation, Violation::Stale(_))),
        "nothing was to be seen: {:?}",
        seen.late
    );
    Ok(())
}

async fn drive(told: Told, rounds: usize) -> Result<Seen, Box<dyn std::error::Error>> {
    let fleet = Fleet::start(PAUSED + 1, told).await?;
    let clients = fleet.clients().await?;
    // Over connections of their own, so that the other questions do not wait behind them.
    let early = fleet.clients().await?;
    let mut seen = Seen::default();
    let tokens = warm_tokens(&clients, &seen.recorder, 2 * rounds).await?;
    for tokens in tokens.chunks(2) {
        // Those of the last round serve again, and have been asked by both connections.
        for client in clients.iter().chain(&early) {
            for token in tokens {
                seen.recorder.judged(&mut client.clone(), token).await?;
            }
        }
        seen.round(&fleet, &clients, &early, tokens).await?;
    }
    let lost = |answers: &[Result<_, _>]| answers.iter().filter(|answer| answer.is_err()).count();
    let accepted = |answers: &[Result<Verdict, Status>]| {
        let accepted = answers.iter().flatten();
        accepted.filter(|verdict| **verdict == Verdict::Accepted).count()
    };
    report(format_args!(
        "{told:?}: asked after the Revoke: {} accepted, {} without a lease, of {}; asked before it: {} accepted, \
         {} without a lease; the Revokes took {:?}",
        accepted(&seen.late),
        lost(&seen.late),
        seen.late.len(),
        accepted(&seen.early),
        lost(&seen.early),
        seen.revocations,
    ));
    Ok(seen)
}

impl Seen {
    /// Pauses all replicas but the first, revokes both tokens there, and asks for one before and for the other after.
    async fn round(
        &mut self,
        fleet: &Fleet,
        clients: &[Client],
        early: &[Client],
        tokens: &[Token],
    ) -> Outcome {
        for replica in &fleet.replicas[1..] {
            replica.pause()?;
        }
        let mut asked_early = self.ask(&early[1..], &tokens[0]);
        // It is in the sockets by then, and nobody has read it.
        assert!(
            timeout(SILENCE, asked_early.join_next()).await.is_err(),
            "one runs on"
        );
        let mut revoking = JoinSet::new();
        for token in tokens {
            let (recorder, mut client, token) = (self.recorder.clone(), clients[0].clone(), token.clone());
            revoking.spawn(async move {
                let start = SystemClock.uptime();
                let revoked = recorder.revoke(&mut client, &token).await?;
                Ok::<_, Status>((SystemClock.uptime().saturating_sub(start), revoked.propagation()))
            });
        }
        for revoked in revoking.join_all().await {
            self.revocations.push(revoked?);
        }
        let mut asked_late = self.ask(&clients[1..], &tokens[1]);
        assert!(
            timeout(SILENCE, asked_late.join_next()).await.is_err(),
            "one runs on"
        );
        for replica in &fleet.replicas[1..] {
            replica.resume()?;
        }
        self.late.extend(asked_late.join_all().await);
        self.early.extend(asked_early.join_all().await);
        Ok(())
    }

    fn ask(&self, clients: &[Client], token: &Token) -> JoinSet<Result<Verdict, Status>> {
        let mut asked = JoinSet::new();
        for client in clients {
            let (recorder, mut client, token) = (self.recorder.clone(), client.clone(), token.clone());
            asked.spawn(async move { recorder.verify(&mut client, &token, None).await });
        }
        asked
    }
}
