//! What all calls of one connection share: places, patience, and its end.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Limits;
use super::entrance::{Entrance, Neighbours};
use crate::clock::Clock;
use crate::limit::{Allowance, Bucket};
use crate::rpc::Peer;

/// How long after a connection has become too old its streams end: by then the client knows that it has to
/// open them again elsewhere.
const STREAMS_END_AFTER: Duration = Duration::from_secs(1);

/// One connection, as its calls see it.
#[derive(Clone, Debug)]
pub(super) struct Occupancy {
    state: Arc<State>,
    peer: Peer,
}

#[derive(Debug)]
struct State {
    address: SocketAddr,
    handlers: Semaphore,
    allowance: Allowance,
    cancelled: Mutex<Bucket>,
    closed: AtomicBool,
    close: CancellationToken,
    streams_end: Instant,
    end: Instant,
    clock: Arc<dyn Clock>,
    entrance: Arc<Entrance>,
}

impl Occupancy {
    pub(super) fn new(
        address: SocketAddr,
        limits: &Limits,
        clock: &Arc<dyn Clock>,
        entrance: &Arc<Entrance>,
    ) -> Occupancy {
        let grown_old = Instant::now() + limits.connection_age_max;
        let state = State {
            address,
            handlers: Semaphore::new(limits.handlers_max.min(Semaphore::MAX_PERMITS)),
            allowance: limits.cancelled,
            cancelled: Mutex::default(),
            closed: AtomicBool::new(false),
            close: CancellationToken::new(),
            streams_end: grown_old + STREAMS_END_AFTER.min(limits.connection_grace / 2),
            end: grown_old + limits.connection_grace,
            clock: Arc::clone(clock),
            entrance: Arc::clone(entrance),
        };
        Occupancy {
            state: Arc::new(state),
            peer: Peer {
                address: Some(address.ip()),
                ..Peer::at(Neighbours::from(address.ip()))
            },
        }
    }

    /// The same connection, now that a certificate has named its other end.
    pub(super) fn named(self, names: Option<Arc<[String]>>) -> Occupancy {
        let peer = Peer { names, ..self.peer };
        Occupancy { peer, ..self }
    }

    /// What the services see of it.
    pub(super) fn peer(&self) -> Peer {
        self.peer.clone()
    }

    /// A place for one more call to be worked on; `None` only when the process ends.
    pub(super) async fn handler(&self) -> Option<SemaphorePermit<'_>> {
        let place = self.state.handlers.acquire().await.ok();
        if self.takes_back() {
            // Whatever is taken back in the same breath is not even begun.
            yield_now().await;
        }
        self.state.entrance.counts.calls.fetch_add(1, Ordering::Relaxed);
        place
    }

    /// Calls were taken back, and not long ago.
    fn takes_back(&self) -> bool {
        !self.bucket().is_whole(self.uptime())
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.state
            .cancelled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn uptime(&self) -> Duration {
        self.state.clock.uptime()
    }

    /// A call was taken back before it was answered. Whoever does that too often is cut off: it costs them
    /// nothing, and leaves work behind.
    pub(super) fn cancelled(&self) {
        self.state
            .entrance
            .counts
            .cancelled
            .fetch_add(1, Ordering::Relaxed);
        if self.bucket().take(self.state.allowance, self.uptime()).is_err()
            && !self.state.closed.swap(true, Ordering::Relaxed)
        {
            self.state.entrance.counts.closed.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(peer = %self.state.address, "a connection was closed: it cancelled too many calls");
            self.state.close.cancel();
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.closed.load(Ordering::Relaxed)
    }

    /// Returns when the connection must end: it was closed, or has had its time.
    pub(super) async fn ended(self) {
        tokio::select! {
            () = self.state.close.cancelled() => {}
            () = sleep_until(self.state.end) => {}
        }
    }

    /// Returns when its streams must end, since it has grown too old.
    pub(super) async fn grown_old(self) {
        sleep_until(self.state.streams_end).await;
    }
}
