//! Gathers judged calls in memory: each thread by itself, within one bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::RECORDS_PENDING_MAX;
use crate::token::Token;
use crate::token::access::{AccessDetails, AccessId, AccessRecord};
use crate::token::caller::Caller;
use crate::token::context::Context;
use crate::token::id::Slug;
use crate::token::namespace::Namespace;
use crate::token::policy::{AccessLog, AccessLogFull};
use crate::token::time::Timestamp;
use crate::token::usage::Outcome;
use crate::usage::shards::Shards;

/// Takes note of judged calls, until somebody takes them away.
#[derive(Debug)]
pub struct Log {
    shards: Shards<Vec<Noted>>,
    rooms: Rooms,
    written: AtomicU64,
    failures: AtomicU64,
    /// There is much to write.
    pub(super) much: Notify,
}

/// The room that each way to deal with a lack of it has.
#[derive(Debug)]
struct Rooms {
    drop: Room,
    refuse: Room,
}

#[derive(Debug)]
struct Room {
    records_max: usize,
    /// Records that wait to be written, those that are on their way included, and places that are held.
    taken: AtomicUsize,
    /// Calls for which there was none.
    lacked: AtomicU64,
}

/// One judged call, as it is handed over: what is kept of it is decided when it is written.
#[derive(Debug)]
pub struct Call {
    pub time: Timestamp,
    pub outcome: Outcome,
    pub token: Option<Arc<Token>>,
    /// Who asked; `None`: the token was presented to this service itself.
    pub caller: Option<Arc<Caller>>,
    pub context: Context,
}

#[derive(Debug)]
pub(super) struct Noted {
    namespace: Arc<Namespace>,
    call: Call,
}

/// What is to become of a call that is about to be judged. Dropped without a note, it was not judged, or is not wanted.
#[derive(Debug, Default)]
pub struct Place(Option<Seat>);

#[derive(Debug)]
struct Seat {
    log: Arc<Log>,
    namespace: Arc<Namespace>,
    /// Whether room is held for it.
    is_held: bool,
}

/// There is no room for a record, and the namespace wants no call without one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "no call goes without a record in {namespace}, and there is no room for one more; the token was not judged"
)]
pub struct Full {
    pub namespace: Slug,
}

/// What a log tells of itself.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Told {
    /// Records that wait to be written, and calls under way that room is held for.
    pub pending: usize,
    pub written: u64,
    /// Judged calls that are not on record although they should be.
    pub dropped: u64,
    /// Calls that were not judged, for they could not have been on record.
    pub refused: u64,
    /// Writes that did not go through, and were tried again.
    pub failures: u64,
}

impl Default for Log {
    fn default() -> Log {
        Log::of_at_most(RECORDS_PENDING_MAX)
    }
}

impl Log {
    pub(super) fn of_at_most(records_max: usize) -> Log {
        let room = || Room {
            records_max,
            taken: AtomicUsize::new(0),
            lacked: AtomicU64::new(0),
        };
        Log {
            shards: Shards::default(),
            rooms: Rooms {
                drop: room(),
                refuse: room(),
            },
            written: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            much: Notify::new(),
        }
    }

    /// A place for a call that is to be judged in this namespace: to be asked for before anything is.
    pub fn admit(self: &Arc<Log>, namespace: &Arc<Namespace>) -> Result<Place, Full> {
        let policy = &namespace.policy;
        if policy.access_log == AccessLog::Off {
            return Ok(Place::default());
        }
        let is_held = match policy.access_log_full {
            AccessLogFull::Drop => false,
            AccessLogFull::Refuse if self.take(AccessLogFull::Refuse) => true,
            AccessLogFull::Refuse => {
                let namespace = namespace.slug.clone();
                return Err(Full { namespace });
            }
        };
        Ok(Place(Some(Seat {
            log: Arc::clone(self),
            namespace: Arc::clone(namespace),
            is_held,
        })))
    }

    fn room(&self, of: AccessLogFull) -> &Room {
        match of {
            AccessLogFull::Drop => &self.rooms.drop,
            AccessLogFull::Refuse => &self.rooms.refuse,
        }
    }

    /// Takes room for one record, or counts that there was none.
    fn take(&self, of: AccessLogFull) -> bool {
        let room = self.room(of);
        let one_more = |taken| (taken < room.records_max).then_some(taken + 1);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        let Ok(taken) = room.taken.fetch_update(set, fetch, one_more) else {
            room.lacked.fetch_add(1, Ordering::Relaxed);
            return false;
        };
        if taken + 1 == room.records_max / 2 {
            self.much.notify_one();
        }
        true
    }

    fn give_back(&self, of: AccessLogFull, records: usize) {
        self.room(of).taken.fetch_sub(records, Ordering::Relaxed);
    }

    /// Whether it is worth writing at once.
    pub(super) fn has_much(&self) -> bool {
        let is_much = |room: &Room| room.taken.load(Ordering::Relaxed) >= room.records_max / 2;
        is_much(&self.rooms.drop) || is_much(&self.rooms.refuse)
    }

    /// Takes away what was gathered, oldest first. It counts as pending until it is said to be written.
    pub(super) fn take_all(&self) -> Vec<Noted> {
        let mut taken: Vec<_> = self.shards.take().flatten().collect();
        taken.sort_by_key(|noted| noted.call.time);
        taken
    }

    /// These were written.
    pub(super) fn written(&self, records: usize, refusing: usize) {
        self.give_back(AccessLogFull::Refuse, refusing);
        self.give_back(AccessLogFull::Drop, records - refusing);
        self.written.fetch_add(records as u64, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub fn told(&self) -> Told {
        let Rooms { drop, refuse } = &self.rooms;
        Told {
            pending: drop.taken.load(Ordering::Relaxed) + refuse.taken.load(Ordering::Relaxed),
            written: self.written.load(Ordering::Relaxed),
            dropped: drop.lacked.load(Ordering::Relaxed),
            refused: refuse.lacked.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
        }
    }
}

impl Place {
    /// Whether a call that came to this is to be noted.
    pub fn wants(&self, outcome: Outcome) -> bool {
        let seat = self.0.as_ref();
        seat.is_some_and(|seat| seat.namespace.policy.access_log.wants(outcome))
    }

    /// Takes note of a call that is wanted.
    pub fn note(self, call: Call) {
        let Some(mut seat) = self.0 else { return };
        if !seat.is_held && !seat.log.take(AccessLogFull::Drop) {
            return;
        }
        // Whoever writes it gives it back.
        seat.is_held = false;
        let namespace = Arc::clone(&seat.namespace);
        seat.log.shards.own().push(Noted { namespace, call });
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.is_held {
            self.log.give_back(AccessLogFull::Refuse, 1);
        }
    }
}

impl Noted {
    /// Whether its room is that of those who would rather refuse.
    pub(super) fn is_refusing(&self) -> bool {
        self.namespace.policy.access_log_full == AccessLogFull::Refuse
    }

    /// The record of it, as far as its namespace wants it kept.
    pub(super) fn record(self, id: AccessId) -> AccessRecord {
        let Call {
            time,
            outcome,
            token,
            caller,
            context,
        } = self.call;
        let caller = caller.map(|caller| caller.actor());
        AccessRecord {
            id,
            time,
            namespace: self.namespace.slug.clone(),
            token_id: token.as_ref().map(|token| token.id),
            subject: token.as_ref().map(|token| token.subject.clone()),
            details: AccessDetails::of(outcome, caller, context, &self.namespace.policy),
        }
    }
}
