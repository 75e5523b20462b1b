//! Connections to one end: a small pool for each kind of call, so that none starves another, and a bound on
//! how long each may keep its caller waiting.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection, Postgres};
use tokio::sync::watch;
use tokio::time::timeout;

use super::super::{Head, StoreError};
use super::fault::Fault;
use super::ground::Ground;
use super::refusal::Refusal;

/// How long a connection that was used may take to say that it is fit to be used again.
const RETURN_MAX: Duration = Duration::from_secs(1);

/// What sets one kind of call apart from the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct LaneOptions {
    /// The server shows it as `tokenward/NAME`.
    pub name: &'static str,
    pub connections_max: u32,
    /// How long a call may wait for a connection.
    pub acquire_max: Duration,
    /// How long a call may take as a whole. The server's own bounds end what is slow there; only this one
    /// ends a call whose connection has gone silent.
    pub call_max: Duration,
    /// How long a statement may wait for a lock.
    pub lock_max: Duration,
}

/// A statement that takes longer is of no use to anybody.
const STATEMENT_MAX: Duration = Duration::from_secs(2);
/// No transaction of this store ever waits for its client this long, unless the client is gone.
const IDLE_IN_TRANSACTION_MAX: Duration = Duration::from_secs(5);

/// The connections for one kind of call.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) pool: PgPool,
    ground: Arc<Ground>,
    /// Why new connections were refused, for those who wait for one: sqlx would have them wait on.
    refusals: watch::Sender<Option<Refusal>>,
    options: LaneOptions,
}

impl Lane {
    pub(super) fn new(connect: &PgConnectOptions, ground: &Arc<Ground>, options: LaneOptions) -> Lane {
        let refusals = watch::Sender::new(None);
        let pool = PgPoolOptions::new()
            .max_connections(options.connections_max)
            .acquire_timeout(options.acquire_max)
            .test_before_acquire(false)
            .before_acquire(|connection, _| Box::pin(rolled_back(connection)))
            .after_connect({
                let (ground, refusals) = (Arc::clone(ground), refusals.clone());
                move |connection, _| {
                    let (ground, refusals) = (Arc::clone(&ground), refusals.clone());
                    Box::pin(async move { checked(&ground, &refusals, connection).await })
                }
            })
            .connect_lazy_with(session(connect, &options));
        Lane {
            pool,
            ground: Arc::clone(ground),
            refusals,
            options,
        }
    }

    /// Ends `call` when its time is up. What it held of a connection is closed then.
    pub(super) async fn bounded<T>(
        &self,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, StoreError> {
        let bound = self.options.call_max;
        let late = Err(Fault::Late { bound });
        Ok(timeout(bound, call).await.unwrap_or(late)?)
    }

    /// Lets go of the connections, once those in use are settled or their time is up.
    pub(super) async fn close(&self) {
        // sqlx waits without end for a connection that has gone silent.
        let _ = timeout(self.options.call_max, self.pool.close()).await;
    }

    /// A connection that stands on good ground, and what had been seen before it is asked anything.
    pub(super) async fn hold(&self) -> Result<Held, Fault> {
        let mut refused = self.refusals.subscribe();
        let mut connection = tokio::select! {
            connection = self.pool.acquire() => connection?,
            Ok(()) = refused.changed() => match refused.borrow_and_update().clone() {
                Some(refusal) => return Err(refusal.into()),
                None => return Err(sqlx::Error::PoolTimedOut.into()),
            },
        };
        // Only `settle` gives it back: a call that was cut short leaves it in the middle of something.
        connection.close_on_drop();
        Ok(Held {
            connection,
            seen: self.ground.seen(),
        })
    }
}

/// How sessions differ from what the server would have them be. Durability stays the server's to set.
fn session(connect: &PgConnectOptions, options: &LaneOptions) -> PgConnectOptions {
    let millis = |span: Duration| span.as_millis().to_string();
    connect
        .clone()
        .application_name(&format!("tokenward/{}", options.name))
        .options([
            ("statement_timeout", millis(STATEMENT_MAX)),
            ("lock_timeout", millis(options.lock_max)),
            (
                "idle_in_transaction_session_timeout",
                millis(IDLE_IN_TRANSACTION_MAX),
            ),
            ("default_transaction_isolation", "read committed".to_owned()),
            // What is read by key goes by its index, whatever the statistics of a young table say: a journal
            // that was walked for each batch cost two thirds of all revocations a second.
            ("enable_seqscan", "off".to_owned()),
            // A page is walked in the order of its index, and ends: never is all that may be on it gathered and sorted.
            ("enable_sort", "off".to_owned()),
            // The little that has to be walked looks so dear then that it would be compiled.
            ("jit", "off".to_owned()),
            // A ROLLBACK where there is nothing to roll back would be warned of, each time.
            ("client_min_messages", "error".to_owned()),
        ])
}

/// A `begin()` that was dropped half way leaves a transaction open, and what is written next would vanish
/// inside it (sqlx 0.9.0). Where sqlx itself counts one the connection is replaced: it would refuse to begin.
async fn rolled_back(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        return Ok(false);
    }
    sqlx::raw_sql("ROLLBACK").execute(connection).await?;
    Ok(true)
}

async fn checked(
    ground: &Ground,
    refusals: &watch::Sender<Option<Refusal>>,
    connection: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    match ground.check(connection).await {
        Ok(_) => Ok(()),
        Err(Fault::Refused(refusal)) => {
            tracing::error!(%refusal, "a connection was refused");
            refusals.send_replace(Some(refusal.clone()));
            Err(sqlx::Error::Configuration(refusal.into()))
        }
        Err(Fault::Driver { error, .. }) => Err(error),
        Err(fault) => Err(sqlx::Error::Configuration(fault.into())),
    }
}

/// A connection in use: closed when it is dropped, given back when it is settled.
#[derive(Debug)]
pub(super) struct Held {
    connection: PoolConnection<Postgres>,
    /// The highest head that had been seen by the time the connection was taken.
    pub(super) seen: Option<Head>,
}

impl Held {
    /// Gives the connection back unless what was answered speaks against it.
    pub(super) fn settle<T>(mut self, answer: Result<T, Fault>) -> Result<T, Fault> {
        if answer.as_ref().err().is_none_or(Fault::spares_the_connection) {
            // sqlx asks it for a sign of life first, and would wait for that without end.
            let returned = self.connection.return_to_pool();
            tokio::spawn(timeout(RETURN_MAX, returned));
        }
        answer
    }
}

impl Deref for Held {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
