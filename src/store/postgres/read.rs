//! Reading tokens, namespaces and the journal. Each function is one statement, and so one snapshot.

use std::collections::BTreeSet;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::super::columns::{link, revision, sql};
use super::super::mac::{self, Heard, RawRow};
use super::super::peppers::KnownPeppers;
use super::super::select::Named;
use super::super::{BadRow, EntryFilter, Head, Look, StoreError, TO_TRY_MAX, directory_of};
use super::fault::Fault;
use super::subjects;
use crate::journal::cursor::Epoch;
use crate::journal::{Entry, Revision, Stored};
use crate::token::Token;
use crate::token::answer::SealedAnswer;
use crate::token::format::Hint;
use crate::token::id::{RequestDigest, Slug, TokenId};
use crate::token::namespace::Directory;
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
        SELECT asked.place, secret.token_id
        FROM UNNEST($1::bytea[]) WITH ORDINALITY AS asked (digest, place)
        LEFT JOIN secret ON secret.digest = asked.digest
        UNION ALL
        SELECT NULL, begun.token_id
        FROM UNNEST($2::text[]) AS asked (hint), LATERAL (
            SELECT token_id FROM secret
            WHERE hint = asked.hint AND phc IS NOT NULL ORDER BY token_id LIMIT $3
        ) AS begun
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
    WHERE token.id = ANY($1::uuid[])";

pub(super) const DIRECTORY: &str = "
    SELECT slug, mac, version, (SELECT min(revision) FROM journal) AS oldest, (
        SELECT max(revision) FROM journal
        WHERE journal.namespace = namespace.slug AND token_id IS NULL AND subject IS NULL
            AND endpoint_id IS NULL
    ) AS newest, json_build_object(
        'slug', slug,
        'display_name', display_name,
        'format', json_build_object('prefix', prefix, 'body', body),
        'policy', policy,
        'not_before', CASE WHEN not_before_time IS NOT NULL
            THEN json_build_object('time', not_before_time, 'reason', not_before_reason) END,
        'create_time', create_time,
        'update_time', update_time
    )::text AS record
    FROM namespace";

pub(super) const ENTRIES: &str =
    "SELECT body, link FROM journal WHERE revision > $1 ORDER BY revision LIMIT $2";

pub(super) const ENTRIES_OF_TOKEN: &str = "
    SELECT body, link FROM journal
    WHERE token_id = $1 AND revision > $2 AND ($3::text IS NULL OR namespace = $3)
    ORDER BY revision LIMIT $4";

pub(super) const ENTRIES_OF_NAMESPACE: &str =
    "SELECT body, link FROM journal WHERE namespace = $1 AND revision > $2 ORDER BY revision LIMIT $3";

pub(super) const ENTRY_OF_REQUEST: &str = "SELECT body, link FROM journal WHERE request_id = $1";

pub(super) const ANSWER: &str = "SELECT pepper, sealed, expire_time FROM answer WHERE revision = $1";

pub(super) const HEAD: &str = "
    SELECT epoch, revision, link, (SELECT min(revision) FROM journal) AS oldest
    FROM journal_head";

pub(super) const PEPPERS: &str = "SELECT id::bigint, fingerprint FROM pepper";

pub(super) async fn peppers(connection: &mut PgConnection) -> Result<KnownPeppers, Fault> {
    let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(PEPPERS).fetch_all(connection).await?;
    Ok(KnownPeppers::of(rows)?)
}

pub(super) async fn token(
    connection: &mut PgConnection,
    key: &RowKey,
    id: TokenId,
) -> Result<Option<Stored<Token>>, Fault> {
    let query = sqlx::query(TOKEN).bind(uuid(id));
    let row = query.fetch_optional(connection).await?;
    row.map(|row| Ok(checked(key, &row)??)).transpose()
}

pub(super) async fn look_up(
    connection: &mut PgConnection,
    key: &RowKey,
    digests: &[Digest],
    hints: &[Hint],
) -> Result<Look, Fault> {
    let asked: Vec<&[u8]> = digests.iter().map(|digest| &digest.as_bytes()[..]).collect();
    let begun: Vec<&str> = hints.iter().map(Hint::as_str).collect();
    let query = sqlx::query(LOOK_UP)
        .bind(asked)
        .bind(begun)
        .bind(i64::from(TO_TRY_MAX));
    let rows = query.fetch_all(connection).await?;
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
    connection: &mut PgConnection,
    key: &RowKey,
    ids: &BTreeSet<TokenId>,
) -> Result<Vec<Named>, Fault> {
    let ids: Vec<Uuid> = ids.iter().copied().map(uuid).collect();
    let rows = sqlx::query(NAMED).bind(ids).fetch_all(connection).await?;
    let named = rows.iter().map(|row| Ok(found(key, row)??));
    named.collect()
}

type LookedUp = Option<(Token, Option<Standing>)>;

/// What [`found`] finds, if there is a token in the row.
fn looked_up(key: &RowKey, row: &PgRow) -> Result<Result<LookedUp, BadRow>, Fault> {
    if row.try_get::<Option<Uuid>, _>("id")?.is_none() {
        return Ok(Ok(None));
    }
    let found = found(key, row)?;
    Ok(found.map(|(stored, standing)| Some((stored.record, standing))))
}

/// The token in a row with what is said of its subject: both as they were written last, or neither.
fn found(key: &RowKey, row: &PgRow) -> Result<Result<Named, BadRow>, Fault> {
    let stored = match checked(key, row)? {
        Ok(stored) => stored,
        Err(bad) => return Ok(Err(bad)),
    };
    let standing = subjects::of_token(key, &stored.record, row)?;
    Ok(standing.map(|standing| (stored, standing.map(|stored| stored.record))))
}

pub(super) async fn directory(
    connection: &mut PgConnection,
    key: &RowKey,
) -> Result<Stored<Directory>, Fault> {
    let rows = sqlx::query(DIRECTORY).fetch_all(connection).await?;
    let namespace = |row: &PgRow| {
        Ok(mac::namespace(
            key,
            row.try_get("slug")?,
            &raw(row)?,
            heard(row)?,
        )?)
    };
    let namespaces: Vec<_> = rows.iter().map(namespace).collect::<Result<_, Fault>>()?;
    Ok(directory_of(namespaces))
}

pub(super) async fn entries(
    connection: &mut PgConnection,
    after: Revision,
    filter: &EntryFilter,
    limit: u32,
) -> Result<Vec<Entry>, Fault> {
    let namespace = filter.namespace.as_ref().map(Slug::as_str);
    let query = match (filter.token_id, namespace) {
        (Some(id), namespace) => sqlx::query(ENTRIES_OF_TOKEN)
            .bind(uuid(id))
            .bind(sql(after))
            .bind(namespace),
        (None, Some(namespace)) => sqlx::query(ENTRIES_OF_NAMESPACE).bind(namespace).bind(sql(after)),
        (None, None) => sqlx::query(ENTRIES).bind(sql(after)),
    };
    let rows = query.bind(i64::from(limit)).fetch_all(connection).await?;
    rows.iter().map(entry).collect()
}

pub(super) async fn entry_of_request(
    connection: &mut PgConnection,
    request_id: RequestDigest,
) -> Result<Option<Entry>, Fault> {
    let query = sqlx::query(ENTRY_OF_REQUEST).bind(Uuid::from_bytes(*request_id.as_bytes()));
    let row = query.fetch_optional(connection).await?;
    row.as_ref().map(entry).transpose()
}

pub(super) async fn answer(
    connection: &mut PgConnection,
    revision: Revision,
) -> Result<Option<SealedAnswer>, Fault> {
    let query = sqlx::query(ANSWER).bind(sql(revision));
    let Some(row) = query.fetch_optional(connection).await? else {
        return Ok(None);
    };
    let pepper: i32 = row.try_get("pepper")?;
    let expire_time = Timestamp::from_micros(row.try_get("expire_time")?);
    Ok(Some(SealedAnswer {
        pepper: PepperId(u16::try_from(pepper).map_err(StoreError::corrupt)?),
        sealed: row.try_get("sealed")?,
        expire_time: expire_time.map_err(StoreError::corrupt)?,
    }))
}

pub(super) async fn head(connection: &mut PgConnection) -> Result<Head, Fault> {
    head_in(&sqlx::query(HEAD).fetch_one(connection).await?)
}

/// The head in a row that has its columns.
pub(super) fn head_in(row: &PgRow) -> Result<Head, Fault> {
    let head = revision(row.try_get("revision")?)?;
    let oldest: Option<i64> = row.try_get("oldest")?;
    Ok(Head {
        epoch: Epoch::from_bytes(row.try_get("epoch")?).map_err(StoreError::corrupt)?,
        revision: head,
        link: link(row.try_get("link")?)?,
        oldest: oldest.map_or(Ok(head.next()), revision)?,
    })
}

pub(super) fn entry(row: &PgRow) -> Result<Entry, Fault> {
    let entry = Entry::open(row.try_get("body")?, link(row.try_get("link")?)?);
    Ok(entry.map_err(StoreError::corrupt)?)
}

pub(super) fn uuid(id: TokenId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

pub(super) fn checked(key: &RowKey, row: &PgRow) -> Result<Result<Stored<Token>, BadRow>, Fault> {
    let id: Uuid = row.try_get("id")?;
    Ok(mac::token(key, id.as_bytes(), &raw(row)?, heard(row)?))
}

fn heard(row: &PgRow) -> Result<Heard, Fault> {
    Ok(Heard {
        newest: row.try_get("newest")?,
        oldest: row.try_get("oldest")?,
    })
}

fn raw(row: &PgRow) -> Result<RawRow<'_>, Fault> {
    Ok(RawRow {
        version: row.try_get("version")?,
        record: Some(row.try_get("record")?),
        mac: row.try_get("mac")?,
    })
}
