//! The embedded store: one SQLite file, one writer, and as many readers as there are cores to use them.

mod access;
mod commit;
mod evidence;
mod fault;
mod ground;
mod parameters;
mod history;
mod read;
mod select;
mod snapshot;
mod subjects;
mod usage;
mod webhooks;

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::{Migrate, MigrateError};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tokio::sync::watch;

use super::columns::{link, revision, sql};
use super::migrations::{Applied, MIGRATIONS_TABLE, since};
use super::peppers::{OtherPepper, to_keep};
use super::roll::Roll;
use super::select::{Count, Selection, Slice};
use super::{EntryFilter, Head, Look, Outcome, Store, StoreError, hint_at};
use crate::journal::cursor::Epoch;
use crate::journal::{Draft, Entry, Revision, Room, Stored};
use crate::token::Token;
use crate::token::answer::SealedAnswer;
use crate::token::format::Hint;
use crate::token::id::{RequestDigest, Slug, TokenId};
use crate::token::namespace::Directory;
use crate::token::order::{OrderBy, Place};
use crate::token::secret::{Digest, Peppers, RowKey};
use crate::token::selector::Filter;
use crate::token::standing::Standing;
use crate::token::text::Subject;
use crate::token::time::Timestamp;
pub use ground::Shaky;
pub use snapshot::{Snapshot, Unreadable};

/// Connections that only read: enough for the cores of a small machine, few enough for a large one.
const READERS: u32 = 4;
/// How long a read waits for a connection before the caller is told to come back.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long SQLite waits for a lock another program holds on the file (a backup, say).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What is kept is nobody else's business: SQLite gives its other files the mode of the first.
const FILE_MODE: u32 = 0o600;

/// A store in an SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    rows: RowKey,
    committed: watch::Sender<Revision>,
    /// Held for as long as the store is open.
    lock: Mutex<Option<File>>,
}

/// A file that this process has opened for itself alone, and reads no rows of yet.
#[derive(Debug)]
pub struct Opened {
    writer: SqlitePool,
    readers: SqlitePool,
    head: Revision,
    applied: Vec<Applied>,
    lock: File,
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{path} is in use by another tokenward process: stop it first, or name another file")]
    InUse { path: PathBuf },
    #[error("{path} cannot be locked: {source}")]
    Lock { path: PathBuf, source: std::io::Error },
    #[error("{path} cannot be created: {source}")]
    Create { path: PathBuf, source: std::io::Error },
    #[error("{path} cannot be opened: {source}")]
    Open { path: PathBuf, source: sqlx::Error },
    #[error("{path} cannot be brought to the schema of this program: {source}")]
    Migrate { path: PathBuf, source: MigrateError },
    #[error("{path} cannot be trusted: {source}")]
    Shaky { path: PathBuf, source: Shaky },
}

impl SqliteStore {
    /// Opens the file at `path` as [`Opened::open`] does; of its rows those are believed that were written with
    /// this key.
    pub async fn open(path: &Path, epoch: Epoch, rows: RowKey) -> Result<SqliteStore, OpenError> {
        Ok(Opened::open(path, epoch).await?.with(rows))
    }
}

impl Opened {
    /// Opens the file at `path` for this process alone, creating it if need be; `epoch` names a journal
    /// that is created.
    pub async fn open(path: &Path, epoch: Epoch) -> Result<Opened, OpenError> {
        let lock = lock(path)?;
        let created = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(FILE_MODE)
            .open(path);
        created.map_err(|source| OpenError::Create {
            path: path.to_owned(),
            source,
        })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // NORMAL would lose the last commits with the power; an acknowledged change must not go.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true);
        let opened = |source| OpenError::Open {
            path: path.to_owned(),
            source,
        };
        let writer = writer_pool()
            .connect_with(options.clone())
            .await
            .map_err(opened)?;
        let applied = apply(&writer).await.map_err(|source| OpenError::Migrate {
            path: path.to_owned(),
            source,
        })?;
        let head = commit::begin_journal(&writer, epoch).await.map_err(opened)?;
        let shaky = |source| OpenError::Shaky {
            path: path.to_owned(),
            source,
        };
        ground::check(&writer).await.map_err(shaky)?;
        let readers = reader_pool()
            .connect_with(options.read_only(true))
            .await
            .map_err(opened)?;
        Ok(Opened {
            writer,
            readers,
            head,
            applied,
            lock,
        })
    }

    /// Whether nothing was ever written to it, so that no key is needed to read it.
    pub fn is_fresh(&self) -> bool {
        self.head == Revision::ZERO
    }

    /// The store in it, of whose rows those are believed that were written with this key.
    pub fn with(self, rows: RowKey) -> SqliteStore {
        SqliteStore {
            writer: self.writer,
            readers: self.readers,
            rows,
            committed: watch::Sender::new(self.head),
            lock: Mutex::new(Some(self.lock)),
        }
    }

    async fn close(self) {
        close(&self.readers, &self.writer, Some(self.lock)).await;
    }
}

async fn close(readers: &SqlitePool, writer: &SqlitePool, lock: Option<File>) {
    readers.close().await;
    writer.close().await;
    // Only now may another process have the file. Said in so many words: to close the file would not do
    // while a process that was just forked still has a copy of it.
    if let Some(Err(error)) = lock.map(|file| file.unlock()) {
        tracing::warn!(%error, "the store could not be unlocked; it is when this process ends");
    }
}

impl SqliteStore {
    /// Whether the store was written with these peppers; if so, it knows them from now on.
    pub async fn recognise(&self, peppers: &Peppers) -> Result<Result<(), OtherPepper>, StoreError> {
        if let Err(other) = read::peppers(&self.readers).await?.compare(peppers) {
            return Ok(Err(other));
        }
        for (id, fingerprint) in to_keep(peppers) {
            commit::put_pepper(&self.writer, id, fingerprint).await?;
        }
        Ok(Ok(()))
    }
}

/// Brings the file at `path` to the schema of this program, as opening it does; answers with what it applied.
pub async fn migrate(path: &Path, epoch: Epoch) -> Result<Vec<Applied>, OpenError> {
    let mut opened = Opened::open(path, epoch).await?;
    let applied = std::mem::take(&mut opened.applied);
    opened.close().await;
    Ok(applied)
}

/// Gives the journal at `path` a new epoch, so that nobody goes on from what a file that was restored has
/// forgotten: every cursor of before is refused. Answers with the head.
pub async fn recover(path: &Path, epoch: Epoch) -> Result<Revision, OpenError> {
    let opened = Opened::open(path, epoch).await?;
    let head = commit::new_epoch(&opened.writer, epoch).await;
    opened.close().await;
    head.map_err(|source| OpenError::Open {
        path: path.to_owned(),
        source,
    })
}

async fn apply(writer: &SqlitePool) -> Result<Vec<Applied>, MigrateError> {
    let migrator = sqlx::migrate!("migrations/sqlite");
    let mut connection = writer.acquire().await?;
    connection.ensure_migrations_table(MIGRATIONS_TABLE).await?;
    let before = connection.list_applied_migrations(MIGRATIONS_TABLE).await?;
    migrator.run_direct(None, &mut *connection, false).await?;
    Ok(since(&before, &migrator))
}

/// One connection: SQLite has one writer at a time, and waiting for it in line beats being told it is busy.
fn writer_pool() -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(BUSY_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, _| {
            Box::pin(async move {
                // A `begin()` that was dropped half way leaves a transaction open, and what is written
                // next would vanish inside it (sqlx 0.9.0). Without one this fails, as it should. A
                // connection that had one is replaced: sqlx would still count it, and refuse to begin.
                let left_open = sqlx::query("ROLLBACK").execute(connection).await.is_ok();
                Ok(!left_open)
            })
        })
}

fn reader_pool() -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
}

/// Two processes would each believe their own cache: the lock beside the file keeps the second out.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let failed = |source| OpenError::Lock {
        path: path.to_owned(),
        source,
    };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, drafts: Vec<Draft>) -> Result<Vec<Outcome>, StoreError> {
        let (outcomes, head) = commit::commit(&self.writer, &self.rows, drafts).await?;
        hint_at(&self.committed, head);
        Ok(outcomes)
    }

    async fn token(&self, id: TokenId) -> Result<Option<Stored<Token>>, StoreError> {
        read::token(&self.readers, &self.rows, id).await
    }

    async fn look_up(&self, digests: Vec<Digest>, hints: Vec<Hint>) -> Result<Look, StoreError> {
        read::look_up(&self.readers, &self.rows, &digests, &hints).await
    }

    async fn tokens(&self, selection: Selection) -> Result<Slice, StoreError> {
        select::tokens(&self.readers, &self.rows, &selection).await
    }

    async fn count(&self, filter: Filter, by: OrderBy, after: Option<Place>) -> Result<Count, StoreError> {
        let selection = Selection::to_count(filter, by, after);
        select::count(&self.readers, &self.rows, &selection).await
    }

    async fn standings(
        &self,
        namespace: Slug,
        subjects: Vec<Subject>,
    ) -> Result<Vec<Option<Stored<Standing>>>, StoreError> {
        subjects::standings(&self.readers, &self.rows, &namespace, &subjects).await
    }

    async fn subjects(
        &self,
        namespace: Slug,
        after: Option<Subject>,
        limit: u32,
    ) -> Result<Vec<Standing>, StoreError> {
        subjects::list(&self.readers, &self.rows, &namespace, after.as_ref(), limit).await
    }

    async fn newest_token(
        &self,
        namespace: Slug,
        subject: Option<Subject>,
    ) -> Result<Option<TokenId>, StoreError> {
        subjects::newest_token(&self.readers, &namespace, subject.as_ref()).await
    }

    async fn count_tokens(&self, room: Room) -> Result<u32, StoreError> {
        subjects::count(&self.readers, &room).await
    }

    async fn directory(&self) -> Result<Stored<Directory>, StoreError> {
        read::directory(&self.readers, &self.rows).await
    }

    async fn entries(
        &self,
        after: Revision,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        read::entries(&self.readers, after, &filter, limit).await
    }

    async fn entry_of_request(&self, request_id: RequestDigest) -> Result<Option<Entry>, StoreError> {
        read::entry_of_request(&self.readers, request_id).await
    }

    async fn answer(&self, revision: Revision) -> Result<Option<SealedAnswer>, StoreError> {
        read::answer(&self.readers, revision).await
    }

    async fn sweep_answers(&self, until: Timestamp) -> Result<u64, StoreError> {
        commit::sweep_answers(&self.writer, until).await
    }

    async fn head(&self) -> Result<Head, StoreError> {
        read::head(&self.readers).await
    }

    async fn trim(&self, through: Revision) -> Result<(), StoreError> {
        commit::trim(&self.writer, through).await
    }

    fn committed(&self) -> watch::Receiver<Revision> {
        self.committed.subscribe()
    }

    /// The lock keeps every other process out.
    fn roll(&self) -> Option<&dyn Roll> {
        None
    }

    async fn close(&self) {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
        close(&self.readers, &self.writer, lock).await;
    }
}

#[cfg(test)]
mod tests;
