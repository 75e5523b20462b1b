//! Watch: every change that narrows what a token may do, replayed from a cursor and then as it happens.

mod recognised;
#[cfg(test)]
mod samples;
mod tail;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::journal::Revision;
use crate::journal::cursor::Cursor;
use crate::journal::narrowing::Narrowing;
use crate::limit::{Full, Places};
use crate::store::{Head, Store, StoreError};
use crate::token::id::Slug;
use crate::token::standing::Above;
pub use recognised::Presented;
use recognised::Recognised;
use tail::Tail;

/// Messages that wait for a watcher to take them.
const QUEUE_MAX: usize = 64;

/// What one process grants its watchers.
#[derive(Clone, Copy, Debug)]
pub struct WatchLimits {
    /// Streams open at once.
    pub watchers_max: usize,
    /// The same, of one caller.
    pub watchers_per_caller_max: usize,
    /// How long a watcher may leave its messages untaken before its stream ends.
    pub stall_max: Duration,
}

impl Default for WatchLimits {
    fn default() -> WatchLimits {
        WatchLimits {
            watchers_max: 1000,
            watchers_per_caller_max: 100,
            stall_max: Duration::from_secs(10),
        }
    }
}

/// Opens streams over the journal.
#[derive(Debug)]
pub struct Watch {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    runtime: Handle,
    drain: CancellationToken,
    forked: CancellationToken,
    places: Arc<Places<Arc<str>>>,
    /// How far each stream has come.
    sent: Mutex<Vec<Weak<AtomicU64>>>,
    stall_max: Duration,
}

/// What a watcher wants to see.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Everything after this; `None`: from now on.
    pub after: Option<Cursor>,
    /// Of these namespaces; none named: of all.
    pub namespaces: BTreeSet<Slug>,
    pub heartbeat: Duration,
    /// By what the watcher was recognised: when that is over, so is the stream.
    pub presented: Option<Presented>,
}

/// A message to a watcher. Everything up to the cursor has been delivered with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    pub cursor: Cursor,
    pub event: Event,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Always first: the stream begins after the cursor.
    Started,
    Narrowed(Narrowing),
    Heartbeat,
}

/// Why a stream was not opened.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error("the cursor is of another journal, or what follows it is no longer kept")]
    CursorExpired,
    #[error("the store is not the one that was followed; watch at another server")]
    Forked,
    #[error("whoever opens the stream is not recognised any more")]
    CallerWithdrawn,
    #[error("too many streams are open")]
    Overloaded,
    #[error("this caller has too many streams open; close some of them")]
    CallerBusy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a stream ended. Each but the last three can be resumed from the last cursor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Ended {
    #[error("the server is shutting down; call again, and where there is a cursor, resume from the last")]
    Draining,
    #[error("the watcher did not take its messages in time; resume from the last cursor")]
    TooSlow,
    #[error("the journal could not be read; resume from the last cursor")]
    Unavailable,
    #[error("whoever opened the stream is not recognised any more")]
    CallerWithdrawn,
    #[error("the journal has a gap")]
    Corrupt,
    #[error("the store is not the one that was followed; drop what is cached, and watch at another server")]
    Forked,
}

/// An open stream: messages, and at last the reason it ended. Dropping it closes it.
#[derive(Debug)]
pub struct Subscription {
    messages: mpsc::Receiver<Message>,
    end: oneshot::Receiver<Ended>,
}

impl Stream for Subscription {
    type Item = Result<Message, Ended>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(message) = ready!(self.messages.poll_recv(context)) {
            return Poll::Ready(Some(Ok(message)));
        }
        if self.end.is_terminated() {
            return Poll::Ready(None);
        }
        let why = ready!(Pin::new(&mut self.end).poll(context));
        // Without a reason the task was lost with its runtime.
        Poll::Ready(Some(Err(why.unwrap_or(Ended::Draining))))
    }
}

impl Watch {
    /// Streams run on `runtime` and end when `drain` is cancelled, or `forked` is: when the store is found to
    /// be another than the one that was followed.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        runtime: Handle,
        drain: CancellationToken,
        forked: CancellationToken,
        limits: WatchLimits,
    ) -> Watch {
        let WatchLimits {
            watchers_max,
            watchers_per_caller_max,
            stall_max,
        } = limits;
        Watch {
            store,
            clock,
            runtime,
            drain,
            forked,
            places: Places::new(watchers_max, watchers_per_caller_max),
            sent: Mutex::default(),
            stall_max,
        }
    }

    /// Streams that are open.
    pub fn watchers(&self) -> usize {
        self.places.held()
    }

    /// How many revisions the slowest of them has yet to be sent of those up to `head`.
    pub fn lag(&self, head: Revision) -> u64 {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let open = sent.iter().filter_map(Weak::upgrade);
        let slowest = open.map(|sent| sent.load(Ordering::Relaxed)).min();
        slowest.map_or(0, |slowest| head.get().saturating_sub(slowest))
    }

    /// Where a stream that begins at `start` notes how far it has come.
    fn noted(&self, start: Cursor) -> Arc<AtomicU64> {
        let noted = Arc::new(AtomicU64::new(start.revision.get()));
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.retain(|sent| sent.strong_count() > 0);
        sent.push(Arc::downgrade(&noted));
        noted
    }

    /// Opens a stream that takes one of the places of `caller`.
    pub async fn open(&self, wanted: Wanted, caller: Arc<str>) -> Result<Subscription, WatchError> {
        let place = self.places.take(caller).map_err(|full| match full {
            Full::Total => WatchError::Overloaded,
            Full::Holder => WatchError::CallerBusy,
        })?;
        if self.forked.is_cancelled() {
            return Err(WatchError::Forked);
        }
        let head = self.store.head().await?;
        let start = start(wanted.after, &head)?;
        let recognised = match wanted.presented {
            // After the head: what withdrew it since comes after that, and will be seen there.
            Some(presented) => Some(self.recognised(presented, &head).await?),
            None => None,
        };
        let (messages, receiver) = mpsc::channel(QUEUE_MAX);
        let (ended, end) = oneshot::channel();
        let tail = Tail {
            store: Arc::clone(&self.store),
            namespaces: wanted.namespaces,
            recognised,
            clock: Arc::clone(&self.clock),
            at: start,
            sent: self.noted(start),
            messages,
            stall_max: self.stall_max,
        };
        let (drain, forked) = (self.drain.clone(), self.forked.clone());
        self.runtime.spawn(async move {
            let _place = place;
            if let Err(why) = tail.run(wanted.heartbeat, drain, forked).await {
                // The watcher may have left.
                let _ = ended.send(why);
            }
        });
        Ok(Subscription {
            messages: receiver,
            end,
        })
    }

    async fn recognised(&self, presented: Presented, head: &Head) -> Result<Recognised, WatchError> {
        let stored = self.store.token(presented.token_id).await?;
        let token = stored.ok_or(WatchError::CallerWithdrawn)?.record;
        let (namespace, subject) = (token.namespace.clone(), token.subject.clone());
        let standings = self.store.standings(namespace.clone(), vec![subject]).await?;
        let directory = self.store.directory().await?.record;
        let standing = standings.first().and_then(Option::as_ref);
        let namespace = directory.get(&namespace);
        let above = Above {
            standing: standing.map(|stored| &stored.record),
            not_before: namespace.and_then(|namespace| namespace.not_before.as_ref()),
        };
        Recognised::by(presented, &token.under(above), head.revision).ok_or(WatchError::CallerWithdrawn)
    }
}

/// Where a stream begins, if what follows `after` can be delivered without a gap.
fn start(after: Option<Cursor>, head: &Head) -> Result<Cursor, WatchError> {
    match after {
        None => Ok(head.cursor()),
        Some(cursor)
            if cursor.epoch == head.epoch
                && cursor.revision <= head.revision
                && cursor.revision.next() >= head.oldest =>
        {
            Ok(cursor)
        }
        Some(_) => Err(WatchError::CursorExpired),
    }
}
