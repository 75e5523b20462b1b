//! What all servers took from the budgets of rate limits.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::super::budgets::{Budgets, Report, Shared, Taking};
use super::super::{SWEEP_MAX, StoreError};
use super::fault::Fault;
use super::{PostgresStore, ask};
use crate::token::time::Timestamp;

// One statement, and so all of a report or nothing. Its number is what makes it count once. Rows are locked in the order
// of their keys, so that two reports never wait for each other.
pub(super) const REPORT: &str = "
    WITH turn AS (
        INSERT INTO budget_report (reporter, sequence, time) VALUES ($1, $2, $3)
        ON CONFLICT (reporter) DO UPDATE SET sequence = excluded.sequence, time = excluded.time
        WHERE budget_report.sequence < excluded.sequence
        RETURNING reporter
    )
    INSERT INTO budget (key, since, spent, whole_at)
    SELECT taking.key, $3, taking.count, $4 + taking.owed
    FROM UNNEST($5::bytea[], $6::bigint[], $7::bigint[]) AS taking (key, count, owed), turn
    WHERE taking.count > 0
    ORDER BY taking.key
    ON CONFLICT (key) DO UPDATE SET
        spent = budget.spent + excluded.spent,
        whole_at = greatest(budget.whole_at, $4) + (excluded.whole_at - $4)";

pub(super) const BUDGETS: &str = "
    SELECT since, spent, whole_at
    FROM UNNEST($1::bytea[]) WITH ORDINALITY AS asked (key, place)
    LEFT JOIN budget ON budget.key = asked.key
    ORDER BY asked.place";

// The condition stands twice: a row that is taken from meanwhile is asked again, but only the outer one.
pub(super) const SWEEP_BUDGETS: &str = "
    DELETE FROM budget
    WHERE whole_at <= $1 AND key IN (SELECT key FROM budget WHERE whole_at <= $1 LIMIT $2)";

pub(super) const SWEEP_REPORTS: &str = "DELETE FROM budget_report WHERE time <= $1";

/// On the lane for what is looked up by key: it is as quick, and one server sends one report at a time.
#[async_trait]
impl Budgets for PostgresStore {
    async fn share(&self, report: &Report) -> Result<Vec<Option<Shared>>, StoreError> {
        ask!(self.misses, |connection| share(&mut connection, report))
    }

    async fn sweep_budgets(&self, until: Timestamp, silent: Timestamp) -> Result<u64, StoreError> {
        ask!(self.lists, |connection| sweep(&mut connection, until, silent))
    }
}

async fn share(connection: &mut PgConnection, report: &Report) -> Result<Vec<Option<Shared>>, Fault> {
    fn column<'a, T>(report: &'a Report, value: impl Fn(&'a Taking) -> T) -> Vec<T> {
        report.takings.iter().map(value).collect()
    }
    let keys = column(report, |taking| taking.key.as_bytes());
    if report.takings.iter().any(|taking| taking.count > 0) {
        let query = sqlx::query(REPORT)
            .bind(&report.reporter.as_bytes()[..])
            .bind(i64::try_from(report.sequence).unwrap_or(i64::MAX))
            .bind(report.time.micros())
            .bind(report.since.micros())
            .bind(&keys)
            .bind(column(report, |taking| {
                i64::try_from(taking.count).unwrap_or(i64::MAX)
            }))
            .bind(column(report, |taking| taking.owed_micros));
        query.execute(&mut *connection).await?;
    }
    let rows = sqlx::query(BUDGETS).bind(&keys).fetch_all(connection).await?;
    rows.iter().map(shared).collect()
}

fn shared(row: &PgRow) -> Result<Option<Shared>, Fault> {
    let Some(since) = row.try_get::<Option<i64>, _>("since")? else {
        return Ok(None);
    };
    let instant = |micros| Timestamp::from_micros(micros).map_err(StoreError::corrupt);
    Ok(Some(Shared {
        since: instant(since)?,
        spent: u64::try_from(row.try_get::<i64, _>("spent")?)
            .map_err(|_| StoreError::corrupt("less than nothing was taken"))?,
        whole_at: instant(row.try_get("whole_at")?)?,
    }))
}

async fn sweep(connection: &mut PgConnection, until: Timestamp, silent: Timestamp) -> Result<u64, Fault> {
    let reports = sqlx::query(SWEEP_REPORTS).bind(silent.micros());
    reports.execute(&mut *connection).await?;
    let budgets = sqlx::query(SWEEP_BUDGETS)
        .bind(until.micros())
        .bind(i64::from(SWEEP_MAX));
    Ok(budgets.execute(connection).await?.rows_affected())
}
