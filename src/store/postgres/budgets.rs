//! What all servers took from the budgets of rate limits.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgConnection;

use super::super::budgets::{Budgets, LATE_MAX, Report, Taking};
use super::super::{SWEEP_MAX, StoreError};
use super::fault::Fault;
use super::{PostgresStore, ask};

// One statement, and so all of a report or nothing. Its number is what makes it count once. Rows are locked in the order
// of their keys, so that two reports never wait for each other.
pub(super) const REPORT: &str = "
    WITH moment AS (SELECT (extract(epoch FROM now()) * 1000000)::bigint AS now),
    turn AS (
        INSERT INTO budget_report (reporter, sequence, time) SELECT $1, $2, now FROM moment
        ON CONFLICT (reporter) DO UPDATE SET sequence = excluded.sequence, time = excluded.time
        WHERE budget_report.sequence < excluded.sequence
        RETURNING time - $3 AS since
    )
    INSERT INTO budget (key, whole_at)
    SELECT taking.key, turn.since + taking.owed
    FROM UNNEST($4::bytea[], $5::bigint[]) AS taking (key, owed), turn
    WHERE taking.owed > 0
    ORDER BY taking.key
    ON CONFLICT (key) DO UPDATE SET
        whole_at = excluded.whole_at + greatest(0, budget.whole_at - (SELECT since FROM turn))";

pub(super) const BUDGETS: &str = "
    SELECT greatest(0, coalesce(budget.whole_at, 0) - (extract(epoch FROM now()) * 1000000)::bigint)
    FROM UNNEST($1::bytea[]) WITH ORDINALITY AS asked (key, place)
    LEFT JOIN budget ON budget.key = asked.key
    ORDER BY asked.place";

// The condition stands twice: a row that is taken from meanwhile is asked again, but only the outer one.
pub(super) const SWEEP_BUDGETS: &str = "
    WITH moment AS (SELECT (extract(epoch FROM now()) * 1000000)::bigint - $1 AS until)
    DELETE FROM budget USING moment
    WHERE whole_at <= until AND key IN (SELECT key FROM budget, moment WHERE whole_at <= until LIMIT $2)";

pub(super) const SWEEP_REPORTS: &str =
    "DELETE FROM budget_report WHERE time <= (extract(epoch FROM now()) * 1000000)::bigint - $1";

/// On the lane for what is looked up by key: it is as quick, and one server sends one report at a time.
#[async_trait]
impl Budgets for PostgresStore {
    async fn share(&self, report: &Report) -> Result<Vec<Duration>, StoreError> {
        ask!(self.misses, |connection| share(&mut connection, report))
    }

    async fn sweep_budgets(&self, whole_for: Duration, silent_for: Duration) -> Result<u64, StoreError> {
        ask!(self.lists, |connection| sweep(
            &mut connection,
            whole_for,
            silent_for
        ))
    }
}

async fn share(connection: &mut PgConnection, report: &Report) -> Result<Vec<Duration>, Fault> {
    fn column<'a, T>(report: &'a Report, value: impl Fn(&'a Taking) -> T) -> Vec<T> {
        report.takings.iter().map(value).collect()
    }
    let keys = column(report, |taking| taking.key.as_bytes());
    if report.takings.iter().any(|taking| !taking.owed.is_zero()) {
        let query = sqlx::query(REPORT)
            .bind(&report.reporter.as_bytes()[..])
            .bind(i64::try_from(report.sequence).unwrap_or(i64::MAX))
            .bind(micros(LATE_MAX))
            .bind(&keys)
            .bind(column(report, |taking| micros(taking.owed)));
        query.execute(&mut *connection).await?;
    }
    let missing = sqlx::query_scalar(BUDGETS).bind(&keys);
    let missing: Vec<i64> = missing.fetch_all(connection).await?;
    Ok(missing
        .into_iter()
        .map(|micros| Duration::from_micros(micros.unsigned_abs()))
        .collect())
}

async fn sweep(
    connection: &mut PgConnection,
    whole_for: Duration,
    silent_for: Duration,
) -> Result<u64, Fault> {
    let reports = sqlx::query(SWEEP_REPORTS).bind(micros(silent_for));
    reports.execute(&mut *connection).await?;
    let budgets = sqlx::query(SWEEP_BUDGETS)
        .bind(micros(whole_for))
        .bind(i64::from(SWEEP_MAX));
    Ok(budgets.execute(connection).await?.rows_affected())
}

/// Rounded up: what was taken is never nothing.
fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_nanos().div_ceil(1000)).unwrap_or(i64::MAX)
}
