//! What tokens were used for. What is added is added here, by the rules of the record, and the writer's turn is short.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use sqlx::sqlite::SqlitePool;
use sqlx::{Row, SqliteExecutor};

use super::super::StoreError;
use super::super::select::{LastUses, Named, Selection};
use super::super::usage::{Flush, UsageStore, usage};
use super::{SqliteStore, read};
use crate::token::id::TokenId;
use crate::token::secret::RowKey;
use crate::token::selector::Filter;
use crate::token::time::Timestamp;
use crate::token::usage::Usage;

pub(super) const SEQUENCE: &str = "SELECT sequence FROM usage_flush WHERE recorder = $1";

pub(super) const PUT_FLUSH: &str = "
    INSERT INTO usage_flush (recorder, sequence, time) VALUES ($1, $2, $3)
    ON CONFLICT (recorder) DO UPDATE SET sequence = excluded.sequence, time = excluded.time";

pub(super) const FORGET_FLUSHES: &str = "DELETE FROM usage_flush WHERE time < $1";

pub(super) const USAGES: &str = "
    SELECT token_id, record FROM token_usage WHERE token_id IN (SELECT unhex(value, '-') FROM json_each($1))";

pub(super) const LAST_USES: &str = "
    SELECT token_id, last_use_time FROM token_usage
    WHERE token_id IN (SELECT unhex(value, '-') FROM json_each($1)) AND last_use_time IS NOT NULL";

pub(super) const PUT_USAGES: &str = "
    INSERT INTO token_usage (token_id, last_use_time, record)
    SELECT unhex(value->>'$.token_id', '-'), value->>'$.last_use_time', value->'$.record'
    FROM json_each($1) WHERE true
    ON CONFLICT (token_id) DO UPDATE SET last_use_time = excluded.last_use_time, record = excluded.record";

pub(super) const SINCE: &str = "SELECT since FROM usage_recording";

pub(super) const BEGIN_RECORDING: &str =
    "INSERT INTO usage_recording (id, since) VALUES (1, $1) ON CONFLICT (id) DO NOTHING";

pub(super) const END_RECORDING: &str = "DELETE FROM usage_recording";

async fn known<'e>(
    executor: impl SqliteExecutor<'e>,
    ids: &[TokenId],
) -> Result<HashMap<TokenId, Usage>, StoreError> {
    let rows = sqlx::query(USAGES).bind(json!(ids).to_string());
    let rows = rows.fetch_all(executor).await?;
    let known = rows.iter().map(|row| {
        let id = TokenId::from_bytes(row.try_get("token_id")?).map_err(StoreError::corrupt)?;
        Ok((id, usage(id, row.try_get("record")?)))
    });
    known.collect()
}

async fn put<'e>(executor: impl SqliteExecutor<'e>, usages: &[(TokenId, Usage)]) -> Result<(), StoreError> {
    let row = |(id, usage): &(TokenId, Usage)| json!({ "token_id": id, "last_use_time": usage.last_use_time(), "record": usage });
    let rows: Vec<_> = usages.iter().map(row).collect();
    let query = sqlx::query(PUT_USAGES).bind(json!(rows).to_string());
    query.execute(executor).await?;
    Ok(())
}

/// When the tokens that a filter names were last used, if that is what it asks about.
pub(super) async fn last_uses<'e>(
    executor: impl SqliteExecutor<'e>,
    filter: &Filter,
) -> Result<LastUses, StoreError> {
    if !filter.selector.asks_for_use() {
        return Ok(LastUses::default());
    }
    let ids = json!(filter.selector.ids).to_string();
    let rows = sqlx::query(LAST_USES).bind(ids).fetch_all(executor).await?;
    let uses = rows.iter().map(|row| {
        let id = TokenId::from_bytes(row.try_get("token_id")?).map_err(StoreError::corrupt)?;
        let time = Timestamp::from_micros(row.try_get("last_use_time")?);
        Ok((id, time.map_err(StoreError::corrupt)?))
    });
    uses.collect()
}

#[async_trait]
impl UsageStore for SqliteStore {
    async fn add_usage(&self, flush: Arc<Flush>) -> Result<(), StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let connection = &mut *transaction;
        let recorder = flush.recorder.as_bytes().to_vec();
        let last: Option<i64> = sqlx::query_scalar(SEQUENCE)
            .bind(recorder.clone())
            .fetch_optional(&mut *connection)
            .await?;
        if last.is_some_and(|last| last >= flush.sql_sequence()) {
            transaction.rollback().await?;
            return Ok(());
        }
        let known = known(&mut *connection, &flush.ids()).await?;
        put(&mut *connection, &flush.added_to(known)).await?;
        if last.is_none() {
            let forget = sqlx::query(FORGET_FLUSHES).bind(flush.forgettable());
            forget.execute(&mut *connection).await?;
        }
        sqlx::query(PUT_FLUSH)
            .bind(recorder)
            .bind(flush.sql_sequence())
            .bind(flush.time.micros())
            .execute(&mut *connection)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn usages(&self, ids: Vec<TokenId>) -> Result<Vec<Option<Usage>>, StoreError> {
        let known = known(&self.readers, &ids).await?;
        Ok(ids.iter().map(|id| known.get(id).cloned()).collect())
    }

    async fn erase_usage(&self, ids: Vec<TokenId>) -> Result<u64, StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let mut known: Vec<_> = known(&mut *transaction, &ids).await?.into_iter().collect();
        known.retain_mut(|(_, usage)| usage.erase());
        put(&mut *transaction, &known).await?;
        transaction.commit().await?;
        Ok(known.len() as u64)
    }

    async fn usage_since(&self) -> Result<Option<Timestamp>, StoreError> {
        let since: Option<i64> = sqlx::query_scalar(SINCE).fetch_optional(&self.readers).await?;
        let since = since.map(Timestamp::from_micros).transpose();
        since.map_err(StoreError::corrupt)
    }

    async fn begin_usage(&self, now: Timestamp) -> Result<(), StoreError> {
        let query = sqlx::query(BEGIN_RECORDING).bind(now.micros());
        query.execute(&self.writer).await?;
        Ok(())
    }

    async fn end_usage(&self) -> Result<(), StoreError> {
        sqlx::query(END_RECORDING).execute(&self.writer).await?;
        Ok(())
    }
}

/// The tokens that a selection names, and when each was last used, if that matters.
pub(super) async fn named(
    pool: &SqlitePool,
    key: &RowKey,
    selection: &Selection,
) -> Result<(Vec<Named>, LastUses), StoreError> {
    let named = read::named(pool, key, &selection.filter.selector.ids).await?;
    Ok((named, last_uses(pool, &selection.filter).await?))
}
