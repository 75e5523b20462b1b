//! Judged calls on record. Each write is one small transaction, on the writer that the journal shares.

use std::sync::Arc;

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::super::access::{AccessOf, AccessStore, Holder, Walk};
use super::super::{SWEEP_MAX, StoreError};
use super::{SqliteStore, parameters};
use crate::token::access::{AccessDetails, AccessId, AccessRecord};
use crate::token::id::{Slug, TokenId};
use crate::token::text::Subject;
use crate::token::time::Timestamp;

pub(super) const KEEP_ACCESS: &str = "
    INSERT INTO access_record (namespace, time, id, token_id, subject, details)
    SELECT
        value->>'$.namespace', value->>'$.time', unhex(value->>'$.id'), unhex(value->>'$.token_id', '-'),
        value->>'$.subject', value->'$.details'
    FROM json_each($1) WHERE true
    ON CONFLICT (namespace, time, id) DO NOTHING";

pub(super) const ACCESS_OF_NAMESPACE: &str = "
    SELECT namespace, time, id, token_id, subject, details FROM access_record
    WHERE namespace = $1 AND time >= $3 AND (time, id) < ($4, $5)
    ORDER BY time DESC, id DESC LIMIT $6";

// Left to itself, it would walk the namespace for what is in order there.
pub(super) const ACCESS_OF_TOKEN: &str = "
    SELECT namespace, time, id, token_id, subject, details FROM access_record INDEXED BY access_by_token
    WHERE token_id = $2 AND namespace = $1 AND time >= $3 AND (time, id) < ($4, $5)
    ORDER BY time DESC, id DESC LIMIT $6";

pub(super) const ACCESS_OF_SUBJECT: &str = "
    SELECT namespace, time, id, token_id, subject, details FROM access_record INDEXED BY access_by_subject
    WHERE namespace = $1 AND subject = $2 AND time >= $3 AND (time, id) < ($4, $5)
    ORDER BY time DESC, id DESC LIMIT $6";

pub(super) const ERASE_OF_NAMESPACE: &str = "
    DELETE FROM access_record WHERE (namespace, time, id) IN (
        SELECT namespace, time, id FROM access_record
        WHERE namespace = $1 AND time < $3 ORDER BY time, id LIMIT $4
    )";

pub(super) const ERASE_OF_TOKEN: &str = "
    DELETE FROM access_record WHERE (namespace, time, id) IN (
        SELECT namespace, time, id FROM access_record
        WHERE token_id = $2 AND namespace = $1 AND time < $3 ORDER BY time, id LIMIT $4
    )";

pub(super) const ERASE_OF_SUBJECT: &str = "
    DELETE FROM access_record WHERE (namespace, time, id) IN (
        SELECT namespace, time, id FROM access_record
        WHERE namespace = $1 AND subject = $2 AND time < $3 ORDER BY time, id LIMIT $4
    )";

/// A record, as [`KEEP_ACCESS`] takes it.
#[derive(Serialize)]
struct Parameter<'r> {
    namespace: &'r Slug,
    time: Timestamp,
    id: String,
    token_id: Option<TokenId>,
    subject: Option<&'r Subject>,
    details: &'r AccessDetails,
}

fn parameter(record: &AccessRecord) -> Parameter<'_> {
    Parameter {
        namespace: &record.namespace,
        time: record.time,
        id: HEXLOWER.encode(record.id.as_bytes()),
        token_id: record.token_id,
        subject: record.subject.as_ref(),
        details: &record.details,
    }
}

#[async_trait]
impl AccessStore for SqliteStore {
    async fn keep_access(&self, records: Arc<[AccessRecord]>) -> Result<(), StoreError> {
        let rows: Vec<_> = records.iter().map(parameter).collect();
        if let Some(rows) = parameters::text(&rows)? {
            sqlx::query(KEEP_ACCESS).bind(rows).execute(&self.writer).await?;
        }
        Ok(())
    }

    async fn access(&self, walk: Walk) -> Result<Vec<AccessRecord>, StoreError> {
        let query = match &walk.of.holder {
            None => sqlx::query(ACCESS_OF_NAMESPACE)
                .bind(walk.of.namespace.as_str())
                .bind(None::<&str>),
            Some(Holder::Token(id)) => sqlx::query(ACCESS_OF_TOKEN)
                .bind(walk.of.namespace.as_str())
                .bind(&id.as_bytes()[..]),
            Some(Holder::Subject(subject)) => sqlx::query(ACCESS_OF_SUBJECT)
                .bind(walk.of.namespace.as_str())
                .bind(subject.as_str()),
        };
        let query = query
            .bind(walk.from.micros())
            .bind(walk.before.time.micros())
            .bind(&walk.before.id.as_bytes()[..])
            .bind(walk.limit);
        let rows = query.fetch_all(&self.readers).await?;
        rows.iter().map(record).collect()
    }

    async fn erase_access(&self, of: AccessOf, until: Timestamp) -> Result<u64, StoreError> {
        let query = match &of.holder {
            None => sqlx::query(ERASE_OF_NAMESPACE)
                .bind(of.namespace.as_str())
                .bind(None::<&str>),
            Some(Holder::Token(id)) => sqlx::query(ERASE_OF_TOKEN)
                .bind(of.namespace.as_str())
                .bind(&id.as_bytes()[..]),
            Some(Holder::Subject(subject)) => sqlx::query(ERASE_OF_SUBJECT)
                .bind(of.namespace.as_str())
                .bind(subject.as_str()),
        };
        let query = query.bind(until.micros()).bind(SWEEP_MAX);
        Ok(query.execute(&self.writer).await?.rows_affected())
    }

    /// One table takes them all, and is swept log by log.
    async fn tend_access(&self, _: Timestamp, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}

fn record(row: &SqliteRow) -> Result<AccessRecord, StoreError> {
    let id: Vec<u8> = row.try_get("id")?;
    let namespace: String = row.try_get("namespace")?;
    let token_id: Option<&[u8]> = row.try_get("token_id")?;
    let subject: Option<String> = row.try_get("subject")?;
    Ok(AccessRecord {
        id: AccessId::from_bytes(
            id.try_into()
                .map_err(|_| StoreError::corrupt("the id of a record"))?,
        ),
        time: Timestamp::from_micros(row.try_get("time")?).map_err(StoreError::corrupt)?,
        namespace: namespace.try_into().map_err(StoreError::corrupt)?,
        token_id: token_id
            .map(TokenId::from_bytes)
            .transpose()
            .map_err(StoreError::corrupt)?,
        subject: subject
            .map(Subject::try_from)
            .transpose()
            .map_err(StoreError::corrupt)?,
        details: serde_json::from_str(row.try_get("details")?).map_err(StoreError::corrupt)?,
    })
}
