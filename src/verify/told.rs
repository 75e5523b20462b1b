//! What a verifier tells of itself, for whoever watches it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Holder, Verifier};
use crate::token::usage::Outcome;

impl Verifier {
    /// How long it may judge without hearing from the store; `None`: without end.
    pub fn lease_remaining(&self) -> Option<Duration> {
        self.lease.remaining()
    }

    /// Secrets whose token was in memory, ever.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Secrets whose token had to be looked up, ever.
    pub fn look_ups(&self) -> u64 {
        self.misses.look_ups()
    }

    /// Tokens that are in memory.
    pub fn cached_tokens(&self) -> usize {
        self.known.cache.held()
    }

    /// Queries for what the cache did not hold, ever.
    pub fn queries(&self) -> u64 {
        self.misses.queries()
    }

    /// Look-ups that were refused because of a limit, ever.
    pub fn look_ups_refused(&self) -> u64 {
        self.misses.refused()
    }

    /// Verdicts that came to this, ever; those on the credentials of callers are among them.
    pub fn verdicts(&self, outcome: Outcome) -> u64 {
        self.verdicts[outcome as usize].load(Ordering::Relaxed)
    }

    /// Verdicts that a rate limit was the reason of, ever.
    pub fn rate_limited(&self, holder: Holder) -> u64 {
        self.limits.refused(holder)
    }

    /// Budgets of rate limits that are kept here.
    pub fn budgets(&self) -> usize {
        self.limits.kept()
    }

    /// Budgets that were shared with other servers, each as often as it was, ever.
    pub fn budgets_shared(&self) -> u64 {
        self.limits.shared()
    }

    /// How long ago all had been shared that was taken from rate limits up to then; `None`: this store has no other
    /// server.
    pub fn budgets_share_lag(&self) -> Option<Duration> {
        self.limits.share_lag(self.clock.uptime())
    }
}
