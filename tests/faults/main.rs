//! What survives when things break: a server that is killed, a stream that is cut.
//!
//! `TOKENWARD_TEST_FULL=1` runs these at full size, which takes about a minute in release.

mod cut;
mod history;
mod killed;
mod proxy;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "not all of it is needed here")]
mod server;

use tokenward::clock::{Entropy, ManualEntropy, random};

/// The size of a run: small in every test run, full on demand.
fn sized(small: usize, full: usize) -> usize {
    if std::env::var_os("TOKENWARD_TEST_FULL").is_some() {
        full
    } else {
        small
    }
}

/// A number below `bound`, the next one of the seed.
fn below(entropy: &ManualEntropy, bound: u64) -> u64 {
    u64::from_be_bytes(random(entropy as &dyn Entropy)) % bound
}
