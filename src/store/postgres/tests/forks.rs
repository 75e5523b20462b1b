//! A database that is not the one that was followed: restored, replaced, or robbed of what was acknowledged.

use super::*;

/// Whether every call that reads the head says that the store is another one.
async fn is_forked(store: &PostgresStore) -> Answer<bool> {
    let id = MemberId::new([1; 16]);
    let forked = |error: Option<StoreError>| matches!(error, Some(StoreError::Forked { .. }));
    let draft = Draft::of_new_namespace(origin(), Revision::new(1), namespace("tasks", "kt_"));
    Ok(forked(store.head().await.err())
        && forked(store.renew(id, Revision::ZERO).await.err())
        && forked(store.commit(vec![draft]).await.err()))
}

const END_ALL_SESSIONS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()";

#[tokio::test]
async fn a_database_that_lost_something_is_noticed_on_the_connections_there_are() -> Tested {
    for lose in [
        "UPDATE journal_head SET revision = revision - 1",
        "UPDATE journal_head SET link = decode(repeat('ab', 32), 'hex')",
        "UPDATE journal_head SET epoch = decode(repeat('ab', 16), 'hex')",
    ] {
        let database = Database::new().await?;
        let store = with_notes(&database).await?;
        store.join(MemberId::new([1; 16]), "first").await?;
        write(&store, issue(token(1))).await?;
        meddle(&database, lose).await?;
        assert!(is_forked(&store).await?, "{lose}");
        assert!(is_forked(&store).await?, "{lose}: it was forgotten");
        let mut connection = database.connect().await?;
        let tasks: i64 = sqlx::query_scalar("SELECT count(*) FROM namespace WHERE slug = 'tasks'")
            .fetch_one(&mut connection)
            .await?;
        assert_eq!(tasks, 0, "{lose}: it was written to");
    }
    Ok(())
}

#[tokio::test]
async fn a_database_with_another_past_is_noticed_when_a_connection_is_made() -> Tested {
    for replace in [
        // Longer than what was seen, and yet another one.
        "UPDATE journal SET link = decode(repeat('ab', 32), 'hex') WHERE revision = 2;
         UPDATE journal_head SET revision = 3",
        "DELETE FROM journal WHERE revision = 2; UPDATE journal_head SET revision = 3",
        "TRUNCATE journal_head",
        "DROP TABLE journal_head",
    ] {
        let database = Database::new().await?;
        let store = with_notes(&database).await?;
        write(&store, issue(token(1))).await?;
        meddle(&database, replace).await?;
        meddle(&database, END_ALL_SESSIONS).await?;
        assert!(is_forked(&store).await?, "{replace}");
        // A read without a head is not made on it either.
        let read = store.token(token(1).id).await;
        assert!(matches!(read, Err(StoreError::Forked { .. })), "{read:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_look_behind_what_was_seen_is_none() -> Tested {
    let database = Database::new().await?;
    let store = with_notes(&database).await?;
    write(&store, issue(token(1))).await?;
    let digests = || vec![token(1).secrets[0].digest];
    assert!(
        store.tokens_by_digest(digests()).await?.tokens[0]
            .as_ref()
            .is_ok_and(Option::is_some)
    );
    meddle(&database, "UPDATE journal_head SET revision = revision - 1").await?;
    let look = store.tokens_by_digest(digests()).await;
    assert!(matches!(look, Err(StoreError::Forked { .. })), "{look:?}");
    Ok(())
}

#[tokio::test]
async fn what_only_this_connection_is_behind_is_asked_of_another() -> Tested {
    let database = Database::new().await?;
    let store = with_notes(&database).await?;
    write(&store, issue(token(1))).await?;
    // An old primary that still answers: this one session looks at a journal that has stopped.
    let mut connection = store.renewals.pool.acquire().await?;
    sqlx::raw_sql(
        "CREATE TEMP TABLE journal_head AS SELECT id, epoch, revision - 1 AS revision, link FROM journal_head",
    )
    .execute(&mut *connection)
    .await?;
    connection.return_to_pool().await;
    let id = MemberId::new([1; 16]);
    store.join(id, "first").await?;
    assert_eq!(store.renew(id, Revision::ZERO).await?, Some(store.head().await?));
    Ok(())
}

#[tokio::test]
async fn trimming_and_growing_are_no_fork() -> Tested {
    let database = Database::new().await?;
    let store = with_notes(&database).await?;
    let other = open(&database).await?;
    for number in 1..=3 {
        write(&other, issue(token(number))).await?;
    }
    other.trim(Revision::new(3)).await?;
    meddle(&database, END_ALL_SESSIONS).await?;
    assert_eq!(store.head().await?.revision, Revision::new(4));
    assert_eq!(store.head().await?.oldest, Revision::new(4));
    Ok(())
}
