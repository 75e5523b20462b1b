//! Endpoints, how far each has come, and who sees to them.

use serde_json::json;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, SqliteConnection};

use async_trait::async_trait;

use super::super::batch::{EndpointRow, Fate, Seen, all_written, endpoints};
use super::super::lease::{Duties, Duty};
use super::super::mac::{self, Heard, RawRow};
use super::super::webhooks::{Delivery, Progress, Step, Webhooks};
use super::super::{BadRow, StoreError};
use super::{SqliteStore, revision, sql};
use crate::journal::{Draft, Revision, Stored};
use crate::token::id::Slug;
use crate::token::secret::{PepperId, RowKey};
use crate::token::time::Timestamp;
use crate::token::webhook::signing::SealedSigning;
use crate::token::webhook::{Endpoint, EndpointId};

pub(super) const VERSIONS_OF_ENDPOINTS: &str = "
    SELECT id, version FROM webhook_endpoint WHERE id IN (SELECT unhex(value, '-') FROM json_each($1))";

pub(super) const COUNT_ENDPOINTS: &str = "SELECT count(*) FROM webhook_endpoint WHERE namespace = $1";

pub(super) const INSERT_ENDPOINT: &str = "
    INSERT INTO webhook_endpoint (id, version, namespace, record, mac) VALUES ($1, $2, $3, $4, $5)";

pub(super) const INSERT_CURSOR: &str = "
    INSERT INTO webhook_cursor (endpoint_id, revision, failures) VALUES ($1, $2, 0)";

// The guard is here, not only in the plan.
pub(super) const UPDATE_ENDPOINT: &str = "
    UPDATE webhook_endpoint SET version = $2, record = $3, mac = $4 WHERE id = $1 AND version = $5";

pub(super) const DELETE_ENDPOINT: &str = "DELETE FROM webhook_endpoint WHERE id = $1 AND version = $2";

pub(super) const DELETE_CURSOR: &str = "DELETE FROM webhook_cursor WHERE endpoint_id = $1";

pub(super) const DELETE_SIGNING: &str = "DELETE FROM webhook_secret WHERE endpoint_id = $1 AND version < $2";

pub(super) const DELETE_DELIVERIES: &str = "DELETE FROM webhook_delivery WHERE endpoint_id = $1";

pub(super) const INSERT_SIGNING: &str = "
    INSERT INTO webhook_secret (endpoint_id, version, pepper, sealed) VALUES ($1, $2, $3, $4)";

pub(super) const ENDPOINT: &str = "
    SELECT id, version, record, mac, (SELECT min(revision) FROM journal) AS oldest, (
        SELECT max(revision) FROM journal WHERE journal.endpoint_id = webhook_endpoint.id
    ) AS newest
    FROM webhook_endpoint WHERE id = $1";

pub(super) const ENDPOINTS: &str = "
    SELECT id, version, record, mac, (SELECT min(revision) FROM journal) AS oldest, (
        SELECT max(revision) FROM journal WHERE journal.endpoint_id = webhook_endpoint.id
    ) AS newest
    FROM webhook_endpoint WHERE id > $1 ORDER BY id LIMIT $2";

pub(super) const ENDPOINTS_OF_NAMESPACE: &str = "
    SELECT id, version, record, mac, (SELECT min(revision) FROM journal) AS oldest, (
        SELECT max(revision) FROM journal WHERE journal.endpoint_id = webhook_endpoint.id
    ) AS newest
    FROM webhook_endpoint WHERE namespace = $3 AND id > $1 ORDER BY id LIMIT $2";

pub(super) const SIGNING: &str = "
    SELECT version, pepper, sealed FROM webhook_secret WHERE endpoint_id = $1 ORDER BY version";

pub(super) const RESEAL: &str = "
    UPDATE webhook_secret SET pepper = $3, sealed = $4 WHERE endpoint_id = $1 AND version = $2 AND pepper = $5";

pub(super) const PROGRESS: &str = "
    SELECT revision, failures, failing_since, next_time FROM webhook_cursor WHERE endpoint_id = $1";

// Whoever had the duty before moves nothing, and nobody moves from where it is not.
pub(super) const ADVANCE: &str = "
    UPDATE webhook_cursor SET revision = $3, failures = $4, failing_since = $5, next_time = $6
    WHERE endpoint_id = $1 AND revision = $2
        AND EXISTS (SELECT 1 FROM duty WHERE name = $7 AND holder = $8)";

pub(super) const PUT_DELIVERIES: &str = "
    INSERT INTO webhook_delivery (endpoint_id, revision, last_time, record)
    SELECT $1, value->>'$.revision', value->>'$.last_time', value FROM json_each($2) WHERE TRUE
    ON CONFLICT (endpoint_id, revision) DO UPDATE SET last_time = excluded.last_time, record = excluded.record";

pub(super) const DELIVERIES: &str = "
    SELECT record FROM webhook_delivery WHERE endpoint_id = $1 AND revision < $2 ORDER BY revision DESC LIMIT $3";

pub(super) const SWEEP_DELIVERIES: &str = "
    DELETE FROM webhook_delivery WHERE endpoint_id = $1 AND (last_time <= $3 OR revision <= coalesce((
        SELECT revision FROM webhook_delivery WHERE endpoint_id = $1 ORDER BY revision DESC LIMIT 1 OFFSET $2
    ), -1))";

pub(super) const TAKE_DUTY: &str = "
    INSERT INTO duty (name, holder, until) VALUES ($1, $2, $3)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE duty.holder = excluded.holder OR duty.until <= $4";

pub(super) const LEAVE_DUTY: &str = "DELETE FROM duty WHERE name = $1 AND holder = $2";

/// Adds to what a transaction has seen what its drafts to endpoints are guarded by.
pub(super) async fn see(
    connection: &mut SqliteConnection,
    drafts: &[Draft],
    seen: &mut Seen,
) -> Result<(), StoreError> {
    let (ids, namespaces) = endpoints(drafts);
    if ids.is_empty() {
        return Ok(());
    }
    let query = sqlx::query(VERSIONS_OF_ENDPOINTS).bind(json!(ids).to_string());
    for row in query.fetch_all(&mut *connection).await? {
        let id = EndpointId::from_bytes(row.try_get("id")?).map_err(StoreError::corrupt)?;
        seen.endpoints.insert(id, revision(row.try_get("version")?)?);
    }
    for namespace in namespaces {
        let query = sqlx::query_scalar(COUNT_ENDPOINTS).bind(namespace.as_str());
        let count: i64 = query.fetch_one(&mut *connection).await?;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        seen.endpoint_counts.insert(namespace.clone(), count);
    }
    Ok(())
}

pub(super) async fn put(connection: &mut SqliteConnection, row: &EndpointRow<'_>) -> Result<(), StoreError> {
    let id = bytes(row.endpoint.id);
    let record = json!(row.endpoint).to_string();
    let written = match row.fate {
        Fate::Created => {
            let query = sqlx::query(INSERT_CURSOR).bind(&id).bind(sql(row.version));
            query.execute(&mut *connection).await?;
            let namespace = row.endpoint.namespace.as_str();
            let query = sqlx::query(INSERT_ENDPOINT).bind(&id).bind(sql(row.version));
            query.bind(namespace).bind(record).bind(&row.mac[..])
        }
        Fate::Changed => {
            let query = sqlx::query(UPDATE_ENDPOINT).bind(&id).bind(sql(row.version));
            query.bind(record).bind(&row.mac[..]).bind(sql(row.guard))
        }
        Fate::Deleted => {
            for statement in [DELETE_CURSOR, DELETE_DELIVERIES] {
                sqlx::query(statement).bind(&id).execute(&mut *connection).await?;
            }
            let query = sqlx::query(DELETE_SIGNING).bind(&id).bind(i64::MAX);
            query.execute(&mut *connection).await?;
            sqlx::query(DELETE_ENDPOINT).bind(&id).bind(sql(row.guard))
        }
    };
    all_written(written.execute(&mut *connection).await?.rows_affected(), 1)?;
    if let Some(signing) = row.signing {
        let before = i64::from(signing.version) - 1;
        let query = sqlx::query(DELETE_SIGNING).bind(&id).bind(before);
        query.execute(&mut *connection).await?;
        let query = sqlx::query(INSERT_SIGNING).bind(&id).bind(signing.version);
        let query = query.bind(signing.pepper.0).bind(&signing.sealed[..]);
        query.execute(connection).await?;
    }
    Ok(())
}

fn bytes(id: EndpointId) -> Vec<u8> {
    id.as_bytes().to_vec()
}

fn checked(key: &RowKey, row: &SqliteRow) -> Result<Result<Stored<Endpoint>, BadRow>, StoreError> {
    let id = EndpointId::from_bytes(row.try_get("id")?).map_err(StoreError::corrupt)?;
    let raw = RawRow {
        version: row.try_get("version")?,
        record: row.try_get("record").ok(),
        mac: row.try_get("mac")?,
    };
    let heard = Heard {
        newest: row.try_get("newest")?,
        oldest: row.try_get("oldest")?,
    };
    Ok(mac::endpoint(key, id, &raw, heard))
}

fn instant(micros: Option<i64>) -> Result<Option<Timestamp>, StoreError> {
    let instant = micros.map(Timestamp::from_micros).transpose();
    instant.map_err(StoreError::corrupt)
}

async fn advance(pool: &SqlitePool, duty: Duty, id: EndpointId, step: Step) -> Result<bool, StoreError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let query = sqlx::query(ADVANCE)
        .bind(bytes(id))
        .bind(sql(step.from))
        .bind(sql(step.to.revision))
        .bind(step.to.failures)
        .bind(step.to.failing_since.map(Timestamp::micros))
        .bind(step.to.next_time.map(Timestamp::micros))
        .bind(duty.name)
        .bind(duty.holder.as_bytes().to_vec());
    if query.execute(&mut *transaction).await?.rows_affected() == 0 {
        transaction.rollback().await?;
        return Ok(false);
    }
    if !step.deliveries.is_empty() {
        let query = sqlx::query(PUT_DELIVERIES).bind(bytes(id));
        let query = query.bind(json!(step.deliveries).to_string());
        query.execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

#[async_trait]
impl Webhooks for SqliteStore {
    async fn endpoint(&self, id: EndpointId) -> Result<Option<Stored<Endpoint>>, StoreError> {
        let row = sqlx::query(ENDPOINT).bind(bytes(id));
        let row = row.fetch_optional(&self.readers).await?;
        row.map(|row| Ok(checked(&self.rows, &row)??)).transpose()
    }

    async fn endpoints(
        &self,
        namespace: Option<Slug>,
        after: EndpointId,
        limit: u32,
    ) -> Result<Vec<Result<Stored<Endpoint>, BadRow>>, StoreError> {
        let query = match &namespace {
            None => sqlx::query(ENDPOINTS).bind(bytes(after)).bind(limit),
            Some(namespace) => sqlx::query(ENDPOINTS_OF_NAMESPACE)
                .bind(bytes(after))
                .bind(limit)
                .bind(namespace.as_str()),
        };
        let rows = query.fetch_all(&self.readers).await?;
        rows.iter().map(|row| checked(&self.rows, row)).collect()
    }

    async fn signing(&self, id: EndpointId) -> Result<Vec<SealedSigning>, StoreError> {
        let rows = sqlx::query(SIGNING)
            .bind(bytes(id))
            .fetch_all(&self.readers)
            .await?;
        let signing = |row: &SqliteRow| {
            Ok(SealedSigning {
                version: row.try_get("version")?,
                pepper: PepperId(row.try_get("pepper")?),
                sealed: row.try_get("sealed")?,
            })
        };
        rows.iter().map(signing).collect()
    }

    async fn reseal(&self, id: EndpointId, from: PepperId, to: SealedSigning) -> Result<bool, StoreError> {
        let query = sqlx::query(RESEAL)
            .bind(bytes(id))
            .bind(to.version)
            .bind(to.pepper.0)
            .bind(to.sealed)
            .bind(from.0);
        Ok(query.execute(&self.writer).await?.rows_affected() == 1)
    }

    async fn progress(&self, id: EndpointId) -> Result<Option<Progress>, StoreError> {
        let row = sqlx::query(PROGRESS).bind(bytes(id));
        let row = row.fetch_optional(&self.readers).await?;
        let progress = |row: SqliteRow| {
            Ok(Progress {
                revision: revision(row.try_get("revision")?)?,
                failures: row.try_get("failures")?,
                failing_since: instant(row.try_get("failing_since")?)?,
                next_time: instant(row.try_get("next_time")?)?,
            })
        };
        row.map(progress).transpose()
    }

    async fn advance(&self, duty: Duty, id: EndpointId, step: Step) -> Result<bool, StoreError> {
        advance(&self.writer, duty, id, step).await
    }

    async fn deliveries(
        &self,
        id: EndpointId,
        before: Option<Revision>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let query = sqlx::query_scalar(DELIVERIES)
            .bind(bytes(id))
            .bind(before.map_or(i64::MAX, sql))
            .bind(limit);
        let records: Vec<String> = query.fetch_all(&self.readers).await?;
        let delivery = |record: String| serde_json::from_str(&record).map_err(StoreError::corrupt);
        records.into_iter().map(delivery).collect()
    }

    async fn sweep_deliveries(&self, id: EndpointId, keep: u32, until: Timestamp) -> Result<u64, StoreError> {
        let query = sqlx::query(SWEEP_DELIVERIES)
            .bind(bytes(id))
            .bind(keep)
            .bind(until.micros());
        Ok(query.execute(&self.writer).await?.rows_affected())
    }
}

#[async_trait]
impl Duties for SqliteStore {
    async fn take_duty(&self, duty: Duty, until: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        let query = sqlx::query(TAKE_DUTY)
            .bind(duty.name)
            .bind(duty.holder.as_bytes().to_vec())
            .bind(until.micros())
            .bind(now.micros());
        Ok(query.execute(&self.writer).await?.rows_affected() == 1)
    }

    async fn leave_duty(&self, duty: Duty) -> Result<(), StoreError> {
        let query = sqlx::query(LEAVE_DUTY).bind(duty.name);
        let query = query.bind(duty.holder.as_bytes().to_vec());
        query.execute(&self.writer).await?;
        Ok(())
    }
}
