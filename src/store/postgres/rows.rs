//! Rows as columns: one array a parameter, which `UNNEST` makes rows of again.

use serde::Serialize;
use serde_json::json;
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use uuid::Uuid;

use super::super::batch::TokenRow;
use super::super::columns::sql;
use super::read::uuid;
use crate::journal::{Entry, Revision};
use crate::token::answer::SealedAnswer;
use crate::token::id::TokenId;
use crate::token::phc::Phc;
use crate::token::text::Subject;
use crate::token::time::{Span, Timestamp};
use crate::token::{KeptSecret, Withdrawal};

pub(super) const INSERT_TOKENS: &str = "
    INSERT INTO token (
        id, version, namespace, name, subject, scopes, labels, create_time, expire_time, networks, rate_limit,
        suspend_time, suspend_reason, revoke_time, revoke_reason, mac
    )
    SELECT
        id, version, namespace, name, subject, scopes::jsonb, labels::jsonb, create_time, expire_time,
        networks::jsonb, rate_limit::jsonb, suspend_time, suspend_reason, revoke_time, revoke_reason, mac
    FROM UNNEST(
        $1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
        $9::bigint[], $10::text[], $11::text[], $12::bigint[], $13::text[], $14::bigint[], $15::text[], $16::bytea[]
    ) AS draft (
        id, version, namespace, name, subject, scopes, labels, create_time, expire_time, networks, rate_limit,
        suspend_time, suspend_reason, revoke_time, revoke_reason, mac
    )";

// The guard is here, not only in the plan.
pub(super) const UPDATE_TOKENS: &str = "
    UPDATE token SET
        version = draft.version,
        name = draft.name,
        scopes = draft.scopes::jsonb,
        labels = draft.labels::jsonb,
        expire_time = draft.expire_time,
        networks = draft.networks::jsonb,
        rate_limit = draft.rate_limit::jsonb,
        suspend_time = draft.suspend_time,
        suspend_reason = draft.suspend_reason,
        revoke_time = draft.revoke_time,
        revoke_reason = draft.revoke_reason,
        mac = draft.mac
    FROM UNNEST(
        $1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[],
        $9::text[], $10::bigint[], $11::text[], $12::bigint[], $13::text[], $14::bytea[]
    ) AS draft (
        id, guard, version, name, scopes, labels, expire_time, networks, rate_limit,
        suspend_time, suspend_reason, revoke_time, revoke_reason, mac
    )
    WHERE token.id = draft.id AND token.version = draft.guard";

pub(super) const INSERT_SECRETS: &str = "
    INSERT INTO secret (
        digest, token_id, version, pepper, hint, create_time, retire_time, overlap, first_use_time, reuse_time, phc
    )
    SELECT * FROM UNNEST(
        $1::bytea[], $2::uuid[], $3::bigint[], $4::integer[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[],
        $9::bigint[], $10::bigint[], $11::text[]
    )";

pub(super) const INSERT_ENTRIES: &str = "
    INSERT INTO journal (
        revision, time, actor, request_id, kind, namespace, token_id, subject, endpoint_id, body, link
    )
    SELECT * FROM UNNEST(
        $1::bigint[], $2::bigint[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::uuid[], $8::text[],
        $9::uuid[], $10::bytea[], $11::bytea[]
    )";

pub(super) const INSERT_ANSWERS: &str = "
    INSERT INTO answer (revision, pepper, sealed, expire_time)
    SELECT * FROM UNNEST($1::bigint[], $2::integer[], $3::bytea[], $4::bigint[])";

pub(super) type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// One column of many rows.
fn column<'r, R, T>(rows: &'r [R], value: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

pub(super) fn insert_tokens<'q>(rows: &[TokenRow<'q>]) -> Statement<'q> {
    sqlx::query(INSERT_TOKENS)
        .bind(column(rows, |row| uuid(row.token.id)))
        .bind(column(rows, |row| sql(row.version)))
        .bind(column(rows, |row| row.token.namespace.as_str()))
        .bind(column(rows, |row| row.token.name.as_str()))
        .bind(column(rows, |row| row.token.subject.as_str()))
        .bind(column(rows, |row| json!(row.token.scopes).to_string()))
        .bind(column(rows, |row| json!(row.token.labels).to_string()))
        .bind(column(rows, |row| row.token.create_time.micros()))
        .bind(column(rows, |row| row.token.expire_time.map(Timestamp::micros)))
        .bind(column(rows, |row| optional(row.token.networks.as_ref())))
        .bind(column(rows, |row| optional(row.token.rate_limit.as_ref())))
        .bind(column(rows, |row| time(row.token.suspension.as_ref())))
        .bind(column(rows, |row| reason(row.token.suspension.as_ref())))
        .bind(column(rows, |row| time(row.token.revocation.as_ref())))
        .bind(column(rows, |row| reason(row.token.revocation.as_ref())))
        .bind(column(rows, |row| row.mac.to_vec()))
}

pub(super) fn update_tokens<'q>(rows: &[TokenRow<'q>]) -> Statement<'q> {
    sqlx::query(UPDATE_TOKENS)
        .bind(column(rows, |row| uuid(row.token.id)))
        .bind(column(rows, |row| sql(row.guard)))
        .bind(column(rows, |row| sql(row.version)))
        .bind(column(rows, |row| row.token.name.as_str()))
        .bind(column(rows, |row| json!(row.token.scopes).to_string()))
        .bind(column(rows, |row| json!(row.token.labels).to_string()))
        .bind(column(rows, |row| row.token.expire_time.map(Timestamp::micros)))
        .bind(column(rows, |row| optional(row.token.networks.as_ref())))
        .bind(column(rows, |row| optional(row.token.rate_limit.as_ref())))
        .bind(column(rows, |row| time(row.token.suspension.as_ref())))
        .bind(column(rows, |row| reason(row.token.suspension.as_ref())))
        .bind(column(rows, |row| time(row.token.revocation.as_ref())))
        .bind(column(rows, |row| reason(row.token.revocation.as_ref())))
        .bind(column(rows, |row| row.mac.to_vec()))
}

pub(super) fn insert_secrets<'q>(rows: &[(TokenId, &'q KeptSecret)]) -> Statement<'q> {
    sqlx::query(INSERT_SECRETS)
        .bind(column(rows, |(_, kept)| &kept.digest.as_bytes()[..]))
        .bind(column(rows, |(id, _)| uuid(*id)))
        .bind(column(rows, |(_, kept)| i64::from(kept.version)))
        .bind(column(rows, |(_, kept)| i32::from(kept.pepper.0)))
        .bind(column(rows, |(_, kept)| kept.hint.to_string()))
        .bind(column(rows, |(_, kept)| kept.create_time.micros()))
        .bind(column(rows, |(_, kept)| kept.retire_time.map(Timestamp::micros)))
        .bind(column(rows, |(_, kept)| kept.overlap.map(Span::micros)))
        .bind(column(rows, |(_, kept)| {
            kept.first_use_time.map(Timestamp::micros)
        }))
        .bind(column(rows, |(_, kept)| kept.reuse_time.map(Timestamp::micros)))
        .bind(column(rows, |(_, kept)| kept.phc.as_ref().map(Phc::as_str)))
}

pub(super) fn insert_entries<'q>(entries: &[&'q Entry]) -> Statement<'q> {
    sqlx::query(INSERT_ENTRIES)
        .bind(column(entries, |entry| sql(entry.revision)))
        .bind(column(entries, |entry| entry.time.micros()))
        .bind(column(entries, |entry| entry.actor.as_str()))
        .bind(column(entries, |entry| {
            Uuid::from_bytes(*entry.request_id.as_bytes())
        }))
        .bind(column(entries, |entry| entry.change.kind().as_str()))
        .bind(column(entries, |entry| entry.change.namespace().as_str()))
        .bind(column(entries, |entry| entry.change.token_id().map(uuid)))
        .bind(column(entries, |entry| {
            entry.change.subject().map(Subject::as_str)
        }))
        .bind(column(entries, |entry| {
            entry
                .change
                .endpoint_id()
                .map(|id| Uuid::from_bytes(*id.as_bytes()))
        }))
        .bind(column(entries, |entry| &entry.body[..]))
        .bind(column(entries, |entry| &entry.link.as_bytes()[..]))
}

pub(super) fn insert_answers<'q>(rows: &[(Revision, &'q SealedAnswer)]) -> Statement<'q> {
    sqlx::query(INSERT_ANSWERS)
        .bind(column(rows, |(revision, _)| sql(*revision)))
        .bind(column(rows, |(_, answer)| i32::from(answer.pepper.0)))
        .bind(column(rows, |(_, answer)| &answer.sealed[..]))
        .bind(column(rows, |(_, answer)| answer.expire_time.micros()))
}

fn optional<T: Serialize>(value: Option<&T>) -> Option<String> {
    value.map(|value| json!(value).to_string())
}

fn time(withdrawal: Option<&Withdrawal>) -> Option<i64> {
    withdrawal.map(|withdrawal| withdrawal.time.micros())
}

fn reason(withdrawal: Option<&Withdrawal>) -> Option<&str> {
    withdrawal.map(|withdrawal| withdrawal.reason.as_str())
}
