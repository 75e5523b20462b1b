//! What is said of subjects, and how many tokens they have: each function is one statement.

use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::super::batch::{Seen, StandingRow, all_written, rooms, subjects};
use super::super::columns::{revision, sql};
use super::super::mac::{self, Heard, RawRow};
use super::super::{BadRow, StoreError};
use super::fault::Fault;
use crate::journal::{Draft, Room, Stored};
use crate::token::Token;
use crate::token::id::{Slug, TokenId};
use crate::token::secret::RowKey;
use crate::token::standing::Standing;
use crate::token::text::{Plan, Subject};
use crate::token::time::Timestamp;

// A row that is not there yet cannot be locked, and two transactions would both insert it. Changes to subjects are rare,
// so they queue.
pub(super) const LOCK_SUBJECTS: &str = "LOCK TABLE subject IN SHARE ROW EXCLUSIVE MODE";

pub(super) const VERSIONS_OF_SUBJECTS: &str = "
    SELECT subject.namespace, subject.subject, subject.version
    FROM UNNEST($1::text[], $2::text[]) AS asked (namespace, subject)
    JOIN subject ON subject.namespace = asked.namespace AND subject.subject = asked.subject";

pub(super) const COUNTS: &str = "
    SELECT (
        SELECT count(*) FROM token
        WHERE token.namespace = asked.namespace AND token.subject = asked.subject
            AND revoke_time IS NULL AND (expire_time IS NULL OR expire_time > asked.now)
            AND create_time > asked.since
    ) AS count
    FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::bigint[])
        WITH ORDINALITY AS asked (namespace, subject, now, since, place)
    ORDER BY asked.place";

// The guard is here, not only in the plan.
pub(super) const PUT_SUBJECT: &str = "
    INSERT INTO subject (
        namespace, subject, version, plan, suspend_time, suspend_reason, not_before_time, not_before_reason,
        rate_limit, create_time, update_time, mac
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10, $11, $12)
    ON CONFLICT (namespace, subject) DO UPDATE SET
        version = excluded.version, plan = excluded.plan, suspend_time = excluded.suspend_time,
        suspend_reason = excluded.suspend_reason, not_before_time = excluded.not_before_time,
        not_before_reason = excluded.not_before_reason, rate_limit = excluded.rate_limit,
        update_time = excluded.update_time, mac = excluded.mac
    WHERE subject.version = $13";

// What the journal says is asked by name, for a row that is gone has none to ask.
pub(super) const STANDINGS: &str = "
    SELECT
        asked.subject, version, record, mac, (SELECT min(revision) FROM journal) AS oldest, (
            SELECT max(revision) FROM journal WHERE journal.namespace = $1 AND journal.subject = asked.subject
        ) AS newest
    FROM UNNEST($2::text[]) WITH ORDINALITY AS asked (subject, place)
    LEFT JOIN subject_record ON subject_record.namespace = $1 AND subject_record.subject = asked.subject
    ORDER BY asked.place";

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

/// Locks what the drafts to subjects are guarded by, and adds it to what the transaction has seen.
pub(super) async fn see(
    connection: &mut PgConnection,
    drafts: &[Draft],
    seen: &mut Seen,
) -> Result<(), Fault> {
    let asked = subjects(drafts);
    if asked.is_empty() {
        return Ok(());
    }
    sqlx::raw_sql(LOCK_SUBJECTS).execute(&mut *connection).await?;
    let (namespaces, subjects): (Vec<_>, Vec<_>) = asked
        .into_iter()
        .map(|(namespace, subject)| (namespace.as_str(), subject.as_str()))
        .unzip();
    let query = sqlx::query(VERSIONS_OF_SUBJECTS).bind(namespaces).bind(subjects);
    for row in query.fetch_all(connection).await? {
        let namespace = Slug::try_from(row.try_get::<String, _>("namespace")?);
        let subject = Subject::try_from(row.try_get::<String, _>("subject")?);
        let key = (
            namespace.map_err(StoreError::corrupt)?,
            subject.map_err(StoreError::corrupt)?,
        );
        seen.standings.insert(key, revision(row.try_get("version")?)?);
    }
    Ok(())
}

/// Counts for the drafts that need room. Only once the counter row is locked does nobody else write.
pub(super) async fn see_counts(
    connection: &mut PgConnection,
    drafts: &[Draft],
    seen: &mut Seen,
) -> Result<(), Fault> {
    let rooms = rooms(drafts);
    if !rooms.is_empty() {
        seen.counts = counts(connection, &rooms).await?.into();
    }
    Ok(())
}

async fn counts(connection: &mut PgConnection, rooms: &[&Room]) -> Result<Vec<u32>, Fault> {
    let column = |value: fn(&Room) -> i64| rooms.iter().map(|room| value(room)).collect::<Vec<_>>();
    let namespaces: Vec<_> = rooms.iter().map(|room| room.namespace.as_str()).collect();
    let subjects: Vec<_> = rooms.iter().map(|room| room.subject.as_str()).collect();
    let query = sqlx::query_scalar(COUNTS)
        .bind(namespaces)
        .bind(subjects)
        .bind(column(|room| room.now.micros()))
        .bind(column(|room| room.since.map_or(i64::MIN, Timestamp::micros)));
    let counts: Vec<i64> = query.fetch_all(connection).await?;
    let count = |count: i64| u32::try_from(count).unwrap_or(u32::MAX);
    Ok(counts.into_iter().map(count).collect())
}

pub(super) async fn count(connection: &mut PgConnection, room: &Room) -> Result<u32, Fault> {
    let counts = counts(connection, &[room]).await?;
    let counted = counts.first().copied();
    Ok(counted.ok_or_else(|| StoreError::corrupt("nothing was counted"))?)
}

pub(super) async fn put(connection: &mut PgConnection, row: &StandingRow<'_>) -> Result<(), Fault> {
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
        .bind(mac.to_vec())
        .bind(sql(guard));
    Ok(all_written(query.execute(connection).await?.rows_affected(), 1)?)
}

pub(super) async fn standings(
    connection: &mut PgConnection,
    key: &RowKey,
    namespace: &Slug,
    subjects: &[Subject],
) -> Result<Vec<Option<Stored<Standing>>>, Fault> {
    let asked: Vec<_> = subjects.iter().map(Subject::as_str).collect();
    let query = sqlx::query(STANDINGS).bind(namespace.as_str()).bind(asked);
    let rows = query.fetch_all(connection).await?;
    let read = |(row, subject): (&PgRow, &Subject)| Ok(checked(key, namespace, subject, row, &PLAIN)??);
    rows.iter().zip(subjects).map(read).collect()
}

pub(super) async fn list(
    connection: &mut PgConnection,
    key: &RowKey,
    namespace: &Slug,
    after: Option<&Subject>,
    limit: u32,
) -> Result<Vec<Standing>, Fault> {
    // Every subject sorts after the empty text.
    let query = sqlx::query(SUBJECTS)
        .bind(namespace.as_str())
        .bind(after.map_or("", Subject::as_str))
        .bind(i64::from(limit));
    let rows = query.fetch_all(connection).await?;
    let read = |row: &PgRow| {
        let subject = Subject::try_from(row.try_get::<String, _>("subject")?).map_err(StoreError::corrupt)?;
        let stored = checked(key, namespace, &subject, row, &PLAIN)??;
        Ok(stored.map(|stored| stored.record))
    };
    rows.iter().filter_map(|row| read(row).transpose()).collect()
}

pub(super) async fn newest_token(
    connection: &mut PgConnection,
    namespace: &Slug,
    subject: Option<&Subject>,
) -> Result<Option<TokenId>, Fault> {
    let query = match subject {
        None => sqlx::query_scalar(NEWEST_TOKEN).bind(namespace.as_str()),
        Some(subject) => sqlx::query_scalar(NEWEST_TOKEN_OF_SUBJECT)
            .bind(namespace.as_str())
            .bind(subject.as_str()),
    };
    let id: Option<Uuid> = query.fetch_optional(connection).await?;
    let id = id.map(|id| TokenId::from_bytes(id.as_bytes()).map_err(StoreError::corrupt));
    Ok(id.transpose()?)
}

/// What is said of the subject of `token`, in the row that it was looked up in.
pub(super) fn of_token(
    key: &RowKey,
    token: &Token,
    row: &PgRow,
) -> Result<Result<Option<Stored<Standing>>, BadRow>, Fault> {
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
    row: &PgRow,
    [version, record, mac, newest]: &Columns,
) -> Result<Result<Option<Stored<Standing>>, BadRow>, Fault> {
    let version: Option<i64> = row.try_get(*version)?;
    let raw = match version {
        None => None,
        Some(version) => Some(RawRow {
            version,
            record: Some(row.try_get(*record)?),
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
