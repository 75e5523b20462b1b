//! A commit whose future is dropped, at every point where it can be: all of it is written, or none.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::runtime::Handle;

use super::*;
use crate::journal::Record;
use crate::store::spawned::Spawned;

/// Where a future is dropped: right after a poll, or when it was woken for the next one. In between, the
/// connection's thread may have done what it was asked, and its answer is lost.
#[derive(Clone, Copy, Debug)]
enum Drop {
    AfterPoll,
    WhenWoken,
}

/// Polls `future` so many times, then drops it; `None`: it was not done by then.
async fn interrupted<F: Future>(future: F, polls: u32, at: Drop) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match (future.as_mut().poll(context), at) {
            (Poll::Ready(output), _) => Poll::Ready(Some(output)),
            (Poll::Pending, Drop::AfterPoll) if left == 0 => Poll::Ready(None),
            (Poll::Pending, _) => Poll::Pending,
        }
    })
    .await
}

/// One batch: a token issued, and the token before it rotated.
async fn batch(store: &SqliteStore, number: u64) -> Result<Vec<Draft>, Box<dyn Error + Send + Sync>> {
    let before = store.token(token(0).id).await?.ok_or("not issued")?;
    let version = before
        .record
        .current_secret()
        .map_or(1, |current| current.version + 1);
    let rotated = TokenChange::Rotated {
        secret: kept(0, version, instant(0)),
        retire_time: Some(instant(0)),
        beside: None,
        ends: None,
        by_default: false,
    };
    Ok(vec![
        issue(token(number)),
        Draft::of_token(origin(), Some(&before), rotated)?,
    ])
}

/// Whether `drafts` were written, having found all signs of it to agree.
async fn is_written(store: &SqliteStore, drafts: &[Draft], before: Head) -> Result<bool, StoreError> {
    let head = store.head().await?;
    let written = head.revision != before.revision;
    let wanted = if written { drafts.len() as u64 } else { 0 };
    assert_eq!(head.revision.get(), before.revision.get() + wanted);
    let entries = store.entries(before.revision, EntryFilter::ALL, READ_MAX).await?;
    assert_eq!(entries.len() as u64, wanted);
    assert_eq!(entries.last().map_or(before.link, |last| last.link), head.link);
    for draft in drafts {
        assert_eq!(store.entry_of_request(draft.request_id).await?.is_some(), written);
        let Record::Token(after) = draft.after() else {
            continue;
        };
        let stored = store.token(after.id).await?.map(|stored| stored.record);
        assert_eq!(stored.as_ref() == Some(after), written);
        let current = after.current_secret().map(|kept| kept.digest);
        let look = store.tokens_by_digest(current.into_iter().collect()).await?;
        assert_eq!(look.tokens, [Ok(written.then(|| after.clone()))]);
    }
    Ok(written)
}

/// Waits until what was asked of the writer connection has been done or undone: it serves one at a time.
async fn settled(store: &SqliteStore) -> Tested {
    store.writer.acquire().await?;
    Ok(())
}

#[tokio::test]
async fn an_interrupted_commit_is_all_or_nothing_and_harms_no_later_one() -> Tested {
    let folder = TempDir::new()?;
    let store = with_notes(&folder).await?;
    write(&store, issue(token(0))).await?;
    let mut numbers = 1..;
    let (mut kept, mut undone) = (0, 0);
    // How often a commit is polled differs from time to time, so one sweep may miss its last moment.
    for (sweep, at) in (0..100).zip([Drop::AfterPoll, Drop::WhenWoken].into_iter().cycle()) {
        if sweep >= 4 && kept > 0 {
            break;
        }
        for polls in 0.. {
            let drafts = batch(&store, numbers.next().unwrap_or(0)).await?;
            let before = store.head().await?;
            let answer = interrupted(store.commit(drafts.clone()), polls, at).await;
            settled(&store).await?;
            let written = is_written(&store, &drafts, before).await?;
            let done = answer.is_some();
            match answer {
                Some(outcomes) => assert!(written && outcomes?.len() == 2),
                None if written => kept += 1,
                None => undone += 1,
            }
            write(&store, issue(token(numbers.next().unwrap_or(0)))).await?;
            if done {
                break;
            }
        }
    }
    assert!(
        kept > 0 && undone > 10,
        "{kept} lost commits were written, {undone} were not"
    );
    let head = store.head().await?;
    let entries = store.entries(Revision::ZERO, EntryFilter::ALL, READ_MAX).await?;
    store.close().await;
    let store = open(&folder).await?;
    assert_eq!(store.head().await?, head);
    assert_eq!(
        store.entries(Revision::ZERO, EntryFilter::ALL, READ_MAX).await?,
        entries
    );
    Ok(())
}

#[tokio::test]
async fn a_commit_in_a_task_is_completed_though_nobody_waits() -> Tested {
    let folder = TempDir::new()?;
    let store = Arc::new(with_notes(&folder).await?);
    write(&store, issue(token(0))).await?;
    let spawned = Spawned::new(Arc::clone(&store) as Arc<dyn Store>, Handle::current());
    for (polls, number) in (1..=4).zip(1..) {
        let drafts = batch(&store, number).await?;
        let before = store.head().await?;
        let mut hint = store.committed();
        hint.mark_unchanged();
        let answer = interrupted(spawned.commit(drafts.clone()), polls, Drop::AfterPoll).await;
        tokio::time::timeout(Duration::from_secs(30), hint.changed()).await??;
        assert!(is_written(&store, &drafts, before).await?);
        assert!(polls > 1 || answer.is_none(), "it was not interrupted");
    }
    Ok(())
}
