//! What is counted of it, for the metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::token::State;
use crate::token::lifecycle::Matter;

/// What this server has told.
#[derive(Default, Debug)]
pub struct Tally {
    told: [AtomicU64; 3],
    suspended: AtomicU64,
    revoked: AtomicU64,
    failures: AtomicU64,
    on_duty: AtomicBool,
    /// When all was looked at that was to be looked at, in microseconds of uptime; 0: never.
    completed_at: AtomicU64,
}

impl Tally {
    pub fn tokens_told(&self, matter: Matter) -> u64 {
        self.told[matter as usize].load(Ordering::Relaxed)
    }

    /// Tokens that were suspended and revoked because nobody used them.
    pub fn withdrawn(&self) -> (u64, u64) {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        (count(&self.suspended), count(&self.revoked))
    }

    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    pub fn on_duty(&self) -> bool {
        self.on_duty.load(Ordering::Relaxed)
    }

    /// The uptime at the end of the last round that came to its end.
    pub fn completed_at(&self) -> Option<Duration> {
        let micros = self.completed_at.load(Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros))
    }

    pub(super) fn told(&self, matter: Matter) {
        self.told[matter as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn withdrew(&self, state: State) {
        let count = match state {
            State::Revoked => &self.revoked,
            State::Active | State::Suspended | State::Expired => &self.suspended,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// What it was before.
    pub(super) fn set_on_duty(&self, on_duty: bool) -> bool {
        self.on_duty.swap(on_duty, Ordering::Relaxed)
    }

    pub(super) fn completed(&self, at: Duration) {
        let micros = u64::try_from(at.as_micros()).unwrap_or(u64::MAX).max(1);
        self.completed_at.store(micros, Ordering::Relaxed);
    }
}
