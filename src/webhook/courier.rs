//! Whoever has the duty delivers for all servers: it reads the journal once, and wakes the endpoints it concerns.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::Sender;
use super::parts::Parts;
use super::round::{End, Round};
use super::tally::Tally;
use crate::authority::Authority;
use crate::journal::cursor::Epoch;
use crate::journal::event::event;
use crate::journal::{Change, Revision};
use crate::store::lease::{Duty, Stop};
use crate::store::{EntryFilter, READ_MAX, Store, StoreError};
use crate::token::id::Slug;
use crate::token::webhook::pace::Pace;
use crate::token::webhook::{Endpoint, EndpointId};

/// What the duty is called.
pub const DUTY: &str = "webhooks";
/// How long a server has the duty without having been heard of.
pub const LEASE: Duration = Duration::from_secs(10);
/// How often it says that it is there, and how often another one asks whether it still is.
const RENEW_INTERVAL: Duration = Duration::from_secs(3);
/// How often the journal is read although nobody hinted at anything new in it.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Messages on their way at once; a further one waits for one of them to be answered.
const SENDING_MAX: usize = 256;

/// Delivers while it has the duty, and waits for it otherwise.
#[derive(Debug)]
pub struct Courier {
    parts: Arc<Parts>,
    duty: Duty,
}

/// What is sent where, for as long as it has the duty.
#[derive(Default)]
struct Rounds {
    /// Ends all of them when it is dropped.
    tasks: JoinSet<(EndpointId, End)>,
    running: HashMap<EndpointId, AbortHandle>,
    paused: HashSet<EndpointId>,
    /// The newest event of each namespace that has an endpoint.
    newest: HashMap<Slug, watch::Sender<Revision>>,
}

impl Courier {
    pub fn new(
        store: Arc<dyn Store>,
        authority: Arc<Authority>,
        sender: Arc<Sender>,
        duty: Duty,
        (pace, epoch, tally): (Pace, Epoch, Arc<Tally>),
    ) -> Courier {
        let parts = Parts {
            clock: Arc::clone(&sender.clock),
            entropy: Arc::clone(&sender.entropy),
            store,
            authority,
            sender,
            tally,
            pace,
            epoch,
            places: Semaphore::new(SENDING_MAX),
        };
        Courier {
            parts: Arc::new(parts),
            duty,
        }
    }

    /// Never returns. Cut off, it leaves nothing half done: what was sent and is not noted yet is sent once more.
    pub async fn run(self) {
        loop {
            match self.take().await {
                Ok(true) => {
                    tracing::info!("delivers webhooks");
                    self.parts.tally.set_on_duty(true);
                    match self.deliver().await {
                        Stop::Lost => tracing::info!("delivers webhooks no more: another server may"),
                        Stop::Store(error) => tracing::warn!(%error, "webhooks wait for the store"),
                    }
                    self.parts.tally.set_on_duty(false);
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "webhooks wait for the store"),
            }
            sleep(RENEW_INTERVAL).await;
        }
    }

    /// Takes the duty, or keeps it; whether it is this server's.
    async fn take(&self) -> Result<bool, StoreError> {
        let now = self.parts.clock.now();
        let store = &*self.parts.store;
        self.duty.take(store, now, LEASE, RENEW_INTERVAL).await
    }

    async fn deliver(&self) -> Stop {
        let mut rounds = Rounds::default();
        match self.go_on(&mut rounds).await {
            Ok(never) => match never {},
            Err(stop) => stop,
        }
    }

    async fn go_on(&self, rounds: &mut Rounds) -> Result<std::convert::Infallible, Stop> {
        let clock = &self.parts.clock;
        let mut kept_at = clock.uptime();
        let mut committed = self.parts.store.committed();
        let mut renew = interval(RENEW_INTERVAL);
        let mut poll = interval(POLL_INTERVAL);
        for pace in [&mut renew, &mut poll] {
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        // Before the endpoints: what changes about them from here on is read below.
        let mut read = self.parts.store.head().await?.revision;
        self.start_all(rounds, read).await?;
        loop {
            tokio::select! {
                _ = renew.tick() => {
                    let asked_at = clock.uptime();
                    match self.take().await {
                        Ok(true) => kept_at = asked_at,
                        Ok(false) => return Err(Stop::Lost),
                        Err(error) => tracing::warn!(%error, "the duty to deliver webhooks could not be kept; trying again"),
                    }
                }
                Some(ended) = rounds.tasks.join_next() => {
                    if let Ok((id, End::Lost)) = ended {
                        // Somebody else has moved it, or its state is not known: begin again with what the store says.
                        sleep(POLL_INTERVAL).await;
                        self.restart(rounds, id, read).await?;
                    }
                }
                _ = committed.changed() => read = self.read(rounds, read).await?,
                _ = poll.tick() => read = self.read(rounds, read).await?,
            }
            if clock.uptime().saturating_sub(kept_at) >= LEASE {
                return Err(Stop::Lost);
            }
        }
    }

    async fn start_all(&self, rounds: &mut Rounds, read: Revision) -> Result<(), StoreError> {
        let mut after = EndpointId::BEFORE_ALL;
        loop {
            let page = self.parts.store.endpoints(None, after, READ_MAX).await?;
            let is_last = page.len() < READ_MAX as usize;
            let before = after;
            // One that was tampered with is in the log, and is sent nothing.
            for stored in page.into_iter().flatten() {
                after = stored.record.id;
                if let Err(error) = self.parts.sender.reseal(after).await {
                    tracing::warn!(%error, endpoint = %after, "its secrets stay under the pepper before, for now");
                }
                self.start(rounds, stored.record, read);
            }
            if is_last || after == before {
                return Ok(());
            }
        }
    }

    fn start(&self, rounds: &mut Rounds, endpoint: Endpoint, read: Revision) {
        let id = endpoint.id;
        if endpoint.pause.is_some() {
            rounds.paused.insert(id);
        } else {
            let newest = rounds.newest.entry(endpoint.namespace.clone());
            let newest = newest.or_insert_with(|| watch::Sender::new(read)).subscribe();
            let round = Round::run(Arc::clone(&self.parts), self.duty, endpoint, newest);
            let task = rounds.tasks.spawn(async move { (id, round.await) });
            rounds.running.insert(id, task);
        }
        let (running, paused) = (rounds.running.len(), rounds.paused.len());
        self.parts.tally.set_endpoints(running, paused);
    }

    /// Goes on with an endpoint as it is now.
    async fn restart(&self, rounds: &mut Rounds, id: EndpointId, read: Revision) -> Result<(), StoreError> {
        if let Some(task) = rounds.running.remove(&id) {
            task.abort();
        }
        rounds.paused.remove(&id);
        self.parts.tally.set_waiting(id, None);
        match self.parts.store.endpoint(id).await {
            Ok(Some(stored)) => self.start(rounds, stored.record, read),
            Ok(None) => {
                let (running, paused) = (rounds.running.len(), rounds.paused.len());
                self.parts.tally.set_endpoints(running, paused);
            }
            // In the log; the others are sent to.
            Err(StoreError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Reads what is new in the journal; up to where.
    async fn read(&self, rounds: &mut Rounds, mut read: Revision) -> Result<Revision, StoreError> {
        loop {
            let entries = self.parts.store.entries(read, EntryFilter::ALL, READ_MAX).await?;
            for entry in &entries {
                read = entry.revision;
                if let Change::Webhook(change) = &entry.change {
                    self.restart(rounds, change.endpoint().id, read).await?;
                } else if event(entry).is_some()
                    && let Some(newest) = rounds.newest.get(entry.change.namespace())
                {
                    newest.send_replace(entry.revision);
                }
            }
            self.parts.tally.read(read);
            if entries.len() < READ_MAX as usize {
                return Ok(read);
            }
        }
    }
}
