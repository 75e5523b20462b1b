//! What only a store that is shared must do: commit beside others, lose nothing to a connection, and know the
//! database it was promised.

mod access;
mod forks;
mod hints;
mod lanes;
mod orders;
mod parity;
mod plans;
mod schemas;

use std::error::Error;

use sqlx::Connection;
use tokio::task::JoinSet;

use super::*;
use crate::journal::cursor::Epoch;
use crate::journal::samples::{issue, origin};
use crate::store::READ_MAX;
use crate::store::database::Database;
use crate::store::member::MemberId;
use crate::store::samples::rotation;
use crate::token::change::TokenChange;
use crate::token::samples::{instant, kept, namespace, pepper, slug, token, withdrawal};

type Tested = Result<(), Box<dyn Error + Send + Sync>>;
type Answer<T> = Result<T, Box<dyn Error + Send + Sync>>;

const EPOCH: Epoch = Epoch::new([1; 16]);

/// How long what is bound to happen may take.
const SOON: Duration = Duration::from_secs(30);

async fn open(database: &Database) -> Answer<PostgresStore> {
    let options: PostgresOptions = database.url.parse()?;
    migrate(&options, EPOCH).await?;
    Ok(PostgresStore::open(&options, pepper(7).row_key()).await?)
}

async fn write(store: &PostgresStore, draft: Draft) -> Answer<Entry> {
    match <[Outcome; 1]>::try_from(store.commit(vec![draft]).await?) {
        Ok([Outcome::Written(entry)]) => Ok(entry),
        outcome => Err(format!("not written: {outcome:?}").into()),
    }
}

/// A store with the namespace `notes`, at revision 1.
async fn with_notes(database: &Database) -> Answer<PostgresStore> {
    let store = open(database).await?;
    let notes = Draft::of_new_namespace(origin(), Revision::ZERO, namespace("notes", "kn_"));
    write(&store, notes).await?;
    Ok(store)
}

async fn all_entries(store: &PostgresStore) -> Answer<Vec<Entry>> {
    Ok(store.entries(Revision::ZERO, EntryFilter::ALL, READ_MAX).await?)
}

/// Runs a statement past the store.
async fn meddle(database: &Database, statement: &'static str) -> Tested {
    let mut connection = database.connect().await?;
    sqlx::raw_sql(statement).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

#[tokio::test]
async fn everything_is_there_after_reopening() -> Tested {
    let database = Database::new().await?;
    let store = with_notes(&database).await?;
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
    let (head, entries) = (store.head().await?, all_entries(&store).await?);
    let token_before = store.token(token(1).id).await?;
    store.close().await;

    // A journal keeps the name it was begun under, whatever is proposed later.
    let options: PostgresOptions = database.url.parse()?;
    assert_eq!(migrate(&options, Epoch::new([2; 16])).await?, []);
    let store = PostgresStore::open(&options, pepper(7).row_key()).await?;
    assert_eq!(store.head().await?, head);
    assert_eq!(*store.committed().borrow(), head.revision);
    assert_eq!(store.token(token(1).id).await?, token_before);
    assert_eq!(all_entries(&store).await?, entries);
    assert!(store.directory().await?.record.get(&slug("notes")).is_some());
    assert_eq!(store.commit(vec![draft]).await?, [Outcome::Repeated(rotation)]);
    let next = write(&store, issue(token(2))).await?;
    assert_eq!(next.link, head.link.then(&next.body));
    Ok(())
}

#[tokio::test]
async fn a_batch_that_fails_leaves_nothing_behind() -> Tested {
    let database = Database::new().await?;
    let store = with_notes(&database).await?;
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
        let suspended = TokenChange::Suspended(withdrawal(instant(1)));
        let batch = vec![
            issue(token(2)),
            Draft::of_token(origin(), before.as_ref(), suspended)?,
            issue(bad),
        ];
        let error = store.commit(batch).await.err().ok_or("it was committed")?;
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_on_one_database_commit_one_after_another() -> Tested {
    let database = Database::new().await?;
    let stores = [
        Arc::new(with_notes(&database).await?),
        Arc::new(open(&database).await?),
    ];
    write(&stores[0], issue(token(0))).await?;
    let mut tasks = JoinSet::new();
    for number in 1..=24 {
        let store = Arc::clone(&stores[number as usize % 2]);
        tasks.spawn(async move {
            // Each its own token, and all of them the same one: of those, one wins.
            let before = store.token(token(0).id).await?.ok_or("not issued")?;
            let rotation = rotation(0, &before.record, instant(0));
            let batch = vec![
                issue(token(number)),
                Draft::of_token(origin(), Some(&before), rotation)?,
            ];
            Answer::Ok((before.version, store.commit(batch).await?))
        });
    }
    let mut winners = Vec::new();
    while let Some(task) = tasks.join_next().await {
        let (guard, outcomes) = task??;
        assert!(matches!(outcomes[0], Outcome::Written(_)), "{outcomes:?}");
        if matches!(outcomes[1], Outcome::Written(_)) {
            winners.push(guard);
        }
    }
    winners.sort_unstable();
    let rotations = winners.len();
    winners.dedup();
    assert_eq!(winners.len(), rotations, "two won on the same version");
    let entries = all_entries(&stores[0]).await?;
    assert_eq!(entries.len(), 2 + 24 + rotations);
    let mut link = crate::journal::link::Link::START;
    for (entry, revision) in entries.iter().zip(1..) {
        link = link.then(&entry.body);
        assert_eq!((entry.revision, entry.link), (Revision::new(revision), link));
    }
    assert_eq!(stores[1].head().await?, stores[0].head().await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_reaches_two_stores_at_once_is_written_once() -> Tested {
    let database = Database::new().await?;
    let stores = [
        Arc::new(with_notes(&database).await?),
        Arc::new(open(&database).await?),
    ];
    for round in 0..20 {
        let mut tasks = JoinSet::new();
        let request_id = origin().request_id;
        for (store, number) in stores.iter().zip(0..) {
            let store = Arc::clone(store);
            // Another token each: nothing but the request id keeps them apart.
            let mut draft = issue(token(round * 2 + number));
            draft.request_id = request_id;
            tasks.spawn(async move { store.commit(vec![draft]).await });
        }
        let mut answers = Vec::new();
        while let Some(task) = tasks.join_next().await {
            answers.extend(task??);
        }
        let entry_of = |outcome: &Outcome| match outcome {
            Outcome::Written(entry) | Outcome::Repeated(entry) => Some(entry.clone()),
            Outcome::Conflict => None,
        };
        let written = answers
            .iter()
            .filter(|outcome| matches!(outcome, Outcome::Written(_)))
            .count();
        assert_eq!(written, 1, "{answers:?}");
        assert!(answers[0] != Outcome::Conflict);
        assert_eq!(entry_of(&answers[0]), entry_of(&answers[1]));
    }
    assert_eq!(all_entries(&stores[0]).await?.len(), 21);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn namespaces_that_two_stores_create_at_once_do_not_overlap() -> Tested {
    let database = Database::new().await?;
    let stores = [
        Arc::new(with_notes(&database).await?),
        Arc::new(open(&database).await?),
    ];
    for round in 0..10 {
        let newest = stores[0].directory().await?.version;
        let mut tasks = JoinSet::new();
        for (store, number) in stores.iter().zip(0..) {
            let store = Arc::clone(store);
            let slug = format!("n-{round}-{number}");
            let draft =
                Draft::of_new_namespace(origin(), newest, namespace(&slug, &format!("k{round}_{number}_")));
            tasks.spawn(async move { store.commit(vec![draft]).await });
        }
        let mut answers = Vec::new();
        while let Some(task) = tasks.join_next().await {
            answers.extend(task??);
        }
        let conflicts = answers
            .iter()
            .filter(|outcome| **outcome == Outcome::Conflict)
            .count();
        assert_eq!(conflicts, 1, "{answers:?}");
    }
    Ok(())
}
