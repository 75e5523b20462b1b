//! Migrations: run by a command of their own, compared at every start.

use std::time::Duration;

use sqlx::migrate::{AppliedMigration, Migrate, MigrateError, Migrator};
use sqlx::{ConnectOptions, Connection, PgConnection, Row};
use tokio::time::{sleep, timeout};

use super::super::StoreError;
use super::super::columns::revision;
use super::super::migrations::{Applied, MIGRATIONS_TABLE, since};
use super::super::peppers::KnownPeppers;
use super::fault::{Class, Fault};
use super::options::PostgresOptions;
use super::read;
use super::refusal::Shaky;
use crate::journal::Revision;
use crate::journal::cursor::Epoch;
use crate::journal::link::Link;
use crate::token::secret::PepperId;
use crate::token::time::Timestamp;

/// A migration waits no longer for a lock than this: whatever comes after it waits behind it.
const LOCK_MAX: Duration = Duration::from_millis(100);
/// How often a migration that found something locked is tried in all, so long apart.
const TRIES_MAX: u32 = 50;
const TRY_EVERY: Duration = Duration::from_millis(200);
/// How long a server may take to let a first connection in.
const CONNECT_MAX: Duration = Duration::from_secs(5);

pub(super) const TABLES: &str = "
    SELECT
        to_regclass('_sqlx_migrations') IS NOT NULL AS migrated,
        to_regclass('journal_head') IS NOT NULL AS begun";

pub(super) const BEGIN_JOURNAL: &str = "
    INSERT INTO journal_head (id, epoch, revision, link) VALUES (1, $1, 0, $2)
    ON CONFLICT (id) DO NOTHING";

pub(super) const NEW_EPOCH: &str = "UPDATE journal_head SET epoch = $1 RETURNING revision";

pub(super) const SECRETS_UNDER: &str = "
    SELECT (SELECT count(*) FROM webhook_secret WHERE pepper = $1) + count(*)
    FROM secret JOIN token ON token.id = secret.token_id
    WHERE secret.pepper = $1 AND token.revoke_time IS NULL
        AND (token.expire_time IS NULL OR token.expire_time > $2)
        AND (secret.retire_time IS NULL OR secret.retire_time > $2)";

/// Why a store could not be opened or migrated.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{store} cannot be reached: {source}")]
    Unreachable {
        store: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{store} holds no tokens yet: run `tokenward migrate --store {store}`")]
    Empty { store: String },
    #[error(
        "{store} has schema {found}, and this program needs {wanted}: run `tokenward migrate --store {store}`"
    )]
    Behind { store: String, found: i64, wanted: i64 },
    #[error("{store} has schema {found}, and this program knows none after {known}: run a newer tokenward")]
    Ahead { store: String, found: i64, known: i64 },
    #[error("{store} is not a Tokenward database: {what}")]
    Foreign { store: String, what: String },
    #[error("{store} cannot be trusted: {source}")]
    Shaky { store: String, source: Shaky },
    #[error("{store} cannot be brought to the schema of this program: {source}")]
    Migrate { store: String, source: MigrateError },
    #[error("{store} cannot be read: {source}")]
    Store { store: String, source: StoreError },
}

fn migrator() -> Migrator {
    sqlx::migrate!("migrations/postgres")
}

/// Brings the schema to that of this program, and begins the journal if there is none: `epoch` names one
/// that is begun. Answers with what it applied; running it again applies nothing.
pub async fn migrate(options: &PostgresOptions, epoch: Epoch) -> Result<Vec<Applied>, OpenError> {
    let mut tries = 1;
    loop {
        // A connection of its own for each try: what one that failed holds of locks ends with it.
        let mut connection = connect(options).await?;
        let migrated = apply(&mut connection, epoch).await;
        // Whatever it did is done; that it could not say goodbye changes nothing.
        let _ = timeout(CONNECT_MAX, connection.close()).await;
        match migrated {
            Ok(applied) => return Ok(applied),
            Err(error) if tries < TRIES_MAX && was_locked_out(&error) => {
                tries += 1;
                sleep(TRY_EVERY).await;
            }
            Err(source) => return Err(refused(options, source)),
        }
    }
}

/// Gives the journal a new epoch, so that nobody goes on from what a store that was restored has forgotten:
/// every cursor of before is refused, and every server that still runs stops. Answers with the head.
pub async fn recover(options: &PostgresOptions, epoch: Epoch) -> Result<Revision, OpenError> {
    let mut connection = connect(options).await?;
    check(&mut connection, options).await?;
    let head = sqlx::query_scalar(NEW_EPOCH)
        .bind(&epoch.as_bytes()[..])
        .fetch_one(&mut connection)
        .await;
    let head = head.map_err(|source| OpenError::Unreachable {
        store: options.to_string(),
        source: source.into(),
    })?;
    revision(head).map_err(|source| OpenError::Store {
        store: options.to_string(),
        source,
    })
}

/// How many secrets that can still be used at `now` are kept under this pepper, and which peppers the store knows.
pub async fn secrets_under(
    options: &PostgresOptions,
    pepper: PepperId,
    now: Timestamp,
) -> Result<(i64, KnownPeppers), OpenError> {
    let mut connection = connect(options).await?;
    check(&mut connection, options).await?;
    let unread = |fault: Fault| OpenError::Store {
        store: options.to_string(),
        source: fault.into(),
    };
    let query = sqlx::query_scalar(SECRETS_UNDER)
        .bind(i32::from(pepper.0))
        .bind(now.micros());
    let secrets = query.fetch_one(&mut connection).await;
    let secrets = secrets.map_err(|error| unread(error.into()))?;
    Ok((secrets, read::peppers(&mut connection).await.map_err(unread)?))
}

/// The first connection to a store, or why there is none.
pub(super) async fn connect(options: &PostgresOptions) -> Result<PgConnection, OpenError> {
    let unreachable = |source| OpenError::Unreachable {
        store: options.to_string(),
        source,
    };
    match timeout(CONNECT_MAX, options.connect.connect()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(unreachable(error.into())),
        Err(elapsed) => Err(unreachable(elapsed.into())),
    }
}

/// Whether the database has exactly the schema of this program.
pub(super) async fn check(connection: &mut PgConnection, options: &PostgresOptions) -> Result<(), OpenError> {
    let unread = |source: sqlx::Error| OpenError::Unreachable {
        store: options.to_string(),
        source: source.into(),
    };
    let tables = sqlx::query(TABLES)
        .fetch_one(&mut *connection)
        .await
        .map_err(unread)?;
    let has = |table| tables.try_get::<bool, _>(table).map_err(unread);
    if !has("migrated")? {
        return Err(if has("begun")? {
            foreign(options, "its tables are not under migration")
        } else {
            OpenError::Empty {
                store: options.to_string(),
            }
        });
    }
    let applied = connection.list_applied_migrations(MIGRATIONS_TABLE).await;
    let applied = applied.map_err(|source| refused(options, source))?;
    compare(&applied, options)?;
    if !has("begun")? {
        return Err(foreign(options, "it has no journal"));
    }
    Ok(())
}

fn compare(applied: &[AppliedMigration], options: &PostgresOptions) -> Result<(), OpenError> {
    let store = options.to_string();
    let migrator = migrator();
    let changed = applied.iter().any(|applied| {
        let known = migrator.iter().find(|known| known.version == applied.version);
        known.is_some_and(|known| known.checksum != applied.checksum)
    });
    if changed {
        return Err(foreign(options, "its migrations are not this program's"));
    }
    let wanted = migrator.iter().map(|known| known.version).max().unwrap_or(0);
    let found = applied.iter().map(|applied| applied.version).max().unwrap_or(0);
    match found.cmp(&wanted) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => Err(OpenError::Behind { store, found, wanted }),
        std::cmp::Ordering::Greater => Err(OpenError::Ahead {
            store,
            found,
            known: wanted,
        }),
    }
}

async fn apply(connection: &mut PgConnection, epoch: Epoch) -> Result<Vec<Applied>, MigrateError> {
    let set = format!("SET lock_timeout = {}", LOCK_MAX.as_millis());
    sqlx::raw_sql(sqlx::AssertSqlSafe(set))
        .execute(&mut *connection)
        .await?;
    connection.lock().await?;
    connection.ensure_migrations_table(MIGRATIONS_TABLE).await?;
    let before = connection.list_applied_migrations(MIGRATIONS_TABLE).await?;
    let mut migrator = migrator();
    // Held already, so that what was there before is known for certain.
    migrator.set_locking(false);
    migrator.run_direct(None, &mut *connection, false).await?;
    let begun = sqlx::query(BEGIN_JOURNAL)
        .bind(&epoch.as_bytes()[..])
        .bind(&Link::START.as_bytes()[..]);
    begun.execute(&mut *connection).await?;
    connection.unlock().await?;
    Ok(since(&before, &migrator))
}

fn was_locked_out(error: &MigrateError) -> bool {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            Fault::class_of(error) == Class::Retry
        }
        _ => false,
    }
}

fn refused(options: &PostgresOptions, source: MigrateError) -> OpenError {
    match source {
        MigrateError::VersionMissing(found) => OpenError::Ahead {
            store: options.to_string(),
            found,
            known: migrator().iter().map(|known| known.version).max().unwrap_or(0),
        },
        MigrateError::VersionMismatch(_) => foreign(options, "its migrations are not this program's"),
        source => OpenError::Migrate {
            store: options.to_string(),
            source,
        },
    }
}

fn foreign(options: &PostgresOptions, what: &str) -> OpenError {
    OpenError::Foreign {
        store: options.to_string(),
        what: what.to_owned(),
    }
}
