//! Writing drafts and their entries: one transaction, a handful of statements however many drafts.
//!
//! Whoever holds the counter row is the only one who writes, in all replicas: it is locked last, when all
//! that can be waited for has been, and from then on nothing waits but for the disk.

use std::collections::HashMap;

use serde_json::json;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::super::batch::{NamespaceRow, Plan, Rows, Seen, all_written, changes_namespaces, plan};
use super::super::columns::{revision, sql};
use super::super::peppers::to_keep;
use super::super::{Head, Outcome, SWEEP_MAX, StoreError};
use super::fault::{Class, Fault};
use super::ground::not_behind;
use super::lane::Lane;
use super::read::{self, uuid};
use super::rows::{Statement, insert_answers, insert_entries, insert_secrets, insert_tokens, update_tokens};
use super::{subjects, webhooks};
use crate::journal::{Draft, Entry, Revision};
use crate::token::id::TokenId;
use crate::token::secret::{Peppers, RowKey};
use crate::token::time::Timestamp;

/// How often a transaction that was in somebody's way, or lost its connection, is tried in all.
const TRIES_MAX: u32 = 4;

pub(super) const BEGIN: &str = "BEGIN";

// Changes to namespaces are guarded by the newest change to any of them, so they queue. Tokens of a
// namespace are issued all the while.
pub(super) const LOCK_NAMESPACES: &str = "LOCK TABLE namespace IN SHARE ROW EXCLUSIVE MODE";

pub(super) const REPEATED: &str = "SELECT body, link FROM journal WHERE request_id = ANY($1)";

// In the same order everywhere, so that two transactions never wait for one another.
pub(super) const VERSIONS: &str = "
    SELECT id, version FROM token WHERE id = ANY($1) ORDER BY id FOR UPDATE";

pub(super) const NEWEST_NAMESPACE: &str = "SELECT coalesce(max(version), 0) FROM namespace";

pub(super) const LOCK_HEAD: &str = "
    SELECT epoch, revision, link, (SELECT min(revision) FROM journal) AS oldest
    FROM journal_head FOR UPDATE OF journal_head";

pub(super) const DELETE_SECRETS: &str = "DELETE FROM secret WHERE token_id = ANY($1)";

pub(super) const PUT_NAMESPACE: &str = "
    INSERT INTO namespace (
        slug, version, display_name, prefix, body, create_time, update_time, policy, mac, not_before_time,
        not_before_reason
    )
    VALUES ($1, $2, $3, $4, $5::text::jsonb, $6, $7, $8::text::jsonb, $9, $10, $11)
    ON CONFLICT (slug) DO UPDATE SET
        version = excluded.version, display_name = excluded.display_name,
        update_time = excluded.update_time, policy = excluded.policy, mac = excluded.mac,
        not_before_time = excluded.not_before_time, not_before_reason = excluded.not_before_reason";

// Listeners hear of it with the commit, and never without. It says that there is something to read, not what.
pub(super) const MOVE_HEAD: &str = "
    WITH moved AS (
        UPDATE journal_head SET revision = $1, link = $2 WHERE revision = $3 RETURNING revision
    )
    SELECT pg_notify('tokenward_journal', '') FROM moved";

pub(super) const COMMIT: &str = "COMMIT";

pub(super) const ROLLBACK: &str = "ROLLBACK";

pub(super) const TRIM: &str = "
    DELETE FROM journal WHERE revision <= $1 AND revision < (SELECT revision FROM journal_head)";

// Servers that sweep at once do not wait for one another: what one has locked is gone soon enough.
pub(super) const SWEEP_ANSWERS: &str = "
    DELETE FROM answer WHERE revision = ANY (ARRAY(
        SELECT revision FROM answer WHERE expire_time <= $1 ORDER BY expire_time LIMIT $2
        FOR UPDATE SKIP LOCKED
    ))";
pub(super) const PUT_PEPPER: &str = "
    INSERT INTO pepper (id, fingerprint) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";

pub(super) async fn put_peppers(connection: &mut PgConnection, peppers: &Peppers) -> Result<(), Fault> {
    for (id, fingerprint) in to_keep(peppers) {
        let query = sqlx::query(PUT_PEPPER).bind(id).bind(fingerprint.to_vec());
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Writes `drafts`; answers with the head they leave behind.
pub(super) async fn commit(
    lane: &Lane,
    key: &RowKey,
    drafts: &[Draft],
) -> Result<(Vec<Outcome>, Head), Fault> {
    let mut tries = 1;
    loop {
        let mut held = lane.hold().await?;
        let seen = held.seen;
        let answer = attempt(&mut held, key, drafts, seen.as_ref()).await;
        match held.settle(answer) {
            Err(fault) if tries < TRIES_MAX && matches!(fault.class(), Class::Retry | Class::Reconnect) => {
                tracing::debug!(%fault, tries, "nothing is written yet");
                tries += 1;
            }
            settled => return settled,
        }
    }
}

pub(super) async fn trim(connection: &mut PgConnection, through: Revision) -> Result<(), Fault> {
    sqlx::query(TRIM).bind(sql(through)).execute(connection).await?;
    Ok(())
}

pub(super) async fn sweep_answers(connection: &mut PgConnection, until: Timestamp) -> Result<u64, Fault> {
    let query = sqlx::query(SWEEP_ANSWERS)
        .bind(until.micros())
        .bind(i64::from(SWEEP_MAX));
    Ok(query.execute(connection).await?.rows_affected())
}

async fn attempt(
    connection: &mut PgConnection,
    key: &RowKey,
    drafts: &[Draft],
    seen_head: Option<&Head>,
) -> Result<(Vec<Outcome>, Head), Fault> {
    sqlx::raw_sql(BEGIN).execute(&mut *connection).await?;
    let mut seen = seen(connection, drafts).await?;
    let row = sqlx::query(LOCK_HEAD).fetch_one(&mut *connection).await?;
    let before = read::head_in(&row)?;
    not_behind(&before, seen_head)?;
    subjects::see_counts(connection, drafts, &mut seen).await?;
    let Plan {
        outcomes,
        writes,
        head,
    } = plan(drafts.to_vec(), seen, before)?;
    if writes.is_empty() {
        sqlx::raw_sql(ROLLBACK).execute(connection).await?;
        return Ok((outcomes, head));
    }
    write(connection, key, &writes).await?;
    move_head(connection, &before, &head).await?;
    let committed = sqlx::raw_sql(COMMIT).execute(connection).await;
    committed.map_err(Fault::at_commit)?;
    Ok((outcomes, head))
}

async fn seen(connection: &mut PgConnection, drafts: &[Draft]) -> Result<Seen, Fault> {
    let requests: Vec<_> = drafts
        .iter()
        .map(|draft| Uuid::from_bytes(*draft.request_id.as_bytes()))
        .collect();
    let tokens: Vec<_> = drafts
        .iter()
        .filter_map(|draft| draft.change().token_id().map(uuid))
        .collect();
    let of_namespaces = changes_namespaces(drafts);
    if of_namespaces {
        sqlx::raw_sql(LOCK_NAMESPACES).execute(&mut *connection).await?;
    }
    let mut seen = Seen::default();
    subjects::see(connection, drafts, &mut seen).await?;
    webhooks::see(connection, drafts, &mut seen).await?;
    let mut repeated = HashMap::new();
    let query = sqlx::query(REPEATED).bind(requests);
    for row in query.fetch_all(&mut *connection).await? {
        let entry = read::entry(&row)?;
        repeated.insert(entry.request_id, entry);
    }
    let mut versions = HashMap::new();
    if !tokens.is_empty() {
        let query = sqlx::query(VERSIONS).bind(tokens);
        for row in query.fetch_all(&mut *connection).await? {
            let id: Uuid = row.try_get("id")?;
            let id = TokenId::from_bytes(id.as_bytes()).map_err(StoreError::corrupt)?;
            versions.insert(id, revision(row.try_get("version")?)?);
        }
    }
    let newest = if of_namespaces {
        sqlx::query_scalar(NEWEST_NAMESPACE).fetch_one(connection).await?
    } else {
        0
    };
    Ok(Seen {
        repeated,
        versions,
        newest_namespace: revision(newest)?,
        ..seen
    })
}

async fn write(connection: &mut PgConnection, key: &RowKey, writes: &[(Draft, Entry)]) -> Result<(), Fault> {
    let Rows {
        namespaces,
        standings,
        endpoints,
        mut issued,
        changed,
        mut rotated,
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
    if !issued.is_empty() {
        execute(connection, insert_tokens(&issued), issued.len()).await?;
    }
    if !changed.is_empty() {
        execute(connection, update_tokens(&changed), changed.len()).await?;
    }
    if !rotated.is_empty() {
        let ids: Vec<_> = rotated.iter().map(|row| uuid(row.token.id)).collect();
        let query = sqlx::query(DELETE_SECRETS).bind(ids);
        query.execute(&mut *connection).await?;
    }
    issued.append(&mut rotated);
    let kept: Vec<_> = issued
        .iter()
        .flat_map(|row| row.token.secrets.iter().map(|kept| (row.token.id, kept)))
        .collect();
    if !kept.is_empty() {
        execute(connection, insert_secrets(&kept), kept.len()).await?;
    }
    let entries: Vec<_> = writes.iter().map(|(_, entry)| entry).collect();
    execute(connection, insert_entries(&entries), entries.len()).await?;
    if !answers.is_empty() {
        execute(connection, insert_answers(&answers), answers.len()).await?;
    }
    Ok(())
}

/// Runs `statement`, and insists on how many rows it wrote.
async fn execute(
    connection: &mut PgConnection,
    statement: Statement<'_>,
    wanted: usize,
) -> Result<(), Fault> {
    let written = statement.execute(connection).await?.rows_affected();
    Ok(all_written(written, wanted)?)
}

async fn move_head(connection: &mut PgConnection, before: &Head, after: &Head) -> Result<(), Fault> {
    let statement = sqlx::query(MOVE_HEAD)
        .bind(sql(after.revision))
        .bind(&after.link.as_bytes()[..])
        .bind(sql(before.revision));
    execute(connection, statement, 1).await
}

async fn put_namespace(connection: &mut PgConnection, row: &NamespaceRow<'_>) -> Result<(), Fault> {
    let NamespaceRow {
        namespace,
        version,
        mac,
    } = row;
    let statement = sqlx::query(PUT_NAMESPACE)
        .bind(namespace.slug.as_str())
        .bind(sql(*version))
        .bind(namespace.display_name.as_str())
        .bind(namespace.format.prefix.as_str())
        .bind(json!(namespace.format.body).to_string())
        .bind(namespace.create_time.micros())
        .bind(namespace.update_time.micros())
        .bind(json!(namespace.policy).to_string())
        .bind(&mac[..])
        .bind(namespace.not_before.as_ref().map(|it| it.time.micros()))
        .bind(namespace.not_before.as_ref().map(|it| it.reason.as_str()));
    execute(connection, statement, 1).await
}
