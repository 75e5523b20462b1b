//! Connections: settings, what is left open on them, and how long a silent one is waited for.

use sqlx::{PgConnection, Row};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::Instant;

use super::*;

/// The setting as the session of this connection has it.
async fn setting(connection: &mut PgConnection, name: &str) -> Result<String, sqlx::Error> {
    let query = sqlx::query_scalar("SELECT current_setting($1)").bind(name.to_owned());
    query.fetch_one(connection).await
}

#[tokio::test]
async fn sessions_are_set_up_as_asked_and_durable_as_the_server_is() -> Tested {
    let database = Database::new().await?;
    let store = open(&database).await?;
    for (lane, name, lock) in [
        (&store.renewals, "tokenward/renewals", "500ms"),
        (&store.writer, "tokenward/writer", "1500ms"),
        (&store.misses, "tokenward/misses", "500ms"),
        (&store.lists, "tokenward/lists", "500ms"),
        (&store.evidence, "tokenward/evidence", "1500ms"),
    ] {
        let mut connection = lane.pool.acquire().await?;
        for (setting_name, wanted) in [
            ("application_name", name),
            ("lock_timeout", lock),
            ("statement_timeout", "2s"),
            ("idle_in_transaction_session_timeout", "5s"),
            ("default_transaction_isolation", "read committed"),
            ("client_min_messages", "error"),
            ("enable_seqscan", "off"),
            ("jit", "off"),
            ("synchronous_commit", "on"),
            ("fsync", "on"),
        ] {
            let found = setting(&mut connection, setting_name).await?;
            assert_eq!(found, wanted, "{name}: {setting_name}");
        }
    }
    Ok(())
}

/// Leaves a transaction open on a connection of the lane, and gives the connection back to its pool.
async fn leave_open(lane: &Lane, counted_by_sqlx: bool) -> Tested {
    let mut connection = lane.pool.acquire().await?;
    if counted_by_sqlx {
        std::mem::forget(connection.begin().await?);
    } else {
        sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
    }
    connection.return_to_pool().await;
    Ok(())
}

#[tokio::test]
async fn a_transaction_that_was_left_open_swallows_nothing() -> Tested {
    for counted_by_sqlx in [false, true] {
        let database = Database::new().await?;
        let store = with_notes(&database).await?;
        let id = MemberId::new([1; 16]);
        leave_open(&store.writer, counted_by_sqlx).await?;
        let first = write(&store, issue(token(1))).await?;
        leave_open(&store.writer, counted_by_sqlx).await?;
        store.trim(Revision::new(1)).await?;
        leave_open(&store.renewals, counted_by_sqlx).await?;
        store.join(id, "first").await?;
        leave_open(&store.renewals, counted_by_sqlx).await?;
        store.renew(id, Revision::new(1)).await?;
        leave_open(&store.writer, counted_by_sqlx).await?;
        let second = write(&store, issue(token(2))).await?;

        // As everybody else sees it.
        let other = open(&database).await?;
        assert_eq!(all_entries(&other).await?, [first, second]);
        let members = other.members().await?;
        assert_eq!(members.iter().map(|member| member.beat).collect::<Vec<_>>(), [1]);
        // One that lies idle is rolled back when it is used; so each is used.
        for lane in [&store.writer, &store.renewals] {
            let mut used = Vec::new();
            for _ in 0..lane.pool.options().get_max_connections() {
                used.push(lane.pool.acquire().await?);
            }
        }
        let mut connection = database.connect().await?;
        let open = "SELECT count(*) AS open FROM pg_stat_activity
            WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
        let open: i64 = sqlx::query(open)
            .fetch_one(&mut connection)
            .await?
            .try_get("open")?;
        assert_eq!(open, 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_call_that_was_dropped_leaves_no_transaction_and_no_lock() -> Tested {
    let database = Database::new().await?;
    let store = with_notes(&database).await?;
    // Whoever commits next waits for the counter row, and is dropped there.
    let mut blocker = database.connect().await?;
    let mut blocking = blocker.begin().await?;
    sqlx::query("SELECT 1 FROM journal_head FOR UPDATE")
        .execute(&mut *blocking)
        .await?;
    let dropped = timeout(Duration::from_millis(300), store.commit(vec![issue(token(1))]));
    assert!(dropped.await.is_err(), "it did not wait");
    blocking.rollback().await?;
    assert_eq!(write(&store, issue(token(2))).await?.revision, Revision::new(2));
    assert_eq!(store.token(token(1).id).await?, None);
    Ok(())
}

#[tokio::test]
async fn a_connection_that_the_server_ended_is_replaced_unnoticed() -> Tested {
    let database = Database::new().await?;
    let store = with_notes(&database).await?;
    let head = store.head().await?;
    meddle(
        &database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .await?;
    assert_eq!(store.head().await?, head);
    write(&store, issue(token(1))).await?;
    assert!(
        store
            .renew(MemberId::new([1; 16]), Revision::ZERO)
            .await?
            .is_none()
    );
    Ok(())
}

#[tokio::test]
async fn a_commit_that_lost_its_connection_before_commit_was_sent_is_done_again() -> Tested {
    let database = Database::new().await?;
    let store = Arc::new(with_notes(&database).await?);
    let mut blocker = database.connect().await?;
    let mut blocking = blocker.begin().await?;
    sqlx::query("SELECT 1 FROM journal_head FOR UPDATE")
        .execute(&mut *blocking)
        .await?;
    let committing = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.commit(vec![issue(token(1))]).await })
    };
    // Ended while it waits for the counter row; it comes back and waits again.
    let mut operator = database.connect().await?;
    let ended = async {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'tokenward/writer'
            AND wait_event_type = 'Lock'";
        while sqlx::query(end).fetch_all(&mut operator).await?.is_empty() {
            tokio::task::yield_now().await;
        }
        Ok::<_, sqlx::Error>(())
    };
    timeout(SOON, ended).await??;
    blocking.rollback().await?;
    let outcomes = committing.await??;
    assert!(matches!(outcomes[..], [Outcome::Written(_)]), "{outcomes:?}");
    assert_eq!(all_entries(&store).await?.len(), 2);
    Ok(())
}

/// A listener that takes connections in the place of the server, and says nothing on them.
fn deaf(folder: &tempfile::TempDir) -> Answer<(PostgresOptions, JoinSet<()>)> {
    let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432"))?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut taken: Vec<UnixStream> = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            taken.push(stream);
        }
    });
    let url = format!("postgres://ann@localhost:5432/x?host={}", folder.path().display());
    Ok((url.parse()?, tasks))
}

#[tokio::test]
async fn no_call_waits_for_a_silent_server_longer_than_its_bound() -> Tested {
    let folder = tempfile::TempDir::new()?;
    let (options, _deaf) = deaf(&folder)?;
    let ground = Arc::new(Ground::default());
    for (lane_options, bound) in [
        (RENEWALS, Duration::from_secs(1)),
        (MISSES, Duration::from_secs(3)),
        (LISTS, Duration::from_secs(3)),
        (WRITER, Duration::from_secs(5)),
    ] {
        assert!(lane_options.acquire_max < lane_options.call_max && lane_options.call_max <= bound);
        let lane = Lane::new(&options.connect, &ground, lane_options);
        let begun = Instant::now();
        let answer = ask!(lane, |connection| read::head(&mut connection));
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
        assert!(begun.elapsed() < bound, "{}", lane_options.name);
    }
    Ok(())
}

#[tokio::test]
async fn a_call_whose_time_is_up_gives_its_connection_up() -> Tested {
    let database = Database::new().await?;
    let store = with_notes(&database).await?;
    let short = LaneOptions {
        call_max: Duration::from_millis(200),
        ..RENEWALS
    };
    let options: PostgresOptions = database.url.parse()?;
    let lane = Lane::new(&options.connect, &store.ground, short);
    let slow = ask!(lane, |connection| async {
        sqlx::raw_sql("SELECT pg_sleep(60)")
            .execute(&mut *connection)
            .await?;
        Ok(())
    });
    assert!(matches!(slow, Err(StoreError::Unavailable(_))), "{slow:?}");
    // The only one there can be is another one now.
    let head = ask!(lane, |connection| read::head(&mut connection))?;
    assert_eq!(head, store.head().await?);
    Ok(())
}
