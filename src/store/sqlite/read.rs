//! Reading tokens, namespaces and the journal. Each function is one statement, and so one snapshot.

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, SqliteExecutor};

use super::super::{EntryFilter, Head, Look, StoreError, directory_of};
use super::{link, revision, sql};
use crate::journal::cursor::Epoch;
use crate::journal::{Entry, Revision, Stored};
use crate::token::Token;
use crate::token::answer::SealedAnswer;
use crate::token::id::{RequestDigest, Slug, TokenId};
use crate::token::namespace::{Directory, Namespace};
use crate::token::secret::{Digest, PepperId};
use crate::token::time::Timestamp;

pub(super) const TOKEN: &str = "SELECT version, record FROM token_record WHERE id = $1";

// The head is read with the rows: a fill is fenced by what the rows are known to reflect.
pub(super) const TOKENS_BY_DIGEST: &str = "
    SELECT (SELECT revision FROM journal_head) AS fence, record
    FROM json_each($1) AS asked
    LEFT JOIN secret ON secret.digest = unhex(asked.value)
    LEFT JOIN token_record ON token_record.id = secret.token_id
    ORDER BY asked.key";

pub(super) const TOKENS: &str =
    "SELECT record FROM token_record WHERE namespace = $1 AND id > $2 ORDER BY namespace, id LIMIT $3";

pub(super) const DIRECTORY: &str = "
    SELECT version, json_object(
        'slug', slug,
        'display_name', display_name,
        'format', json_object('prefix', prefix, 'body', json(body)),
        'policy', json(policy),
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

pub(super) async fn token<'e>(
    executor: impl SqliteExecutor<'e>,
    id: TokenId,
) -> Result<Option<Stored<Token>>, StoreError> {
    let row = sqlx::query(TOKEN)
        .bind(&id.as_bytes()[..])
        .fetch_optional(executor)
        .await?;
    row.as_ref().map(stored).transpose()
}

pub(super) async fn tokens_by_digest(pool: &SqlitePool, digests: &[Digest]) -> Result<Look, StoreError> {
    let asked = serde_json::to_string(digests).map_err(StoreError::corrupt)?;
    let rows = sqlx::query(TOKENS_BY_DIGEST).bind(asked).fetch_all(pool).await?;
    let fence = rows.first().map_or(Ok(0), |row| row.try_get("fence"))?;
    let found = |row: &SqliteRow| match row.try_get::<Option<&str>, _>("record")? {
        Some(json) => serde_json::from_str(json).map(Some).map_err(StoreError::corrupt),
        None => Ok(None),
    };
    Ok(Look {
        tokens: rows.iter().map(found).collect::<Result<_, _>>()?,
        fence: revision(fence)?,
    })
}

pub(super) async fn tokens(
    pool: &SqlitePool,
    namespace: &Slug,
    after: Option<TokenId>,
    limit: u32,
) -> Result<Vec<Token>, StoreError> {
    // Every id sorts after the empty blob.
    let after = after.map_or(Vec::new(), |id| id.as_bytes().to_vec());
    let rows = sqlx::query(TOKENS)
        .bind(namespace.as_str())
        .bind(after)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    rows.iter().map(record).collect()
}

pub(super) async fn directory(pool: &SqlitePool) -> Result<Stored<Directory>, StoreError> {
    Ok(directory_of(namespaces(pool).await?))
}

pub(super) async fn namespaces<'e>(
    executor: impl SqliteExecutor<'e>,
) -> Result<Vec<Stored<Namespace>>, StoreError> {
    let rows = sqlx::query(DIRECTORY).fetch_all(executor).await?;
    rows.iter().map(stored).collect()
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

fn stored<T: serde::de::DeserializeOwned>(row: &SqliteRow) -> Result<Stored<T>, StoreError> {
    Ok(Stored {
        record: record(row)?,
        version: revision(row.try_get("version")?)?,
    })
}

fn record<T: serde::de::DeserializeOwned>(row: &SqliteRow) -> Result<T, StoreError> {
    serde_json::from_str(row.try_get("record")?).map_err(StoreError::corrupt)
}
