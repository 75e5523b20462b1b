//! Reading the journal for one watcher, whatever the store and the watcher do meanwhile.

use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::journal::samples::issue;
use crate::store::faulty::{Call, Fault};
use crate::store::memory::MemoryStore;
use crate::store::samples::{Answer, EPOCH, all_entries, idle};
use crate::token::change::TokenChange;
use crate::token::samples::token;
use crate::watch::samples::{
    HEARTBEAT, Scene, at, messages, next, revoked, started, suspended, until_heartbeat, until_the_end,
};

#[tokio::test(start_paused = true)]
async fn a_heartbeat_comes_once_an_interval() -> Answer<()> {
    let scene = Scene::start().await?;
    let opened = Instant::now();
    let mut stream = scene.open(None).await?;
    assert_eq!(next(&mut stream).await?, started(1));
    for beat in 1..=5 {
        let (told, cursor) = until_heartbeat(&mut stream).await?;
        assert_eq!((told, cursor), (Vec::new(), at(1)));
        let late = opened.elapsed().saturating_sub(HEARTBEAT * beat);
        assert!(
            opened.elapsed() >= HEARTBEAT * beat && late < HEARTBEAT / 10,
            "{late:?}"
        );
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_says_how_far_was_read_though_nothing_was_told() -> Answer<()> {
    let scene = Scene::start().await?;
    let mut stream = scene.open(None).await?;
    next(&mut stream).await?;
    scene.store.commit(vec![issue(token(1)), issue(token(2))]).await?;
    assert_eq!(until_heartbeat(&mut stream).await?, (Vec::new(), at(3)));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn no_heartbeat_overtakes_an_event() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.store.commit(vec![issue(token(1))]).await?;
    let mut stream = scene.open(None).await?;
    assert_eq!(next(&mut stream).await?, started(2));
    idle().await;
    let gate = scene.faulty.hold(Call::Entries);
    let entry = scene.change(1, revoked()).await?;
    gate.arrived().await;
    // The event is read, and not yet sent, while heartbeats fall due.
    let early = tokio::time::timeout(HEARTBEAT * 10, next(&mut stream)).await;
    assert!(early.is_err(), "{early:?}");
    gate.open();
    let told = next(&mut stream).await?;
    assert_eq!([told], messages(&[entry])[..]);
    assert_eq!(until_heartbeat(&mut stream).await?, (Vec::new(), at(3)));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_missed_hint_costs_no_more_than_a_heartbeat() -> Answer<()> {
    let scene = Scene::start_without_hints().await?;
    let mut stream = scene.open(None).await?;
    next(&mut stream).await?;
    let first = scene.revoke_all(0..3).await?;
    let journal = all_entries(&scene.store).await?;
    // This one had fallen due before the journal was read.
    assert_eq!(until_heartbeat(&mut stream).await?, (Vec::new(), at(1)));
    let (told, cursor) = until_heartbeat(&mut stream).await?;
    assert_eq!(told, messages(&journal));
    assert_eq!(told[0].cursor, at(first.revision.get()));
    assert_eq!(cursor, at(journal.len() as u64));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn many_pages_are_told_without_a_pause() -> Answer<()> {
    let scene = Scene::start_without_hints().await?;
    let count = u64::from(PAGE) * 2 + 1;
    scene.revoke_all(0..count).await?;
    let journal = all_entries(&scene.store).await?;
    let mut stream = scene.open(Some(at(0))).await?;
    next(&mut stream).await?;
    let (told, _) = until_heartbeat(&mut stream).await?;
    assert_eq!(told.len() as u64, count);
    assert_eq!(told, messages(&journal));
    Ok(())
}

/// A stream that has told of the revocation of token 1 when token 2 and 3 are issued at once, and the
/// reading of that meets `fault`.
async fn ended_by(fault: Fault) -> Answer<Ended> {
    let scene = Scene::start().await?;
    let mut stream = scene.open(None).await?;
    assert_eq!(next(&mut stream).await?, started(1));
    let entry = scene.revoke_all(1..2).await?;
    idle().await;
    scene.faulty.nth(1, Call::Entries, fault);
    scene.store.commit(vec![issue(token(2)), issue(token(3))]).await?;
    let (told, why) = until_the_end(&mut stream).await?;
    assert_eq!(told, messages(&[entry]));
    Ok(why)
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_is_not_what_it_was_ends_the_stream() -> Answer<()> {
    for fault in [Fault::Skips, Fault::Rewinds, Fault::Corrupt] {
        assert_eq!(ended_by(fault.clone()).await?, Ended::Corrupt, "{fault:?}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_ends_the_stream_to_be_resumed() -> Answer<()> {
    assert_eq!(ended_by(Fault::Before).await?, Ended::Unavailable);
    Ok(())
}

/// What happens between the cuts of a watcher.
#[derive(Clone, Debug)]
enum Step {
    Issue,
    Suspend(u64),
    Resume(u64),
    Rotate(u64),
    Revoke(u64),
    /// The watcher takes so many messages, as far as there are.
    Take(usize),
    /// Its connection is lost: it resumes from the last cursor it took.
    Cut,
}

const ISSUED: u64 = 8;

fn any_step() -> impl Strategy<Value = Step> {
    let number = 0..ISSUED;
    prop_oneof![
        1 => Just(Step::Issue),
        3 => number.clone().prop_map(Step::Suspend),
        3 => number.clone().prop_map(Step::Resume),
        5 => number.clone().prop_map(Step::Rotate),
        1 => number.prop_map(Step::Revoke),
        5 => (1..6_usize).prop_map(Step::Take),
        3 => Just(Step::Cut),
    ]
}

/// Makes a change, if the token can still be changed.
async fn happen(scene: &Scene, step: &Step, issued: &mut u64) -> Answer<()> {
    match step {
        Step::Issue => {
            scene.store.commit(vec![issue(token(*issued))]).await?;
            *issued += 1;
        }
        Step::Suspend(number) => drop(scene.change(*number, suspended()).await),
        Step::Resume(number) => drop(scene.change(*number, TokenChange::Resumed).await),
        Step::Rotate(number) => drop(scene.rotate(*number, 50).await),
        Step::Revoke(number) => drop(scene.change(*number, revoked()).await),
        Step::Take(_) | Step::Cut => {}
    }
    Ok(())
}

/// A watcher that is cut off and resumes: where each of its connections began, and what it took there.
#[derive(Default)]
struct Taken(Vec<(Cursor, Vec<Message>)>);

impl Taken {
    fn last_cursor(&self) -> Cursor {
        let (began, told) = self.0.last().unwrap();
        told.last().map_or(*began, |message| message.cursor)
    }

    /// Asserts that each connection was told exactly what follows its cursor, and that none began
    /// behind something that had not been told.
    fn assert_whole(&self, journal: &[Entry]) {
        let mut seen = 0;
        for (began, told) in &self.0 {
            let began = began.revision.get() as usize;
            let before = messages(&journal[..began]).len();
            assert!(before <= seen, "resumed behind what was not told");
            let told: Vec<_> = told
                .iter()
                .filter(|message| message.event != Event::Heartbeat)
                .collect();
            let follows = messages(&journal[began..]);
            assert!(told.iter().copied().eq(&follows[..told.len()]), "{told:?}");
            seen = seen.max(before + told.len());
        }
        assert_eq!(seen, messages(journal).len(), "not all was told");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_watcher_that_is_cut_off_and_resumes_sees_everything(
        steps in prop::collection::vec(any_step(), 1..150),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()?;
        let run = async {
            let scene = Scene::start().await?;
            let mut issued = ISSUED;
            for number in 0..ISSUED {
                scene.store.commit(vec![issue(token(number))]).await?;
            }
            let mut taken = Taken(vec![(at(1), Vec::new())]);
            let mut stream = scene.open(Some(at(1))).await?;
            next(&mut stream).await?;
            for step in steps {
                happen(&scene, &step, &mut issued).await?;
                match step {
                    Step::Take(count) => {
                        for _ in 0..count {
                            let message = next(&mut stream).await?;
                            taken.0.last_mut().unwrap().1.push(message);
                        }
                    }
                    Step::Cut => {
                        let cursor = taken.last_cursor();
                        taken.0.push((cursor, Vec::new()));
                        stream = scene.open(Some(cursor)).await?;
                        assert_eq!(next(&mut stream).await?.event, Event::Started);
                    }
                    _ => {}
                }
            }
            let journal = all_entries(&scene.store).await?;
            let head = at(journal.len() as u64);
            // One may have fallen due before the last changes were made.
            for _ in 0..2 {
                let (rest, heartbeat) = until_heartbeat(&mut stream).await?;
                taken.0.last_mut().unwrap().1.extend(rest);
                if heartbeat == head {
                    break;
                }
            }
            taken.assert_whole(&journal);
            Answer::Ok(())
        };
        runtime.block_on(run).map_err(|error| TestCaseError::fail(error.to_string()))?;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hint_ahead_of_the_journal_is_not_chased() -> Answer<()> {
    let scene = Scene::start().await?;
    let mut stream = scene.open(None).await?;
    assert_eq!(next(&mut stream).await?, started(1));
    idle().await;
    // As of a store that was restored to an earlier day.
    scene.faulty.replace(Arc::new(MemoryStore::new(EPOCH)));
    scene.store.commit(vec![issue(token(1))]).await?;
    let before = scene.faulty.calls(Call::Entries);
    for _ in 0..3 {
        until_heartbeat(&mut stream).await?;
    }
    let reads = scene.faulty.calls(Call::Entries) - before;
    assert!(reads <= 5, "{reads} reads");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_another_ends_every_stream_and_opens_none() -> Answer<()> {
    let scene = Scene::start().await?;
    let mut stream = scene.open(None).await?;
    assert_eq!(next(&mut stream).await?, started(1));
    scene.forked.cancel();
    assert_eq!(until_the_end(&mut stream).await?.1, Ended::Forked);
    let again = scene.open(None).await.err().ok_or("a stream was opened")?;
    assert!(matches!(again, crate::watch::WatchError::Forked), "{again:?}");
    Ok(())
}
