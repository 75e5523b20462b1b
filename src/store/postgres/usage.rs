//! What tokens were used for. What is added is added here, by the rules of the record, while the rows are locked: servers
//! that have seen the same token wait for one another, and for nothing that the journal needs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::super::StoreError;
use super::super::select::{LastUses, Named, Selection};
use super::super::usage::{Flush, UsageStore, usage};
use super::commit::{BEGIN, COMMIT, ROLLBACK};
use super::fault::Fault;
use super::lane::LaneOptions;
use super::read::{self, uuid};
use super::{PostgresStore, ask};
use crate::token::id::TokenId;
use crate::token::secret::RowKey;
use crate::token::selector::Filter;
use crate::token::time::Timestamp;
use crate::token::usage::Usage;

/// What is written of what happened, beside the journal: nobody waits for it.
pub(super) const EVIDENCE: LaneOptions = LaneOptions {
    name: "evidence",
    connections_max: 1,
    acquire_max: Duration::from_secs(3),
    call_max: Duration::from_secs(5),
    lock_max: Duration::from_millis(1500),
};

/// How often it is tried to add rows that others add at the same time. Once they have, the rows are there.
const TRIES_MAX: u32 = 4;

pub(super) const SEQUENCE: &str = "SELECT sequence FROM usage_flush WHERE recorder = $1";

pub(super) const PUT_FLUSH: &str = "
    INSERT INTO usage_flush (recorder, sequence, time) VALUES ($1, $2, $3)
    ON CONFLICT (recorder) DO UPDATE SET sequence = excluded.sequence, time = excluded.time";

// Servers that start at once do not wait for one another here.
pub(super) const FORGET_FLUSHES: &str = "
    DELETE FROM usage_flush WHERE recorder = ANY (ARRAY(
        SELECT recorder FROM usage_flush WHERE time < $1 FOR UPDATE SKIP LOCKED
    ))";

pub(super) const USAGES: &str =
    "SELECT token_id, record::text AS record FROM token_usage WHERE token_id = ANY($1)";

// In the same order everywhere, so that two transactions never wait for one another.
pub(super) const LOCK_USAGES: &str = "
    SELECT token_id, record::text AS record FROM token_usage WHERE token_id = ANY($1)
    ORDER BY token_id FOR UPDATE";

pub(super) const LAST_USES: &str = "
    SELECT token_id, last_use_time FROM token_usage WHERE token_id = ANY($1) AND last_use_time IS NOT NULL";

pub(super) const INSERT_USAGES: &str = "
    INSERT INTO token_usage (token_id, last_use_time, record)
    SELECT token_id, last_use_time, record::jsonb
    FROM UNNEST($1::uuid[], $2::bigint[], $3::text[]) AS seen (token_id, last_use_time, record)
    ON CONFLICT (token_id) DO NOTHING";

pub(super) const UPDATE_USAGES: &str = "
    UPDATE token_usage SET last_use_time = seen.last_use_time, record = seen.record::jsonb
    FROM UNNEST($1::uuid[], $2::bigint[], $3::text[]) AS seen (token_id, last_use_time, record)
    WHERE token_usage.token_id = seen.token_id";

pub(super) const SINCE: &str = "SELECT since FROM usage_recording";

pub(super) const BEGIN_RECORDING: &str =
    "INSERT INTO usage_recording (id, since) VALUES (1, $1) ON CONFLICT (id) DO NOTHING";

pub(super) const END_RECORDING: &str = "DELETE FROM usage_recording";

async fn known(
    connection: &mut PgConnection,
    statement: &'static str,
    ids: &[TokenId],
) -> Result<HashMap<TokenId, Usage>, Fault> {
    let ids: Vec<_> = ids.iter().copied().map(uuid).collect();
    let rows = sqlx::query(statement).bind(ids).fetch_all(connection).await?;
    let known = rows.iter().map(|row| {
        let id = token_id(row)?;
        Ok((id, usage(id, row.try_get("record")?)))
    });
    known.collect()
}

fn token_id(row: &PgRow) -> Result<TokenId, Fault> {
    let id: Uuid = row.try_get("token_id")?;
    Ok(TokenId::from_bytes(id.as_bytes()).map_err(StoreError::corrupt)?)
}

/// Runs a statement over these usages; how many rows it wrote.
async fn put(
    connection: &mut PgConnection,
    statement: &'static str,
    usages: &[(TokenId, Usage)],
) -> Result<usize, Fault> {
    if usages.is_empty() {
        return Ok(0);
    }
    let ids: Vec<_> = usages.iter().map(|(id, _)| uuid(*id)).collect();
    let last_use_time = |usage: &Usage| usage.last_use_time().map(Timestamp::micros);
    let times: Vec<_> = usages.iter().map(|(_, usage)| last_use_time(usage)).collect();
    let record = |(_, usage): &(TokenId, Usage)| serde_json::json!(usage).to_string();
    let records: Vec<_> = usages.iter().map(record).collect();
    let query = sqlx::query(statement).bind(ids).bind(times).bind(records);
    let written = query.execute(connection).await?.rows_affected();
    Ok(usize::try_from(written).unwrap_or(usize::MAX))
}

async fn add(connection: &mut PgConnection, flush: &Flush) -> Result<(), Fault> {
    for _ in 0..TRIES_MAX {
        if try_to_add(connection, flush).await? {
            return Ok(());
        }
    }
    // Whoever asked comes back: it is the same flush then.
    Err(sqlx::Error::PoolTimedOut.into())
}

/// Adds a flush, unless others add a row for one of its tokens meanwhile; whether it is added.
async fn try_to_add(connection: &mut PgConnection, flush: &Flush) -> Result<bool, Fault> {
    sqlx::raw_sql(BEGIN).execute(&mut *connection).await?;
    let recorder = flush.recorder.as_bytes().to_vec();
    let query = sqlx::query_scalar(SEQUENCE).bind(recorder.clone());
    let last: Option<i64> = query.fetch_optional(&mut *connection).await?;
    if last.is_some_and(|last| last >= flush.sql_sequence()) {
        sqlx::raw_sql(ROLLBACK).execute(connection).await?;
        return Ok(true);
    }
    let known = known(connection, LOCK_USAGES, &flush.ids()).await?;
    let is_known: Vec<_> = flush
        .usages
        .iter()
        .map(|(id, _)| known.contains_key(id))
        .collect();
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for (usage, is_known) in flush.added_to(known).into_iter().zip(is_known) {
        if is_known {
            old.push(usage);
        } else {
            new.push(usage);
        }
    }
    if put(connection, INSERT_USAGES, &new).await? < new.len() {
        sqlx::raw_sql(ROLLBACK).execute(connection).await?;
        return Ok(false);
    }
    put(connection, UPDATE_USAGES, &old).await?;
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
    let committed = sqlx::raw_sql(COMMIT).execute(connection).await;
    committed.map_err(Fault::at_commit)?;
    Ok(true)
}

async fn erase(connection: &mut PgConnection, ids: &[TokenId]) -> Result<u64, Fault> {
    sqlx::raw_sql(BEGIN).execute(&mut *connection).await?;
    let mut known: Vec<_> = known(connection, LOCK_USAGES, ids).await?.into_iter().collect();
    known.retain_mut(|(_, usage)| usage.erase());
    let erased = put(connection, UPDATE_USAGES, &known).await?;
    let committed = sqlx::raw_sql(COMMIT).execute(connection).await;
    committed.map_err(Fault::at_commit)?;
    Ok(erased as u64)
}

/// When the tokens that a filter names were last used, if that is what it asks about.
pub(super) async fn last_uses(connection: &mut PgConnection, filter: &Filter) -> Result<LastUses, Fault> {
    if !filter.selector.asks_for_use() {
        return Ok(LastUses::default());
    }
    let ids: Vec<_> = filter.selector.ids.iter().copied().map(uuid).collect();
    let rows = sqlx::query(LAST_USES).bind(ids).fetch_all(connection).await?;
    let uses = rows.iter().map(|row| {
        let time = Timestamp::from_micros(row.try_get("last_use_time")?);
        Ok((token_id(row)?, time.map_err(StoreError::corrupt)?))
    });
    uses.collect()
}

async fn since(connection: &mut PgConnection) -> Result<Option<Timestamp>, Fault> {
    let since: Option<i64> = sqlx::query_scalar(SINCE).fetch_optional(connection).await?;
    let since = since.map(Timestamp::from_micros).transpose();
    Ok(since.map_err(StoreError::corrupt)?)
}

async fn begin(connection: &mut PgConnection, now: Timestamp) -> Result<(), Fault> {
    let query = sqlx::query(BEGIN_RECORDING).bind(now.micros());
    query.execute(connection).await?;
    Ok(())
}

async fn end(connection: &mut PgConnection) -> Result<(), Fault> {
    sqlx::query(END_RECORDING).execute(connection).await?;
    Ok(())
}

#[async_trait]
impl UsageStore for PostgresStore {
    async fn add_usage(&self, flush: Arc<Flush>) -> Result<(), StoreError> {
        ask!(self.evidence, |connection| add(&mut connection, &flush))
    }

    async fn usages(&self, ids: Vec<TokenId>) -> Result<Vec<Option<Usage>>, StoreError> {
        let known = ask!(self.lists, |connection| known(&mut connection, USAGES, &ids))?;
        Ok(ids.iter().map(|id| known.get(id).cloned()).collect())
    }

    async fn erase_usage(&self, ids: Vec<TokenId>) -> Result<u64, StoreError> {
        ask!(self.evidence, |connection| erase(&mut connection, &ids))
    }

    async fn usage_since(&self) -> Result<Option<Timestamp>, StoreError> {
        ask!(self.lists, |connection| since(&mut connection))
    }

    async fn begin_usage(&self, now: Timestamp) -> Result<(), StoreError> {
        ask!(self.evidence, |connection| begin(&mut connection, now))
    }

    async fn end_usage(&self) -> Result<(), StoreError> {
        ask!(self.evidence, |connection| end(&mut connection))
    }
}

/// The tokens that a selection names, and when each was last used, if that matters.
pub(super) async fn named(
    connection: &mut PgConnection,
    key: &RowKey,
    selection: &Selection,
) -> Result<(Vec<Named>, LastUses), Fault> {
    let named = read::named(connection, key, &selection.filter.selector.ids).await?;
    Ok((named, last_uses(connection, &selection.filter).await?))
}
