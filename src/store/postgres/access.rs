//! Judged calls on record, a partition a day. A lane of its own: where many calls are on record nobody else waits for that.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use uuid::Uuid;

use super::super::access::{AccessOf, AccessStore, Holder, Walk};
use super::super::{SWEEP_MAX, StoreError};
use super::commit::{BEGIN, COMMIT};
use super::fault::Fault;
use super::lane::LaneOptions;
use super::read::uuid;
use super::{PostgresStore, ask};
use crate::token::access::{AccessId, AccessRecord};
use crate::token::id::{Slug, TokenId};
use crate::token::text::Subject;
use crate::token::time::{Span, Timestamp};

pub(super) const ACCESS: LaneOptions = LaneOptions {
    name: "access",
    connections_max: 1,
    acquire_max: Duration::from_secs(3),
    call_max: Duration::from_secs(5),
    lock_max: Duration::from_millis(1500),
};

/// What a partition holds.
const DAY: i64 = Span::days(1).micros();

// Servers that make or drop partitions wait for one another here, and not half way through.
pub(super) const LOCK_PARTITIONS: &str = "SELECT pg_advisory_xact_lock(7308895150374610025)";

pub(super) const PARTITIONS: &str = "
    SELECT substr(child.relname, 16)::bigint AS day
    FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
    WHERE inhparent = 'access_record'::regclass AND child.relname ~ '^access_record_d-?[0-9]{1,9}$'";

pub(super) const KEEP_ACCESS: &str = "
    INSERT INTO access_record (namespace, time, id, token_id, subject, details)
    SELECT namespace, time, id, token_id, subject, details::jsonb
    FROM UNNEST($1::text[], $2::bigint[], $3::uuid[], $4::uuid[], $5::text[], $6::text[])
        AS call (namespace, time, id, token_id, subject, details)
    ON CONFLICT (namespace, time, id) DO NOTHING";

pub(super) const ACCESS_OF_NAMESPACE: &str = "
    SELECT namespace, time, id, token_id, subject, details::text AS details FROM access_record
    WHERE namespace = $1 AND time >= $2 AND time <= $3 AND (time, id) < ($3, $4)
    ORDER BY time DESC, id DESC LIMIT $5";

pub(super) const ACCESS_OF_TOKEN: &str = "
    SELECT namespace, time, id, token_id, subject, details::text AS details FROM access_record
    WHERE token_id = $6 AND namespace = $1 AND time >= $2 AND time <= $3 AND (time, id) < ($3, $4)
    ORDER BY time DESC, id DESC LIMIT $5";

pub(super) const ACCESS_OF_SUBJECT: &str = "
    SELECT namespace, time, id, token_id, subject, details::text AS details FROM access_record
    WHERE namespace = $1 AND subject = $6 AND time >= $2 AND time <= $3 AND (time, id) < ($3, $4)
    ORDER BY time DESC, id DESC LIMIT $5";

pub(super) const ERASE_OF_NAMESPACE: &str = "
    DELETE FROM access_record AS record USING (
        SELECT namespace, time, id FROM access_record
        WHERE namespace = $1 AND time < $2 ORDER BY time, id LIMIT $3
    ) AS old
    WHERE record.namespace = old.namespace AND record.time = old.time AND record.id = old.id";

pub(super) const ERASE_OF_TOKEN: &str = "
    DELETE FROM access_record AS record USING (
        SELECT namespace, time, id FROM access_record
        WHERE token_id = $4 AND namespace = $1 AND time < $2 ORDER BY time, id LIMIT $3
    ) AS old
    WHERE record.namespace = old.namespace AND record.time = old.time AND record.id = old.id";

pub(super) const ERASE_OF_SUBJECT: &str = "
    DELETE FROM access_record AS record USING (
        SELECT namespace, time, id FROM access_record
        WHERE namespace = $1 AND subject = $4 AND time < $2 ORDER BY time, id LIMIT $3
    ) AS old
    WHERE record.namespace = old.namespace AND record.time = old.time AND record.id = old.id";

/// The days whose partitions were seen. Another server may have dropped one since: then a write fails, and they are
/// looked at anew.
#[derive(Default, Debug)]
pub(super) struct Partitions(Mutex<BTreeSet<i64>>);

impl Partitions {
    fn lack(&self, days: &BTreeSet<i64>) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !days.is_subset(&seen)
    }

    fn saw(&self, days: BTreeSet<i64>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = days;
    }
}

fn day(time: Timestamp) -> i64 {
    time.micros().div_euclid(DAY)
}

/// Makes partitions for these days, and drops those of days that were over by `until`; which there are then.
async fn arrange(
    connection: &mut PgConnection,
    days: &BTreeSet<i64>,
    until: Option<Timestamp>,
) -> Result<BTreeSet<i64>, Fault> {
    sqlx::raw_sql(BEGIN).execute(&mut *connection).await?;
    sqlx::query(LOCK_PARTITIONS).execute(&mut *connection).await?;
    let there: Vec<i64> = sqlx::query_scalar(PARTITIONS).fetch_all(&mut *connection).await?;
    let mut there = BTreeSet::from_iter(there);
    for day in days.difference(&there) {
        let (from, to) = (day.saturating_mul(DAY), day.saturating_add(1).saturating_mul(DAY));
        // Names and bounds of tables cannot be parameters; these are numbers.
        let create = format!(
            "CREATE TABLE access_record_d{day} PARTITION OF access_record FOR VALUES FROM ({from}) TO ({to})"
        );
        sqlx::raw_sql(AssertSqlSafe(create))
            .execute(&mut *connection)
            .await?;
    }
    let is_over = |day: &i64| until.is_some_and(|until| (day + 1).saturating_mul(DAY) <= until.micros());
    for day in there.iter().filter(|day| is_over(day) && !days.contains(day)) {
        let drop = format!("DROP TABLE access_record_d{day}");
        sqlx::raw_sql(AssertSqlSafe(drop))
            .execute(&mut *connection)
            .await?;
    }
    let committed = sqlx::raw_sql(COMMIT).execute(connection).await;
    committed.map_err(Fault::at_commit)?;
    there.retain(|day| !is_over(day));
    there.extend(days);
    Ok(there)
}

async fn keep(connection: &mut PgConnection, records: &[AccessRecord]) -> Result<(), Fault> {
    fn column<'r, T>(records: &'r [AccessRecord], value: impl Fn(&'r AccessRecord) -> T) -> Vec<T> {
        records.iter().map(value).collect()
    }
    let details: Result<Vec<_>, _> = records
        .iter()
        .map(|record| serde_json::to_string(&record.details))
        .collect();
    let query = sqlx::query(KEEP_ACCESS)
        .bind(column(records, |record| record.namespace.as_str()))
        .bind(column(records, |record| record.time.micros()))
        .bind(column(records, |record| Uuid::from_bytes(*record.id.as_bytes())))
        .bind(column(records, |record| record.token_id.map(uuid)))
        .bind(column(records, |record| {
            record.subject.as_ref().map(Subject::as_str)
        }))
        .bind(details.map_err(StoreError::corrupt)?);
    query.execute(connection).await?;
    Ok(())
}

async fn walk(connection: &mut PgConnection, walk: &Walk) -> Result<Vec<AccessRecord>, Fault> {
    let statement = match &walk.of.holder {
        None => ACCESS_OF_NAMESPACE,
        Some(Holder::Token(_)) => ACCESS_OF_TOKEN,
        Some(Holder::Subject(_)) => ACCESS_OF_SUBJECT,
    };
    let query = sqlx::query(statement)
        .bind(walk.of.namespace.as_str())
        .bind(walk.from.micros())
        .bind(walk.before.time.micros())
        .bind(Uuid::from_bytes(*walk.before.id.as_bytes()))
        .bind(i64::from(walk.limit));
    let query = match &walk.of.holder {
        None => query,
        Some(Holder::Token(id)) => query.bind(uuid(*id)),
        Some(Holder::Subject(subject)) => query.bind(subject.as_str()),
    };
    let rows = query.fetch_all(connection).await?;
    rows.iter().map(record).collect()
}

async fn erase(connection: &mut PgConnection, of: &AccessOf, until: Timestamp) -> Result<u64, Fault> {
    let statement = match &of.holder {
        None => ERASE_OF_NAMESPACE,
        Some(Holder::Token(_)) => ERASE_OF_TOKEN,
        Some(Holder::Subject(_)) => ERASE_OF_SUBJECT,
    };
    let query = sqlx::query(statement)
        .bind(of.namespace.as_str())
        .bind(until.micros())
        .bind(i64::from(SWEEP_MAX));
    let query = match &of.holder {
        None => query,
        Some(Holder::Token(id)) => query.bind(uuid(*id)),
        Some(Holder::Subject(subject)) => query.bind(subject.as_str()),
    };
    Ok(query.execute(connection).await?.rows_affected())
}

#[async_trait]
impl AccessStore for PostgresStore {
    async fn keep_access(&self, records: Arc<[AccessRecord]>) -> Result<(), StoreError> {
        let days: BTreeSet<_> = records.iter().map(|record| day(record.time)).collect();
        let kept = ask!(self.access, |connection| async {
            if self.partitions.lack(&days) {
                let there = arrange(&mut connection, &days, None).await?;
                self.partitions.saw(there);
            }
            keep(&mut connection, &records).await
        });
        kept.inspect_err(|_| self.partitions.saw(BTreeSet::new()))
    }

    async fn access(&self, asked: Walk) -> Result<Vec<AccessRecord>, StoreError> {
        ask!(self.lists, |connection| walk(&mut connection, &asked))
    }

    async fn erase_access(&self, of: AccessOf, until: Timestamp) -> Result<u64, StoreError> {
        ask!(self.access, |connection| erase(&mut connection, &of, until))
    }

    async fn tend_access(&self, now: Timestamp, until: Timestamp) -> Result<(), StoreError> {
        let days = BTreeSet::from([day(now), day(now) + 1]);
        let there = ask!(self.access, |connection| arrange(
            &mut connection,
            &days,
            Some(until)
        ))?;
        self.partitions.saw(there);
        Ok(())
    }
}

fn record(row: &PgRow) -> Result<AccessRecord, Fault> {
    let id: Uuid = row.try_get("id")?;
    let namespace: String = row.try_get("namespace")?;
    let token_id: Option<Uuid> = row.try_get("token_id")?;
    let token_id = token_id.map(|id| TokenId::from_bytes(id.as_bytes()));
    let subject: Option<String> = row.try_get("subject")?;
    Ok(AccessRecord {
        id: AccessId::from_bytes(*id.as_bytes()),
        time: Timestamp::from_micros(row.try_get("time")?).map_err(StoreError::corrupt)?,
        namespace: Slug::try_from(namespace).map_err(StoreError::corrupt)?,
        token_id: token_id.transpose().map_err(StoreError::corrupt)?,
        subject: subject
            .map(Subject::try_from)
            .transpose()
            .map_err(StoreError::corrupt)?,
        details: serde_json::from_str(row.try_get("details")?).map_err(StoreError::corrupt)?,
    })
}
