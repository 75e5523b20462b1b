//! What is counted of deliveries, for the metrics.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::journal::Revision;
use crate::token::time::Timestamp;
use crate::token::webhook::EndpointId;

/// How an attempt ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The receiver took it.
    Delivered,
    /// The receiver answered, with anything but a status from 200 to 299.
    Refused,
    /// There was no answer in time.
    TooSlow,
    /// The address may not be reached.
    OutOfReach,
    /// Anything else: no connection, no TLS, no HTTP.
    Failed,
}

impl Outcome {
    pub const ALL: [Outcome; 5] = [
        Outcome::Delivered,
        Outcome::Refused,
        Outcome::TooSlow,
        Outcome::OutOfReach,
        Outcome::Failed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Delivered => "delivered",
            Outcome::Refused => "refused",
            Outcome::TooSlow => "too_slow",
            Outcome::OutOfReach => "out_of_reach",
            Outcome::Failed => "failed",
        }
    }
}

/// What this server has sent, and what it has still to send.
#[derive(Default, Debug)]
pub struct Tally {
    attempts: [AtomicU64; 5],
    on_duty: AtomicBool,
    /// How far the journal was read.
    read: AtomicU64,
    standing: Mutex<Standing>,
}

#[derive(Default, Debug)]
struct Standing {
    paused: u64,
    active: u64,
    /// The event that each endpoint has not taken yet, and when it happened.
    waiting: HashMap<EndpointId, (Revision, Timestamp)>,
}

impl Tally {
    pub fn attempts(&self, outcome: Outcome) -> u64 {
        self.attempts[outcome as usize].load(Ordering::Relaxed)
    }

    /// Whether this server is the one that delivers.
    pub fn on_duty(&self) -> bool {
        self.on_duty.load(Ordering::Relaxed)
    }

    /// Endpoints that are sent to, and those that are paused.
    pub fn endpoints(&self) -> (u64, u64) {
        let standing = self.standing();
        (standing.active, standing.paused)
    }

    /// How many revisions the slowest endpoint is behind, and when the oldest event happened that one has not taken.
    pub fn lag(&self) -> (u64, Option<Timestamp>) {
        let read = self.read.load(Ordering::Relaxed);
        let standing = self.standing();
        let waiting = standing.waiting.values();
        let behind = waiting
            .clone()
            .map(|(revision, _)| (read + 1).saturating_sub(revision.get()));
        (behind.max().unwrap_or(0), waiting.map(|(_, time)| *time).min())
    }

    pub(super) fn count(&self, outcome: Outcome) {
        self.attempts[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self, revision: Revision) {
        self.read.store(revision.get(), Ordering::Relaxed);
    }

    pub(super) fn set_endpoints(&self, active: usize, paused: usize) {
        let mut standing = self.standing();
        (standing.active, standing.paused) = (active as u64, paused as u64);
    }

    pub(super) fn set_waiting(&self, id: EndpointId, event: Option<(Revision, Timestamp)>) {
        let mut standing = self.standing();
        match event {
            Some(event) => drop(standing.waiting.insert(id, event)),
            None => drop(standing.waiting.remove(&id)),
        }
    }

    /// Begins or ends to be the one that delivers: what is waiting is another's business then.
    pub(super) fn set_on_duty(&self, on_duty: bool) {
        self.on_duty.store(on_duty, Ordering::Relaxed);
        *self.standing() = Standing::default();
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
