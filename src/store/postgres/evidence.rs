//! Refused calls and checkpoints: on the lane for what takes as long as it takes, so nobody's change waits for them.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::super::checkpoints::{Checkpoints, KeptCheckpoint};
use super::super::columns::{revision, sql};
use super::super::refused_calls::{RefusedCall, RefusedCalls};
use super::super::{SWEEP_MAX, StoreError};
use super::fault::Fault;
use super::read::uuid;
use super::{PostgresStore, ask};
use crate::journal::Revision;
use crate::token::id::{Slug, TokenId};
use crate::token::text::Actor;
use crate::token::time::Timestamp;

pub(super) const KEEP_REFUSED_CALLS: &str = "
    INSERT INTO refused_call (time, actor, method, reason, namespace, token_id, unrecorded)
    SELECT time, actor, method, reason, namespace, token_id, unrecorded
    FROM UNNEST(
        $1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::bigint[]
    ) WITH ORDINALITY AS call (time, actor, method, reason, namespace, token_id, unrecorded, place)
    ORDER BY place";

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
impl RefusedCalls for PostgresStore {
    async fn keep_refused_calls(&self, calls: Vec<RefusedCall>) -> Result<(), StoreError> {
        ask!(self.lists, |connection| keep_refused_calls(
            &mut connection,
            &calls
        ))
    }

    async fn refused_calls(&self, after: u64, limit: u32) -> Result<Vec<(u64, RefusedCall)>, StoreError> {
        ask!(self.lists, |connection| refused_calls(
            &mut connection,
            after,
            limit
        ))
    }

    async fn sweep_refused_calls(&self, until: Timestamp, kept_max: u32) -> Result<u64, StoreError> {
        ask!(self.lists, |connection| async {
            let query = sqlx::query(SWEEP_REFUSED_CALLS)
                .bind(until.micros())
                .bind(i64::from(kept_max))
                .bind(i64::from(SWEEP_MAX));
            Ok(query.execute(&mut *connection).await?.rows_affected())
        })
    }
}

#[async_trait]
impl Checkpoints for PostgresStore {
    async fn keep_checkpoint(&self, checkpoint: KeptCheckpoint, kept_max: u32) -> Result<(), StoreError> {
        ask!(self.lists, |connection| async {
            let query = sqlx::query(KEEP_CHECKPOINT)
                .bind(sql(checkpoint.revision))
                .bind(checkpoint.time.micros())
                .bind(&checkpoint.note)
                .bind(&checkpoint.subtrees);
            query.execute(&mut *connection).await?;
            let query = sqlx::query(SWEEP_CHECKPOINTS).bind(i64::from(kept_max));
            query.execute(&mut *connection).await?;
            Ok(())
        })
    }

    async fn checkpoints(
        &self,
        before: Option<Revision>,
        limit: u32,
    ) -> Result<Vec<KeptCheckpoint>, StoreError> {
        ask!(self.lists, |connection| async {
            let query = sqlx::query(CHECKPOINTS)
                .bind(before.map_or(i64::MAX, sql))
                .bind(i64::from(limit));
            let rows = query.fetch_all(&mut *connection).await?;
            rows.iter().map(checkpoint).collect()
        })
    }
}

async fn keep_refused_calls(connection: &mut PgConnection, calls: &[RefusedCall]) -> Result<(), Fault> {
    fn column<'c, T>(calls: &'c [RefusedCall], value: impl Fn(&'c RefusedCall) -> T) -> Vec<T> {
        calls.iter().map(value).collect()
    }
    let query = sqlx::query(KEEP_REFUSED_CALLS)
        .bind(column(calls, |call| call.time.micros()))
        .bind(column(calls, |call| call.actor.as_str()))
        .bind(column(calls, |call| call.method.as_str()))
        .bind(column(calls, |call| call.reason.as_str()))
        .bind(column(calls, |call| call.namespace.as_ref().map(Slug::as_str)))
        .bind(column(calls, |call| call.token_id.map(uuid)))
        .bind(column(calls, |call| {
            i64::try_from(call.unrecorded).unwrap_or(i64::MAX)
        }));
    query.execute(connection).await?;
    Ok(())
}

async fn refused_calls(
    connection: &mut PgConnection,
    after: u64,
    limit: u32,
) -> Result<Vec<(u64, RefusedCall)>, Fault> {
    let query = sqlx::query(REFUSED_CALLS)
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(i64::from(limit));
    let rows = query.fetch_all(connection).await?;
    rows.iter().map(refused_call).collect()
}

fn checkpoint(row: &PgRow) -> Result<KeptCheckpoint, Fault> {
    Ok(KeptCheckpoint {
        revision: revision(row.try_get("revision")?)?,
        time: Timestamp::from_micros(row.try_get("time")?).map_err(StoreError::corrupt)?,
        note: row.try_get("note")?,
        subtrees: row.try_get("subtrees")?,
    })
}

fn refused_call(row: &PgRow) -> Result<(u64, RefusedCall), Fault> {
    let number: i64 = row.try_get("id")?;
    let unrecorded: i64 = row.try_get("unrecorded")?;
    let namespace: Option<String> = row.try_get("namespace")?;
    let token_id: Option<Uuid> = row.try_get("token_id")?;
    let token_id = token_id.map(|id| TokenId::from_bytes(id.as_bytes()));
    let call = RefusedCall {
        time: Timestamp::from_micros(row.try_get("time")?).map_err(StoreError::corrupt)?,
        actor: Actor::try_from(row.try_get::<String, _>("actor")?).map_err(StoreError::corrupt)?,
        method: row.try_get("method")?,
        reason: row.try_get("reason")?,
        namespace: namespace
            .map(Slug::try_from)
            .transpose()
            .map_err(StoreError::corrupt)?,
        token_id: token_id.transpose().map_err(StoreError::corrupt)?,
        unrecorded: unrecorded.unsigned_abs(),
    };
    Ok((number.unsigned_abs(), call))
}
