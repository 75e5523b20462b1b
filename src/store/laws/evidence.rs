//! Refused calls and checkpoints: kept beside the journal, so many and no more.

use std::sync::Arc;

use super::{Law, all_entries};
use crate::journal::Revision;
use crate::store::checkpoints::KeptCheckpoint;
use crate::store::refused_calls::RefusedCall;
use crate::store::{READ_MAX, SWEEP_MAX, Store};
use crate::token::samples::{instant, slug, token};
use crate::token::text::Actor;

fn refused(number: u32) -> RefusedCall {
    RefusedCall {
        time: instant(i64::from(number)),
        actor: Actor::try_from(format!("token:{number}")).expect("it is one"),
        method: "TokenService/Revoke".to_owned(),
        reason: "PERMISSION_DENIED".to_owned(),
        namespace: number.is_multiple_of(2).then(|| slug("notes")),
        token_id: number.is_multiple_of(3).then(|| token(u64::from(number)).id),
        unrecorded: u64::from(number % 5),
    }
}

fn checkpoint(revision: u64, note: &str) -> KeptCheckpoint {
    KeptCheckpoint {
        revision: Revision::new(revision),
        time: instant(7),
        note: note.to_owned(),
        subtrees: vec![0, 255, 7],
    }
}

pub(super) async fn refused_calls_are_read_as_they_were_kept(store: Arc<dyn Store>) -> Law {
    let (head, entries) = (store.head().await?, all_entries(&store).await?);
    assert_eq!(store.refused_calls(0, READ_MAX).await?, []);
    let calls: Vec<_> = (1..=10).map(refused).collect();
    store.keep_refused_calls(calls[..4].to_vec()).await?;
    store.keep_refused_calls(Vec::new()).await?;
    store.keep_refused_calls(calls[4..].to_vec()).await?;
    let (mut read, mut after) = (Vec::new(), 0);
    loop {
        let page = store.refused_calls(after, 3).await?;
        assert!(page.len() <= 3);
        let Some((last, _)) = page.last() else { break };
        assert!(*last > after);
        after = *last;
        read.extend(page.into_iter().map(|(_, call)| call));
    }
    assert_eq!(read, calls);
    assert_eq!(store.refused_calls(u64::MAX, 3).await?, []);
    // The journal knows nothing of them.
    assert_eq!((store.head().await?, all_entries(&store).await?), (head, entries));
    Ok(())
}

pub(super) async fn a_sweep_lets_the_oldest_refused_calls_go(store: Arc<dyn Store>) -> Law {
    let calls: Vec<_> = (1..=10).map(refused).collect();
    store.keep_refused_calls(calls.clone()).await?;
    let left = || async {
        let kept = store.refused_calls(0, READ_MAX).await?;
        Law::Ok(()).map(|()| kept.into_iter().map(|(_, call)| call).collect::<Vec<_>>())
    };
    assert_eq!(store.sweep_refused_calls(instant(1), 10).await?, 0);
    assert_eq!(store.sweep_refused_calls(instant(4), 10).await?, 3);
    assert_eq!(left().await?, calls[3..]);
    assert_eq!(store.sweep_refused_calls(instant(4), 5).await?, 2);
    assert_eq!(left().await?, calls[5..]);
    assert_eq!(store.sweep_refused_calls(instant(4), 0).await?, 5);
    assert_eq!(left().await?, []);
    store
        .keep_refused_calls((0..SWEEP_MAX + 5).map(|_| refused(1)).collect())
        .await?;
    assert_eq!(
        store.sweep_refused_calls(instant(2), 10).await?,
        u64::from(SWEEP_MAX)
    );
    assert_eq!(store.sweep_refused_calls(instant(2), 10).await?, 5);
    Ok(())
}

pub(super) async fn the_first_checkpoint_of_a_revision_stands(store: Arc<dyn Store>) -> Law {
    store.keep_checkpoint(checkpoint(3, "first\n"), 10).await?;
    store.keep_checkpoint(checkpoint(3, "second"), 10).await?;
    assert_eq!(store.checkpoints(None, 10).await?, [checkpoint(3, "first\n")]);
    Ok(())
}

pub(super) async fn no_more_checkpoints_are_kept_than_told(store: Arc<dyn Store>) -> Law {
    for revision in 1..=9 {
        store.keep_checkpoint(checkpoint(revision, "note"), 4).await?;
    }
    let revisions = |before: Option<u64>, limit| {
        let store = Arc::clone(&store);
        async move {
            let kept = store.checkpoints(before.map(Revision::new), limit).await?;
            Law::Ok(()).map(|()| kept.iter().map(|kept| kept.revision.get()).collect::<Vec<_>>())
        }
    };
    assert_eq!(revisions(None, 10).await?, [9, 8, 7, 6]);
    assert_eq!(revisions(None, 2).await?, [9, 8]);
    assert_eq!(revisions(Some(8), 10).await?, [7, 6]);
    assert_eq!(revisions(Some(6), 10).await?, [0_u64; 0]);
    Ok(())
}
