use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::clock::ManualEntropy;
use crate::store::Store;
use crate::store::access::{AccessOf, AccessPlace, Walk};
use crate::store::faulty::{Call as Met, Fault, Faulty, Gate};
use crate::store::memory::MemoryStore;
use crate::store::samples::{Answer, EPOCH, found_notes, idle};
use crate::token::access::AccessRecord;
use crate::token::context::Context;
use crate::token::namespace::Namespace;
use crate::token::policy::{AccessLog, AccessLogFull, Policy};
use crate::token::samples::{instant, namespace, slug, token};
use crate::token::time::{Span, Timestamp};
use crate::token::usage::Outcome;

fn notes(access_log: AccessLog, access_log_full: AccessLogFull) -> Arc<Namespace> {
    let policy = Policy {
        access_log,
        access_log_full,
        ..Policy::default()
    };
    Arc::new(Namespace {
        policy,
        ..namespace("notes", "kn_")
    })
}

fn call(outcome: Outcome, micros: i64) -> Call {
    Call {
        time: instant(micros),
        outcome,
        token: (outcome != Outcome::Unknown).then(|| Arc::new(token(1))),
        caller: None,
        context: Context {
            address: "192.0.2.77".parse().ok(),
            path: "/notes?token=of-somebody".to_owned().into(),
            ..Context::default()
        },
    }
}

struct Scene {
    log: Arc<Log>,
    faulty: Arc<Faulty>,
    writer: Writer,
}

fn scene(records_max: usize) -> Scene {
    let log = Arc::new(Log::of_at_most(records_max));
    let faulty = Arc::new(Faulty::over(Arc::new(MemoryStore::new(EPOCH))));
    let store = Arc::clone(&faulty) as Arc<dyn Store>;
    let writer = Writer::new(Arc::clone(&log), store, &ManualEntropy::seeded(1));
    Scene { log, faulty, writer }
}

impl Scene {
    /// Judges a call that comes to this, unless there is no room for its record; whether it was.
    fn judge(&self, namespace: &Arc<Namespace>, outcome: Outcome, micros: i64) -> bool {
        match self.log.admit(namespace) {
            Ok(place) if place.wants(outcome) => place.note(call(outcome, micros)),
            Ok(_) => {}
            Err(full) => {
                assert_eq!(full.namespace, namespace.slug);
                return false;
            }
        }
        true
    }

    async fn records(&self) -> Answer<Vec<AccessRecord>> {
        let walk = Walk {
            of: AccessOf {
                namespace: slug("notes"),
                holder: None,
            },
            from: Timestamp::MIN,
            before: AccessPlace::before(Timestamp::MAX),
            limit: 1000,
        };
        Ok((Arc::clone(&self.faulty) as Arc<dyn Store>).access(walk).await?)
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_on_record_is_what_the_namespace_wants() -> Answer<()> {
    for (mode, wanted) in [
        (AccessLog::Off, vec![]),
        (AccessLog::Refusals, vec![Outcome::Unknown, Outcome::Revoked]),
        (
            AccessLog::All,
            vec![Outcome::Unknown, Outcome::Revoked, Outcome::Accepted],
        ),
    ] {
        for full in [AccessLogFull::Drop, AccessLogFull::Refuse] {
            let mut scene = scene(9);
            let notes = notes(mode, full);
            let outcomes = [Outcome::Accepted, Outcome::Revoked, Outcome::Unknown];
            for (micros, outcome) in (0..).zip(outcomes) {
                assert!(scene.judge(&notes, outcome, micros));
            }
            assert_eq!(scene.log.told().pending, wanted.len(), "{mode:?} {full:?}");
            scene.writer.write().await?;
            let records = scene.records().await?;
            let outcomes: Vec<_> = records.iter().map(|record| record.details.outcome).collect();
            assert_eq!(outcomes, wanted, "{mode:?} {full:?}");
            for record in records {
                let details = record.details;
                let is_known = details.outcome != Outcome::Unknown;
                assert_eq!(record.token_id, is_known.then(|| token(1).id));
                assert_eq!(record.subject, is_known.then(|| token(1).subject));
                assert_eq!(details.path.as_str(), "/notes");
                assert_eq!(
                    details.address.map(|net| net.to_string()).as_deref(),
                    Some("192.0.2.0/24")
                );
            }
            let told = scene.log.told();
            assert_eq!((told.pending, told.written), (0, wanted.len() as u64));
        }
    }
    Ok(())
}

/// A place that comes to nothing is free again: a call that could not be judged, was cancelled, or is not wanted.
#[test]
fn room_is_held_for_as_long_as_it_may_be_needed() {
    let scene = scene(1);
    let notes = notes(AccessLog::All, AccessLogFull::Refuse);
    let place = scene.log.admit(&notes).ok();
    assert!(scene.log.admit(&notes).is_err());
    drop(place);
    assert!(scene.judge(&notes, Outcome::Accepted, 1));
    assert!(!scene.judge(&notes, Outcome::Accepted, 2));
    assert_eq!(scene.log.told().refused, 2);
}

#[test]
fn those_who_would_rather_drop_take_no_room_of_those_who_would_rather_refuse() {
    let scene = scene(2);
    let dropping = notes(AccessLog::All, AccessLogFull::Drop);
    let refusing = notes(AccessLog::All, AccessLogFull::Refuse);
    for _ in 0..5 {
        assert!(scene.judge(&dropping, Outcome::Accepted, 1));
    }
    for judged in [true, true, false] {
        assert_eq!(scene.judge(&refusing, Outcome::Accepted, 1), judged);
    }
    let told = scene.log.told();
    assert_eq!((told.pending, told.dropped, told.refused), (4, 3, 1));
}

const THREADS: usize = 4;
const CALLS: i64 = 5000;
/// All of them.
const TOTAL: usize = THREADS * 5000;

/// Judges from several threads at once, as fast as they can; how many calls were judged.
fn judge_much(scene: &Scene, namespace: &Arc<Namespace>) -> usize {
    let judged = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        for _ in 0..THREADS {
            threads.spawn(|| {
                for number in 0..CALLS {
                    let was = scene.judge(namespace, Outcome::Accepted, number);
                    judged.fetch_add(usize::from(was), Ordering::Relaxed);
                }
            });
        }
    });
    judged.into_inner()
}

/// While calls come, records are written, some twice for an answer was lost, and some not at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_refuse_there_is_a_record_for_each_judged_call() -> Answer<()> {
    let scene = Arc::new(scene(700));
    let Scene { log, faulty, .. } = &*scene;
    for (nth, fault) in [(1, Fault::After), (3, Fault::Before), (4, Fault::After)] {
        faulty.nth(nth, Met::KeepAccess, fault);
    }
    let store = Arc::clone(faulty) as Arc<dyn Store>;
    let stop = CancellationToken::new();
    let writer = Writer::new(Arc::clone(log), store, &ManualEntropy::seeded(2));
    let running = tokio::spawn(writer.run(Duration::from_millis(1), stop.clone()));
    let judging = {
        let scene = Arc::clone(&scene);
        tokio::task::spawn_blocking(move || judge_much(&scene, &notes(AccessLog::All, AccessLogFull::Refuse)))
    };
    let judged = judging.await?;
    // Those that were refused came to nothing; from now on there is time.
    stop.cancel();
    running.await?;
    let told = log.told();
    assert_eq!(told.written, judged as u64);
    assert_eq!(told.refused as usize, TOTAL - judged);
    assert_eq!((told.pending, told.dropped), (0, 0));
    assert!(judged > 0);
    assert_eq!(count(&scene).await?, judged);
    Ok(())
}

/// All there are, page by page.
async fn count(scene: &Scene) -> Answer<usize> {
    let store = Arc::clone(&scene.faulty) as Arc<dyn Store>;
    let of = AccessOf {
        namespace: slug("notes"),
        holder: None,
    };
    let mut count = 0;
    loop {
        match store.erase_access(of.clone(), Timestamp::MAX).await? {
            0 => return Ok(count),
            some => count += some as usize,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_drop_it_is_exact_how_many_are_missing() -> Answer<()> {
    let mut scene = scene(700);
    let notes = notes(AccessLog::All, AccessLogFull::Drop);
    // A store that stands still has taken some, and no room is free for them until it has them.
    for number in 0..10 {
        scene.judge(&notes, Outcome::Accepted, number);
    }
    let gate = Gate::default();
    scene.faulty.nth(1, Met::KeepAccess, Fault::Held(gate.clone()));
    let mut writer = Writer::new(
        Arc::clone(&scene.log),
        Arc::clone(&scene.faulty) as Arc<dyn Store>,
        &ManualEntropy::seeded(2),
    );
    let writing = tokio::spawn(async move { writer.write().await });
    gate.arrived().await;
    let judged = judge_much(&scene, &notes);
    assert_eq!(judged, TOTAL, "none was refused");
    let told = scene.log.told();
    assert_eq!((told.pending, told.dropped as usize), (700, TOTAL - 690));
    gate.open();
    writing.await??;
    scene.writer.write().await?;
    assert_eq!(scene.log.told().written, 700);
    assert_eq!(count(&scene).await?, 700);
    // There is room again.
    scene.judge(&notes, Outcome::Accepted, 1);
    assert_eq!(scene.log.told().pending, 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn it_is_written_in_time_when_much_waits_and_at_the_end() -> Answer<()> {
    let Scene { log, faulty, writer } = scene(8);
    let notes = notes(AccessLog::All, AccessLogFull::Refuse);
    let judge = |micros| {
        let place = log.admit(&notes).ok();
        if let Some(place) = place {
            place.note(call(Outcome::Accepted, micros));
        }
    };
    let stop = CancellationToken::new();
    let running = tokio::spawn(writer.run(WRITE_INTERVAL, stop.clone()));
    idle().await;
    judge(1);
    idle().await;
    assert_eq!(log.told().pending, 1);
    tokio::time::advance(WRITE_INTERVAL).await;
    idle().await;
    assert_eq!((log.told().pending, log.told().written), (0, 1));
    for micros in 2..6 {
        judge(micros);
    }
    idle().await;
    assert_eq!((log.told().pending, log.told().written), (0, 5));
    judge(6);
    faulty.nth(1, Met::KeepAccess, Fault::After);
    faulty.nth(2, Met::KeepAccess, Fault::Before);
    stop.cancel();
    running.await?;
    let told = log.told();
    assert_eq!((told.pending, told.written, told.failures), (0, 6, 2));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn records_are_forgotten_when_their_namespace_wants_them_no_more() -> Answer<()> {
    let mut scene = scene(9);
    let store = Arc::clone(&scene.faulty) as Arc<dyn Store>;
    found_notes(&store).await?;
    let all = notes(AccessLog::All, AccessLogFull::Drop);
    for micros in [0, 1, 2] {
        scene.judge(&all, Outcome::Accepted, micros);
    }
    scene.writer.write().await?;
    let kept = Policy::ACCESS_LOG_RETENTION_DEFAULT.micros();
    for (now, forgotten, left) in [
        (kept, 0, 3),
        (kept + 2, 2, 1),
        (kept + Span::days(1).micros(), 1, 0),
    ] {
        assert_eq!(sweep::once(&*store, instant(now)).await?, forgotten, "{now}");
        assert_eq!(scene.records().await?.len(), left, "{now}");
    }
    Ok(())
}
