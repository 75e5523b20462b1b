//! Refused calls and checkpoints. Each write is one small transaction, on the writer that the journal shares.

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::super::checkpoints::{Checkpoints, KeptCheckpoint};
use super::super::refused_calls::{RefusedCall, RefusedCalls};
use super::super::{SWEEP_MAX, StoreError};
use super::{SqliteStore, revision, sql};
use crate::journal::Revision;
use crate::token::id::{Slug, TokenId};
use crate::token::text::Actor;
use crate::token::time::Timestamp;

pub(super) const KEEP_REFUSED_CALLS: &str = "
    INSERT INTO refused_call (time, actor, method, reason, namespace, token_id, unrecorded)
    SELECT
        value->>'$.time', value->>'$.actor', value->>'$.method', value->>'$.reason', value->>'$.namespace',
        unhex(value->>'$.token_id', '-'), value->>'$.unrecorded'
    FROM json_each($1) ORDER BY key";

pub(super) const REFUSED_CALLS: &str = "
    SELECT id, time, actor, method, reason, namespace, token_id, unrecorded
    FROM refused_call WHERE id > $1 ORDER BY id LIMIT $2";

// They are kept in the order of time, or nearly: what is swept is at the beginning.
pub(super) const SWEEP_REFUSED_CALLS: &str = "
    DELETE FROM refused_call WHERE id IN (
        SELECT id FROM refused_call ORDER BY id LIMIT $3
    ) AND (time < $1 OR id <= (SELECT id FROM refused_call ORDER BY id DESC LIMIT 1 OFFSET $2))";

pub(super) const KEEP_CHECKPOINT: &str = "
    INSERT INTO checkpoint (revision, time, note, subtrees) VALUES ($1, $2, $3, $4)
    ON CONFLICT (revision) DO NOTHING";

pub(super) const SWEEP_CHECKPOINTS: &str = "
    DELETE FROM checkpoint
    WHERE revision <= (SELECT revision FROM checkpoint ORDER BY revision DESC LIMIT 1 OFFSET $1)";

pub(super) const CHECKPOINTS: &str = "
    SELECT revision, time, note, subtrees FROM checkpoint
    WHERE revision < $1 ORDER BY revision DESC LIMIT $2";

#[async_trait]
impl RefusedCalls for SqliteStore {
    async fn keep_refused_calls(&self, calls: Vec<RefusedCall>) -> Result<(), StoreError> {
        let rows = calls.iter().map(|call| {
            json!({
                "time": call.time.micros(),
                "actor": call.actor.as_str(),
                "method": call.method,
                "reason": call.reason,
                "namespace": call.namespace.as_ref().map(Slug::as_str),
                "token_id": call.token_id.map(|id| HEXLOWER.encode(id.as_bytes())),
                "unrecorded": call.unrecorded,
            })
        });
        let rows = json!(rows.collect::<Vec<_>>()).to_string();
        sqlx::query(KEEP_REFUSED_CALLS)
            .bind(rows)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn refused_calls(&self, after: u64, limit: u32) -> Result<Vec<(u64, RefusedCall)>, StoreError> {
        let query = sqlx::query(REFUSED_CALLS)
            .bind(i64::try_from(after).unwrap_or(i64::MAX))
            .bind(limit);
        let rows = query.fetch_all(&self.readers).await?;
        rows.iter().map(refused_call).collect()
    }

    async fn sweep_refused_calls(&self, until: Timestamp, kept_max: u32) -> Result<u64, StoreError> {
        let query = sqlx::query(SWEEP_REFUSED_CALLS)
            .bind(until.micros())
            .bind(kept_max)
            .bind(SWEEP_MAX);
        Ok(query.execute(&self.writer).await?.rows_affected())
    }
}

#[async_trait]
impl Checkpoints for SqliteStore {
    async fn keep_checkpoint(&self, checkpoint: KeptCheckpoint, kept_max: u32) -> Result<(), StoreError> {
        let query = sqlx::query(KEEP_CHECKPOINT)
            .bind(sql(checkpoint.revision))
            .bind(checkpoint.time.micros())
            .bind(checkpoint.note)
            .bind(checkpoint.subtrees);
        query.execute(&self.writer).await?;
        sqlx::query(SWEEP_CHECKPOINTS)
            .bind(kept_max)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn checkpoints(
        &self,
        before: Option<Revision>,
        limit: u32,
    ) -> Result<Vec<KeptCheckpoint>, StoreError> {
        let query = sqlx::query(CHECKPOINTS)
            .bind(before.map_or(i64::MAX, sql))
            .bind(limit);
        let rows = query.fetch_all(&self.readers).await?;
        let checkpoint = |row: &SqliteRow| {
            Ok(KeptCheckpoint {
                revision: revision(row.try_get("revision")?)?,
                time: Timestamp::from_micros(row.try_get("time")?).map_err(StoreError::corrupt)?,
                note: row.try_get("note")?,
                subtrees: row.try_get("subtrees")?,
            })
        };
        rows.iter().map(checkpoint).collect()
    }
}

fn refused_call(row: &SqliteRow) -> Result<(u64, RefusedCall), StoreError> {
    let number: i64 = row.try_get("id")?;
    let unrecorded: i64 = row.try_get("unrecorded")?;
    let namespace: Option<String> = row.try_get("namespace")?;
    let token_id: Option<&[u8]> = row.try_get("token_id")?;
    let call = RefusedCall {
        time: Timestamp::from_micros(row.try_get("time")?).map_err(StoreError::corrupt)?,
        actor: Actor::try_from(row.try_get::<String, _>("actor")?).map_err(StoreError::corrupt)?,
        method: row.try_get("method")?,
        reason: row.try_get("reason")?,
        namespace: namespace
            .map(Slug::try_from)
            .transpose()
            .map_err(StoreError::corrupt)?,
        token_id: token_id
            .map(TokenId::from_bytes)
            .transpose()
            .map_err(StoreError::corrupt)?,
        unrecorded: unrecorded.unsigned_abs(),
    };
    Ok((number.unsigned_abs(), call))
}
