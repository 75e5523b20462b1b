//! Who has revoked a token at one replica and asks another for an answer as of that is not told that the token is
//! good, also where nobody waits until a Revoke is in force.

use std::time::Duration;

use tokenward::clock::{Clock, SystemClock};
use tokenward::proto::v1::Verdict;
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::fleet::{Fleet, Recorder, Token, Told};
use crate::server::{Client, Outcome};
use crate::{report, sized};

const REPLICAS: usize = 3;
/// Pairs under way at once: they share commits, and renewals.
const CALLERS: usize = 64;

/// How often one caller repeats what could not be done, or judged.
const REPEATS_MAX: usize = 1_000;

/// How the second of a pair is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    AtLeast,
    WithoutCursor,
}

/// What the second answers were.
#[derive(Clone, Copy, Default, Debug)]
struct Seen {
    accepted: usize,
    revoked: usize,
    /// How often a call had to be repeated: the store was busy, the replica not as far in time or without a lease.
    repeated: usize,
}

#[tokio::test]
async fn at_least_the_cursor_of_a_revoke_nothing_is_accepted() -> Outcome {
    let seen = drive(Told::Barrier, sized(1_000, 100_000), Asked::AtLeast).await?;
    assert_eq!(seen.accepted, 0, "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn at_least_the_cursor_holds_where_nobody_waits_for_a_revoke_to_be_in_force() -> Outcome {
    let seen = drive(Told::Hints, sized(500, 10_000), Asked::AtLeast).await?;
    assert_eq!(seen.accepted, 0, "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn the_driver_finds_what_only_the_cursor_prevents() -> Outcome {
    let seen = drive(Told::Hints, sized(500, 10_000), Asked::WithoutCursor).await?;
    assert!(seen.accepted > 0, "nothing was to be seen: {seen:?}");
    Ok(())
}

async fn drive(told: Told, pairs: usize, asked: Asked) -> Result<Seen, Box<dyn std::error::Error>> {
    let fleet = Fleet::start(REPLICAS, told).await?;
    let clients = fleet.clients().await?;
    let recorder = Recorder::default();
    let start = SystemClock.uptime();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (clients, recorder) = (clients.clone(), recorder.clone());
        callers.spawn(async move {
            let mut seen = Seen::default();
            for number in (caller..pairs).step_by(CALLERS) {
                seen.pair(&clients, &recorder, number, asked).await?;
            }
            Ok::<_, Status>(seen)
        });
    }
    let mut seen = Seen::default();
    for of_one in callers.join_all().await {
        seen.add(of_one?);
    }
    let took = Duration::from_millis(SystemClock.uptime().saturating_sub(start).as_millis() as u64);
    report(format_args!(
        "{told:?}, {asked:?}: {pairs} pairs in {took:?}: {seen:?}"
    ));
    if asked == Asked::AtLeast {
        assert_eq!(recorder.violations(), []);
    }
    Ok(seen)
}

impl Seen {
    /// Revokes at one a token that the other has in its cache, and asks the other.
    async fn pair(
        &mut self,
        clients: &[Client],
        recorder: &Recorder,
        number: usize,
        asked: Asked,
    ) -> Result<(), Status> {
        let (mut here, mut there) = (
            clients[number % REPLICAS].clone(),
            clients[(number + 1) % REPLICAS].clone(),
        );
        let token = loop {
            match Token::issue(&mut here, number).await {
                Err(status) if self.may_repeat(&status) => {}
                issued => break issued?,
            }
        };
        let verdict = recorder.judged(&mut there, &token).await;
        assert_eq!(verdict, Ok(Verdict::Accepted));
        let revoked = loop {
            match recorder.revoke(&mut here, &token).await {
                Err(status) if self.may_repeat(&status) => {}
                revoked => break revoked?,
            }
        };
        let cursor = match asked {
            Asked::AtLeast => Some(revoked.cursor.as_str()),
            Asked::WithoutCursor => None,
        };
        let verdict = loop {
            match recorder.verify(&mut there, &token, cursor).await {
                Err(status) if self.may_repeat(&status) => {}
                judged => break judged?,
            }
        };
        match verdict {
            Verdict::Accepted => self.accepted += 1,
            _ => self.revoked += 1,
        }
        Ok(())
    }

    /// A machine that has more to do than it can is no reason to fail.
    fn may_repeat(&mut self, status: &Status) -> bool {
        self.repeated += 1;
        status.code() == Code::Unavailable && self.repeated <= REPEATS_MAX
    }

    fn add(&mut self, other: Seen) {
        self.accepted += other.accepted;
        self.revoked += other.revoked;
        self.repeated += other.repeated;
    }
}
