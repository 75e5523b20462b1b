//! What looks for tokens that time has brought to something, put together.

use std::sync::Arc;

use crate::authority::Authority;
use crate::clock::{Clock, Entropy};
use crate::lifecycle::{DUTY, Pace, Tally, Timekeeper};
use crate::store::Store;
use crate::store::lease::Duty;

#[derive(Debug)]
pub(super) struct Lifecycle {
    pub(super) tally: Arc<Tally>,
    /// This server, as it wants to look for all.
    pub(super) duty: Duty,
}

impl Lifecycle {
    pub(super) fn new(entropy: &dyn Entropy) -> Lifecycle {
        Lifecycle {
            tally: Arc::default(),
            duty: Duty::new(DUTY, entropy),
        }
    }

    pub(super) fn timekeeper(
        &self,
        pace: Pace,
        store: &Arc<dyn Store>,
        authority: &Arc<Authority>,
        clock: &Arc<dyn Clock>,
    ) -> Timekeeper {
        Timekeeper::new(
            Arc::clone(store),
            Arc::clone(authority),
            Arc::clone(clock),
            self.duty,
            pace,
            Arc::clone(&self.tally),
        )
    }
}
