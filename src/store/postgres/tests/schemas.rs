//! Which databases are opened, and what is said of the others.

use super::*;

async fn refusal(options: &PostgresOptions) -> Answer<(OpenError, String)> {
    let error = PostgresStore::open(options, pepper(7).row_key())
        .await
        .err()
        .ok_or("it was opened")?;
    let text = error.to_string();
    Ok((error, text))
}

/// The migrations of this program, oldest first.
fn known_versions() -> Vec<i64> {
    let migrator = sqlx::migrate!("migrations/postgres");
    migrator.iter().map(|migration| migration.version).collect()
}

#[tokio::test]
async fn a_database_is_migrated_once_and_only_when_told_to() -> Tested {
    let database = Database::empty().await?;
    let options: PostgresOptions = database.url.parse()?;
    let (error, text) = refusal(&options).await?;
    assert!(matches!(error, OpenError::Empty { .. }), "{error:?}");
    assert!(
        text.contains(&format!("`tokenward migrate --store {options}`")),
        "{text}"
    );

    let applied = migrate(&options, EPOCH).await?;
    let versions: Vec<_> = applied.iter().map(|applied| applied.version).collect();
    assert_eq!(versions, known_versions());
    assert_eq!(applied[0].description, "journal and tokens");
    assert_eq!(migrate(&options, Epoch::new([2; 16])).await?, []);
    let store = PostgresStore::open(&options, pepper(7).row_key()).await?;
    assert_eq!(store.head().await?.epoch, EPOCH);
    Ok(())
}

#[tokio::test]
async fn two_who_migrate_at_once_do_it_once() -> Tested {
    let database = Database::empty().await?;
    let options: PostgresOptions = database.url.parse()?;
    let (first, second) = tokio::join!(migrate(&options, EPOCH), migrate(&options, Epoch::new([2; 16])));
    assert_eq!(first?.len() + second?.len(), known_versions().len());
    Ok(())
}

#[tokio::test]
async fn a_migration_waits_for_locks_in_short_turns() -> Tested {
    let database = Database::empty().await?;
    let options: PostgresOptions = database.url.parse()?;
    migrate(&options, EPOCH).await?;
    let mut blocker = database.connect().await?;
    let mut blocking = blocker.begin().await?;
    sqlx::raw_sql("LOCK TABLE journal_head")
        .execute(&mut *blocking)
        .await?;
    let migrating = tokio::spawn(async move { migrate(&options, EPOCH).await });
    // It is let in as soon as there is room, having given way at least once.
    let mut observer = database.connect().await?;
    let gave_way = async {
        let waiting = "SELECT count(DISTINCT pid) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let mut turns = 0;
        let mut waits = false;
        while turns < 2 {
            let now: i64 = sqlx::query_scalar(waiting).fetch_one(&mut observer).await?;
            if now > 0 && !waits {
                turns += 1;
            }
            waits = now > 0;
        }
        Ok::<_, sqlx::Error>(())
    };
    timeout(SOON, gave_way).await??;
    blocking.rollback().await?;
    assert_eq!(migrating.await??, []);
    Ok(())
}

#[tokio::test]
async fn a_schema_that_is_not_this_programs_is_refused_in_so_many_words() -> Tested {
    for (meddling, wanted) in [
        (
            "DELETE FROM _sqlx_migrations",
            "has schema 0, and this program needs {}: run `tokenward migrate --store",
        ),
        (
            "UPDATE _sqlx_migrations SET version = 1000 WHERE version = 1",
            "has schema 1000, and this program knows none after {}: run a newer tokenward",
        ),
        (
            "UPDATE _sqlx_migrations SET checksum = '\\x00'",
            "is not a Tokenward database: its migrations are not this program's",
        ),
        (
            "DROP TABLE journal_head",
            "is not a Tokenward database: it has no journal",
        ),
        (
            "TRUNCATE journal_head",
            "holds no tokens yet: run `tokenward migrate --store",
        ),
        (
            "DROP TABLE _sqlx_migrations",
            "is not a Tokenward database: its tables are not under migration",
        ),
    ] {
        let database = Database::new().await?;
        let options: PostgresOptions = database.url.parse()?;
        migrate(&options, EPOCH).await?;
        meddle(&database, meddling).await?;
        let (_, text) = refusal(&options).await?;
        let newest = known_versions().last().copied().unwrap_or_default();
        let wanted = wanted.replace("{}", &newest.to_string());
        assert!(text.contains(&wanted), "{meddling}: {text}");
    }
    Ok(())
}

#[tokio::test]
async fn a_session_that_could_lose_what_it_acknowledged_is_refused() -> Tested {
    let database = Database::new().await?;
    let options: PostgresOptions = database.url.parse()?;
    migrate(&options, EPOCH).await?;
    let careless: PostgresOptions = format!("{}&options=-csynchronous_commit=off", database.url).parse()?;
    let (error, text) = refusal(&careless).await?;
    assert!(matches!(error, OpenError::Shaky { .. }), "{error:?}");
    assert!(text.contains("synchronous_commit is off"), "{text}");

    // The same when it becomes so under a store that is open.
    let store = PostgresStore::open(&options, pepper(7).row_key()).await?;
    meddle(
        &database,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$",
    )
    .await?;
    let answer = store.head().await;
    let Err(StoreError::Unavailable(source)) = answer else {
        return Err(format!("it was used: {answer:?}").into());
    };
    assert!(
        source.to_string().contains("synchronous_commit is off"),
        "{source}"
    );
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_to_be_out_of_reach() -> Tested {
    let folder = tempfile::TempDir::new()?;
    let url = format!(
        "postgres://ann:s3cret@localhost/x?host={}",
        folder.path().display()
    );
    let (error, text) = refusal(&url.parse()?).await?;
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error:?}");
    assert!(
        text.contains("cannot be reached") && !text.contains("s3cret"),
        "{text}"
    );
    Ok(())
}
