//! Endpoints, how far each has come, and who sees to them.

use async_trait::async_trait;
use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::super::batch::{EndpointRow, Fate, Seen, all_written, endpoints};
use super::super::columns::{revision, sql};
use super::super::lease::Duty;
use super::super::mac::{self, Heard, RawRow};
use super::super::webhooks::{Delivery, Progress, Step, Webhooks};
use super::super::{BadRow, StoreError};
use super::PostgresStore;
use super::fault::Fault;
use crate::journal::{Draft, Revision, Stored};
use crate::token::id::Slug;
use crate::token::secret::{PepperId, RowKey};
use crate::token::time::Timestamp;
use crate::token::webhook::signing::SealedSigning;
use crate::token::webhook::{Endpoint, EndpointId};

// A row that is not there yet cannot be locked, and two transactions would both count those that are. Endpoints change
// rarely, so they queue. What is delivered meanwhile is noted elsewhere.
pub(super) const LOCK_ENDPOINTS: &str = "LOCK TABLE webhook_endpoint IN SHARE ROW EXCLUSIVE MODE";

pub(super) const VERSIONS_OF_ENDPOINTS: &str = "SELECT id, version FROM webhook_endpoint WHERE id = ANY($1)";

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
    WITH moved AS (
        UPDATE webhook_cursor SET revision = $3, failures = $4, failing_since = $5, next_time = $6
        WHERE endpoint_id = $1 AND revision = $2
            AND EXISTS (SELECT 1 FROM duty WHERE name = $7 AND holder = $8)
        RETURNING endpoint_id
    ), noted AS (
        INSERT INTO webhook_delivery (endpoint_id, revision, last_time, record)
        SELECT moved.endpoint_id, delivery.revision, delivery.last_time, delivery.record
        FROM moved, UNNEST($9::bigint[], $10::bigint[], $11::text[]) AS delivery (revision, last_time, record)
        ON CONFLICT (endpoint_id, revision) DO UPDATE SET last_time = excluded.last_time, record = excluded.record
    )
    SELECT endpoint_id FROM moved";

pub(super) const DELIVERIES: &str = "
    SELECT record FROM webhook_delivery WHERE endpoint_id = $1 AND revision < $2 ORDER BY revision DESC LIMIT $3";

pub(super) const SWEEP_DELIVERIES: &str = "
    DELETE FROM webhook_delivery WHERE endpoint_id = $1 AND (last_time <= $3 OR revision <= coalesce((
        SELECT revision FROM webhook_delivery WHERE endpoint_id = $1 ORDER BY revision DESC LIMIT 1 OFFSET $2
    ), -1))";

/// Locks what the drafts to endpoints are guarded by, and adds it to what the transaction has seen.
pub(super) async fn see(
    connection: &mut PgConnection,
    drafts: &[Draft],
    seen: &mut Seen,
) -> Result<(), Fault> {
    let (ids, namespaces) = endpoints(drafts);
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::raw_sql(LOCK_ENDPOINTS).execute(&mut *connection).await?;
    let ids: Vec<_> = ids.into_iter().map(uuid).collect();
    let query = sqlx::query(VERSIONS_OF_ENDPOINTS).bind(ids);
    for row in query.fetch_all(&mut *connection).await? {
        let id = id(&row)?;
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

pub(super) async fn put(connection: &mut PgConnection, row: &EndpointRow<'_>) -> Result<(), Fault> {
    let id = uuid(row.endpoint.id);
    let record = json!(row.endpoint).to_string();
    let mac = row.mac.to_vec();
    let written = match row.fate {
        Fate::Created => {
            let query = sqlx::query(INSERT_CURSOR).bind(id).bind(sql(row.version));
            query.execute(&mut *connection).await?;
            let namespace = row.endpoint.namespace.as_str();
            let query = sqlx::query(INSERT_ENDPOINT).bind(id).bind(sql(row.version));
            query.bind(namespace).bind(record).bind(mac)
        }
        Fate::Changed => {
            let query = sqlx::query(UPDATE_ENDPOINT).bind(id).bind(sql(row.version));
            query.bind(record).bind(mac).bind(sql(row.guard))
        }
        Fate::Deleted => {
            for statement in [DELETE_CURSOR, DELETE_DELIVERIES] {
                sqlx::query(statement).bind(id).execute(&mut *connection).await?;
            }
            let query = sqlx::query(DELETE_SIGNING).bind(id).bind(i64::MAX);
            query.execute(&mut *connection).await?;
            sqlx::query(DELETE_ENDPOINT).bind(id).bind(sql(row.guard))
        }
    };
    all_written(written.execute(&mut *connection).await?.rows_affected(), 1)?;
    if let Some(signing) = row.signing {
        let version = i64::from(signing.version);
        let query = sqlx::query(DELETE_SIGNING).bind(id).bind(version - 1);
        query.execute(&mut *connection).await?;
        let query = sqlx::query(INSERT_SIGNING).bind(id).bind(version);
        let query = query.bind(i32::from(signing.pepper.0)).bind(&signing.sealed[..]);
        query.execute(connection).await?;
    }
    Ok(())
}

fn uuid(id: EndpointId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

fn id(row: &PgRow) -> Result<EndpointId, Fault> {
    let id: Uuid = row.try_get("id")?;
    Ok(EndpointId::from_bytes(id.as_bytes()).map_err(StoreError::corrupt)?)
}

fn checked(key: &RowKey, row: &PgRow) -> Result<Result<Stored<Endpoint>, BadRow>, Fault> {
    let raw = RawRow {
        version: row.try_get("version")?,
        record: Some(row.try_get("record")?),
        mac: row.try_get("mac")?,
    };
    let heard = Heard {
        newest: row.try_get("newest")?,
        oldest: row.try_get("oldest")?,
    };
    Ok(mac::endpoint(key, id(row)?, &raw, heard))
}

fn instant(micros: Option<i64>) -> Result<Option<Timestamp>, StoreError> {
    let instant = micros.map(Timestamp::from_micros).transpose();
    instant.map_err(StoreError::corrupt)
}

async fn endpoint(
    connection: &mut PgConnection,
    key: &RowKey,
    id: EndpointId,
) -> Result<Option<Stored<Endpoint>>, Fault> {
    let query = sqlx::query(ENDPOINT).bind(uuid(id));
    let row = query.fetch_optional(connection).await?;
    row.map(|row| Ok(checked(key, &row)??)).transpose()
}

async fn endpoints_after(
    connection: &mut PgConnection,
    key: &RowKey,
    namespace: Option<&Slug>,
    after: EndpointId,
    limit: u32,
) -> Result<Vec<Result<Stored<Endpoint>, BadRow>>, Fault> {
    let limit = i64::from(limit);
    let query = match namespace {
        None => sqlx::query(ENDPOINTS).bind(uuid(after)).bind(limit),
        Some(namespace) => sqlx::query(ENDPOINTS_OF_NAMESPACE)
            .bind(uuid(after))
            .bind(limit)
            .bind(namespace.as_str()),
    };
    let rows = query.fetch_all(connection).await?;
    rows.iter().map(|row| checked(key, row)).collect()
}

async fn signing(connection: &mut PgConnection, id: EndpointId) -> Result<Vec<SealedSigning>, Fault> {
    let rows = sqlx::query(SIGNING).bind(uuid(id)).fetch_all(connection).await?;
    let signing = |row: &PgRow| {
        let (version, pepper): (i64, i32) = (row.try_get("version")?, row.try_get("pepper")?);
        Ok(SealedSigning {
            version: u32::try_from(version).map_err(StoreError::corrupt)?,
            pepper: PepperId(u16::try_from(pepper).map_err(StoreError::corrupt)?),
            sealed: row.try_get("sealed")?,
        })
    };
    rows.iter().map(signing).collect()
}

async fn reseal(
    connection: &mut PgConnection,
    id: EndpointId,
    from: PepperId,
    to: &SealedSigning,
) -> Result<bool, Fault> {
    let query = sqlx::query(RESEAL)
        .bind(uuid(id))
        .bind(i64::from(to.version))
        .bind(i32::from(to.pepper.0))
        .bind(&to.sealed[..])
        .bind(i32::from(from.0));
    Ok(query.execute(connection).await?.rows_affected() == 1)
}

async fn progress(connection: &mut PgConnection, id: EndpointId) -> Result<Option<Progress>, Fault> {
    let query = sqlx::query(PROGRESS).bind(uuid(id));
    let row = query.fetch_optional(connection).await?;
    let progress = |row: PgRow| {
        let failures: i64 = row.try_get("failures")?;
        Ok(Progress {
            revision: revision(row.try_get("revision")?)?,
            failures: u32::try_from(failures).unwrap_or(u32::MAX),
            failing_since: instant(row.try_get("failing_since")?)?,
            next_time: instant(row.try_get("next_time")?)?,
        })
    };
    row.map(progress).transpose()
}

async fn advance(
    connection: &mut PgConnection,
    duty: Duty,
    id: EndpointId,
    step: &Step,
) -> Result<bool, Fault> {
    let deliveries = step.deliveries.iter();
    let revisions: Vec<_> = deliveries
        .clone()
        .map(|delivery| sql(delivery.revision))
        .collect();
    let times: Vec<_> = deliveries
        .clone()
        .map(|delivery| delivery.last_time.micros())
        .collect();
    let records: Vec<_> = deliveries.map(|delivery| json!(delivery).to_string()).collect();
    let query = sqlx::query(ADVANCE)
        .bind(uuid(id))
        .bind(sql(step.from))
        .bind(sql(step.to.revision))
        .bind(i64::from(step.to.failures))
        .bind(step.to.failing_since.map(Timestamp::micros))
        .bind(step.to.next_time.map(Timestamp::micros))
        .bind(duty.name)
        .bind(&duty.holder.as_bytes()[..])
        .bind(revisions)
        .bind(times)
        .bind(records);
    Ok(query.fetch_optional(connection).await?.is_some())
}

async fn deliveries(
    connection: &mut PgConnection,
    id: EndpointId,
    before: Option<Revision>,
    limit: u32,
) -> Result<Vec<Delivery>, Fault> {
    let query = sqlx::query_scalar(DELIVERIES)
        .bind(uuid(id))
        .bind(before.map_or(i64::MAX, sql))
        .bind(i64::from(limit));
    let records: Vec<String> = query.fetch_all(connection).await?;
    let delivery = |record: String| Ok(serde_json::from_str(&record).map_err(StoreError::corrupt)?);
    records.into_iter().map(delivery).collect()
}

async fn sweep(
    connection: &mut PgConnection,
    id: EndpointId,
    keep: u32,
    until: Timestamp,
) -> Result<u64, Fault> {
    let query = sqlx::query(SWEEP_DELIVERIES)
        .bind(uuid(id))
        .bind(i64::from(keep))
        .bind(until.micros());
    Ok(query.execute(connection).await?.rows_affected())
}

/// On the lane for what takes as long as it takes: nobody's change waits for it.
#[async_trait]
impl Webhooks for PostgresStore {
    async fn endpoint(&self, id: EndpointId) -> Result<Option<Stored<Endpoint>>, StoreError> {
        ask!(self.lists, |connection| endpoint(&mut connection, &self.rows, id))
    }

    async fn endpoints(
        &self,
        namespace: Option<Slug>,
        after: EndpointId,
        limit: u32,
    ) -> Result<Vec<Result<Stored<Endpoint>, BadRow>>, StoreError> {
        ask!(self.lists, |connection| endpoints_after(
            &mut connection,
            &self.rows,
            namespace.as_ref(),
            after,
            limit
        ))
    }

    async fn signing(&self, id: EndpointId) -> Result<Vec<SealedSigning>, StoreError> {
        ask!(self.lists, |connection| signing(&mut connection, id))
    }

    async fn reseal(&self, id: EndpointId, from: PepperId, to: SealedSigning) -> Result<bool, StoreError> {
        ask!(self.lists, |connection| reseal(&mut connection, id, from, &to))
    }

    async fn progress(&self, id: EndpointId) -> Result<Option<Progress>, StoreError> {
        ask!(self.lists, |connection| progress(&mut connection, id))
    }

    async fn advance(&self, duty: Duty, id: EndpointId, step: Step) -> Result<bool, StoreError> {
        ask!(self.lists, |connection| advance(&mut connection, duty, id, &step))
    }

    async fn deliveries(
        &self,
        id: EndpointId,
        before: Option<Revision>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        ask!(self.lists, |connection| deliveries(
            &mut connection,
            id,
            before,
            limit
        ))
    }

    async fn sweep_deliveries(&self, id: EndpointId, keep: u32, until: Timestamp) -> Result<u64, StoreError> {
        ask!(self.lists, |connection| sweep(&mut connection, id, keep, until))
    }
}
