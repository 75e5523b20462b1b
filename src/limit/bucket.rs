//! A budget that refills with time: the generic cell rate algorithm.

use std::num::NonZeroU32;
use std::time::Duration;

/// What a budget holds, and how fast it comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowance {
    /// Taken at once, at most.
    pub burst: NonZeroU32,
    /// Coming back...
    pub rate: NonZeroU32,
    /// ...within this.
    pub period: Duration,
}

/// What is left of an allowance. Kept as the one instant at which it will be whole again.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Bucket {
    whole_at: Duration,
}

/// Others may have taken more together than there was: what is owed then comes back first. More than so many whole
/// allowances are not owed.
pub const OWED_MAX: u32 = 64;

impl Allowance {
    /// `burst` at once, and then `rate` a second.
    pub const fn a_second(burst: NonZeroU32, rate: NonZeroU32) -> Allowance {
        Allowance {
            burst,
            rate,
            period: Duration::from_secs(1),
        }
    }

    /// From one coming back to the next: rounded up to a nanosecond, so that never more comes back than is said.
    pub fn interval(self) -> Duration {
        let nanos = self.period.as_nanos().div_ceil(u128::from(self.rate.get()));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How long so many take to come back.
    pub fn time_of(self, count: u64) -> Duration {
        let nanos = self.interval().as_nanos().saturating_mul(u128::from(count));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How long nothing takes to become all.
    pub fn whole(self) -> Duration {
        self.time_of(self.burst.get().into())
    }
}

impl Bucket {
    /// Takes one; if there is none, says how long it takes until there is.
    pub fn take(&mut self, allowance: Allowance, now: Duration) -> Result<(), Duration> {
        match self.wait(allowance, 1, now) {
            Duration::ZERO => {
                self.spend(allowance, 1, now);
                Ok(())
            }
            wait => Err(wait),
        }
    }

    /// How long it takes until there are so many: zero if there are. Nothing is taken. More than the allowance holds
    /// are never there.
    pub fn wait(&self, allowance: Allowance, count: u32, now: Duration) -> Duration {
        let after = self.missing(now).saturating_add(allowance.time_of(count.into()));
        after.saturating_sub(allowance.whole())
    }

    /// Takes so many, be they there or not.
    pub fn spend(&mut self, allowance: Allowance, count: u64, now: Duration) {
        let missing = self.missing(now).saturating_add(allowance.time_of(count));
        self.whole_at = now.saturating_add(missing.min(allowance.whole().saturating_mul(OWED_MAX)));
    }

    /// Gives one back that was taken.
    pub fn give_back(&mut self, allowance: Allowance) {
        self.whole_at = self.whole_at.saturating_sub(allowance.interval());
    }

    /// How many are there.
    pub fn remaining(&self, allowance: Allowance, now: Duration) -> u32 {
        let there = allowance.whole().saturating_sub(self.missing(now));
        let count = there.as_nanos() / allowance.interval().as_nanos().max(1);
        u32::try_from(count).map_or(allowance.burst.get(), |count| count.min(allowance.burst.get()))
    }

    /// How long it takes until nothing is missing, if nobody takes.
    pub fn missing(&self, now: Duration) -> Duration {
        self.whole_at.saturating_sub(now)
    }

    /// Whether nothing is missing: it is as good as a new one.
    pub fn is_whole(&self, now: Duration) -> bool {
        self.whole_at <= now
    }

    /// The same takings under another allowance: what was taken stays taken, and more than all is not missing.
    pub fn under(&self, before: Allowance, after: Allowance, now: Duration) -> Bucket {
        let taken = self
            .missing(now)
            .as_nanos()
            .div_ceil(before.interval().as_nanos().max(1));
        let missing = after.time_of(u64::try_from(taken).unwrap_or(u64::MAX));
        Bucket {
            whole_at: now.saturating_add(missing.min(after.whole())),
        }
    }

    /// One that misses so much.
    pub fn that_misses(missing: Duration, now: Duration) -> Bucket {
        Bucket {
            whole_at: now.saturating_add(missing),
        }
    }
}

#[cfg(test)]
mod tests;
