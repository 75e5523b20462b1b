//! What is left of one budget, and what of that others have yet to hear.

use std::time::Duration;

use super::{Holder, Rate, allowance};
use crate::limit::Bucket;
use crate::store::budgets::Shared;
use crate::token::policy::RateLimit;
use crate::token::time::Timestamp;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Account {
    bucket: Bucket,
    pub(super) limit: RateLimit,
    /// Taken here, and not reported yet; and when the first of it was.
    unreported: u64,
    unreported_since: Duration,
    /// Reported, and not answered yet.
    in_flight: u64,
    /// What all had taken when it was last heard of.
    seen: Option<Shared>,
    /// It stands among those that are to be shared.
    pub(super) is_used: bool,
    /// It ran low, and others were told so.
    pub(super) is_low: bool,
}

impl Account {
    pub(super) fn new(limit: RateLimit) -> Account {
        Account {
            bucket: Bucket::default(),
            limit,
            unreported: 0,
            unreported_since: Duration::ZERO,
            in_flight: 0,
            seen: None,
            is_used: false,
            is_low: false,
        }
    }

    /// The same under another limit. Others count by that in a row of its own, where nothing was heard of yet.
    pub(super) fn under(&self, limit: RateLimit, now: Duration) -> Account {
        if self.limit == limit {
            return *self;
        }
        let (before, after) = (allowance(self.limit), allowance(limit));
        Account {
            bucket: self.bucket.under(before, after, now),
            limit,
            in_flight: 0,
            seen: None,
            ..*self
        }
    }

    /// How it stands once `cost` is taken, or why it cannot be. Nothing is taken yet.
    pub(super) fn judge(&self, holder: Holder, cost: u32, now: Duration) -> Result<Rate, Rate> {
        let allowance = allowance(self.limit);
        let rate = |bucket: &Bucket, retry_after| Rate {
            holder,
            limit: self.limit,
            remaining: bucket.remaining(allowance, now),
            reset: bucket.missing(now),
            retry_after,
        };
        // Nothing is always there, also where more was taken than there was.
        let wait = match cost {
            0 => Duration::ZERO,
            cost => self.bucket.wait(allowance, cost, now),
        };
        if wait.is_zero() {
            let mut after = self.bucket;
            after.spend(allowance, cost.into(), now);
            Ok(rate(&after, None))
        } else {
            let is_ever = cost <= allowance.burst.get();
            Err(rate(&self.bucket, is_ever.then_some(wait)))
        }
    }

    pub(super) fn spend(&mut self, cost: u32, now: Duration) {
        if self.unreported == 0 {
            self.unreported_since = now;
        }
        self.unreported += u64::from(cost);
        self.bucket.spend(allowance(self.limit), cost.into(), now);
    }

    /// Whether less than a quarter is left.
    pub(super) fn runs_low(&self, now: Duration) -> bool {
        let allowance = allowance(self.limit);
        u64::from(self.bucket.remaining(allowance, now)) * 4 < u64::from(allowance.burst.get())
    }

    /// How long until it is whole.
    pub(super) fn missing(&self, now: Duration) -> Duration {
        self.bucket.missing(now)
    }

    /// It is as good as a new one, and others have heard all of it.
    pub(super) fn may_be_forgotten(&self, now: Duration) -> bool {
        self.bucket.is_whole(now) && !self.is_used && self.in_flight == 0
    }

    /// What is to be reported now: how much, and how long that takes to come back. What was taken longer ago than
    /// `recent` counts as far as it has not come back since.
    pub(super) fn report(&mut self, recent: Duration, now: Duration) -> (u64, Duration) {
        let allowance = allowance(self.limit);
        let mut count = self.unreported;
        if now.saturating_sub(self.unreported_since) > recent {
            let missing = self.bucket.missing(now).as_nanos();
            let missing = missing.div_ceil(allowance.interval().as_nanos().max(1));
            count = count.min(u64::try_from(missing).unwrap_or(u64::MAX));
        }
        self.unreported = 0;
        self.in_flight = count;
        self.is_used = false;
        (count, allowance.time_of(count))
    }

    /// What a report was answered with; `clock` is the time that those who report go by.
    ///
    /// What others took since is counted from what was heard before, and no later than the row says it has come back: a
    /// clock that is wrong, or news that are late, must not refuse anybody. What was taken here is never given back.
    pub(super) fn heard(&mut self, shared: Option<Shared>, clock: Timestamp, now: Duration) {
        let in_flight = std::mem::take(&mut self.in_flight);
        let Some(shared) = shared else {
            self.seen = None;
            return;
        };
        let allowance = allowance(self.limit);
        let own = self.bucket.missing(now);
        let known = self.seen.filter(|seen| seen.since == shared.since);
        let counted = match known {
            Some(seen) => {
                let others = shared.spent.saturating_sub(seen.spent).saturating_sub(in_flight);
                allowance.time_of(others)
            }
            // How much of it others took is not known, so it is not more than there is.
            None => allowance.whole(),
        };
        let row = clock.until(shared.whole_at);
        let row = row.saturating_add(allowance.time_of(self.unreported));
        let missing = own.max(row.min(own.saturating_add(counted)));
        let owed_max = allowance.whole().saturating_mul(crate::limit::OWED_MAX);
        self.bucket = Bucket::that_misses(missing.min(owed_max), now);
        self.seen = Some(shared);
    }
}
