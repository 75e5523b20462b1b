//! The whole file as it is at one instant, for an audit: rows as they lie there, and nothing taken on trust.

use std::path::Path;

use sqlx::sqlite::{Sqlite, SqliteConnectOptions, SqlitePoolOptions, SqliteRow};
use sqlx::{Row as _, Transaction};

use super::super::mac::{self, RawRow};
use super::super::peppers::KnownPeppers;
use super::super::{Head, READ_MAX, StoreError};
use super::{BUSY_TIMEOUT, OpenError, ground, read, revision, sql};
use crate::journal::audit::Row;
use crate::journal::{Entry, Revision, Stored};
use crate::token::Token;
use crate::token::id::{Slug, TokenId};
use crate::token::namespace::Namespace;
use crate::token::secret::PepperId;
use crate::token::standing::Standing;
use crate::token::text::Subject;
use crate::token::time::Timestamp;
use crate::token::webhook::{Endpoint, EndpointId};

pub(super) const ROWS: &str = "
    SELECT revision, time, actor, request_id, kind, namespace, token_id, subject, endpoint_id, body, link
    FROM journal WHERE revision > $1 ORDER BY revision LIMIT $2";

pub(super) const TOKEN_IDS: &str = "SELECT id FROM token WHERE id > $1 ORDER BY id LIMIT $2";

pub(super) const LOST_TOKEN: &str = "
    SELECT token_id, max(revision) AS revision FROM journal
    WHERE token_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM token WHERE token.id = journal.token_id)
    GROUP BY token_id ORDER BY token_id LIMIT 1";

pub(super) const SECRETS_UNDER: &str = "
    SELECT (SELECT count(*) FROM webhook_secret WHERE pepper = $1) + count(*)
    FROM secret JOIN token ON token.id = secret.token_id
    WHERE secret.pepper = $1 AND token.revoke_time IS NULL
        AND (token.expire_time IS NULL OR token.expire_time > $2)
        AND (secret.retire_time IS NULL OR secret.retire_time > $2)";

pub(super) const STANDINGS_UNCHECKED: &str = "
    SELECT namespace, subject, version, record, mac FROM subject_record
    WHERE (namespace, subject) > ($1, $2) ORDER BY namespace, subject LIMIT $3";

pub(super) const ENTRIES_OF_SUBJECT: &str = "
    SELECT body, link FROM journal
    WHERE namespace = $1 AND subject = $2 AND revision > $3 ORDER BY revision LIMIT $4";

pub(super) const LOST_SUBJECT: &str = "
    SELECT namespace, subject, max(revision) AS revision FROM journal
    WHERE subject IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM subject
        WHERE subject.namespace = journal.namespace AND subject.subject = journal.subject
    )
    GROUP BY namespace, subject ORDER BY namespace, subject LIMIT 1";

pub(super) const ENDPOINTS_UNCHECKED: &str =
    "SELECT id, namespace, version, record, mac FROM webhook_endpoint ORDER BY id";

/// One read transaction: whatever is written meanwhile, it sees the same file until it is dropped.
#[derive(Debug)]
pub struct Snapshot(Transaction<'static, Sqlite>);

/// What a row says of a subject, and by which name it does.
#[derive(Debug)]
pub struct StandingRow {
    pub namespace: Slug,
    pub subject: Subject,
    pub standing: Result<Stored<Standing>, Unreadable>,
}

/// A record whose columns do not make sense together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

impl Snapshot {
    /// The file at `path` as it is now; a server may have it open.
    pub async fn open(path: &Path) -> Result<Snapshot, OpenError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .busy_timeout(BUSY_TIMEOUT);
        let opened = |source| OpenError::Open {
            path: path.to_owned(),
            source,
        };
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .map_err(opened)?;
        ground::check_version(&pool)
            .await
            .map_err(|source| OpenError::Shaky {
                path: path.to_owned(),
                source,
            })?;
        Ok(Snapshot(pool.begin().await.map_err(opened)?))
    }

    pub async fn head(&mut self) -> Result<Head, StoreError> {
        read::head(&mut *self.0).await
    }

    /// Journal rows after `after`, at most [`READ_MAX`] of them.
    pub async fn rows(&mut self, after: Revision) -> Result<Vec<Row>, StoreError> {
        let query = sqlx::query(ROWS).bind(sql(after)).bind(READ_MAX);
        let rows = query.fetch_all(&mut *self.0).await?;
        rows.iter().map(row).collect()
    }

    /// The ids of token rows after `after`, at most [`READ_MAX`] of them.
    pub async fn token_ids(&mut self, after: Option<TokenId>) -> Result<Vec<TokenId>, StoreError> {
        let after = after.map_or(Vec::new(), |id| id.as_bytes().to_vec());
        let query = sqlx::query_scalar(TOKEN_IDS).bind(after).bind(READ_MAX);
        let ids: Vec<Vec<u8>> = query.fetch_all(&mut *self.0).await?;
        ids.iter()
            .map(|id| TokenId::from_bytes(id).map_err(StoreError::corrupt))
            .collect()
    }

    /// The row of one token, its secrets included.
    pub async fn token(&mut self, id: TokenId) -> Result<Result<Stored<Token>, Unreadable>, StoreError> {
        match read::token_unchecked(&mut *self.0, id).await {
            Ok(Some(stored)) => Ok(Ok(stored)),
            Ok(None) => Ok(Err(Unreadable("it is not shown".to_owned()))),
            Err(error) => unreadable(error).map(Err),
        }
    }

    /// Entries of one token after `after`, at most [`READ_MAX`] of them.
    pub async fn entries_of(&mut self, id: TokenId, after: Revision) -> Result<Vec<Entry>, StoreError> {
        let filter = super::super::EntryFilter {
            token_id: Some(id),
            ..Default::default()
        };
        read::entries(&mut *self.0, after, &filter, READ_MAX).await
    }

    /// A token that has entries but no row, with the last of those entries.
    pub async fn lost_token(&mut self) -> Result<Option<(TokenId, Revision)>, StoreError> {
        let row = sqlx::query(LOST_TOKEN).fetch_optional(&mut *self.0).await?;
        row.map(|row| {
            let id = TokenId::from_bytes(row.try_get("token_id")?).map_err(StoreError::corrupt)?;
            Ok((id, revision(row.try_get("revision")?)?))
        })
        .transpose()
    }

    /// What is said of subjects after that one, at most [`READ_MAX`] of them.
    pub async fn standings(
        &mut self,
        after: Option<(Slug, Subject)>,
    ) -> Result<Vec<StandingRow>, StoreError> {
        let (namespace, subject) = match &after {
            Some((namespace, subject)) => (namespace.as_str(), subject.as_str()),
            None => ("", ""),
        };
        let query = sqlx::query(STANDINGS_UNCHECKED)
            .bind(namespace.to_owned())
            .bind(subject.to_owned())
            .bind(READ_MAX);
        let rows = query.fetch_all(&mut *self.0).await?;
        rows.iter().map(standing).collect()
    }

    /// Entries of one subject after `after`, at most [`READ_MAX`] of them.
    pub async fn entries_of_subject(
        &mut self,
        (namespace, subject): (&Slug, &Subject),
        after: Revision,
    ) -> Result<Vec<Entry>, StoreError> {
        let query = sqlx::query(ENTRIES_OF_SUBJECT)
            .bind(namespace.as_str().to_owned())
            .bind(subject.as_str().to_owned())
            .bind(sql(after))
            .bind(READ_MAX);
        let rows = query.fetch_all(&mut *self.0).await?;
        rows.iter().map(read::entry).collect()
    }

    /// A subject that has entries but no row, with the last of those entries.
    pub async fn lost_subject(&mut self) -> Result<Option<(Slug, Subject, Revision)>, StoreError> {
        let row = sqlx::query(LOST_SUBJECT).fetch_optional(&mut *self.0).await?;
        row.map(|row| {
            let (namespace, subject) = name(&row)?;
            Ok((namespace, subject, revision(row.try_get("revision")?)?))
        })
        .transpose()
    }

    /// How many secrets that can still be used at `now` are kept under this pepper.
    pub async fn secrets_under(&mut self, pepper: PepperId, now: Timestamp) -> Result<i64, StoreError> {
        let query = sqlx::query_scalar(SECRETS_UNDER)
            .bind(pepper.0)
            .bind(now.micros());
        Ok(query.fetch_one(&mut *self.0).await?)
    }

    /// The peppers that the store was written with.
    pub async fn peppers(&mut self) -> Result<KnownPeppers, StoreError> {
        read::peppers(&mut *self.0).await
    }

    /// Every namespace row.
    pub async fn namespaces(&mut self) -> Result<Result<Vec<Stored<Namespace>>, Unreadable>, StoreError> {
        match read::namespaces_unchecked(&mut *self.0).await {
            Ok(namespaces) => Ok(Ok(namespaces)),
            Err(error) => unreadable(error).map(Err),
        }
    }

    /// Every row of an endpoint; or the first that cannot be read.
    pub async fn endpoints(
        &mut self,
    ) -> Result<Result<Vec<Stored<Endpoint>>, (EndpointId, Unreadable)>, StoreError> {
        let rows = sqlx::query(ENDPOINTS_UNCHECKED).fetch_all(&mut *self.0).await?;
        let mut endpoints = Vec::with_capacity(rows.len());
        for row in &rows {
            let id = EndpointId::from_bytes(row.try_get("id")?).map_err(StoreError::corrupt)?;
            match endpoint(id, row)? {
                Ok(endpoint) => endpoints.push(endpoint),
                Err(why) => return Ok(Err((id, why))),
            }
        }
        Ok(Ok(endpoints))
    }
}

fn row(row: &SqliteRow) -> Result<Row, StoreError> {
    Ok(Row {
        revision: revision(row.try_get("revision")?)?,
        time: row.try_get("time")?,
        actor: row.try_get("actor")?,
        request_id: row.try_get("request_id")?,
        kind: row.try_get("kind")?,
        namespace: row.try_get("namespace")?,
        token_id: row.try_get("token_id")?,
        subject: row.try_get("subject")?,
        endpoint_id: row.try_get("endpoint_id")?,
        body: row.try_get("body")?,
        link: row.try_get("link")?,
    })
}

fn name(row: &SqliteRow) -> Result<(Slug, Subject), StoreError> {
    let namespace = Slug::try_from(row.try_get::<String, _>("namespace")?);
    let subject = Subject::try_from(row.try_get::<String, _>("subject")?);
    Ok((
        namespace.map_err(StoreError::corrupt)?,
        subject.map_err(StoreError::corrupt)?,
    ))
}

fn standing(row: &SqliteRow) -> Result<StandingRow, StoreError> {
    let (namespace, subject) = name(row)?;
    let raw = RawRow {
        version: row.try_get("version")?,
        record: row.try_get("record").ok(),
        mac: row.try_get("mac")?,
    };
    let standing = match mac::unchecked(&raw) {
        Ok(stored) => Ok(stored),
        Err(error) => Err(unreadable(error)?),
    };
    Ok(StandingRow {
        namespace,
        subject,
        standing,
    })
}

fn endpoint(id: EndpointId, row: &SqliteRow) -> Result<Result<Stored<Endpoint>, Unreadable>, StoreError> {
    let raw = RawRow {
        version: row.try_get("version")?,
        record: row.try_get("record").ok(),
        mac: row.try_get("mac")?,
    };
    let stored: Stored<Endpoint> = match mac::unchecked(&raw) {
        Ok(stored) => stored,
        Err(error) => return unreadable(error).map(Err),
    };
    // These two are what it is found by.
    let namespace = row.try_get::<&str, _>("namespace")?;
    if stored.record.id != id || stored.record.namespace.as_str() != namespace {
        let why = "its columns do not agree with its record";
        return Ok(Err(Unreadable(why.to_owned())));
    }
    Ok(Ok(stored))
}

/// Tells a record that cannot be read from a file that cannot.
fn unreadable(error: StoreError) -> Result<Unreadable, StoreError> {
    match error {
        StoreError::Corrupt { what } => Ok(Unreadable(what)),
        StoreError::Unavailable(_) | StoreError::Forked { .. } => Err(error),
    }
}
