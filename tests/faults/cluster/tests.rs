//! What the scenarios take for granted of their database.

use sqlx::{Connection, PgConnection};

use super::*;

async fn count(connection: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM kept")
        .fetch_one(connection)
        .await
}

#[tokio::test]
async fn a_restart_ends_sessions_and_keeps_what_was_committed() -> Outcome {
    let cluster = Cluster::start().await?;
    let mut session = PgConnection::connect(&cluster.url()).await?;
    sqlx::raw_sql("CREATE TABLE kept ()")
        .execute(&mut session)
        .await?;
    for (mode, kept) in [(Mode::Fast, 1), (Mode::Immediate, 2)] {
        sqlx::raw_sql("INSERT INTO kept DEFAULT VALUES")
            .execute(&mut session)
            .await?;
        sqlx::raw_sql("BEGIN; INSERT INTO kept DEFAULT VALUES")
            .execute(&mut session)
            .await?;
        cluster.restart(mode).await?;
        assert!(count(&mut session).await.is_err(), "{mode:?}");
        session = PgConnection::connect(&cluster.url()).await?;
        assert_eq!(count(&mut session).await?, kept, "{mode:?}");
    }
    for (setting, wanted) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("listen_addresses", ""),
    ] {
        let set: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(setting)
            .fetch_one(&mut session)
            .await?;
        assert_eq!(set, wanted, "{setting}");
    }
    Ok(())
}

#[tokio::test]
async fn a_session_through_a_proxy_is_cut_and_comes_back() -> Outcome {
    let cluster = Cluster::start().await?;
    let proxy = cluster.proxy()?;
    let url = proxy.url();
    let mut session = PgConnection::connect(&url).await?;
    session.ping().await?;
    proxy.cut();
    assert!(session.ping().await.is_err());
    PgConnection::connect(&url).await?.ping().await?;
    Ok(())
}

#[tokio::test]
async fn nothing_is_left_of_it() -> Outcome {
    let cluster = Cluster::start().await?;
    let mut session = PgConnection::connect(&cluster.url()).await?;
    let folder = cluster.folder.clone();
    assert!(folder.exists());
    drop(cluster);
    assert!(session.ping().await.is_err());
    assert!(!folder.exists());
    Ok(())
}
