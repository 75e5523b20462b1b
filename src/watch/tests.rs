//! What a watcher sees: everything that narrows, in order, and why its stream ends.

use std::future::poll_fn;

use super::samples::{
    HEARTBEAT, PER_CALLER_MAX, STALL_MAX, Scene, at, messages, next, revoked, started, suspended,
    until_heartbeat, until_the_end, wanted,
};
use super::*;
use crate::journal::narrowing::Loss;
use crate::journal::samples::{issue, origin};
use crate::journal::{Draft, Revision};
use crate::store::faulty::{Call, Fault};
use crate::store::samples::{Answer, all_entries, idle, write};
use crate::token::Token;
use crate::token::change::TokenChange;
use crate::token::samples::{instant, namespace, slug, token};

/// Whether a message is there without waiting.
async fn has_news(stream: &mut Subscription) -> bool {
    idle().await;
    poll_fn(|context| Poll::Ready(Pin::new(&mut *stream).poll_next(context).is_ready())).await
}

#[tokio::test(start_paused = true)]
async fn a_stream_begins_where_it_says() -> Answer<()> {
    let scene = Scene::start().await?;
    let first = scene.revoke_all(0..3).await?;
    assert_eq!(first.revision, Revision::new(5));
    let mut from_now = scene.open(None).await?;
    assert_eq!(next(&mut from_now).await?, started(7));
    let mut from_then = scene.open(Some(at(5))).await?;
    assert_eq!(next(&mut from_then).await?, started(5));
    let mut from_the_start = scene.open(Some(at(0))).await?;
    assert_eq!(next(&mut from_the_start).await?, started(0));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_replay_is_every_later_narrowing_in_order() -> Answer<()> {
    let scene = Scene::start().await?;
    for number in 0..4 {
        write(&scene.store, issue(token(number))).await?;
    }
    scene.change(0, suspended()).await?;
    scene.rotate(1, 50).await?;
    scene.change(0, TokenChange::Resumed).await?;
    scene.rotate(1, 60).await?;
    scene.change(2, revoked()).await?;
    scene.change(0, suspended()).await?;
    scene.change(1, revoked()).await?;
    let journal = all_entries(&scene.store).await?;
    assert_eq!(messages(&journal).len(), 7, "two of them of one entry");
    for after in 0..=journal.len() {
        let mut stream = scene.open(Some(at(after as u64))).await?;
        assert_eq!(next(&mut stream).await?, started(after as u64));
        let (replayed, heartbeat) = until_heartbeat(&mut stream).await?;
        assert_eq!(replayed, messages(&journal[after..]), "after {after}");
        assert_eq!(heartbeat, at(journal.len() as u64));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_happens_is_told_as_it_happens() -> Answer<()> {
    let scene = Scene::start().await?;
    let mut stream = scene.open(None).await?;
    assert_eq!(next(&mut stream).await?, started(1));
    assert!(!has_news(&mut stream).await);
    write(&scene.store, issue(token(1))).await?;
    assert!(!has_news(&mut stream).await, "nothing was taken away");
    let entry = scene.change(1, revoked()).await?;
    idle().await;
    // It is there long before the heartbeat.
    let told = tokio::time::timeout(HEARTBEAT / 10, next(&mut stream)).await??;
    assert_eq!([told], messages(&[entry])[..]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn only_the_wanted_namespaces_are_told_and_the_cursor_passes_the_others() -> Answer<()> {
    let scene = Scene::start().await?;
    for (newest, (slug, prefix)) in (1..).zip([("tasks", "kt_"), ("other", "ko_")]) {
        let created = Draft::of_new_namespace(origin(), Revision::new(newest), namespace(slug, prefix));
        write(&scene.store, created).await?;
    }
    for (number, name) in (0..).zip(["notes", "tasks", "other", "tasks", "notes"]) {
        let issued = Token {
            namespace: slug(name),
            ..token(number)
        };
        write(&scene.store, issue(issued)).await?;
        scene.change(number, revoked()).await?;
    }
    let journal = all_entries(&scene.store).await?;
    for names in [&["notes"][..], &["tasks", "other"], &["notes", "tasks", "other"]] {
        let mut stream = scene
            .watch
            .open(wanted(Some(at(0)), names), "caller".into())
            .await?;
        assert_eq!(next(&mut stream).await?, started(0));
        let of_names = |entry: &&crate::journal::Entry| names.contains(&entry.change.namespace().as_str());
        let entries: Vec<_> = journal.iter().filter(of_names).cloned().collect();
        let (told, heartbeat) = until_heartbeat(&mut stream).await?;
        assert_eq!(told, messages(&entries));
        assert_eq!(heartbeat, at(journal.len() as u64), "{names:?}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn of_the_events_of_one_entry_only_the_last_moves_the_cursor() -> Answer<()> {
    let scene = Scene::start().await?;
    write(&scene.store, issue(token(1))).await?;
    let once = scene.rotate(1, 50).await?;
    let twice = scene.rotate(1, 60).await?;
    let mut stream = scene.open(Some(at(1))).await?;
    assert_eq!(next(&mut stream).await?, started(1));
    let (told, _) = until_heartbeat(&mut stream).await?;
    let losses: Vec<_> = told
        .iter()
        .map(|message| match &message.event {
            Event::Narrowed(Narrowing {
                loss: Loss::SecretRetired { version, retire_time },
                ..
            }) => (message.cursor.revision.get(), *version, *retire_time),
            event => panic!("{event:?}"),
        })
        .collect();
    let (before, after) = (once.revision.get(), twice.revision.get());
    assert_eq!(
        losses,
        [
            (before, 1, instant(50)),
            (before, 1, instant(60)),
            (after, 2, instant(60))
        ]
    );
    // Whoever was cut off between the two gets both again.
    let mut resumed = scene.open(Some(told[1].cursor)).await?;
    assert_eq!(next(&mut resumed).await?, started(before));
    assert_eq!(until_heartbeat(&mut resumed).await?.0, told[1..]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_cursor_that_cannot_be_followed_without_a_gap_is_refused() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.revoke_all(0..4).await?;
    let head = scene.store.head().await?;
    scene.store.trim(Revision::new(5)).await?;
    let foreign = Cursor {
        epoch: crate::journal::cursor::Epoch::new([2; 16]),
        ..head.cursor()
    };
    for bad in [foreign, at(0), at(4), at(head.revision.get() + 1), at(u64::MAX)] {
        let refused = scene.open(Some(bad)).await;
        assert!(matches!(refused, Err(WatchError::CursorExpired)), "{bad:?}");
    }
    for good in [at(5), head.cursor()] {
        let mut stream = scene.open(Some(good)).await?;
        assert_eq!(next(&mut stream).await?, started(good.revision.get()));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_frees_its_place() -> Answer<()> {
    let scene = Scene::with_room_for(2).await?;
    let (first, _second) = (scene.open(None).await?, scene.open(None).await?);
    let refused = scene.open(None).await;
    assert!(matches!(refused, Err(WatchError::Overloaded)), "{refused:?}");
    // Each is at rest when it is dropped: what it would say next is a heartbeat away.
    idle().await;
    drop(first);
    idle().await;
    let third = scene.open(None).await?;
    assert!(matches!(scene.open(None).await, Err(WatchError::Overloaded)));
    idle().await;
    drop(third);
    idle().await;
    // One that was never opened takes none.
    for _ in 0..3 {
        assert!(scene.open(Some(at(99))).await.is_err());
    }
    scene.faulty.nth(1, Call::Head, Fault::Before);
    assert!(matches!(scene.open(None).await, Err(WatchError::Store(_))));
    scene.open(None).await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn one_caller_does_not_take_all_places() -> Answer<()> {
    let scene = Scene::start().await?;
    let mut streams = Vec::new();
    for _ in 0..PER_CALLER_MAX {
        streams.push(scene.open_as("eager", None).await?);
    }
    let refused = scene.open_as("eager", None).await;
    assert!(matches!(refused, Err(WatchError::CallerBusy)), "{refused:?}");
    let _other = scene.open_as("other", None).await?;
    idle().await;
    streams.pop();
    idle().await;
    scene.open_as("eager", None).await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ended_frees_its_place_though_nobody_reads_why() -> Answer<()> {
    let scene = Scene::with_room_for(1).await?;
    scene.revoke_all(0..100).await?;
    let _stalled = scene.open(Some(at(0))).await?;
    assert!(scene.open(None).await.is_err());
    tokio::time::sleep(STALL_MAX * 2).await;
    scene.open(None).await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn draining_ends_every_stream_after_what_was_sent() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.revoke_all(0..100).await?;
    let journal = all_entries(&scene.store).await?;
    let (mut quiet, mut behind) = (scene.open(None).await?, scene.open(Some(at(0))).await?);
    idle().await;
    scene.drain.cancel();
    let head = journal.len() as u64;
    assert_eq!(
        until_the_end(&mut quiet).await?,
        (vec![started(head)], Ended::Draining)
    );
    let (told, why) = until_the_end(&mut behind).await?;
    assert_eq!(why, Ended::Draining);
    assert_eq!(told.len(), QUEUE_MAX);
    assert_eq!(told[1..], messages(&journal)[..QUEUE_MAX - 1]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_takes_no_messages_is_told_so_after_those_it_did_not_take() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.revoke_all(0..100).await?;
    let journal = all_entries(&scene.store).await?;
    let mut stalled = scene.open(Some(at(0))).await?;
    tokio::time::sleep(STALL_MAX + STALL_MAX / 10).await;
    let (told, why) = until_the_end(&mut stalled).await?;
    assert_eq!(why, Ended::TooSlow);
    assert_eq!(told[0], started(0));
    assert_eq!(told[1..], messages(&journal)[..QUEUE_MAX - 1]);
    let mut resumed = scene.open(told.last().map(|last| last.cursor)).await?;
    next(&mut resumed).await?;
    let (rest, _) = until_heartbeat(&mut resumed).await?;
    assert_eq!(rest, messages(&journal)[QUEUE_MAX - 1..]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_is_slow_but_not_too_slow_sees_everything() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.revoke_all(0..100).await?;
    let journal = all_entries(&scene.store).await?;
    let mut stream = scene.open(Some(at(0))).await?;
    tokio::time::sleep(STALL_MAX / 10 * 9).await;
    assert_eq!(next(&mut stream).await?, started(0));
    let mut told = Vec::new();
    for _ in 0..messages(&journal).len() {
        tokio::time::sleep(STALL_MAX / 10).await;
        told.push(next(&mut stream).await?);
    }
    assert_eq!(told, messages(&journal));
    Ok(())
}
