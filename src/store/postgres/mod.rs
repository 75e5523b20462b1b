//! The shared store: one Postgres database, any number of processes on it.

mod access;
mod budgets;
mod commit;
mod evidence;
mod fault;
mod ground;
mod history;
mod lane;
mod listen;
mod options;
mod read;
mod refusal;
mod rows;
mod schema;
mod select;
mod snapshot;
mod subjects;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::timeout;

use super::peppers::OtherPepper;
use super::roll::Roll;
use super::select::{Count, Selection, Slice};
use super::{EntryFilter, Head, Look, Outcome, Store, StoreError, hint_at};
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
use access::{ACCESS, Partitions};
use fault::Fault;
use ground::{Ground, not_behind};
use lane::{Lane, LaneOptions};
use listen::Listening;
pub use options::{NotPostgresUrl, PostgresOptions};
use refusal::Refusal;
pub use refusal::Shaky;
pub use schema::{OpenError, migrate, recover, secrets_under};
pub use snapshot::Snapshot;
use usage::EVIDENCE;

/// What a lease hangs on: its renewal, the news it has to live up to, and the roll. One task does the first two,
/// another the third, so nobody waits here. A lease is short, and so are the bounds.
const RENEWALS: LaneOptions = LaneOptions {
    name: "renewals",
    connections_max: 2,
    acquire_max: Duration::from_millis(500),
    call_max: Duration::from_secs(1),
    lock_max: Duration::from_millis(500),
};

/// Commits, one at a time: they would only wait for one another. They queue for the counter row behind other
/// replicas, and who gives up there loses their place.
const WRITER: LaneOptions = LaneOptions {
    name: "writer",
    connections_max: 1,
    acquire_max: Duration::from_secs(1),
    call_max: Duration::from_secs(5),
    lock_max: Duration::from_millis(1500),
};

/// Everything that is looked up by key, and the journal for those who watch it.
const MISSES: LaneOptions = LaneOptions {
    name: "misses",
    connections_max: 4,
    acquire_max: Duration::from_secs(1),
    call_max: Duration::from_secs(3),
    lock_max: Duration::from_millis(500),
};

/// Lists, which take as long as they take.
const LISTS: LaneOptions = LaneOptions {
    name: "lists",
    connections_max: 2,
    acquire_max: Duration::from_secs(1),
    call_max: Duration::from_secs(3),
    lock_max: Duration::from_millis(500),
};

/// How long a database may take to be looked at before it is used.
const OPEN_MAX: Duration = Duration::from_secs(10);

/// A store in a Postgres database.
#[derive(Debug)]
pub struct PostgresStore {
    renewals: Lane,
    writer: Lane,
    misses: Lane,
    lists: Lane,
    evidence: Lane,
    access: Lane,
    partitions: Partitions,
    ground: Arc<Ground>,
    rows: RowKey,
    committed: watch::Sender<Revision>,
    listening: Option<Listening>,
}

/// Answers on a connection of the lane, and again on another one if that has fallen behind: the check of the
/// new one tells whether it was the connection or the store.
macro_rules! ask {
    ($lane:expr, |$connection:ident| $answer:expr) => {{
        let lane = &$lane;
        lane.bounded(async {
            loop {
                let mut $connection = lane.hold().await?;
                let answer = $answer.await;
                match $connection.settle(answer) {
                    Err(Fault::Behind) => {}
                    settled => break settled,
                }
            }
        })
        .await
    }};
}
use ask;

// Below the macro, which they use.
mod lease;
mod roll;
mod webhooks;

impl PostgresStore {
    /// Opens a database that has been migrated; it is never migrated here. Of its rows those are believed that
    /// were written with this key.
    pub async fn open(options: &PostgresOptions, rows: RowKey) -> Result<PostgresStore, OpenError> {
        let ground = Arc::new(Ground::default());
        let looked = timeout(OPEN_MAX, look(options, &ground)).await;
        let head = looked.map_err(|silent| OpenError::Unreachable {
            store: options.to_string(),
            source: silent.into(),
        })??;
        let lane = |lane_options| Lane::new(&options.connect, &ground, lane_options);
        let committed = watch::Sender::new(head.revision);
        let listening = options
            .listen
            .then(|| Listening::start(&options.connect, committed.clone()));
        Ok(PostgresStore {
            renewals: lane(RENEWALS),
            writer: lane(WRITER),
            misses: lane(MISSES),
            lists: lane(LISTS),
            evidence: lane(EVIDENCE),
            access: lane(ACCESS),
            partitions: Partitions::default(),
            ground,
            rows,
            committed,
            listening,
        })
    }

    /// Whether the store was written with these peppers; if so, it knows them from now on.
    pub async fn recognise(&self, peppers: &Peppers) -> Result<Result<(), OtherPepper>, StoreError> {
        ask!(self.writer, |connection| async {
            if let Err(other) = read::peppers(&mut connection).await?.compare(peppers) {
                return Ok(Err(other));
            }
            commit::put_peppers(&mut connection, peppers).await?;
            // Another server may have been faster, with another pepper.
            Ok(read::peppers(&mut connection).await?.compare(peppers))
        })
    }

    /// Remembers a head that is committed, and hints at it.
    fn saw(&self, head: Head) {
        self.ground.saw(head);
        hint_at(&self.committed, head.revision);
    }
}

/// Looks at a database for the first time: what is wrong with it is told in full, which a pool would not.
async fn look(options: &PostgresOptions, ground: &Ground) -> Result<Head, OpenError> {
    let mut connection = schema::connect(options).await?;
    schema::check(&mut connection, options).await?;
    let checked = ground.check(&mut connection).await;
    checked.map_err(|fault| unfit(options, fault))
}

fn unfit(options: &PostgresOptions, fault: Fault) -> OpenError {
    let store = options.to_string();
    match fault {
        Fault::Refused(Refusal::Shaky(source)) => OpenError::Shaky { store, source },
        Fault::Driver {
            error: sqlx::Error::RowNotFound,
            ..
        } => OpenError::Empty { store },
        fault => OpenError::Store {
            store,
            source: fault.into(),
        },
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn commit(&self, drafts: Vec<Draft>) -> Result<Vec<Outcome>, StoreError> {
        let commit = commit::commit(&self.writer, &self.rows, &drafts);
        let (outcomes, head) = self.writer.bounded(commit).await?;
        self.saw(head);
        Ok(outcomes)
    }

    async fn token(&self, id: TokenId) -> Result<Option<Stored<Token>>, StoreError> {
        ask!(self.misses, |connection| read::token(
            &mut connection,
            &self.rows,
            id
        ))
    }

    async fn look_up(&self, digests: Vec<Digest>, hints: Vec<Hint>) -> Result<Look, StoreError> {
        ask!(self.misses, |connection| async {
            let look = read::look_up(&mut connection, &self.rows, &digests, &hints).await?;
            match connection.seen {
                Some(seen) if !look.tokens.is_empty() && look.fence < seen.revision => Err(Fault::Behind),
                _ => Ok(look),
            }
        })
    }

    async fn tokens(&self, selection: Selection) -> Result<Slice, StoreError> {
        ask!(self.lists, |connection| select::tokens(
            &mut connection,
            &self.rows,
            &selection
        ))
    }

    async fn count(&self, filter: Filter, by: OrderBy, after: Option<Place>) -> Result<Count, StoreError> {
        let selection = Selection::to_count(filter, by, after);
        ask!(self.lists, |connection| select::count(
            &mut connection,
            &self.rows,
            &selection
        ))
    }

    async fn standings(
        &self,
        namespace: Slug,
        subjects: Vec<Subject>,
    ) -> Result<Vec<Option<Stored<Standing>>>, StoreError> {
        ask!(self.misses, |connection| subjects::standings(
            &mut connection,
            &self.rows,
            &namespace,
            &subjects
        ))
    }

    async fn subjects(
        &self,
        namespace: Slug,
        after: Option<Subject>,
        limit: u32,
    ) -> Result<Vec<Standing>, StoreError> {
        ask!(self.lists, |connection| subjects::list(
            &mut connection,
            &self.rows,
            &namespace,
            after.as_ref(),
            limit
        ))
    }

    async fn newest_token(
        &self,
        namespace: Slug,
        subject: Option<Subject>,
    ) -> Result<Option<TokenId>, StoreError> {
        ask!(self.misses, |connection| subjects::newest_token(
            &mut connection,
            &namespace,
            subject.as_ref()
        ))
    }

    async fn count_tokens(&self, room: Room) -> Result<u32, StoreError> {
        ask!(self.misses, |connection| subjects::count(&mut connection, &room))
    }

    async fn directory(&self) -> Result<Stored<Directory>, StoreError> {
        ask!(self.misses, |connection| read::directory(
            &mut connection,
            &self.rows
        ))
    }

    async fn entries(
        &self,
        after: Revision,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        ask!(self.misses, |connection| read::entries(
            &mut connection,
            after,
            &filter,
            limit
        ))
    }

    async fn entry_of_request(&self, request_id: RequestDigest) -> Result<Option<Entry>, StoreError> {
        ask!(self.misses, |connection| read::entry_of_request(
            &mut connection,
            request_id
        ))
    }

    async fn answer(&self, revision: Revision) -> Result<Option<SealedAnswer>, StoreError> {
        ask!(self.misses, |connection| read::answer(&mut connection, revision))
    }

    /// On the lane for what takes as long as it takes: nobody's change waits for it.
    async fn sweep_answers(&self, until: Timestamp) -> Result<u64, StoreError> {
        ask!(self.lists, |connection| commit::sweep_answers(
            &mut connection,
            until
        ))
    }

    async fn head(&self) -> Result<Head, StoreError> {
        let head = ask!(self.misses, |connection| async {
            let head = read::head(&mut connection).await?;
            not_behind(&head, connection.seen.as_ref())?;
            Ok(head)
        })?;
        self.saw(head);
        Ok(head)
    }

    async fn trim(&self, through: Revision) -> Result<(), StoreError> {
        ask!(self.writer, |connection| commit::trim(&mut connection, through))
    }

    fn committed(&self) -> watch::Receiver<Revision> {
        self.committed.subscribe()
    }

    fn roll(&self) -> Option<&dyn Roll> {
        Some(self)
    }

    async fn close(&self) {
        if let Some(listening) = &self.listening {
            listening.stop();
        }
        tokio::join!(
            self.renewals.close(),
            self.writer.close(),
            self.misses.close(),
            self.lists.close(),
            self.evidence.close(),
            self.access.close()
        );
    }
}

#[cfg(test)]
mod tests;
