//! The lease: until when this process may answer.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Clock;

/// Shared by who renews it and who answers under it.
pub struct Lease {
    clock: Arc<dyn Clock>,
    /// Microseconds of uptime.
    until: AtomicU64,
}

/// The store was not heard from for so long that a change may have been missed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("this server has not heard from the store for too long to be sure that a token still holds")]
pub struct LeaseLost;

/// No uptime is as long.
const UNLIMITED: u64 = u64::MAX;

impl Lease {
    /// A lease that has yet to be granted.
    pub(super) fn over(clock: Arc<dyn Clock>) -> Lease {
        Lease {
            clock,
            until: AtomicU64::new(0),
        }
    }

    /// The lease of a process that nobody can change anything behind.
    pub(super) fn unlimited(clock: Arc<dyn Clock>) -> Lease {
        Lease {
            clock,
            until: AtomicU64::new(UNLIMITED),
        }
    }

    /// Whether the lease runs. What is read after this is as fresh as the last renewal.
    pub fn held(&self) -> Result<(), LeaseLost> {
        match self.until.load(Ordering::Acquire) {
            UNLIMITED => Ok(()),
            until if micros(self.clock.uptime()) < until => Ok(()),
            _ => Err(LeaseLost),
        }
    }

    /// How long it still runs, if no renewal comes; zero once it is over. `None`: without end.
    pub fn remaining(&self) -> Option<Duration> {
        match self.until.load(Ordering::Acquire) {
            UNLIMITED => None,
            until => Some(Duration::from_micros(
                until.saturating_sub(micros(self.clock.uptime())),
            )),
        }
    }

    /// Everything that makes the facts fresh enough was done before.
    pub(super) fn extend(&self, until: Duration) {
        self.until.store(micros(until), Ordering::Release);
    }

    pub(super) fn end(&self) {
        self.until.store(0, Ordering::Release);
    }
}

fn micros(uptime: Duration) -> u64 {
    u64::try_from(uptime.as_micros()).unwrap_or(UNLIMITED - 1)
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("held", &self.held()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::token::samples::instant;

    #[test]
    fn a_lease_runs_up_to_its_end_and_not_at_it() {
        let clock = Arc::new(ManualClock::at(instant(0)));
        let lease = Lease::over(Arc::<ManualClock>::clone(&clock));
        assert_eq!(lease.held(), Err(LeaseLost), "before the first renewal");
        assert_eq!(lease.remaining(), Some(Duration::ZERO));
        lease.extend(clock.uptime() + Duration::from_millis(2));
        clock.advance(Duration::from_millis(1));
        assert_eq!(lease.held(), Ok(()));
        assert_eq!(lease.remaining(), Some(Duration::from_millis(1)));
        clock.advance(Duration::from_millis(1));
        assert_eq!(lease.held(), Err(LeaseLost));
        clock.advance(Duration::from_millis(1));
        assert_eq!(lease.remaining(), Some(Duration::ZERO), "long over");
        lease.extend(clock.uptime() + Duration::from_millis(2));
        lease.end();
        assert_eq!(lease.held(), Err(LeaseLost));
    }

    #[test]
    fn an_unlimited_lease_never_ends() {
        let clock = Arc::new(ManualClock::at(instant(0)));
        let lease = Lease::unlimited(Arc::<ManualClock>::clone(&clock));
        clock.advance(Duration::from_hours(24 * 36_500));
        assert_eq!(lease.held(), Ok(()));
        assert_eq!(lease.remaining(), None);
    }
}
