use std::sync::Arc;

use super::*;
use crate::clock::{ManualClock, ManualEntropy};
use crate::store::Store;
use crate::store::faulty::{Call, Fault, Faulty};
use crate::store::memory::MemoryStore;
use crate::store::samples::{Answer, EPOCH, idle};
use crate::token::context::Context;
use crate::token::samples::{instant, token};
use crate::token::time::Timestamp;
use crate::token::usage::{Outcome, Usage, Use};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(10);

fn used(number: u64, outcome: Outcome, time: Timestamp) -> Use {
    Use {
        token_id: token(number).id,
        secret_version: 1,
        outcome,
        time,
        caller: None,
        context: Context {
            address: Some("192.0.2.77".parse().unwrap()),
            user_agent: "curl/8".to_owned().into(),
            ..Context::default()
        },
    }
}

struct Scene {
    recorder: Arc<Recorder>,
    faulty: Arc<Faulty>,
    flusher: Flusher,
}

fn scene(tokens_max: usize) -> Scene {
    let recorder = Arc::new(Recorder::of_at_most(tokens_max));
    let faulty = Arc::new(Faulty::over(Arc::new(MemoryStore::new(EPOCH))));
    let clock = Arc::new(ManualClock::at(instant(0)));
    let store = Arc::clone(&faulty) as Arc<dyn Store>;
    let flusher = Flusher::new(Arc::clone(&recorder), store, clock, &ManualEntropy::seeded(1));
    Scene {
        recorder,
        faulty,
        flusher,
    }
}

impl Scene {
    fn note(&self, number: u64, outcome: Outcome, micros: i64) {
        self.recorder.note(used(number, outcome, instant(micros)));
    }

    async fn usage(&self, number: u64) -> Answer<Usage> {
        use crate::store::usage::UsageStore as _;
        let usages = self.faulty.usages(vec![token(number).id]).await?;
        Ok(usages.into_iter().flatten().next().unwrap_or_default())
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_is_written_as_far_as_it_is_kept() -> Answer<()> {
    let mut scene = scene(9);
    for (outcome, time) in [
        (Outcome::Accepted, 1),
        (Outcome::Accepted, 2),
        (Outcome::Expired, 3),
    ] {
        scene.note(1, outcome, time);
    }
    scene.note(2, Outcome::Revoked, 4);
    assert_eq!(scene.recorder.told().pending, 2);
    scene.flusher.flush().await?;
    let usage = scene.usage(1).await?;
    assert_eq!(
        usage.counts,
        [(Outcome::Accepted, 2), (Outcome::Expired, 1)].into()
    );
    assert_eq!(usage.first_use_time, Some(instant(1)));
    assert_eq!(usage.secrets, [(1, instant(2))].into());
    let last = usage.last_use.ok_or("never used")?;
    assert_eq!(last.time, instant(2));
    assert_eq!(last.user_agent.as_str(), "curl/8");
    let prefix = last.address_prefix.map(|prefix| prefix.to_string());
    assert_eq!(prefix.as_deref(), Some("192.0.2.0/24"));
    assert_eq!(usage.last_refusal.map(|last| last.time), Some(instant(3)));
    let refused = scene.usage(2).await?;
    assert_eq!((refused.use_count(), refused.last_use), (0, None));
    let told = scene.recorder.told();
    assert_eq!((told.pending, told.written, told.dropped), (0, 2, 0));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn each_use_counts_once_whatever_becomes_of_a_flush() -> Answer<()> {
    let mut scene = scene(9);
    for fault in [Fault::Before, Fault::After] {
        scene.note(1, Outcome::Accepted, 1);
        scene.faulty.nth(1, Call::AddUsage, fault);
        assert!(scene.flusher.flush().await.is_err());
        assert_eq!(scene.recorder.told().pending, 1);
        // It is gathered on meanwhile, and what was lost is not mixed with it.
        scene.note(1, Outcome::Accepted, 2);
        scene.flusher.flush().await?;
    }
    assert_eq!(scene.usage(1).await?.use_count(), 4);
    assert_eq!(scene.recorder.told().pending, 0);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn beyond_the_bound_uses_are_dropped_and_counted() -> Answer<()> {
    let mut scene = scene(2);
    for number in [1, 2, 3, 1, 4] {
        scene.note(number, Outcome::Accepted, 1);
    }
    assert_eq!(
        (scene.recorder.told().pending, scene.recorder.told().dropped),
        (2, 2)
    );
    // While nothing can be written there is no more room.
    scene.faulty.nth(1, Call::AddUsage, Fault::Before);
    assert!(scene.flusher.flush().await.is_err());
    scene.note(3, Outcome::Accepted, 2);
    assert_eq!(scene.recorder.told().dropped, 3);
    scene.flusher.flush().await?;
    scene.note(3, Outcome::Accepted, 3);
    scene.flusher.flush().await?;
    for (number, count) in [(1, 2), (2, 1), (3, 1), (4, 0)] {
        assert_eq!(scene.usage(number).await?.use_count(), count, "{number}");
    }
    Ok(())
}

/// Many tokens make several transactions; a token is in one of them, whatever threads have seen it.
#[tokio::test(start_paused = true)]
async fn a_token_is_written_once_a_flush() -> Answer<()> {
    let mut scene = scene(5000);
    let recorder = &scene.recorder;
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for number in (0..1001).chain(0..1001) {
                    recorder.note(used(number, Outcome::Accepted, instant(1)));
                }
            });
        }
    });
    scene.flusher.flush().await?;
    assert_eq!(scene.faulty.calls(Call::AddUsage), 3);
    let told = scene.recorder.told();
    assert_eq!((told.written, told.pending, told.dropped), (1001, 0, 0));
    assert_eq!(scene.usage(1000).await?.use_count(), 8);
    scene.flusher.flush().await?;
    assert_eq!(
        scene.faulty.calls(Call::AddUsage),
        3,
        "there was nothing to write"
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn it_is_written_in_time_and_at_the_end() -> Answer<()> {
    let Scene {
        recorder,
        faulty,
        flusher,
    } = scene(9);
    let stop = CancellationToken::new();
    let running = tokio::spawn(flusher.run(EVERY, stop.clone()));
    idle().await;
    recorder.note(used(1, Outcome::Accepted, instant(1)));
    tokio::time::advance(EVERY).await;
    idle().await;
    let told = recorder.told();
    assert_eq!((told.pending, told.written), (0, 1));
    recorder.note(used(1, Outcome::Accepted, instant(2)));
    faulty.nth(1, Call::AddUsage, Fault::After);
    faulty.nth(2, Call::AddUsage, Fault::Before);
    stop.cancel();
    running.await?;
    let told = recorder.told();
    assert_eq!((told.pending, told.written, told.failures), (0, 2, 2));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn from_when_on_it_is_whole_is_said_once() -> Answer<()> {
    use crate::store::usage::UsageStore as _;
    let mut scene = scene(9);
    scene.faulty.nth(1, Call::BeginUsage, Fault::Before);
    assert!(scene.flusher.flush().await.is_err());
    assert_eq!(scene.faulty.usage_since().await?, None);
    for _ in 0..2 {
        scene.flusher.flush().await?;
        assert_eq!(scene.faulty.usage_since().await?, Some(instant(0)));
    }
    assert_eq!(scene.faulty.calls(Call::BeginUsage), 2);
    Ok(())
}

#[test]
fn one_that_is_off_takes_no_note() {
    let recorder = Recorder::off();
    recorder.note(used(1, Outcome::Accepted, instant(1)));
    assert_eq!(recorder.told(), Told::default());
    assert!(recorder.take().is_empty());
}
