//! Time and chance: the only place that asks the system for either.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::token::time::Timestamp;

/// What time it is.
pub trait Clock: fmt::Debug + Send + Sync {
    fn now(&self) -> Timestamp;

    /// How long this machine has been up, the time it slept included: what leases are measured by. Nobody
    /// sets this clock, and it never stands still while the machine's own time goes on.
    fn uptime(&self) -> Duration;
}

/// Random bytes fit for secrets.
pub trait Entropy: fmt::Debug + Send + Sync {
    fn fill(&self, bytes: &mut [u8]);
}

/// `N` random bytes, for ids.
pub fn random<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// The operating system's wall clock.
#[derive(Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that reads the wall clock"
        )]
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since_epoch.as_micros())
            .ok()
            .and_then(|micros| Timestamp::from_micros(micros).ok())
            .unwrap_or(Timestamp::MAX)
    }

    fn uptime(&self) -> Duration {
        #[cfg(target_os = "linux")]
        let clock = rustix::time::ClockId::Boottime;
        // Elsewhere the monotonic clock is the nearest there is.
        #[cfg(not(target_os = "linux"))]
        let clock = rustix::time::ClockId::Monotonic;
        Duration::try_from(rustix::time::clock_gettime(clock)).unwrap_or_default()
    }
}

/// The operating system's random number generator.
#[derive(Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        use rand::TryRng;
        #[expect(
            clippy::expect_used,
            reason = "without entropy no secret may be made; a panic becomes INTERNAL"
        )]
        rand::rngs::SysRng
            .try_fill_bytes(bytes)
            .expect("the operating system's random number generator answers");
    }
}

/// A clock that stands until it is moved, for tests; it was started with the epoch.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn at(start: Timestamp) -> ManualClock {
        ManualClock(AtomicI64::new(start.micros()))
    }

    pub fn advance(&self, span: Duration) {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
    }

    fn uptime(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::SeqCst).unsigned_abs())
    }
}

/// The same bytes in the same order for the same seed, for tests: SplitMix64, fit for no secret.
#[derive(Debug)]
pub struct ManualEntropy(AtomicU64);

impl ManualEntropy {
    pub fn seeded(seed: u64) -> ManualEntropy {
        ManualEntropy(AtomicU64::new(seed))
    }
}

impl Entropy for ManualEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let mut z = self
                .0
                .fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst)
                .wrapping_add(0x9E37_79B9_7F4A_7C15);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}
