//! What only a store in a file must do: keep others out, come back whole, and mean it when it says so.

mod interrupted;
mod plans;
mod tampered;

use std::error::Error;
use std::os::unix::fs::PermissionsExt;

use sqlx::Connection;
use tempfile::TempDir;

use super::*;
use crate::journal::samples::{issue, origin};
use crate::store::READ_MAX;
use crate::token::change::TokenChange;
use crate::token::samples::{instant, kept, namespace, pepper, slug, token, withdrawal};

type Tested = Result<(), Box<dyn Error + Send + Sync>>;

const EPOCH: Epoch = Epoch::new([1; 16]);

async fn open(folder: &TempDir) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(&folder.path().join("store.db"), EPOCH, pepper(7).row_key()).await
}

async fn write(store: &SqliteStore, draft: Draft) -> Result<Entry, Box<dyn Error + Send + Sync>> {
    match <[Outcome; 1]>::try_from(store.commit(vec![draft]).await?) {
        Ok([Outcome::Written(entry)]) => Ok(entry),
        outcome => Err(format!("not written: {outcome:?}").into()),
    }
}

/// A store with the namespace `notes`, at revision 1.
async fn with_notes(folder: &TempDir) -> Result<SqliteStore, Box<dyn Error + Send + Sync>> {
    let store = open(folder).await?;
    let notes = Draft::of_new_namespace(origin(), Revision::ZERO, namespace("notes", "kn_"));
    write(&store, notes).await?;
    Ok(store)
}

/// Closes the file, so that it can be opened again: a dropped pool closes its connections some time later.
#[tokio::test]
async fn a_file_in_use_is_refused_by_name() -> Tested {
    let folder = TempDir::new()?;
    let first = open(&folder).await?;
    let refusal = open(&folder).await.err().ok_or("a second store was opened")?;
    assert!(matches!(refusal, OpenError::InUse { .. }), "{refusal:?}");
    let text = refusal.to_string();
    assert!(
        text.contains("store.db is in use by another tokenward process"),
        "{text}"
    );
    first.close().await;
    open(&folder).await?;
    Ok(())
}

#[tokio::test]
async fn a_snapshot_beside_the_owner_stays_as_it_was_taken() -> Tested {
    let folder = TempDir::new()?;
    let owner = with_notes(&folder).await?;
    let mut snapshot = Snapshot::open(&folder.path().join("store.db")).await?;
    let before = snapshot.head().await?;
    assert_eq!(before, owner.head().await?);
    write(&owner, issue(token(1))).await?;
    assert_eq!(snapshot.head().await?, before);
    assert_eq!(snapshot.token_ids(None).await?, []);
    Ok(())
}

#[tokio::test]
async fn nobody_else_can_read_the_files_of_a_store() -> Tested {
    let folder = TempDir::new()?;
    let owner = with_notes(&folder).await?;
    for file in ["store.db", "store.db-wal", "store.db-shm"] {
        let mode = std::fs::metadata(folder.path().join(file))?.permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    owner.close().await;
    Ok(())
}

#[tokio::test]
async fn everything_is_there_after_reopening() -> Tested {
    let folder = TempDir::new()?;
    let store = with_notes(&folder).await?;
    write(&store, issue(token(1))).await?;
    let before = store.token(token(1).id).await?.ok_or("not issued")?;
    let rotated = TokenChange::Rotated {
        secret: kept(1, 2, instant(1)),
        retire_time: Some(instant(2)),
        beside: None,
        ends: None,
        by_default: false,
    };
    let draft = Draft::of_token(origin(), Some(&before), rotated)?;
    let rotation = write(&store, draft.clone()).await?;
    let head = store.head().await?;
    let token_before = store.token(token(1).id).await?;
    let entries = store.entries(Revision::ZERO, EntryFilter::ALL, READ_MAX).await?;
    store.close().await;

    // A journal keeps the name it was begun under, whatever is proposed later.
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path, Epoch::new([2; 16]), pepper(7).row_key()).await?;
    assert_eq!(store.head().await?, head);
    assert_eq!(*store.committed().borrow(), head.revision);
    assert_eq!(store.token(token(1).id).await?, token_before);
    assert_eq!(
        store.entries(Revision::ZERO, EntryFilter::ALL, READ_MAX).await?,
        entries
    );
    assert!(store.directory().await?.record.get(&slug("notes")).is_some());
    assert_eq!(store.commit(vec![draft]).await?, [Outcome::Repeated(rotation)]);
    let next = write(&store, issue(token(2))).await?;
    assert_eq!(next.link, head.link.then(&next.body));
    Ok(())
}

#[tokio::test]
async fn an_acknowledged_change_is_on_the_disk() -> Tested {
    let folder = TempDir::new()?;
    let store = open(&folder).await?;
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous")
        .fetch_one(&store.writer)
        .await?;
    assert_eq!(synchronous, 2, "FULL");
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&store.writer)
        .await?;
    assert_eq!(mode, "wal");
    let keys: i64 = sqlx::query_scalar("PRAGMA foreign_keys")
        .fetch_one(&store.writer)
        .await?;
    assert_eq!(keys, 1);
    let error = sqlx::query("DELETE FROM journal_head")
        .execute(&store.readers)
        .await
        .err();
    let error = error.ok_or("a reader has written")?.to_string();
    assert!(error.contains("readonly"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_batch_that_fails_leaves_nothing_behind() -> Tested {
    let folder = TempDir::new()?;
    let store = with_notes(&folder).await?;
    write(&store, issue(token(1))).await?;
    let head = store.head().await?;
    let mut taken = token(3);
    taken.secrets = token(1).secrets;
    let nowhere = Token {
        namespace: slug("nowhere"),
        ..token(3)
    };
    for bad in [taken, nowhere] {
        let before = store.token(token(1).id).await?;
        let batch = vec![
            issue(token(2)),
            Draft::of_token(
                origin(),
                before.as_ref(),
                TokenChange::Suspended(withdrawal(instant(1))),
            )?,
            issue(bad),
        ];
        assert!(store.commit(batch).await.is_err());
        assert_eq!(store.head().await?, head);
        assert_eq!(store.token(token(1).id).await?, before);
        assert_eq!(store.token(token(2).id).await?, None);
        let found = store.entries(head.revision, EntryFilter::ALL, READ_MAX).await?;
        assert_eq!(found, []);
    }
    assert_eq!(
        write(&store, issue(token(2))).await?.revision,
        head.revision.next()
    );
    Ok(())
}

#[tokio::test]
async fn the_hint_never_goes_back() -> Tested {
    let folder = TempDir::new()?;
    let store = with_notes(&folder).await?;
    // As when a later commit has returned before this one.
    store.committed.send_replace(Revision::new(9));
    write(&store, issue(token(1))).await?;
    assert_eq!(*store.committed().borrow(), Revision::new(9));
    Ok(())
}

/// Leaves a transaction open on the writer connection, and gives the connection back to its pool.
async fn leave_open(store: &SqliteStore, counted_by_sqlx: bool) -> Tested {
    let mut connection = store.writer.acquire().await?;
    if counted_by_sqlx {
        std::mem::forget(connection.begin_with("BEGIN IMMEDIATE").await?);
    } else {
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_transaction_that_was_left_open_swallows_no_commit() -> Tested {
    for counted_by_sqlx in [false, true] {
        let folder = TempDir::new()?;
        let store = with_notes(&folder).await?;
        leave_open(&store, counted_by_sqlx).await?;
        let first = write(&store, issue(token(1))).await?;
        leave_open(&store, counted_by_sqlx).await?;
        store.trim(Revision::new(1)).await?;
        let second = write(&store, issue(token(2))).await?;
        store.close().await;
        let store = open(&folder).await?;
        assert_eq!(store.head().await?.oldest, Revision::new(2));
        let found = store.entries(Revision::ZERO, EntryFilter::ALL, READ_MAX).await?;
        assert_eq!(found, [first, second]);
    }
    Ok(())
}
