//! Looking for entries by what is known of them.
//!
//! A search is up to three statements: what comes next on its path, by one index alone; which of that is wanted; and
//! the entries themselves. The journal never changes, so they need not be one snapshot.

use std::collections::HashSet;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::super::StoreError;
use super::super::columns::{revision, sql};
use super::super::history::{Found, History, Path, Place, Search, TOKENS_ONE_BY_ONE_MAX, Wanted};
use super::fault::Fault;
use super::read::{self, uuid};
use super::{PostgresStore, ask};
use crate::journal::{Entry, Kind, Revision};
use crate::token::id::{RequestDigest, Slug};
use crate::token::text::{Actor, Subject};
use crate::token::time::Timestamp;

pub(super) const NEXT: &str = "SELECT revision FROM journal WHERE revision > $1 ORDER BY revision LIMIT $2";

pub(super) const NEXT_OF_TOKEN: &str = "
    SELECT revision FROM journal WHERE token_id = $3 AND revision > $1 ORDER BY revision LIMIT $2";

pub(super) const NEXT_OF_NAMESPACE: &str = "
    SELECT revision FROM journal WHERE namespace = $3 AND revision > $1 ORDER BY revision LIMIT $2";

pub(super) const NEXT_OF_ACTOR: &str = "
    SELECT revision FROM journal WHERE actor = $3 AND revision > $1 ORDER BY revision LIMIT $2";

pub(super) const NEXT_IN_TIME: &str = "
    SELECT revision, time FROM journal
    WHERE (time, revision) > ($1, $2) AND time <= $3 ORDER BY time, revision LIMIT $4";

pub(super) const TOKENS_OF_SUBJECT: &str = "
    SELECT id FROM token WHERE namespace = $1 AND subject COLLATE \"C\" = $2 ORDER BY create_time, id LIMIT $3";

// Of the subject itself, and of each of its tokens, no more than may be looked at in all: these are few enough to be
// put in order.
pub(super) const NEXT_OF_SUBJECT: &str = "
    (
        SELECT revision FROM journal
        WHERE namespace = $3 AND subject = $4 AND revision > $1 ORDER BY revision LIMIT $2
    )
    UNION ALL
    SELECT entry.revision FROM UNNEST($5::uuid[]) AS asked (id), LATERAL (
        SELECT revision FROM journal
        WHERE token_id = asked.id AND revision > $1 ORDER BY revision LIMIT $2
    ) AS entry";

pub(super) const MATCHING: &str = "
    SELECT journal.revision FROM journal
    WHERE journal.revision = ANY($1::bigint[])
        AND ($2::text IS NULL OR journal.namespace = $2)
        AND ($3::uuid IS NULL OR journal.token_id = $3)
        AND ($4::text IS NULL OR journal.subject = $4 OR EXISTS (
            SELECT 1 FROM token WHERE token.id = journal.token_id AND token.subject = $4
        ))
        AND ($5::text IS NULL OR journal.actor = $5)
        AND ($6::text[] IS NULL OR journal.kind = ANY($6))
        AND ($7::bigint IS NULL OR journal.time >= $7)
        AND ($8::bigint IS NULL OR journal.time < $8)";

pub(super) const ENTRIES_AT: &str = "
    SELECT revision, body, link FROM journal WHERE revision = ANY($1::bigint[])";

pub(super) const NAMESPACE_ENTRY_BEFORE: &str = "
    SELECT body, link FROM journal
    WHERE namespace = $1 AND revision < $2
        AND token_id IS NULL AND subject IS NULL AND endpoint_id IS NULL
    ORDER BY revision DESC LIMIT 1";

pub(super) const WRITTEN: &str = "SELECT request_id FROM journal WHERE request_id = ANY($1::uuid[])";

#[async_trait]
impl History for PostgresStore {
    /// On the lane for what takes as long as it takes.
    async fn search(&self, search: Search) -> Result<Found, StoreError> {
        ask!(self.lists, |connection| found(&mut connection, &search))
    }

    async fn namespace_entry_before(
        &self,
        namespace: Slug,
        before: Revision,
    ) -> Result<Option<Entry>, StoreError> {
        ask!(self.lists, |connection| namespace_entry_before(
            &mut connection,
            &namespace,
            before
        ))
    }

    async fn written(&self, requests: Vec<RequestDigest>) -> Result<HashSet<RequestDigest>, StoreError> {
        let asked = requests
            .iter()
            .map(|request| Uuid::from_bytes(*request.as_bytes()));
        let asked: Vec<Uuid> = asked.collect();
        let found: Vec<Uuid> = ask!(self.lists, |connection| async {
            let query = sqlx::query_scalar(WRITTEN).bind(&asked);
            Ok(query.fetch_all(&mut *connection).await?)
        })?;
        let found: HashSet<Uuid> = found.into_iter().collect();
        let is_written = |request: &RequestDigest| found.contains(&Uuid::from_bytes(*request.as_bytes()));
        Ok(requests.into_iter().filter(is_written).collect())
    }
}

async fn found(connection: &mut PgConnection, search: &Search) -> Result<Found, Fault> {
    let places = next_places(connection, search).await?;
    let matching = if search.is_filtered() {
        Some(matching(connection, &places, &search.wanted).await?)
    } else {
        None
    };
    let (revisions, next) = search.found(places, matching.as_ref());
    let asked: Vec<i64> = revisions.iter().copied().map(sql).collect();
    let rows = sqlx::query(ENTRIES_AT).bind(asked).fetch_all(connection).await?;
    // By where each lies, whatever it says of that itself: who reads them all sees that it is in the wrong place.
    let place = |row: &PgRow| Ok((revision(row.try_get("revision")?)?, read::entry(row)?));
    let lying: Vec<(Revision, Entry)> = rows.iter().map(place).collect::<Result<_, Fault>>()?;
    let entries = Search::in_order(&revisions, lying);
    Ok(Found { entries, next })
}

async fn namespace_entry_before(
    connection: &mut PgConnection,
    namespace: &Slug,
    before: Revision,
) -> Result<Option<Entry>, Fault> {
    let query = sqlx::query(NAMESPACE_ENTRY_BEFORE)
        .bind(namespace.as_str())
        .bind(sql(before));
    let row = query.fetch_optional(connection).await?;
    row.as_ref().map(read::entry).transpose()
}

async fn next_places(connection: &mut PgConnection, search: &Search) -> Result<Vec<Place>, Fault> {
    let wanted = &search.wanted;
    let reads = i64::from(search.reads()) + 1;
    let after = sql(search.after.revision);
    let namespace = wanted.namespace.as_ref().map(Slug::as_str);
    let query = match search.path() {
        Path::Time => {
            let (from, to) = search.times();
            let after = search.after.max(Place {
                time: from,
                revision: Revision::ZERO,
            });
            let query = sqlx::query(NEXT_IN_TIME)
                .bind(after.time)
                .bind(sql(after.revision));
            let rows = query.bind(to).bind(reads).fetch_all(connection).await?;
            return rows.iter().map(|row| place(row, row.try_get("time")?)).collect();
        }
        Path::Subject => return next_of_subject(connection, search, namespace).await,
        Path::All => sqlx::query(NEXT).bind(after).bind(reads),
        Path::Token => {
            let query = sqlx::query(NEXT_OF_TOKEN).bind(after).bind(reads);
            query.bind(wanted.token_id.map(uuid))
        }
        Path::Actor => {
            let query = sqlx::query(NEXT_OF_ACTOR).bind(after).bind(reads);
            query.bind(wanted.actor.as_ref().map(Actor::as_str))
        }
        Path::Namespace => sqlx::query(NEXT_OF_NAMESPACE)
            .bind(after)
            .bind(reads)
            .bind(namespace),
    };
    in_order(&query.fetch_all(connection).await?)
}

async fn next_of_subject(
    connection: &mut PgConnection,
    search: &Search,
    namespace: Option<&str>,
) -> Result<Vec<Place>, Fault> {
    let subject = search.wanted.subject.as_ref().map(Subject::as_str);
    let (after, reads) = (sql(search.after.revision), search.reads() + 1);
    let ids: Vec<Uuid> = sqlx::query_scalar(TOKENS_OF_SUBJECT)
        .bind(namespace)
        .bind(subject)
        .bind(i64::from(TOKENS_ONE_BY_ONE_MAX) + 1)
        .fetch_all(&mut *connection)
        .await?;
    let query = if ids.len() > TOKENS_ONE_BY_ONE_MAX as usize {
        let query = sqlx::query(NEXT_OF_NAMESPACE).bind(after).bind(i64::from(reads));
        query.bind(namespace)
    } else {
        let query = sqlx::query(NEXT_OF_SUBJECT).bind(after).bind(i64::from(reads));
        query.bind(namespace).bind(subject).bind(ids)
    };
    let mut places = in_order(&query.fetch_all(connection).await?)?;
    places.sort_unstable();
    places.truncate(reads as usize);
    Ok(places)
}

async fn matching(
    connection: &mut PgConnection,
    places: &[Place],
    wanted: &Wanted,
) -> Result<HashSet<Revision>, Fault> {
    let revisions: Vec<i64> = places.iter().map(|place| sql(place.revision)).collect();
    let kinds: Vec<&str> = wanted.kinds.iter().copied().map(Kind::as_str).collect();
    let rows: Vec<i64> = sqlx::query_scalar(MATCHING)
        .bind(revisions)
        .bind(wanted.namespace.as_ref().map(Slug::as_str))
        .bind(wanted.token_id.map(uuid))
        .bind(wanted.subject.as_ref().map(Subject::as_str))
        .bind(wanted.actor.as_ref().map(Actor::as_str))
        .bind((!kinds.is_empty()).then_some(kinds))
        .bind(wanted.from.map(Timestamp::micros))
        .bind(wanted.before.map(Timestamp::micros))
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(|row| Ok(revision(row)?)).collect()
}

fn in_order(rows: &[PgRow]) -> Result<Vec<Place>, Fault> {
    rows.iter().map(|row| place(row, i64::MIN)).collect()
}

fn place(row: &PgRow, time: i64) -> Result<Place, Fault> {
    Ok(Place {
        time,
        revision: revision(row.try_get("revision")?)?,
    })
}
