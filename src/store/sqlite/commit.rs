//! Writing drafts and their entries: one transaction, a handful of statements however many drafts.
//!
//! Rows go in as one JSON array a statement: what `UNNEST` is elsewhere.

use std::collections::HashMap;

use serde_json::json;
use sqlx::sqlite::SqlitePool;
use sqlx::{Row, SqliteConnection};

use super::super::batch::{NamespaceRow, Plan, Rows, Seen, all_written, changes_namespaces, plan};
use super::super::{Head, Outcome, SWEEP_MAX, StoreError};
use super::parameters::{AnswerParameter, EntryParameter, TokenParameter, text};
use super::{read, revision, sql, subjects, webhooks};
use crate::journal::cursor::Epoch;
use crate::journal::link::Link;
use crate::journal::{Draft, Entry, Revision};
use crate::token::id::TokenId;
use crate::token::secret::{Fingerprint, RowKey};
use crate::token::time::Timestamp;

pub(super) const BEGIN_JOURNAL: &str = "
    INSERT INTO journal_head (id, epoch, revision, link) VALUES (1, $1, 0, $2)
    ON CONFLICT (id) DO UPDATE SET id = 1
    RETURNING revision";

pub(super) const NEW_EPOCH: &str = "UPDATE journal_head SET epoch = $1 RETURNING revision";

pub(super) const REPEATED: &str = "
    SELECT body, link FROM journal
    WHERE request_id IN (SELECT unhex(value, '-') FROM json_each($1))";

pub(super) const VERSIONS: &str = "
    SELECT id, version FROM token WHERE id IN (SELECT unhex(value, '-') FROM json_each($1))";

pub(super) const NEWEST_NAMESPACE: &str = "SELECT coalesce(max(version), 0) FROM namespace";

pub(super) const INSERT_TOKENS: &str = "
    INSERT INTO token (
        id, version, namespace, name, subject, scopes, labels, create_time, expire_time, networks, rate_limit,
        suspend_time, suspend_reason, revoke_time, revoke_reason, mac
    )
    SELECT
        unhex(value->>'$.token.id', '-'), value->>'$.version', value->>'$.token.namespace',
        value->>'$.token.name', value->>'$.token.subject', value->'$.token.scopes', value->'$.token.labels',
        value->>'$.token.create_time', value->>'$.token.expire_time', value->'$.token.networks',
        value->'$.token.rate_limit', value->>'$.token.suspension.time', value->>'$.token.suspension.reason',
        value->>'$.token.revocation.time', value->>'$.token.revocation.reason', unhex(value->>'$.mac')
    FROM json_each($1)";

// The guard is here, not only in the plan.
pub(super) const UPDATE_TOKENS: &str = "
    UPDATE token SET
        version = draft.value->>'$.version',
        name = draft.value->>'$.token.name',
        scopes = draft.value->'$.token.scopes',
        labels = draft.value->'$.token.labels',
        expire_time = draft.value->>'$.token.expire_time',
        networks = draft.value->'$.token.networks',
        rate_limit = draft.value->'$.token.rate_limit',
        suspend_time = draft.value->>'$.token.suspension.time',
        suspend_reason = draft.value->>'$.token.suspension.reason',
        revoke_time = draft.value->>'$.token.revocation.time',
        revoke_reason = draft.value->>'$.token.revocation.reason',
        mac = unhex(draft.value->>'$.mac')
    FROM json_each($1) AS draft
    WHERE token.id = unhex(draft.value->>'$.token.id', '-') AND token.version = draft.value->>'$.guard'";

pub(super) const DELETE_SECRETS: &str = "
    DELETE FROM secret
    WHERE token_id IN (SELECT unhex(value->>'$.token.id', '-') FROM json_each($1))";

pub(super) const INSERT_SECRETS: &str = "
    INSERT INTO secret (
        digest, token_id, version, pepper, hint, create_time, retire_time, overlap, first_use_time, reuse_time, phc
    )
    SELECT
        unhex(kept.value->>'$.digest'), unhex(draft.value->>'$.token.id', '-'), kept.value->>'$.version',
        kept.value->>'$.pepper', kept.value->>'$.hint', kept.value->>'$.create_time',
        kept.value->>'$.retire_time', kept.value->>'$.overlap', kept.value->>'$.first_use_time',
        kept.value->>'$.reuse_time', kept.value->>'$.phc'
    FROM json_each($1) AS draft, json_each(draft.value, '$.token.secrets') AS kept";

pub(super) const PUT_NAMESPACE: &str = "
    INSERT INTO namespace (
        slug, version, display_name, prefix, body, create_time, update_time, policy, mac, not_before_time,
        not_before_reason
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (slug) DO UPDATE SET
        version = excluded.version, display_name = excluded.display_name,
        update_time = excluded.update_time, policy = excluded.policy, mac = excluded.mac,
        not_before_time = excluded.not_before_time, not_before_reason = excluded.not_before_reason";

pub(super) const INSERT_ENTRIES: &str = "
    INSERT INTO journal (
        revision, time, actor, request_id, kind, namespace, token_id, subject, endpoint_id, body, link
    )
    SELECT
        value->>'$.revision', value->>'$.time', value->>'$.actor', unhex(value->>'$.request_id', '-'),
        value->>'$.kind', value->>'$.namespace', unhex(value->>'$.token_id', '-'),
        value->>'$.subject', unhex(value->>'$.endpoint_id', '-'), CAST(value->>'$.body' AS BLOB), unhex(value->>'$.link')
    FROM json_each($1)";

pub(super) const INSERT_ANSWERS: &str = "
    INSERT INTO answer (revision, pepper, sealed, expire_time)
    SELECT value->>'$.revision', value->>'$.pepper', unhex(value->>'$.sealed'), value->>'$.expire_time'
    FROM json_each($1)";

pub(super) const MOVE_HEAD: &str = "UPDATE journal_head SET revision = $1, link = $2 WHERE revision = $3";

pub(super) const TRIM: &str = "
    DELETE FROM journal WHERE revision <= $1 AND revision < (SELECT revision FROM journal_head)";

pub(super) const SWEEP_ANSWERS: &str = "
    DELETE FROM answer WHERE revision IN (
        SELECT revision FROM answer WHERE expire_time <= $1 ORDER BY expire_time LIMIT $2
    )";
pub(super) const PUT_PEPPER: &str = "
    INSERT INTO pepper (id, fingerprint) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";

pub(super) async fn put_pepper(
    pool: &SqlitePool,
    id: i64,
    fingerprint: Fingerprint,
) -> Result<(), StoreError> {
    let query = sqlx::query(PUT_PEPPER).bind(id).bind(fingerprint.to_vec());
    query.execute(pool).await?;
    Ok(())
}

/// Writes the head row of a new journal; answers with the head of this one.
pub(super) async fn begin_journal(pool: &SqlitePool, epoch: Epoch) -> Result<Revision, sqlx::Error> {
    let query = sqlx::query_scalar(BEGIN_JOURNAL)
        .bind(&epoch.as_bytes()[..])
        .bind(&Link::START.as_bytes()[..]);
    let head: i64 = query.fetch_one(pool).await?;
    revision(head).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// Names the journal anew; answers with its head.
pub(super) async fn new_epoch(pool: &SqlitePool, epoch: Epoch) -> Result<Revision, sqlx::Error> {
    let query = sqlx::query_scalar(NEW_EPOCH).bind(&epoch.as_bytes()[..]);
    let head: i64 = query.fetch_one(pool).await?;
    revision(head).map_err(|error| sqlx::Error::Decode(error.into()))
}

pub(super) async fn commit(
    pool: &SqlitePool,
    key: &RowKey,
    drafts: Vec<Draft>,
) -> Result<(Vec<Outcome>, Revision), StoreError> {
    // IMMEDIATE takes the write lock before the first read: what is read stays true until the end.
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let connection = &mut *transaction;
    let before = read::head(&mut *connection).await?;
    let seen = seen(connection, &drafts).await?;
    let Plan {
        outcomes,
        writes,
        head,
    } = plan(drafts, seen, before)?;
    if !writes.is_empty() {
        write(connection, key, &writes).await?;
        move_head(connection, &before, &head).await?;
    }
    transaction.commit().await?;
    Ok((outcomes, head.revision))
}

pub(super) async fn trim(pool: &SqlitePool, through: Revision) -> Result<(), StoreError> {
    sqlx::query(TRIM).bind(sql(through)).execute(pool).await?;
    Ok(())
}

pub(super) async fn sweep_answers(pool: &SqlitePool, until: Timestamp) -> Result<u64, StoreError> {
    let query = sqlx::query(SWEEP_ANSWERS).bind(until.micros()).bind(SWEEP_MAX);
    Ok(query.execute(pool).await?.rows_affected())
}

async fn seen(connection: &mut SqliteConnection, drafts: &[Draft]) -> Result<Seen, StoreError> {
    let requests: Vec<_> = drafts.iter().map(|draft| draft.request_id).collect();
    let tokens: Vec<_> = drafts
        .iter()
        .filter_map(|draft| draft.change().token_id())
        .collect();
    let mut repeated = HashMap::new();
    for row in sqlx::query(REPEATED)
        .bind(json!(requests).to_string())
        .fetch_all(&mut *connection)
        .await?
    {
        let entry = read::entry(&row)?;
        repeated.insert(entry.request_id, entry);
    }
    let mut versions = HashMap::new();
    for row in sqlx::query(VERSIONS)
        .bind(json!(tokens).to_string())
        .fetch_all(&mut *connection)
        .await?
    {
        let id = TokenId::from_bytes(row.try_get("id")?).map_err(StoreError::corrupt)?;
        versions.insert(id, revision(row.try_get("version")?)?);
    }
    let newest = if changes_namespaces(drafts) {
        let query = sqlx::query_scalar(NEWEST_NAMESPACE);
        query.fetch_one(&mut *connection).await?
    } else {
        0
    };
    let mut seen = Seen {
        repeated,
        versions,
        newest_namespace: revision(newest)?,
        ..Seen::default()
    };
    subjects::see(connection, drafts, &mut seen).await?;
    webhooks::see(connection, drafts, &mut seen).await?;
    Ok(seen)
}

async fn write(
    connection: &mut SqliteConnection,
    key: &RowKey,
    writes: &[(Draft, Entry)],
) -> Result<(), StoreError> {
    let Rows {
        namespaces,
        standings,
        endpoints,
        issued,
        changed,
        rotated,
        answers,
    } = Rows::of(writes, key)?;
    for row in namespaces {
        put_namespace(connection, &row).await?;
    }
    for row in standings {
        subjects::put(connection, &row).await?;
    }
    for row in endpoints {
        webhooks::put(connection, &row).await?;
    }
    let [issued, changed, rotated] =
        [issued, changed, rotated].map(|rows| rows.iter().map(TokenParameter::of).collect::<Vec<_>>());
    // Both tables are filled from the same text.
    let new = text(&issued)?;
    execute(connection, INSERT_TOKENS, new.as_deref(), Some(issued.len())).await?;
    execute(
        connection,
        UPDATE_TOKENS,
        text(&changed)?.as_deref(),
        Some(changed.len()),
    )
    .await?;
    let rotated = text(&rotated)?;
    execute(connection, DELETE_SECRETS, rotated.as_deref(), None).await?;
    for parameter in [&new, &rotated] {
        execute(connection, INSERT_SECRETS, parameter.as_deref(), None).await?;
    }
    let entries: Vec<_> = writes
        .iter()
        .map(|(_, entry)| EntryParameter::of(entry))
        .collect();
    execute(
        connection,
        INSERT_ENTRIES,
        text(&entries)?.as_deref(),
        Some(entries.len()),
    )
    .await?;
    let answers: Vec<_> = answers.into_iter().map(AnswerParameter::of).collect();
    execute(
        connection,
        INSERT_ANSWERS,
        text(&answers)?.as_deref(),
        Some(answers.len()),
    )
    .await
}

async fn put_namespace(connection: &mut SqliteConnection, row: &NamespaceRow<'_>) -> Result<(), StoreError> {
    let NamespaceRow {
        namespace,
        version,
        mac,
    } = *row;
    sqlx::query(PUT_NAMESPACE)
        .bind(namespace.slug.as_str())
        .bind(sql(version))
        .bind(namespace.display_name.as_str())
        .bind(namespace.format.prefix.as_str())
        .bind(json!(namespace.format.body).to_string())
        .bind(namespace.create_time.micros())
        .bind(namespace.update_time.micros())
        .bind(json!(namespace.policy).to_string())
        .bind(&mac[..])
        .bind(namespace.not_before.as_ref().map(|it| it.time.micros()))
        .bind(namespace.not_before.as_ref().map(|it| it.reason.as_str()))
        .execute(connection)
        .await?;
    Ok(())
}

/// Runs `statement` over the rows of `parameter`, and insists on how many it wrote.
async fn execute(
    connection: &mut SqliteConnection,
    statement: &'static str,
    parameter: Option<&str>,
    wanted: Option<usize>,
) -> Result<(), StoreError> {
    let Some(rows) = parameter else {
        return Ok(());
    };
    let query = sqlx::query(statement).bind(rows);
    let written = query.execute(connection).await?.rows_affected();
    wanted.map_or(Ok(()), |wanted| all_written(written, wanted))
}

async fn move_head(connection: &mut SqliteConnection, before: &Head, after: &Head) -> Result<(), StoreError> {
    let query = sqlx::query(MOVE_HEAD)
        .bind(sql(after.revision))
        .bind(&after.link.as_bytes()[..]);
    match query
        .bind(sql(before.revision))
        .execute(connection)
        .await?
        .rows_affected()
    {
        1 => Ok(()),
        _ => Err(StoreError::corrupt(
            "the head moved inside a transaction that held the write lock",
        )),
    }
}
