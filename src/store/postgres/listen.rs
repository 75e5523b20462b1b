//! Hearing that something was committed elsewhere. What is heard is a hint: facts are always read.

use std::convert::Infallible;
use std::time::Duration;

use sqlx::Executor;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::journal::Revision;

/// What `commit::MOVE_HEAD` notifies.
pub(super) const CHANNEL: &str = "tokenward_journal";

pub(super) const PING: &str = "SELECT 1";

/// A connection that has been silent for so long is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(5);
/// How long it may take to answer, and a new one to be made.
const PING_MAX: Duration = Duration::from_secs(2);
/// How long after a connection was lost the next one is made: soon at first, then less and less often.
const RECONNECT_MIN: Duration = Duration::from_millis(100);
const RECONNECT_MAX: Duration = Duration::from_secs(5);

/// A task that listens until this is dropped.
#[derive(Debug)]
pub(super) struct Listening(AbortHandle);

impl Listening {
    /// Touches `committed` for every notification, without saying what to.
    pub(super) fn start(connect: &PgConnectOptions, committed: watch::Sender<Revision>) -> Listening {
        let connect = connect.clone().application_name("tokenward/listener");
        Listening(tokio::spawn(listen(connect, committed)).abort_handle())
    }

    pub(super) fn stop(&self) {
        self.0.abort();
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn listen(connect: PgConnectOptions, committed: watch::Sender<Revision>) {
    let mut pause = RECONNECT_MIN;
    loop {
        let mut heard = false;
        let Err(error) = hear(&connect, || {
            heard = true;
            // Whoever waits is woken; that nothing has changed is for them to find out.
            committed.send_modify(|_| {});
        })
        .await;
        pause = if heard {
            RECONNECT_MIN
        } else {
            RECONNECT_MAX.min(pause * 2)
        };
        tracing::debug!(%error, "no notifications are heard until the next connection");
        sleep(pause).await;
    }
}

/// Calls `touch` once it listens, for what was missed until then, and whenever it hears something.
async fn hear(connect: &PgConnectOptions, mut touch: impl FnMut()) -> Result<Infallible, sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(PING_MAX)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(connect.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    // Made anew by whoever calls this, with a pause.
    listener.eager_reconnect(false);
    answered(listener.listen(CHANNEL)).await?;
    touch();
    loop {
        match timeout(PING_EVERY, listener.try_recv()).await {
            Ok(Ok(Some(_))) => touch(),
            Ok(Ok(None)) => return Err(lost()),
            Ok(Err(error)) => return Err(error),
            // Nothing was committed, or the other end is gone and has not said so.
            Err(_) => answered(listener.execute(PING)).await.map(drop)?,
        }
    }
}

async fn answered<T>(call: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(PING_MAX, call).await.unwrap_or_else(|_| Err(lost()))
}

fn lost() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::ConnectionAborted.into())
}
