//! Hints: what another store commits is heard of, and found without.

use tokio::time::timeout;

use super::*;

#[tokio::test]
async fn the_hint_never_goes_back() -> Tested {
    let database = Database::new().await?;
    let store = with_notes(&database).await?;
    // As when a later commit has returned before this one.
    store.committed.send_replace(Revision::new(9));
    write(&store, issue(token(1))).await?;
    store.head().await?;
    assert_eq!(*store.committed().borrow(), Revision::new(9));
    Ok(())
}

/// Returns when so many sessions have begun to listen.
async fn listens(database: &Database, sessions: i64) -> Tested {
    let mut connection = database.connect().await?;
    let listening = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE 'LISTEN%' AND state = 'idle'";
    while sqlx::query_scalar::<_, i64>(listening)
        .fetch_one(&mut connection)
        .await?
        != sessions
    {
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_commit_elsewhere_is_heard_of() -> Tested {
    let database = Database::new().await?;
    let here = with_notes(&database).await?;
    let elsewhere = open(&database).await?;
    timeout(SOON, listens(&database, 2)).await??;
    let mut hint = here.committed();
    for number in 1..=3 {
        let entry = write(&elsewhere, issue(token(number))).await?;
        timeout(SOON, hint.changed()).await??;
        // It says when to read, not what.
        assert!(*hint.borrow_and_update() < entry.revision);
        assert_eq!(here.head().await?.revision, entry.revision);
        assert_eq!(*hint.borrow_and_update(), entry.revision);
    }
    Ok(())
}

#[tokio::test]
async fn a_listener_that_lost_its_connection_listens_again() -> Tested {
    let database = Database::new().await?;
    let here = with_notes(&database).await?;
    let elsewhere = open(&database).await?;
    timeout(SOON, listens(&database, 2)).await??;
    let mut hint = here.committed();
    meddle(
        &database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'tokenward/listener'",
    )
    .await?;
    // What may have been missed is worth a look.
    timeout(SOON, hint.changed()).await??;
    timeout(SOON, listens(&database, 2)).await??;
    hint.mark_unchanged();
    write(&elsewhere, issue(token(1))).await?;
    timeout(SOON, hint.changed()).await??;
    Ok(())
}

#[tokio::test]
async fn without_notifications_whoever_asks_for_the_head_hints_at_it() -> Tested {
    let database = Database::new().await?;
    let elsewhere = with_notes(&database).await?;
    let options: PostgresOptions = database.url.parse()?;
    let here = PostgresStore::open(&options.without_notifications(), pepper(7).row_key()).await?;
    assert!(here.listening.is_none());
    let id = MemberId::new([1; 16]);
    here.join(id, "here").await?;
    let hint = here.committed();
    let first = write(&elsewhere, issue(token(1))).await?.revision;
    assert!(*hint.borrow() < first);
    here.head().await?;
    assert_eq!(*hint.borrow(), first);
    let second = write(&elsewhere, issue(token(2))).await?.revision;
    here.renew(id, first).await?;
    assert_eq!(*hint.borrow(), second);
    Ok(())
}

#[tokio::test]
async fn nobody_is_told_of_a_commit_that_wrote_nothing() -> Tested {
    let database = Database::new().await?;
    let here = with_notes(&database).await?;
    let elsewhere = open(&database).await?;
    let draft = issue(token(1));
    write(&elsewhere, draft.clone()).await?;
    let mut listener = sqlx::postgres::PgListener::connect(&database.url).await?;
    listener.listen(listen::CHANNEL).await?;
    assert!(matches!(
        elsewhere.commit(vec![draft]).await?[..],
        [Outcome::Repeated(_)]
    ));
    assert_eq!(here.commit(vec![issue(token(1))]).await?, [Outcome::Conflict]);
    here.commit(vec![issue(token(2)), issue(token(3))]).await?;
    let heard = timeout(SOON, listener.recv()).await??;
    assert_eq!((heard.channel(), heard.payload()), (listen::CHANNEL, ""));
    // One a batch: this is of the next one, as the number of it shows.
    meddle(&database, "NOTIFY tokenward_journal, 'last'").await?;
    assert_eq!(timeout(SOON, listener.recv()).await??.payload(), "last");
    Ok(())
}
