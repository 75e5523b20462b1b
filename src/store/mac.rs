//! The MAC of a row: what is written here and read again is believed, and nothing else that lies in a database.
//!
//! It covers the whole record and its version. That an older state of a row, with the MAC it had then, is no longer
//! the row is for the journal to say: the version must be the last revision that concerned the record.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::types::Uuid;

use super::columns::revision;
use super::{BadRow, StoreError, Wrong};
use crate::journal::{Revision, Stored};
use crate::token::Token;
use crate::token::namespace::Namespace;
use crate::token::secret::RowKey;
use crate::token::standing::Standing;
use crate::token::webhook::{Endpoint, EndpointId};

/// The MAC that a row carries.
pub(super) type RowMac = [u8; 32];

/// A row as it was read, before any of it is believed. Whatever cannot be read of it is `None`.
#[derive(Debug)]
pub(super) struct RawRow<'r> {
    pub version: i64,
    pub record: Option<&'r str>,
    pub mac: Option<&'r [u8]>,
}

/// What the journal says of a record, read in the same statement as its row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    /// The last entry kept that concerned it.
    pub newest: Option<i64>,
    /// The oldest entry kept of all.
    pub oldest: Option<i64>,
}

pub(super) fn of_token(key: &RowKey, token: &Token, version: Revision) -> Result<RowMac, StoreError> {
    of("token", key, token, version)
}

pub(super) fn of_namespace(
    key: &RowKey,
    namespace: &Namespace,
    version: Revision,
) -> Result<RowMac, StoreError> {
    of("namespace", key, namespace, version)
}

pub(super) fn of_standing(
    key: &RowKey,
    standing: &Standing,
    version: Revision,
) -> Result<RowMac, StoreError> {
    of("subject", key, standing, version)
}

pub(super) fn of_endpoint(
    key: &RowKey,
    endpoint: &Endpoint,
    version: Revision,
) -> Result<RowMac, StoreError> {
    of("webhook", key, endpoint, version)
}

/// The endpoint in a row, if it is what was written last.
pub(super) fn endpoint(
    key: &RowKey,
    id: EndpointId,
    row: &RawRow<'_>,
    heard: Heard,
) -> Result<Stored<Endpoint>, BadRow> {
    opened("webhook", key, row)
        .and_then(|stored: Stored<Endpoint>| (stored.record.id == id).then_some(stored).ok_or(Wrong::Forged))
        .and_then(|stored| current(stored, heard))
        .map_err(|wrong| named(format!("webhook {id}"), wrong))
}

/// The token in a row, if it is what was written last. What is refused goes to the log, by name.
pub(super) fn token(
    key: &RowKey,
    id: &[u8],
    row: &RawRow<'_>,
    heard: Heard,
) -> Result<Stored<Token>, BadRow> {
    opened("token", key, row)
        .and_then(|stored| current(stored, heard))
        .map_err(|wrong| named(format!("token {}", shown(id)), wrong))
}

/// The namespace in a row, if it is what was written last.
pub(super) fn namespace(
    key: &RowKey,
    slug: &str,
    row: &RawRow<'_>,
    heard: Heard,
) -> Result<Stored<Namespace>, BadRow> {
    opened("namespace", key, row)
        .and_then(|stored| current(stored, heard))
        .map_err(|wrong| named(format!("namespace {slug}"), wrong))
}

/// What is said of the subject of this name, if it is what was written last. `row` is `None` where there is none: then
/// the journal must have heard of none, or whoever took the row away has resumed the subject.
pub(super) fn standing(
    key: &RowKey,
    (namespace, subject): (&str, &str),
    row: Option<&RawRow<'_>>,
    heard: Heard,
) -> Result<Option<Stored<Standing>>, BadRow> {
    let read = match row {
        Some(row) => opened("subject", key, row)
            .and_then(|stored: Stored<Standing>| {
                let own = stored.record.namespace.as_str() == namespace
                    && stored.record.subject.as_str() == subject;
                own.then_some(stored).ok_or(Wrong::Forged)
            })
            .and_then(|stored| current(stored, heard))
            .map(Some),
        None => match heard.newest.map(revision) {
            None => Ok(None),
            Some(Ok(newest)) => Err(Wrong::Gone { newest }),
            Some(Err(_)) => Err(Wrong::Unreadable),
        },
    };
    read.map_err(|wrong| named(format!("subject {subject} of {namespace}"), wrong))
}

/// The record in a row, whoever wrote it: for an audit, which has no key and compares it with the journal.
pub(super) fn unchecked<T: DeserializeOwned>(row: &RawRow<'_>) -> Result<Stored<T>, StoreError> {
    let record = row.record.ok_or_else(|| StoreError::corrupt("it is not text"))?;
    Ok(Stored {
        record: serde_json::from_str(record).map_err(StoreError::corrupt)?,
        version: revision(row.version)?,
    })
}

/// Which token a row is of, though its id may be no id.
fn shown(id: &[u8]) -> String {
    match Uuid::from_slice(id) {
        Ok(id) => id.to_string(),
        Err(_) => data_encoding::HEXLOWER.encode(id),
    }
}

fn named(record: String, wrong: Wrong) -> BadRow {
    tracing::error!(%record, %wrong, "a row is not what was written here, and is refused: find out who wrote to the store");
    BadRow { record, wrong }
}

fn of<T: Serialize>(kind: &str, key: &RowKey, record: &T, version: Revision) -> Result<RowMac, StoreError> {
    Ok(key.mac(&canonical(kind, record, version).map_err(StoreError::corrupt)?))
}

/// The bytes that a MAC is over: a published form, for rows that were written with it must stay readable. A field
/// that is added later is left out where it has the value that all had before.
fn canonical<T: Serialize>(kind: &str, record: &T, version: Revision) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&(kind, version, record))
}

fn opened<T: Serialize + DeserializeOwned>(
    kind: &str,
    key: &RowKey,
    row: &RawRow<'_>,
) -> Result<Stored<T>, Wrong> {
    let stored: Stored<T> = unchecked(row).map_err(|_| Wrong::Unreadable)?;
    let mac = row.mac.ok_or(Wrong::Unsealed)?;
    let bytes = canonical(kind, &stored.record, stored.version).map_err(|_| Wrong::Unreadable)?;
    if key.holds(&bytes, mac) {
        Ok(stored)
    } else {
        Err(Wrong::Forged)
    }
}

/// Whether the row is the newest the journal knows of.
fn current<T>(stored: Stored<T>, heard: Heard) -> Result<Stored<T>, Wrong> {
    let version = stored.version;
    let readable = |found: Option<i64>| found.map(revision).transpose().map_err(|_| Wrong::Unreadable);
    match (readable(heard.newest)?, readable(heard.oldest)?) {
        (Some(newest), _) if newest == version => Ok(stored),
        (Some(newest), _) => Err(Wrong::Outdated { version, newest }),
        // Its last entry was trimmed.
        (None, Some(oldest)) if version < oldest => Ok(stored),
        (None, _) => Err(Wrong::UnheardOf { version }),
    }
}

#[cfg(test)]
mod tests;
