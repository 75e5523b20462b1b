//! No replica accepts a token any more once its Revoke was answered, however warm its cache is. The same driver
//! finds most accepting where replicas are only hinted at the news.

use std::time::Duration;

use tokenward::clock::{Clock, SystemClock};
use tokenward::proto::v1::Propagation;

use crate::fleet::{Fleet, Recorder, Told, percentile, warm_tokens};
use crate::history::Violation;
use crate::server::Outcome;
use crate::{report, sized};

const REPLICAS: usize = 5;

/// What came of it.
#[derive(Default)]
struct Seen {
    recorder: Recorder,
    /// How long each Revoke took.
    spans: Vec<Duration>,
    /// How many were answered because every replica had confirmed it.
    acknowledged: usize,
}

#[tokio::test]
async fn warm_caches_accept_nothing_after_a_revoke_was_answered() -> Outcome {
    let revocations = sized(60, 300);
    let seen = drive(Told::Barrier, revocations).await?;
    assert_eq!(seen.recorder.violations(), []);
    assert_eq!(seen.acknowledged, revocations, "all replicas were alive");
    Ok(())
}

#[tokio::test]
async fn the_driver_finds_caches_that_were_only_hinted_at_the_news() -> Outcome {
    let revocations = sized(30, 300);
    let seen = drive(Told::Hints, revocations).await?;
    let found = seen.recorder.violations();
    let stale = found
        .iter()
        .filter(|violation| matches!(violation, Violation::Stale(_)))
        .count();
    assert_eq!(found.len(), stale, "{found:?}");
    // In a small run fewer will do: hints overtake the questions where other tests keep the machine busy.
    let wanted = sized(revocations * REPLICAS / 5, revocations * REPLICAS * 2 / 3);
    assert!(stale > wanted, "only {stale} stale: nothing was to be seen");
    Ok(())
}

/// Revokes tokens that every replica has in its cache, at one after another, and asks all about each at once.
async fn drive(told: Told, revocations: usize) -> Result<Seen, Box<dyn std::error::Error>> {
    let fleet = Fleet::start(REPLICAS, told).await?;
    let mut clients = fleet.clients().await?;
    let mut seen = Seen::default();
    let tokens = warm_tokens(&clients, &seen.recorder, revocations).await?;
    for (n, token) in tokens.iter().enumerate() {
        let start = SystemClock.uptime();
        let revoked = seen.recorder.revoke(&mut clients[n % REPLICAS], token).await?;
        seen.spans.push(SystemClock.uptime().saturating_sub(start));
        seen.acknowledged += usize::from(revoked.propagation() == Propagation::Acknowledged);
        seen.recorder.verify_at_all(&clients, token).await?;
    }
    report(format_args!(
        "{told:?}: {} stale of {}; Revoke p50 {:?}, p99 {:?}",
        seen.recorder.violations().len(),
        revocations * REPLICAS,
        percentile(&mut seen.spans, 50),
        percentile(&mut seen.spans, 99),
    ));
    Ok(seen)
}
