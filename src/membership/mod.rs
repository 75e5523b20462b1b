//! Many processes, one store: who may answer, and when a change is in force at all of them.
//!
//! A member may answer for as long as its lease runs. A lease is counted from before the renewal that
//! granted it was sent, and granted once everything up to the head of that renewal is in force there. So
//! whoever has committed a change knows that it holds everywhere as soon as every member has acknowledged
//! it, and at the latest when every lease that was granted without it has run out.
//!
//! `docs/guarantees.md` says what follows for callers; `tests/model` explores the protocol with each of its
//! lines left out.

mod barrier;
mod lease;
mod seat;
mod sightings;

use std::time::Duration;

pub use barrier::{Barrier, Reached};
pub use lease::{Lease, LeaseLost};
pub use seat::Seat;

/// The spans the protocol is measured by. All members must have the same, so they are no option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// How often a member renews its lease when nothing hints at news. A hint may be missed; this is not.
    pub heartbeat: Duration,
    /// How long a member may answer after it asked for a renewal.
    pub lease: Duration,
}

/// How much faster one machine's clock may run than another's, in percent. NTP corrects by less than a
/// twentieth of that.
const DRIFT_PERCENT: u32 = 1;

impl Terms {
    pub const DEFAULT: Terms = Terms {
        heartbeat: Duration::from_millis(250),
        lease: Duration::from_secs(1),
    };

    /// Waited on this machine, it is longer than any lease on another one.
    pub fn outlived(&self) -> Duration {
        self.lease * (100 + DRIFT_PERCENT) / 100
    }
}
