//! Looking for entries by what is known of them.
//!
//! A search is up to three statements: what comes next on its path, by one index alone; which of that is wanted; and
//! the entries themselves. The journal never changes, so they need not be one snapshot.

use std::collections::HashSet;

use async_trait::async_trait;
use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::super::StoreError;
use super::super::history::{Found, History, Path, Place, Search, TOKENS_ONE_BY_ONE_MAX, Wanted};
use super::{SqliteStore, read, revision, sql};
use crate::journal::{Entry, Kind, Revision};
use crate::token::id::{RequestDigest, Slug, TokenId};
use crate::token::text::{Actor, Subject};
use crate::token::time::Timestamp;

pub(super) const NEXT: &str = "SELECT revision FROM journal WHERE revision > $1 ORDER BY revision LIMIT $2";

pub(super) const NEXT_OF_TOKEN: &str = "
    SELECT revision FROM journal WHERE token_id = $3 AND revision > $1 ORDER BY revision LIMIT $2";

pub(super) const NEXT_OF_NAMESPACE: &str = "
    SELECT revision FROM journal WHERE namespace = $3 AND revision > $1 ORDER BY revision LIMIT $2";

pub(super) const NEXT_OF_ACTOR: &str = "
    SELECT revision FROM journal WHERE actor = $3 AND revision > $1 ORDER BY revision LIMIT $2";

// SQLite seeks by the instant alone, for the revision is the row id: the few entries of one microsecond it walks.
pub(super) const NEXT_IN_TIME: &str = "
    SELECT revision, time FROM journal
    WHERE (time, revision) > ($1, $2) AND time <= $3 ORDER BY time, revision LIMIT $4";

pub(super) const TOKENS_OF_SUBJECT: &str = "
    SELECT id FROM token WHERE namespace = $1 AND subject = $2 ORDER BY create_time, id LIMIT $3";

// Of the subject itself, and of each of its tokens, no more than may be looked at in all: these are few enough to be
// put in order.
pub(super) const NEXT_OF_SUBJECT: &str = "
    SELECT revision FROM journal WHERE revision IN (
        SELECT revision FROM journal
        WHERE namespace = $3 AND subject = $4 AND revision > $1 ORDER BY revision LIMIT $2
    )
    UNION ALL
    SELECT entry.revision FROM json_each($5) AS asked JOIN journal AS entry ON entry.revision IN (
        SELECT revision FROM journal
        WHERE token_id = unhex(asked.value, '-') AND revision > $1 ORDER BY revision LIMIT $2
    )";

pub(super) const MATCHING: &str = "
    SELECT revision FROM journal
    WHERE revision IN (SELECT value FROM json_each($1))
        AND ($2 IS NULL OR +namespace = $2)
        AND ($3 IS NULL OR +token_id = $3)
        AND ($4 IS NULL OR +subject = $4 OR EXISTS (
            SELECT 1 FROM token WHERE token.id = journal.token_id AND +token.subject = $4
        ))
        AND ($5 IS NULL OR +actor = $5)
        AND ($6 IS NULL OR kind IN (SELECT value FROM json_each($6)))
        AND ($7 IS NULL OR +time >= $7)
        AND ($8 IS NULL OR +time < $8)";

pub(super) const ENTRIES_AT: &str = "
    SELECT revision, body, link FROM journal WHERE revision IN (SELECT value FROM json_each($1))";

pub(super) const NAMESPACE_ENTRY_BEFORE: &str = "
    SELECT body, link FROM journal
    WHERE namespace = $1 AND revision < $2
        AND token_id IS NULL AND subject IS NULL AND endpoint_id IS NULL
    ORDER BY revision DESC LIMIT 1";

pub(super) const WRITTEN: &str = "
    SELECT request_id FROM journal WHERE request_id IN (SELECT unhex(value, '-') FROM json_each($1))";

#[async_trait]
impl History for SqliteStore {
    async fn search(&self, search: Search) -> Result<Found, StoreError> {
        let places = self.next_places(&search).await?;
        let matching = if search.is_filtered() {
            Some(self.matching(&places, &search.wanted).await?)
        } else {
            None
        };
        let (revisions, next) = search.found(places, matching.as_ref());
        let rows = sqlx::query(ENTRIES_AT)
            .bind(json!(revisions).to_string())
            .fetch_all(&self.readers)
            .await?;
        // By where each lies, whatever it says of that itself: who reads them all sees that it is in the wrong place.
        let place = |row: &SqliteRow| Ok((revision(row.try_get("revision")?)?, read::entry(row)?));
        let lying: Vec<(Revision, Entry)> = rows.iter().map(place).collect::<Result<_, StoreError>>()?;
        let entries = Search::in_order(&revisions, lying);
        Ok(Found { entries, next })
    }

    async fn namespace_entry_before(
        &self,
        namespace: Slug,
        before: Revision,
    ) -> Result<Option<Entry>, StoreError> {
        let query = sqlx::query(NAMESPACE_ENTRY_BEFORE)
            .bind(namespace.as_str())
            .bind(sql(before));
        let row = query.fetch_optional(&self.readers).await?;
        row.as_ref().map(read::entry).transpose()
    }

    async fn written(&self, requests: Vec<RequestDigest>) -> Result<HashSet<RequestDigest>, StoreError> {
        let query = sqlx::query_scalar(WRITTEN).bind(json!(requests).to_string());
        let found: Vec<Vec<u8>> = query.fetch_all(&self.readers).await?;
        let found: HashSet<Vec<u8>> = found.into_iter().collect();
        let is_written = |request: &RequestDigest| found.contains(&request.as_bytes()[..]);
        Ok(requests.into_iter().filter(is_written).collect())
    }
}

impl SqliteStore {
    async fn next_places(&self, search: &Search) -> Result<Vec<Place>, StoreError> {
        let wanted = &search.wanted;
        let reads = search.reads() + 1;
        let after = sql(search.after.revision);
        let namespace = wanted.namespace.as_ref().map(Slug::as_str);
        let rows = match search.path() {
            Path::Time => {
                let (from, to) = search.times();
                let after = search.after.max(Place {
                    time: from,
                    revision: Revision::ZERO,
                });
                let query = sqlx::query(NEXT_IN_TIME)
                    .bind(after.time)
                    .bind(sql(after.revision));
                return query
                    .bind(to)
                    .bind(reads)
                    .fetch_all(&self.readers)
                    .await?
                    .iter()
                    .map(|row| place(row, row.try_get("time")?))
                    .collect();
            }
            Path::Subject => return self.next_of_subject(search, namespace).await,
            Path::All => {
                sqlx::query(NEXT)
                    .bind(after)
                    .bind(reads)
                    .fetch_all(&self.readers)
                    .await?
            }
            Path::Token => {
                let id = wanted.token_id.map(|id| id.as_bytes().to_vec());
                let query = sqlx::query(NEXT_OF_TOKEN).bind(after).bind(reads).bind(id);
                query.fetch_all(&self.readers).await?
            }
            Path::Actor => {
                let actor = wanted.actor.as_ref().map(Actor::as_str);
                let query = sqlx::query(NEXT_OF_ACTOR).bind(after).bind(reads).bind(actor);
                query.fetch_all(&self.readers).await?
            }
            Path::Namespace => {
                let query = sqlx::query(NEXT_OF_NAMESPACE)
                    .bind(after)
                    .bind(reads)
                    .bind(namespace);
                query.fetch_all(&self.readers).await?
            }
        };
        in_order(&rows)
    }

    async fn next_of_subject(
        &self,
        search: &Search,
        namespace: Option<&str>,
    ) -> Result<Vec<Place>, StoreError> {
        let subject = search.wanted.subject.as_ref().map(Subject::as_str);
        let (after, reads) = (sql(search.after.revision), search.reads() + 1);
        let ids: Vec<Vec<u8>> = sqlx::query_scalar(TOKENS_OF_SUBJECT)
            .bind(namespace)
            .bind(subject)
            .bind(TOKENS_ONE_BY_ONE_MAX + 1)
            .fetch_all(&self.readers)
            .await?;
        let rows = if ids.len() > TOKENS_ONE_BY_ONE_MAX as usize {
            let query = sqlx::query(NEXT_OF_NAMESPACE)
                .bind(after)
                .bind(reads)
                .bind(namespace);
            query.fetch_all(&self.readers).await?
        } else {
            let ids = ids.iter().map(|id| data_encoding::HEXLOWER.encode(id));
            let query = sqlx::query(NEXT_OF_SUBJECT).bind(after).bind(reads);
            let query = query.bind(namespace).bind(subject);
            let query = query.bind(json!(ids.collect::<Vec<_>>()).to_string());
            query.fetch_all(&self.readers).await?
        };
        let mut places = in_order(&rows)?;
        places.sort_unstable();
        places.truncate(reads as usize);
        Ok(places)
    }

    async fn matching(&self, places: &[Place], wanted: &Wanted) -> Result<HashSet<Revision>, StoreError> {
        let revisions: Vec<_> = places.iter().map(|place| place.revision).collect();
        let kinds: Vec<_> = wanted.kinds.iter().copied().map(Kind::as_str).collect();
        let rows: Vec<i64> = sqlx::query_scalar(MATCHING)
            .bind(json!(revisions).to_string())
            .bind(wanted.namespace.as_ref().map(Slug::as_str))
            .bind(wanted.token_id.map(|id: TokenId| id.as_bytes().to_vec()))
            .bind(wanted.subject.as_ref().map(Subject::as_str))
            .bind(wanted.actor.as_ref().map(Actor::as_str))
            .bind((!kinds.is_empty()).then(|| json!(kinds).to_string()))
            .bind(wanted.from.map(Timestamp::micros))
            .bind(wanted.before.map(Timestamp::micros))
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(revision).collect()
    }
}

fn in_order(rows: &[SqliteRow]) -> Result<Vec<Place>, StoreError> {
    rows.iter().map(|row| place(row, i64::MIN)).collect()
}

fn place(row: &SqliteRow, time: i64) -> Result<Place, StoreError> {
    Ok(Place {
        time,
        revision: revision(row.try_get("revision")?)?,
    })
}
