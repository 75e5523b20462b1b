//! The journal of a database as it is at one instant, for an audit: rows as they lie there, and nothing taken on trust.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::super::columns::{revision, sql};
use super::super::{Head, READ_MAX, StoreError};
use super::fault::Fault;
use super::options::PostgresOptions;
use super::read;
use super::schema::{OpenError, check, connect};
use crate::journal::Revision;
use crate::journal::audit::Row;

pub(super) const BEGIN_SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

pub(super) const ROWS: &str = "
    SELECT revision, time, actor, request_id, kind, namespace, token_id, subject, endpoint_id, body, link
    FROM journal WHERE revision > $1 ORDER BY revision LIMIT $2";

/// One read transaction: whatever is written meanwhile, it sees the same journal until it is dropped.
#[derive(Debug)]
pub struct Snapshot(PgConnection);

impl Snapshot {
    /// The database as it is now; servers may be using it.
    pub async fn open(options: &PostgresOptions) -> Result<Snapshot, OpenError> {
        let mut connection = connect(options).await?;
        check(&mut connection, options).await?;
        let begun = sqlx::raw_sql(BEGIN_SNAPSHOT).execute(&mut connection).await;
        begun.map_err(|source| OpenError::Unreachable {
            store: options.to_string(),
            source: source.into(),
        })?;
        Ok(Snapshot(connection))
    }

    pub async fn head(&mut self) -> Result<Head, StoreError> {
        Ok(read::head(&mut self.0).await?)
    }

    /// Journal rows after `after`, at most [`READ_MAX`] of them.
    pub async fn rows(&mut self, after: Revision) -> Result<Vec<Row>, StoreError> {
        Ok(rows(&mut self.0, after).await?)
    }
}

async fn rows(connection: &mut PgConnection, after: Revision) -> Result<Vec<Row>, Fault> {
    let query = sqlx::query(ROWS).bind(sql(after)).bind(i64::from(READ_MAX));
    query.fetch_all(connection).await?.iter().map(row).collect()
}

fn row(row: &PgRow) -> Result<Row, Fault> {
    let bytes = |id: Uuid| id.as_bytes().to_vec();
    Ok(Row {
        revision: revision(row.try_get("revision")?)?,
        time: row.try_get("time")?,
        actor: row.try_get("actor")?,
        request_id: bytes(row.try_get("request_id")?),
        kind: row.try_get("kind")?,
        namespace: row.try_get("namespace")?,
        token_id: row.try_get::<Option<Uuid>, _>("token_id")?.map(bytes),
        subject: row.try_get("subject")?,
        endpoint_id: row.try_get::<Option<Uuid>, _>("endpoint_id")?.map(bytes),
        body: row.try_get("body")?,
        link: row.try_get("link")?,
    })
}
