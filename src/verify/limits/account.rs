//! What is left of one budget, and what of that others have yet to hear.

use std::time::Duration;

use super::{Holder, Rate, allowance};
use crate::limit::{Bucket, OWED_MAX};
use crate::store::budgets::LATE_MAX;
use crate::token::policy::RateLimit;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Account {
    bucket: Bucket,
    pub(super) limit: RateLimit,
    /// Taken here, and not reported yet; and when the first of it was.
    unreported: u64,
    unreported_since: Duration,
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
            is_used: false,
            is_low: false,
        }
    }

    /// The same under another limit. Others count by that in a row of its own.
    pub(super) fn under(&self, limit: RateLimit, now: Duration) -> Account {
        if self.limit == limit {
            return *self;
        }
        let (before, after) = (allowance(self.limit), allowance(limit));
        Account {
            bucket: self.bucket.under(before, after, now),
            limit,
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
        self.bucket.is_whole(now) && !self.is_used
    }

    /// What is to be reported now: how long what was taken takes to come back. Of what was taken longer ago than is
    /// allowed for, only as much as has not come back since.
    pub(super) fn report(&mut self, now: Duration) -> Duration {
        let taken = allowance(self.limit).time_of(std::mem::take(&mut self.unreported));
        self.is_used = false;
        let is_late = now.saturating_sub(self.unreported_since) > LATE_MAX;
        let reported_max = if is_late {
            self.bucket.missing(now)
        } else {
            self.owed_max()
        };
        taken.min(reported_max)
    }

    /// How long it is until nothing is missing, by all that was reported. What was taken here is never given back.
    pub(super) fn heard(&mut self, missing: Duration, now: Duration) {
        let all = missing.saturating_add(allowance(self.limit).time_of(self.unreported));
        let missing = self.bucket.missing(now).max(all).min(self.owed_max());
        self.bucket = Bucket::that_misses(missing, now);
    }

    fn owed_max(&self) -> Duration {
        allowance(self.limit).whole().saturating_mul(OWED_MAX)
    }
}
