//! Reading tokens, namespaces and the journal. Each function is one statement, and so one snapshot.

use std::collections::BTreeSet;

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, SqliteExecutor};

use super::super::mac::{self, Heard, RawRow};
use super::super::peppers::KnownPeppers;
use super::super::select::Named;
use super::super::{BadRow, EntryFilter, Head, Look, StoreError, TO_TRY_MAX, directory_of};
use super::{link, revision, sql, subjects};
use crate::journal::cursor::Epoch;
use crate::journal::{Entry, Revision, Stored};
use crate::token::Token;
use crate::token::answer::SealedAnswer;
use crate::token::format::Hint;
use crate::token::id::{RequestDigest, Slug, TokenId};
use crate::token::namespace::{Directory, Namespace};
use crate::token::secret::{Digest, PepperId, RowKey};
use crate::token::standing::Standing;
use crate::token::time::Timestamp;

pub(super) const TOKEN: &str = "
    SELECT id, version, record, mac, newest, (SELECT min(revision) FROM journal) AS oldest
    FROM token_record WHERE id = $1";

// The head is read with the rows: a fill is fenced by what the rows are known to reflect. So is what the journal
// says of each, or a commit in between would make a row look outdated. What has to be tried has no place.
pub(super) const LOOK_UP: &str = "
    WITH found (place, token_id) AS (
        SELECT asked.key, secret.token_id
        FROM json_each($1) AS asked LEFT JOIN secret ON secret.digest = unhex(asked.value)
        UNION ALL
        SELECT NULL, begun.id
        FROM json_each($2) AS asked JOIN token AS begun ON begun.id IN (
            SELECT token_id FROM secret
            WHERE hint = asked.value AND phc IS NOT NULL ORDER BY token_id LIMIT $3
        )
    )
    SELECT
        (SELECT revision FROM journal_head) AS fence, (SELECT min(revision) FROM journal) AS oldest,
        place, token_record.id, token_record.version, token_record.record, token_record.mac, token_record.newest,
        subject_record.version AS subject_version, subject_record.record AS subject_record,
        subject_record.mac AS subject_mac, (
            SELECT max(revision) FROM journal
            WHERE journal.namespace = token.namespace AND journal.subject = token.subject
        ) AS subject_newest
    FROM found
    LEFT JOIN token_record ON token_record.id = found.token_id
    LEFT JOIN token ON token.id = found.token_id
    LEFT JOIN subject_record
        ON subject_record.namespace = token.namespace AND subject_record.subject = token.subject
    ORDER BY place, found.token_id";

pub(super) const NAMED: &str = "
    SELECT
        token_record.id, token_record.version, token_record.record, token_record.mac, token_record.newest,
        (SELECT min(revision) FROM journal) AS oldest,
        subject_record.version AS subject_version, subject_record.record AS subject_record,
        subject_record.mac AS subject_mac, (
            SELECT max(revision) FROM journal
            WHERE journal.namespace = token.namespace AND journal.subject = token.subject
        ) AS subject_newest
    FROM token
    JOIN token_record ON token_record.id = token.id
    LEFT JOIN subject_record
        ON subject_record.namespace = token.namespace AND subject_record.subject = token.subject
    WHERE token.id IN (SELECT unhex(value, '-') FROM json_each($1))";

pub(super) const DIRECTORY: &str = "
    SELECT slug, mac, version, (SELECT min(revision) FROM journal) AS oldest, (
        SELECT max(revision) FROM journal
        WHERE journal.namespace = namespace.slug AND token_id IS NULL AND subject IS NULL
            AND endpoint_id IS NULL
    ) AS newest, json_object(
        'slug', slug,
        'display_name', display_name,
        'format', json_object('prefix', prefix, 'body', CASE WHEN json_valid(body) THEN json(body) END),
        'policy', CASE WHEN json_valid(policy) THEN json(policy) END,
        'not_before', CASE WHEN not_before_time IS NOT NULL
            THEN json_object('time', not_before_time, 'reason', not_before_reason) END,
        'create_time', create_time,
        'update_time', update_time
    ) AS record
    FROM namespace";

pub(super) const ENTRIES: &str =
    "SELECT body, link FROM journal WHERE revision > $1 ORDER BY revision LIMIT $2";

pub(super) const ENTRIES_OF_TOKEN: &str = "
    SELECT body, link FROM journal
    WHERE token_id = $1 AND revision > $2 AND ($3 IS NULL OR namespace = $3)
    ORDER BY revision LIMIT $4";

pub(super) const ENTRIES_OF_NAMESPACE: &str =
    "SELECT body, link FROM journal WHERE namespace = $1 AND revision > $2 ORDER BY revision LIMIT $3";

pub(super) const ENTRY_OF_REQUEST: &str = "SELECT body, link FROM journal WHERE request_id = $1";

pub(super) const ANSWER: &str = "SELECT pepper, sealed, expire_time FROM answer WHERE revision = $1";

pub(super) const HEAD: &str = "
    SELECT epoch, revision, link, (SELECT min(revision) FROM journal) AS oldest
    FROM journal_head";

pub(super) const PEPPERS: &str = "SELECT id, fingerprint FROM pepper";

pub(super) async fn peppers<'e>(executor: impl SqliteExecutor<'e>) -> Result<KnownPeppers, StoreError> {
    let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(PEPPERS).fetch_all(executor).await?;
    KnownPeppers::of(rows)
}

pub(super) async fn token(
    pool: &SqlitePool,
    key: &RowKey,
    id: TokenId,
) -> Result<Option<Stored<Token>>, StoreError> {
    let row = token_row(pool, id).await?;
    row.map(|row| Ok(checked(key, &row)??)).transpose()
}

/// The token with this id, whoever wrote its row.
pub(super) async fn token_unchecked<'e>(
    executor: impl SqliteExecutor<'e>,
    id: TokenId,
) -> Result<Option<Stored<Token>>, StoreError> {
    let row = token_row(executor, id).await?;
    row.map(|row| mac::unchecked(&raw(&row)?)).transpose()
}

async fn token_row<'e>(
    executor: impl SqliteExecutor<'e>,
    id: TokenId,
) -> Result<Option<SqliteRow>, StoreError> {
    let query = sqlx::query(TOKEN).bind(id.as_bytes().to_vec());
    Ok(query.fetch_optional(executor).await?)
}

pub(super) async fn look_up(
    pool: &SqlitePool,
    key: &RowKey,
    digests: &[Digest],
    hints: &[Hint],
) -> Result<Look, StoreError> {
    let query = sqlx::query(LOOK_UP)
        .bind(serde_json::to_string(digests).map_err(StoreError::corrupt)?)
        .bind(serde_json::to_string(hints).map_err(StoreError::corrupt)?)
        .bind(TO_TRY_MAX);
    let rows = query.fetch_all(pool).await?;
    let fence = rows.first().map_or(Ok(0), |row| row.try_get("fence"))?;
    let mut look = Look {
        tokens: Vec::with_capacity(digests.len()),
        standings: Vec::with_capacity(digests.len()),
        to_try: Vec::new(),
        fence: revision(fence)?,
    };
    for row in &rows {
        let found = looked_up(key, row)?;
        if row.try_get::<Option<i64>, _>("place")?.is_none() {
            look.to_try.extend(found.ok().flatten());
            continue;
        }
        let (token, standing) = match found {
            Ok(Some((token, standing))) => (Ok(Some(token)), standing),
            Ok(None) => (Ok(None), None),
            Err(bad) => (Err(bad), None),
        };
        look.tokens.push(token);
        look.standings.push(standing);
    }
    look.to_try.dedup_by_key(|(token, _)| token.id);
    Ok(look)
}

/// The tokens with these ids that there are.
pub(super) async fn named(
    pool: &SqlitePool,
    key: &RowKey,
    ids: &BTreeSet<TokenId>,
) -> Result<Vec<Named>, StoreError> {
    let ids = serde_json::to_string(ids).map_err(StoreError::corrupt)?;
    let rows = sqlx::query(NAMED).bind(ids).fetch_all(pool).await?;
    let named = rows.iter().map(|row| Ok(found(key, row)??));
    named.collect()
}

type LookedUp = Option<(Token, Option<Standing>)>;

/// What [`found`] finds, if there is a token in the row.
fn looked_up(key: &RowKey, row: &SqliteRow) -> Result<Result<LookedUp, BadRow>, StoreError> {
    if row.try_get::<Option<&[u8]>, _>("id")?.is_none() {
        return Ok(Ok(None));
    }
    let found = found(key, row)?;
    Ok(found.map(|(stored, standing)| Some((stored.record, standing))))
}

/// The token in a row with what is said of its subject: both as they were written last, or neither.
fn found(key: &RowKey, row: &SqliteRow) -> Result<Result<Named, BadRow>, StoreError> {
    let stored = match checked(key, row)? {
        Ok(stored) => stored,
        Err(bad) => return Ok(Err(bad)),
    };
    let standing = subjects::of_token(key, &stored.record, row)?;
    Ok(standing.map(|standing| (stored, standing.map(|stored| stored.record))))
}

pub(super) async fn directory(pool: &SqlitePool, key: &RowKey) -> Result<Stored<Directory>, StoreError> {
    let rows = sqlx::query(DIRECTORY).fetch_all(pool).await?;
    let namespace = |row: &SqliteRow| {
        Ok(mac::namespace(
            key,
            row.try_get("slug")?,
            &raw(row)?,
            heard(row)?,
        )?)
    };
    let namespaces: Vec<_> = rows.iter().map(namespace).collect::<Result<_, StoreError>>()?;
    Ok(directory_of(namespaces))
}

/// All namespaces, whoever wrote their rows.
pub(super) async fn namespaces_unchecked<'e>(
    executor: impl SqliteExecutor<'e>,
) -> Result<Vec<Stored<Namespace>>, StoreError> {
    let rows = sqlx::query(DIRECTORY).fetch_all(executor).await?;
    rows.iter().map(|row| mac::unchecked(&raw(row)?)).collect()
}

pub(super) async fn entries<'e>(
    executor: impl SqliteExecutor<'e>,
    after: Revision,
    filter: &EntryFilter,
    limit: u32,
) -> Result<Vec<Entry>, StoreError> {
    let namespace = filter.namespace.as_ref().map(Slug::as_str);
    let query = match (filter.token_id, namespace) {
        (Some(id), namespace) => sqlx::query(ENTRIES_OF_TOKEN)
            .bind(id.as_bytes().to_vec())
            .bind(sql(after))
            .bind(namespace),
        (None, Some(namespace)) => sqlx::query(ENTRIES_OF_NAMESPACE).bind(namespace).bind(sql(after)),
        (None, None) => sqlx::query(ENTRIES).bind(sql(after)),
    };
    let rows = query.bind(limit).fetch_all(executor).await?;
    rows.iter().map(entry).collect()
}

pub(super) async fn entry_of_request(
    pool: &SqlitePool,
    request_id: RequestDigest,
) -> Result<Option<Entry>, StoreError> {
    let row = sqlx::query(ENTRY_OF_REQUEST)
        .bind(&request_id.as_bytes()[..])
        .fetch_optional(pool)
        .await?;
    row.as_ref().map(entry).transpose()
}

pub(super) async fn answer(
    pool: &SqlitePool,
    revision: Revision,
) -> Result<Option<SealedAnswer>, StoreError> {
    let query = sqlx::query(ANSWER).bind(sql(revision));
    let Some(row) = query.fetch_optional(pool).await? else {
        return Ok(None);
    };
    Ok(Some(SealedAnswer {
        pepper: PepperId(row.try_get("pepper")?),
        sealed: row.try_get("sealed")?,
        expire_time: Timestamp::from_micros(row.try_get("expire_time")?).map_err(StoreError::corrupt)?,
    }))
}

pub(super) async fn head<'e>(executor: impl SqliteExecutor<'e>) -> Result<Head, StoreError> {
    let row = sqlx::query(HEAD).fetch_one(executor).await?;
    let head = revision(row.try_get("revision")?)?;
    let oldest: Option<i64> = row.try_get("oldest")?;
    Ok(Head {
        epoch: Epoch::from_bytes(row.try_get("epoch")?).map_err(StoreError::corrupt)?,
        revision: head,
        link: link(row.try_get("link")?)?,
        oldest: oldest.map_or(Ok(head.next()), revision)?,
    })
}

pub(super) fn entry(row: &SqliteRow) -> Result<Entry, StoreError> {
    Entry::open(row.try_get("body")?, link(row.try_get("link")?)?).map_err(StoreError::corrupt)
}

pub(super) fn checked(key: &RowKey, row: &SqliteRow) -> Result<Result<Stored<Token>, BadRow>, StoreError> {
    Ok(mac::token(key, row.try_get("id")?, &raw(row)?, heard(row)?))
}

fn heard(row: &SqliteRow) -> Result<Heard, StoreError> {
    Ok(Heard {
        newest: row.try_get("newest")?,
        oldest: row.try_get("oldest")?,
    })
}

fn raw(row: &SqliteRow) -> Result<RawRow<'_>, StoreError> {
    Ok(RawRow {
        version: row.try_get("version")?,
        // Bytes that are no text are the row's own fault, not that of the statement.
        record: row.try_get("record").ok(),
        mac: row.try_get("mac")?,
    })
}
