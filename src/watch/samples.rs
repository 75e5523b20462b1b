//! Streams over a store in memory that can be made to fail, and changes for them to carry.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;

use super::{Ended, Event, Message, Subscription, Wanted, Watch, WatchError, WatchLimits};
use crate::clock::ManualClock;
use crate::journal::cursor::Cursor;
use crate::journal::narrowing::{Narrowing, narrowings};
use crate::journal::samples::issue;
use crate::journal::{Entry, Revision};
use crate::store::Store;
use crate::store::faulty::Faulty;
use crate::store::memory::MemoryStore;
use crate::store::samples::{Answer, EPOCH, change, found_notes, read, rotation, write};
use crate::token::change::TokenChange;
use crate::token::samples::{instant, token, withdrawal};

pub(super) const HEARTBEAT: Duration = Duration::from_secs(1);
/// As many as any test needs but the one that needs more.
pub(super) const PER_CALLER_MAX: usize = 5;
pub(super) const STALL_MAX: Duration = Duration::from_secs(10);

/// No test has as many: a stream that goes on for so long goes on for ever.
const MESSAGES_MAX: usize = 2000;

pub(super) struct Scene {
    /// Where changes are made, without faults.
    pub(super) store: Arc<dyn Store>,
    /// The same store, as the streams see it.
    pub(super) faulty: Arc<Faulty>,
    pub(super) drain: CancellationToken,
    pub(super) forked: CancellationToken,
    pub(super) watch: Watch,
}

impl Scene {
    /// With the namespace `notes` and no tokens.
    pub(super) async fn start() -> Answer<Scene> {
        Scene::with(10, Faulty::over).await
    }

    pub(super) async fn with_room_for(watchers_max: usize) -> Answer<Scene> {
        Scene::with(watchers_max, Faulty::over).await
    }

    /// No hint of a commit reaches the streams.
    pub(super) async fn start_without_hints() -> Answer<Scene> {
        Scene::with(10, |store| Faulty::over(store).without_hints()).await
    }

    async fn with(watchers_max: usize, faulty: impl FnOnce(Arc<dyn Store>) -> Faulty) -> Answer<Scene> {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(EPOCH));
        found_notes(&store).await?;
        let faulty = Arc::new(faulty(Arc::clone(&store)));
        let (drain, forked) = (CancellationToken::new(), CancellationToken::new());
        let limits = WatchLimits {
            watchers_max,
            watchers_per_caller_max: PER_CALLER_MAX,
            stall_max: STALL_MAX,
        };
        let watch = Watch::new(
            Arc::<Faulty>::clone(&faulty),
            Arc::new(ManualClock::at(instant(0))),
            Handle::current(),
            drain.clone(),
            forked.clone(),
            limits,
        );
        Ok(Scene {
            store,
            faulty,
            drain,
            forked,
            watch,
        })
    }

    /// A stream of all namespaces.
    pub(super) async fn open(&self, after: Option<Cursor>) -> Result<Subscription, WatchError> {
        self.open_as("caller", after).await
    }

    pub(super) async fn open_as(
        &self,
        caller: &str,
        after: Option<Cursor>,
    ) -> Result<Subscription, WatchError> {
        self.watch.open(wanted(after, &[]), Arc::from(caller)).await
    }

    /// Issues the tokens of these numbers, and revokes them in the same order; the first revocation.
    pub(super) async fn revoke_all(&self, numbers: std::ops::Range<u64>) -> Answer<Entry> {
        for number in numbers.clone() {
            write(&self.store, issue(token(number))).await?;
        }
        let mut first = None;
        for number in numbers {
            let revoked = self.change(number, revoked()).await?;
            first.get_or_insert(revoked);
        }
        Ok(first.ok_or("no token")?)
    }

    pub(super) async fn change(&self, number: u64, to: TokenChange) -> Answer<Entry> {
        change(&self.store, token(number).id, to).await
    }

    /// Rotates the token of this number; the secret before ends at `retire_time`.
    pub(super) async fn rotate(&self, number: u64, retire_time: i64) -> Answer<Entry> {
        let stored = read(&self.store, token(number).id).await?;
        self.change(number, rotation(number, &stored.record, instant(retire_time)))
            .await
    }
}

pub(super) fn wanted(after: Option<Cursor>, namespaces: &[&str]) -> Wanted {
    let namespaces: BTreeSet<_> = namespaces
        .iter()
        .map(|name| crate::token::samples::slug(name))
        .collect();
    Wanted {
        after,
        namespaces,
        heartbeat: HEARTBEAT,
        presented: None,
    }
}

pub(super) fn revoked() -> TokenChange {
    TokenChange::Revoked(withdrawal(instant(1)))
}

pub(super) fn suspended() -> TokenChange {
    TokenChange::Suspended(withdrawal(instant(1)))
}

pub(super) fn at(revision: u64) -> Cursor {
    Cursor {
        epoch: EPOCH,
        revision: Revision::new(revision),
    }
}

/// The messages that carry what `entries` take away, in order.
pub(super) fn messages(entries: &[Entry]) -> Vec<Message> {
    let mut messages = Vec::new();
    for entry in entries {
        let taken: Vec<Narrowing> = narrowings(entry).collect();
        for (n, narrowing) in taken.iter().enumerate() {
            let last = n + 1 == taken.len();
            messages.push(Message {
                cursor: at(entry.revision.get() - u64::from(!last)),
                event: Event::Narrowed(narrowing.clone()),
            });
        }
    }
    messages
}

pub(super) async fn next(stream: &mut Subscription) -> Answer<Message> {
    let next = tokio::time::timeout(HEARTBEAT * 100, stream.next()).await?;
    Ok(next.ok_or("the stream is over")??)
}

/// Everything up to the first heartbeat, which comes when there is nothing left to say.
pub(super) async fn until_heartbeat(stream: &mut Subscription) -> Answer<(Vec<Message>, Cursor)> {
    let mut before = Vec::new();
    while before.len() < MESSAGES_MAX {
        match next(stream).await? {
            Message {
                cursor,
                event: Event::Heartbeat,
            } => return Ok((before, cursor)),
            message => before.push(message),
        }
    }
    Err("no heartbeat comes".into())
}

/// Everything up to the end, and why it ended; nothing comes after that.
pub(super) async fn until_the_end(stream: &mut Subscription) -> Answer<(Vec<Message>, Ended)> {
    let mut before = Vec::new();
    while before.len() < MESSAGES_MAX {
        match stream.next().await.ok_or("it ended without a reason")? {
            Ok(message) => before.push(message),
            Err(why) => {
                assert!(stream.next().await.is_none());
                return Ok((before, why));
            }
        }
    }
    Err("it does not end".into())
}

pub(super) fn started(revision: u64) -> Message {
    Message {
        cursor: at(revision),
        event: Event::Started,
    }
}
