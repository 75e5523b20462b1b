//! Reading tokens in an order, by what is known of them.
//!
//! A read is two statements. The first finds how far the second may look; the second looks no further, so that what is
//! written in between is seen or not, but nothing is passed over.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::super::StoreError;
use super::super::select::{Count, Path, Selection, Slice, Stretch};
use super::fault::Fault;
use super::read::{checked, uuid};
use super::rows::Statement;
use super::usage;
use crate::token::id::{Slug, TokenId};
use crate::token::order::{End, Place};
use crate::token::scope::Scope;
use crate::token::secret::RowKey;
use crate::token::text::{Name, Subject};
use crate::token::time::Timestamp;

/// What is asked of one order, by its own index.
pub(super) struct Statements {
    /// How far a read may look: forwards, and backwards.
    pub(super) stop: [&'static str; 2],
    pub(super) page: [&'static str; 2],
    pub(super) count: &'static str,
}

/// What a filter lets through. None of it chooses the index: that is for the order to do.
macro_rules! wanted {
    () => {
        "
    AND ($4::text IS NULL OR starts_with(token.name, $4))
    AND ($5::text IS NULL OR strpos(token.name, $5) > 0)
    AND ($6::text IS NULL OR token.scopes ? $6)
    AND ($7::text IS NULL OR token.subject = $7)
    AND ($8::text IS NULL OR token.labels @> $8::text::jsonb)
    AND ($9::bigint IS NULL OR token.create_time + 0 >= $9)
    AND ($10::bigint IS NULL OR token.create_time + 0 < $10)
    AND ($11::bigint IS NULL OR token.expire_time + 0 >= $11)
    AND ($12::bigint IS NULL OR token.expire_time + 0 < $12)
    AND ($13::uuid IS NULL OR uuid_send(token.id) <= uuid_send($13))
    AND ($14::bigint IS NULL OR $14 > (
        SELECT secret.create_time FROM secret WHERE secret.token_id = token.id ORDER BY secret.version DESC LIMIT 1
    ))
    AND ($3::integer = 15 OR ((CASE
        WHEN token.revoke_time IS NOT NULL OR token.create_time <= $15::bigint THEN 4
        ELSE (
            SELECT CASE
                WHEN token.create_time <= subject.not_before_time THEN 4
                WHEN token.expire_time <= $2 THEN 8
                WHEN token.suspend_time IS NOT NULL OR subject.suspend_time IS NOT NULL THEN 2
                ELSE 1
            END
            FROM (SELECT 1) AS token_itself
            LEFT JOIN subject ON subject.namespace = token.namespace AND subject.subject = token.subject
        )
    END) & $3) <> 0)
    AND ($16::bigint IS NULL OR (SELECT last_use_time FROM token_usage WHERE token_id = token.id) >= $16)
    AND ($17::bigint IS NULL OR (SELECT last_use_time FROM token_usage WHERE token_id = token.id) < $17)
    AND ($18::bigint IS NULL
        OR coalesce((SELECT last_use_time FROM token_usage WHERE token_id = token.id), token.create_time) < $18)"
    };
}

macro_rules! stop {
    ($key:literal, $near:literal, $far:literal, $order:literal) => {
        concat!(
            "SELECT ",
            $key,
            " FROM token WHERE token.namespace = $1 AND (",
            $key,
            ") ",
            $near,
            " AND (",
            $key,
            ") ",
            $far,
            " ORDER BY ",
            $order,
            " LIMIT 1 OFFSET $2"
        )
    };
}

macro_rules! page {
    ($key:literal, $near:literal, $far:literal, $order:literal, $limit:literal) => {
        concat!(
            "SELECT token_record.id, token_record.version, record, token_record.mac, newest,
                (SELECT min(revision) FROM journal) AS oldest
            FROM token JOIN token_record ON token_record.id = token.id
            WHERE token.namespace = $1 AND (",
            $key,
            ") ",
            $near,
            " AND (",
            $key,
            ") ",
            $far,
            wanted!(),
            " ORDER BY ",
            $order,
            " LIMIT ",
            $limit
        )
    };
}

macro_rules! count {
    ($key:literal, $near:literal, $far:literal) => {
        concat!(
            "SELECT count(*) FROM token WHERE token.namespace = $1 AND (",
            $key,
            ") ",
            $near,
            " AND (",
            $key,
            ") ",
            $far,
            wanted!()
        )
    };
}

/// The statements of an order with this key, which is of two columns.
macro_rules! path {
    ($key:literal, $backwards:literal) => {
        Statements {
            stop: [
                stop!($key, "> ($3, $4)", "<= ($5, $6)", $key),
                stop!($key, "< ($3, $4)", ">= ($5, $6)", $backwards),
            ],
            page: [
                page!($key, "> ($19, $20)", "<= ($21, $22)", $key, "$23"),
                page!($key, "< ($19, $20)", ">= ($21, $22)", $backwards, "$23"),
            ],
            count: count!($key, "> ($19, $20)", "<= ($21, $22)"),
        }
    };
}

pub(super) const BY_CREATE_TIME: Statements = path!(
    "token.create_time, token.id",
    "token.create_time DESC, token.id DESC"
);

pub(super) const BY_NAME: Statements = path!(
    "token.name COLLATE \"C\", token.id",
    "token.name COLLATE \"C\" DESC, token.id DESC"
);

pub(super) const BY_EXPIRE_TIME: Statements = path!(
    "token.expire_time, token.id",
    "token.expire_time DESC, token.id DESC"
);

macro_rules! never {
    ($macro:ident, $near:literal, $far:literal $(, $rest:literal)*) => {
        $macro!("token.id", $near, $far $(, $rest)*)
    };
}

/// The tokens that never end.
pub(super) const BY_NEVER: Statements = Statements {
    stop: [
        never!(
            stop,
            "> ($3) AND token.expire_time IS NULL",
            "<= ($4)",
            "token.expire_time, token.id"
        ),
        never!(
            stop,
            "< ($3) AND token.expire_time IS NULL",
            ">= ($4)",
            "token.expire_time DESC, token.id DESC"
        ),
    ],
    page: [
        never!(
            page,
            "> ($19) AND token.expire_time IS NULL",
            "<= ($20)",
            "token.expire_time, token.id",
            "$21"
        ),
        never!(
            page,
            "< ($19) AND token.expire_time IS NULL",
            ">= ($20)",
            "token.expire_time DESC, token.id DESC",
            "$21"
        ),
    ],
    count: never!(count, "> ($19) AND token.expire_time IS NULL", "<= ($20)"),
};

macro_rules! subject {
    ($macro:ident, $near:literal, $far:literal $(, $rest:literal)*) => {
        $macro!("token.subject COLLATE \"C\", token.create_time, token.id", $near, $far $(, $rest)*)
    };
}

pub(super) const BY_SUBJECT: Statements = Statements {
    stop: [
        subject!(
            stop,
            "> ($3, $4, $5)",
            "<= ($6, $7, $8)",
            "token.subject COLLATE \"C\", token.create_time, token.id"
        ),
        subject!(
            stop,
            "< ($3, $4, $5)",
            ">= ($6, $7, $8)",
            "token.subject COLLATE \"C\" DESC, token.create_time DESC, token.id DESC"
        ),
    ],
    page: [
        subject!(
            page,
            "> ($19, $20, $21)",
            "<= ($22, $23, $24)",
            "token.subject COLLATE \"C\", token.create_time, token.id",
            "$25"
        ),
        subject!(
            page,
            "< ($19, $20, $21)",
            ">= ($22, $23, $24)",
            "token.subject COLLATE \"C\" DESC, token.create_time DESC, token.id DESC",
            "$25"
        ),
    ],
    count: subject!(count, "> ($19, $20, $21)", "<= ($22, $23, $24)"),
};

/// Those of every order.
#[cfg(test)]
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    let paths = [BY_CREATE_TIME, BY_NAME, BY_EXPIRE_TIME, BY_NEVER, BY_SUBJECT];
    paths
        .into_iter()
        .flat_map(|path| [path.stop[0], path.stop[1], path.page[0], path.page[1], path.count])
}

fn statements_of(path: Path) -> &'static Statements {
    match path {
        Path::CreateTime => &BY_CREATE_TIME,
        Path::Name => &BY_NAME,
        Path::ExpireTime => &BY_EXPIRE_TIME,
        Path::Never => &BY_NEVER,
        Path::Subject => &BY_SUBJECT,
    }
}

pub(super) async fn tokens(
    connection: &mut PgConnection,
    key: &RowKey,
    selection: &Selection,
) -> Result<Slice, Fault> {
    if !selection.filter.selector.ids.is_empty() {
        let (named, uses) = usage::named(connection, key, selection).await?;
        return Ok(selection.slice_of(named, |id| uses.get(&id).copied()));
    }
    let mut stretch = selection.stretch();
    let end = if selection.is_filtered() {
        stop(connection, selection, &stretch).await?
    } else {
        None
    };
    if let Some(end) = &end {
        stretch.far = end.clone();
    }
    let statement = statements_of(stretch.path).page[usize::from(selection.order.descending)];
    let query = within(filtered(statement, selection), &stretch).bind(i64::from(selection.limit));
    let rows = query.fetch_all(connection).await?;
    let tokens = rows.iter().map(|row| Ok(checked(key, row)??));
    Ok(selection.slice(tokens.collect::<Result<_, Fault>>()?, end.or(stretch.then)))
}

pub(super) async fn count(
    connection: &mut PgConnection,
    key: &RowKey,
    selection: &Selection,
) -> Result<Count, Fault> {
    if !selection.filter.selector.ids.is_empty() {
        let (named, uses) = usage::named(connection, key, selection).await?;
        return Ok(selection.count_of_ids(&named, |id| uses.get(&id).copied()));
    }
    let mut stretch = selection.stretch();
    let end = stop(connection, selection, &stretch).await?;
    if let Some(end) = &end {
        stretch.far = end.clone();
    }
    let query = within(filtered(statements_of(stretch.path).count, selection), &stretch);
    let row = query.fetch_one(connection).await?;
    let count: i64 = row.try_get(0)?;
    Ok(Count {
        tokens: count.unsigned_abs(),
        next: end.or(stretch.then).map(|end| selection.in_order(end)),
    })
}

/// The last place that a read may look at, if there is more in the span.
async fn stop(
    connection: &mut PgConnection,
    selection: &Selection,
    stretch: &Stretch,
) -> Result<Option<Place>, Fault> {
    let statement = statements_of(stretch.path).stop[usize::from(selection.order.descending)];
    let query = sqlx::query(statement)
        .bind(
            selection
                .filter
                .namespace
                .as_ref()
                .map(|slug| slug.as_str().to_owned()),
        )
        .bind(i64::from(selection.reads()) - 1);
    let row = within(query, stretch).fetch_optional(connection).await?;
    row.map(|row| place(stretch.path, &row)).transpose()
}

fn place(path: Path, row: &PgRow) -> Result<Place, Fault> {
    let id = |at: usize| {
        let id: Uuid = row.try_get(at)?;
        Ok::<_, Fault>(TokenId::from_bytes(id.as_bytes()).map_err(StoreError::corrupt)?)
    };
    let time = |at: usize| {
        let time = Timestamp::from_micros(row.try_get(at)?);
        Ok::<_, Fault>(time.map_err(StoreError::corrupt)?)
    };
    Ok(match path {
        Path::CreateTime => Place::CreateTime(time(0)?, id(1)?),
        Path::Name => Place::Name(row.try_get(0)?, id(1)?),
        Path::ExpireTime => Place::ExpireTime(End::of(Some(time(0)?)), id(1)?),
        Path::Never => Place::ExpireTime(End::NEVER, id(0)?),
        Path::Subject => Place::Subject(row.try_get(0)?, time(1)?, id(2)?),
    })
}

fn filtered<'q>(statement: &'static str, selection: &'q Selection) -> Statement<'q> {
    let filter = &selection.filter;
    let selector = &filter.selector;
    let micros = |instant: Option<Timestamp>| instant.map(Timestamp::micros);
    let labels = &selector.labels;
    sqlx::query(statement)
        .bind(filter.namespace.as_ref().map(Slug::as_str))
        .bind(filter.at.micros())
        .bind(i32::from(selector.states.bits()))
        .bind(selector.name_prefix.as_ref().map(Name::as_str))
        .bind(selector.name_contains.as_ref().map(Name::as_str))
        .bind(selector.scope.as_ref().map(Scope::as_str))
        .bind(selector.subject.as_ref().map(Subject::as_str))
        .bind((!labels.is_empty()).then(|| serde_json::json!(labels).to_string()))
        .bind(micros(selector.created.from))
        .bind(micros(selector.created.before))
        .bind(micros(selector.expires.from))
        .bind(micros(selector.expires.before))
        .bind(
            filter
                .issued_until
                .map(|until| uuid(TokenId::after_those_of(until))),
        )
        .bind(micros(filter.secret_before))
        .bind(
            filter
                .not_before_of_namespace()
                .map(|not_before| not_before.time.micros()),
        )
        .bind(micros(selector.used.from))
        .bind(micros(selector.used.before))
        .bind(micros(selector.unused_since))
}

fn within<'q>(query: Statement<'q>, stretch: &Stretch) -> Statement<'q> {
    at(at(query, stretch.path, &stretch.near), stretch.path, &stretch.far)
}

fn at<'q>(query: Statement<'q>, path: Path, place: &Place) -> Statement<'q> {
    match place {
        Place::CreateTime(time, token) => query.bind(time.micros()).bind(uuid(*token)),
        Place::Name(name, token) => query.bind(name.clone()).bind(uuid(*token)),
        Place::ExpireTime(End::NEVER, token) if path == Path::Never => query.bind(uuid(*token)),
        Place::ExpireTime(end, token) => query.bind(end.micros()).bind(uuid(*token)),
        Place::Subject(subject, time, token) => {
            query.bind(subject.clone()).bind(time.micros()).bind(uuid(*token))
        }
    }
}
