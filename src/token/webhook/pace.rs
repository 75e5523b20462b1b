//! How long to wait before an event is sent again, and when to give up.

use std::time::Duration;

/// How long an event may take, and when one that was not taken is sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// The longest wait after the first failure; it doubles with each further one...
    pub retry_min: Duration,
    /// ...up to this one.
    pub retry_max: Duration,
    /// An endpoint that took nothing for this long is paused.
    pub pause_after: Duration,
    /// How long one sending may take in all, up to the end of the answer.
    pub send_max: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            retry_min: Duration::from_secs(5),
            retry_max: Duration::from_mins(15),
            pause_after: Duration::from_hours(72),
            send_max: Duration::from_secs(15),
        }
    }
}

impl Pace {
    /// How long to wait after so many failures in a row, of which there is at least one. `chance` decides where between
    /// a half and the whole of it: endpoints that failed together are not tried together.
    pub fn wait(&self, failures: u32, chance: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        let longest = self.retry_min.saturating_mul(1 << doublings).min(self.retry_max);
        longest / 2 + (longest / 2).mul_f64(f64::from(chance) / f64::from(u32::MAX))
    }

    /// The same, where the receiver said when it wants to be asked again: not before, and not later than the longest
    /// wait.
    pub fn wait_at_least(&self, failures: u32, chance: u32, asked: Option<Duration>) -> Duration {
        let asked = asked.unwrap_or_default().min(self.retry_max);
        self.wait(failures, chance).max(asked)
    }
}
