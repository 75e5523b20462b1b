//! What is said of subjects, and how many tokens they have: each function is one statement.

use serde_json::{Value, json};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, SqliteConnection, SqliteExecutor};

use super::super::batch::{Seen, StandingRow, all_written, rooms, subjects};
use super::super::mac::{self, Heard, RawRow};
use super::super::{BadRow, StoreError};
use super::{revision, sql};
use crate::journal::{Draft, Room, Stored};
use crate::token::Token;
use crate::token::id::{Slug, TokenId};
use crate::token::secret::RowKey;
use crate::token::standing::Standing;
use crate::token::text::{Plan, Subject};
use crate::token::time::Timestamp;

pub(super) const VERSIONS_OF_SUBJECTS: &str = "
    SELECT subject.namespace, subject.subject, subject.version
    FROM json_each($1) AS asked
    CROSS JOIN subject ON subject.namespace = asked.value->>'$.namespace'
        AND subject.subject = asked.value->>'$.subject'";

pub(super) const COUNTS: &str = "
    SELECT (
        SELECT count(*) FROM token
        WHERE namespace = asked.value->>'$.namespace' AND subject = asked.value->>'$.subject'
            AND revoke_time IS NULL AND (expire_time IS NULL OR expire_time > asked.value->>'$.now')
            AND create_time > asked.value->>'$.since'
    ) AS count
    FROM json_each($1) AS asked ORDER BY asked.key";

// The guard is here, not only in the plan.
pub(super) const PUT_SUBJECT: &str = "
    INSERT INTO subject (
        namespace, subject, version, plan, suspend_time, suspend_reason, not_before_time, not_before_reason,
        rate_limit, create_time, update_time, mac
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    ON CONFLICT (namespace, subject) DO UPDATE SET
        version = excluded.version, plan = excluded.plan, suspend_time = excluded.suspend_time,
        suspend_reason = excluded.suspend_reason, not_before_time = excluded.not_before_time,
        not_before_reason = excluded.not_before_reason, rate_limit = excluded.rate_limit,
        update_time = excluded.update_time, mac = excluded.mac
    WHERE subject.version = $13";

// What the journal says is asked by name, for a row that is gone has none to ask.
pub(super) const STANDINGS: &str = "
    SELECT
        asked.value AS subject, version, record, mac, (SELECT min(revision) FROM journal) AS oldest, (
            SELECT max(revision) FROM journal WHERE journal.namespace = $1 AND journal.subject = asked.value
        ) AS newest
    FROM json_each($2) AS asked
    LEFT JOIN subject_record ON subject_record.namespace = $1 AND subject_record.subject = asked.value
    ORDER BY asked.key";

pub(super) const SUBJECTS: &str = "
    SELECT subject, version, record, mac, (SELECT min(revision) FROM journal) AS oldest, (
        SELECT max(revision) FROM journal
        WHERE journal.namespace = subject_record.namespace AND journal.subject = subject_record.subject
    ) AS newest
    FROM subject_record WHERE namespace = $1 AND subject > $2 ORDER BY namespace, subject LIMIT $3";

pub(super) const NEWEST_TOKEN: &str =
    "SELECT id FROM token WHERE namespace = $1 ORDER BY namespace DESC, create_time DESC, id DESC LIMIT 1";

pub(super) const NEWEST_TOKEN_OF_SUBJECT: &str = "
    SELECT id FROM token WHERE namespace = $1 AND subject = $2
    ORDER BY namespace DESC, subject DESC, create_time DESC, id DESC LIMIT 1";

/// Adds to what a transaction has seen what its drafts to subjects are guarded by, and those that need room.
pub(super) async fn see(
    connection: &mut SqliteConnection,
    drafts: &[Draft],
    seen: &mut Seen,
) -> Result<(), StoreError> {
    let asked: Vec<Value> = subjects(drafts)
        .into_iter()
        .map(|(namespace, subject)| json!({ "namespace": namespace, "subject": subject }))
        .collect();
    if !asked.is_empty() {
        let query = sqlx::query(VERSIONS_OF_SUBJECTS).bind(Value::from(asked).to_string());
        for row in query.fetch_all(&mut *connection).await? {
            let namespace = Slug::try_from(row.try_get::<String, _>("namespace")?);
            let subject = Subject::try_from(row.try_get::<String, _>("subject")?);
            let key = (
                namespace.map_err(StoreError::corrupt)?,
                subject.map_err(StoreError::corrupt)?,
            );
            seen.standings.insert(key, revision(row.try_get("version")?)?);
        }
    }
    let rooms = rooms(drafts);
    if !rooms.is_empty() {
        seen.counts = counts(connection, &rooms).await?.into();
    }
    Ok(())
}

async fn counts<'e>(executor: impl SqliteExecutor<'e>, rooms: &[&Room]) -> Result<Vec<u32>, StoreError> {
    let asked: Vec<Value> = rooms
        .iter()
        .map(|room| {
            let since = room.since.map_or(i64::MIN, Timestamp::micros);
            json!({ "namespace": room.namespace, "subject": room.subject, "now": room.now, "since": since })
        })
        .collect();
    let query = sqlx::query_scalar(COUNTS).bind(Value::from(asked).to_string());
    let counts: Vec<i64> = query.fetch_all(executor).await?;
    let count = |count: i64| u32::try_from(count).unwrap_or(u32::MAX);
    Ok(counts.into_iter().map(count).collect())
}

pub(super) async fn count(pool: &SqlitePool, room: &Room) -> Result<u32, StoreError> {
    let counts = counts(pool, &[room]).await?;
    counts
        .first()
        .copied()
        .ok_or_else(|| StoreError::corrupt("nothing was counted"))
}

pub(super) async fn put(connection: &mut SqliteConnection, row: &StandingRow<'_>) -> Result<(), StoreError> {
    let StandingRow {
        standing,
        version,
        guard,
        mac,
    } = *row;
    let (suspension, not_before) = (standing.suspension.as_ref(), standing.not_before.as_ref());
    let rate_limit = standing.rate_limit.map(|limit| json!(limit).to_string());
    let query = sqlx::query(PUT_SUBJECT)
        .bind(standing.namespace.as_str())
        .bind(standing.subject.as_str())
        .bind(sql(version))
        .bind(standing.plan.as_ref().map(Plan::as_str))
        .bind(suspension.map(|it| it.time.micros()))
        .bind(suspension.map(|it| it.reason.as_str()))
        .bind(not_before.map(|it| it.time.micros()))
        .bind(not_before.map(|it| it.reason.as_str()))
        .bind(rate_limit)
        .bind(standing.create_time.micros())
        .bind(standing.update_time.micros())
        .bind(&mac[..])
        .bind(sql(guard));
    all_written(query.execute(connection).await?.rows_affected(), 1)
}

pub(super) async fn standings(
    pool: &SqlitePool,
    key: &RowKey,
    namespace: &Slug,
    subjects: &[Subject],
) -> Result<Vec<Option<Stored<Standing>>>, StoreError> {
    let query = sqlx::query(STANDINGS)
        .bind(namespace.as_str())
        .bind(json!(subjects).to_string());
    let rows = query.fetch_all(pool).await?;
    let read = |(row, subject): (&SqliteRow, &Subject)| Ok(checked(key, namespace, subject, row, &PLAIN)??);
    rows.iter().zip(subjects).map(read).collect()
}

pub(super) async fn list(
    pool: &SqlitePool,
    key: &RowKey,
    namespace: &Slug,
    after: Option<&Subject>,
    limit: u32,
) -> Result<Vec<Standing>, StoreError> {
    // Every subject sorts after the empty text.
    let query = sqlx::query(SUBJECTS)
        .bind(namespace.as_str())
        .bind(after.map_or("", Subject::as_str))
        .bind(limit);
    let rows = query.fetch_all(pool).await?;
    let read = |row: &SqliteRow| {
        let subject = Subject::try_from(row.try_get::<String, _>("subject")?).map_err(StoreError::corrupt)?;
        let stored = checked(key, namespace, &subject, row, &PLAIN)??;
        Ok(stored.map(|stored| stored.record))
    };
    rows.iter().filter_map(|row| read(row).transpose()).collect()
}

pub(super) async fn newest_token(
    pool: &SqlitePool,
    namespace: &Slug,
    subject: Option<&Subject>,
) -> Result<Option<TokenId>, StoreError> {
    let query = match subject {
        None => sqlx::query_scalar(NEWEST_TOKEN).bind(namespace.as_str()),
        Some(subject) => sqlx::query_scalar(NEWEST_TOKEN_OF_SUBJECT)
            .bind(namespace.as_str())
            .bind(subject.as_str()),
    };
    let id: Option<Vec<u8>> = query.fetch_optional(pool).await?;
    id.map(|id| TokenId::from_bytes(&id).map_err(StoreError::corrupt))
        .transpose()
}

/// What is said of the subject of `token`, in the row that it was looked up in.
pub(super) fn of_token(
    key: &RowKey,
    token: &Token,
    row: &SqliteRow,
) -> Result<Result<Option<Stored<Standing>>, BadRow>, StoreError> {
    checked(key, &token.namespace, &token.subject, row, &BESIDE_A_TOKEN)
}

/// How the columns of a standing are called: version, record, MAC, newest.
type Columns = [&'static str; 4];

const PLAIN: Columns = ["version", "record", "mac", "newest"];

const BESIDE_A_TOKEN: Columns = [
    "subject_version",
    "subject_record",
    "subject_mac",
    "subject_newest",
];

fn checked(
    key: &RowKey,
    namespace: &Slug,
    subject: &Subject,
    row: &SqliteRow,
    [version, record, mac, newest]: &Columns,
) -> Result<Result<Option<Stored<Standing>>, BadRow>, StoreError> {
    let version: Option<i64> = row.try_get(*version)?;
    let raw = match version {
        None => None,
        Some(version) => Some(RawRow {
            version,
            // Bytes that are no text are the row's own fault, not that of the statement.
            record: row.try_get(*record).ok(),
            mac: row.try_get(*mac)?,
        }),
    };
    let heard = Heard {
        newest: row.try_get(*newest)?,
        oldest: row.try_get("oldest")?,
    };
    Ok(mac::standing(
        key,
        (namespace.as_str(), subject.as_str()),
        raw.as_ref(),
        heard,
    ))
}
