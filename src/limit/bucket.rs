//! A budget that refills with time.

use std::num::NonZeroU32;
use std::time::Duration;

/// What a budget holds, and how fast it comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowance {
    /// Taken at once, at most.
    pub burst: NonZeroU32,
    /// Coming back in a second.
    pub rate: NonZeroU32,
}

/// What is left of an allowance. Kept as the one instant at which it will be whole again.
#[derive(Clone, Copy, Default, Debug)]
pub struct Bucket {
    whole_at: Duration,
}

impl Allowance {
    /// From one coming back to the next.
    fn interval(self) -> Duration {
        Duration::from_secs(1) / self.rate.get()
    }
}

impl Bucket {
    /// Takes one; if there is none, says how long it takes until there is.
    pub fn take(&mut self, allowance: Allowance, now: Duration) -> Result<(), Duration> {
        let interval = allowance.interval();
        let whole_at = self.whole_at.max(now) + interval;
        let latest = now + interval * allowance.burst.get();
        if whole_at > latest {
            return Err(whole_at.saturating_sub(latest));
        }
        self.whole_at = whole_at;
        Ok(())
    }

    /// Gives one back that was taken.
    pub fn give_back(&mut self, allowance: Allowance) {
        self.whole_at = self.whole_at.saturating_sub(allowance.interval());
    }

    /// Whether nothing is missing: it is as good as a new one.
    pub fn is_whole(&self, now: Duration) -> bool {
        self.whole_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);
    const SECOND: Duration = Duration::from_secs(1);

    fn allowance(burst: u32, rate: u32) -> Allowance {
        let wanted = |count| NonZeroU32::new(count).unwrap();
        Allowance {
            burst: wanted(burst),
            rate: wanted(rate),
        }
    }

    /// How many can be taken at once.
    fn drain(bucket: &mut Bucket, allowance: Allowance, now: Duration) -> usize {
        (0..10_000)
            .take_while(|_| bucket.take(allowance, now).is_ok())
            .count()
    }

    #[test]
    fn it_gives_a_burst_and_then_as_many_as_come_back() {
        let allowance = allowance(100, 10);
        let mut bucket = Bucket::default();
        assert_eq!(drain(&mut bucket, allowance, NOW), 100);
        assert_eq!(bucket.take(allowance, NOW), Err(SECOND / 10));
        assert_eq!(drain(&mut bucket, allowance, NOW + SECOND), 10);
        // However long nobody takes, there is never more than the burst.
        assert_eq!(drain(&mut bucket, allowance, NOW * 2), 100);
    }

    #[test]
    fn the_wait_it_names_is_long_enough_and_no_longer() {
        let allowance = allowance(3, 7);
        let mut bucket = Bucket::default();
        assert_eq!(drain(&mut bucket, allowance, NOW), 3);
        let wait = bucket.take(allowance, NOW).unwrap_err();
        let almost = NOW + wait.saturating_sub(Duration::from_nanos(1));
        assert!(bucket.take(allowance, almost).is_err());
        assert_eq!(bucket.take(allowance, NOW + wait), Ok(()));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let allowance = allowance(5, 1);
        let mut bucket = Bucket::default();
        for _ in 0..1000 {
            assert_eq!(bucket.take(allowance, NOW), Ok(()));
            bucket.give_back(allowance);
        }
        assert!(bucket.is_whole(NOW));
        assert_eq!(drain(&mut bucket, allowance, NOW), 5);
        assert!(!bucket.is_whole(NOW));
        assert!(bucket.is_whole(NOW + 5 * SECOND));
        // More than there was is never there.
        for _ in 0..10 {
            bucket.give_back(allowance);
        }
        assert_eq!(drain(&mut bucket, allowance, NOW), 5);
    }
}
