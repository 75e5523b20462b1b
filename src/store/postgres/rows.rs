//! Rows as columns: one array a parameter, which `UNNEST` makes rows of again.

use serde_json::json;
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use uuid::Uuid;

use super::super::batch::TokenRow;
use super::super::columns::sql;
use super::commit::{INSERT_ENTRIES, INSERT_SECRETS, INSERT_TOKENS, UPDATE_TOKENS};
use super::read::uuid;
use crate::journal::Entry;
use crate::token::id::TokenId;
use crate::token::time::Timestamp;
use crate::token::{KeptSecret, Withdrawal};

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
        .bind(column(rows, |row| time(row.token.suspension.as_ref())))
        .bind(column(rows, |row| reason(row.token.suspension.as_ref())))
        .bind(column(rows, |row| time(row.token.revocation.as_ref())))
        .bind(column(rows, |row| reason(row.token.revocation.as_ref())))
}

pub(super) fn update_tokens<'q>(rows: &[TokenRow<'q>]) -> Statement<'q> {
    sqlx::query(UPDATE_TOKENS)
        .bind(column(rows, |row| uuid(row.token.id)))
        .bind(column(rows, |row| sql(row.guard)))
        .bind(column(rows, |row| sql(row.version)))
        .bind(column(rows, |row| time(row.token.suspension.as_ref())))
        .bind(column(rows, |row| reason(row.token.suspension.as_ref())))
        .bind(column(rows, |row| time(row.token.revocation.as_ref())))
        .bind(column(rows, |row| reason(row.token.revocation.as_ref())))
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
        .bind(column(entries, |entry| &entry.body[..]))
        .bind(column(entries, |entry| &entry.link.as_bytes()[..]))
}

fn time(withdrawal: Option<&Withdrawal>) -> Option<i64> {
    withdrawal.map(|withdrawal| withdrawal.time.micros())
}

fn reason(withdrawal: Option<&Withdrawal>) -> Option<&str> {
    withdrawal.map(|withdrawal| withdrawal.reason.as_str())
}
