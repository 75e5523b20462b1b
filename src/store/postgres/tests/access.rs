//! Access logs by the day: days are made ahead, and let go of whole.

use std::sync::Arc;

use super::*;
use crate::store::access::{AccessOf, AccessStore, KEEP_MAX};
use crate::token::access::{AccessDetails, AccessId, AccessRecord};
use crate::token::context::Context;
use crate::token::policy::Policy;
use crate::token::time::{Span, Timestamp};
use crate::token::usage::Outcome as Judged;

fn at(days: i64) -> Timestamp {
    Timestamp::from_micros(Span::days(1).micros() * days).unwrap()
}

fn records(recorder: u8, count: u64, time: Timestamp) -> Arc<[AccessRecord]> {
    let record = |number| AccessRecord {
        id: AccessId::new([recorder; 8], number),
        time,
        namespace: slug("notes"),
        token_id: None,
        subject: None,
        details: AccessDetails::of(Judged::Unknown, None, Context::default(), &Policy::default()),
    };
    (0..count).map(record).collect()
}

async fn partitions(database: &Database) -> Answer<Vec<String>> {
    let mut connection = database.connect().await?;
    let names = "SELECT inhrelid::regclass::text FROM pg_inherits
        WHERE inhparent = 'access_record'::regclass ORDER BY 1";
    Ok(sqlx::query_scalar(names).fetch_all(&mut connection).await?)
}

#[tokio::test]
async fn a_day_is_made_ahead_and_dropped_when_all_of_it_is_old() -> Tested {
    let database = Database::new().await?;
    let store = open(&database).await?;
    store.tend_access(at(20_000), at(19_970)).await?;
    let ahead = ["access_record_d20000", "access_record_d20001"];
    assert_eq!(partitions(&database).await?, ahead);
    store.keep_access(records(1, 3, at(20_000))).await?;
    store.keep_access(records(2, 3, at(20_003))).await?;
    // Not while an instant of it is wanted.
    let almost = Timestamp::from_micros(at(20_001).micros() - 1)?;
    store.tend_access(at(20_005), almost).await?;
    assert_eq!(partitions(&database).await?[0], "access_record_d20000");
    store.tend_access(at(20_005), at(20_001)).await?;
    let left = ["20001", "20003", "20005", "20006"].map(|day| format!("access_record_d{day}"));
    assert_eq!(partitions(&database).await?, left);
    let all = AccessOf {
        namespace: slug("notes"),
        holder: None,
    };
    assert_eq!(store.erase_access(all, Timestamp::MAX).await?, 3);
    Ok(())
}

#[tokio::test]
async fn a_day_that_another_server_dropped_is_made_again() -> Tested {
    let database = Database::new().await?;
    let (store, other) = (open(&database).await?, open(&database).await?);
    store.keep_access(records(1, 1, at(20_000))).await?;
    other.tend_access(at(20_100), at(20_050)).await?;
    let late = records(2, 2, at(20_000));
    assert!(store.keep_access(Arc::clone(&late)).await.is_err());
    store.keep_access(late).await?;
    Ok(())
}

/// Nobody waits for another for long, and nothing is lost between them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_keep_and_tend_at_once_lose_nothing() -> Tested {
    let database = Database::new().await?;
    let mut servers = JoinSet::new();
    for recorder in 1..=3 {
        let store = open(&database).await?;
        servers.spawn(async move {
            for day in 0..5 {
                let records = records(recorder, KEEP_MAX as u64 / 5, at(20_000 + day));
                while store.keep_access(Arc::clone(&records)).await.is_err() {}
                while store.tend_access(at(20_000 + day), at(19_990)).await.is_err() {}
            }
        });
    }
    servers.join_all().await;
    let mut connection = database.connect().await?;
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM access_record")
        .fetch_one(&mut connection)
        .await?;
    assert_eq!(kept, 3 * i64::try_from(KEEP_MAX)?);
    Ok(())
}
