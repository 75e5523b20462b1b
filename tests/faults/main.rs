//! What holds when things break: servers that are killed, paused, cut off, come and go; a database that is restarted
//! or has lost something; a stream that is cut, a caller that vanishes, and callers that mean harm.
//!
//! The tools are `proxy`, a network that can be broken; `cluster`, a Postgres that can be restarted; `replica`, a
//! process that can be paused and killed; `fleet`, several of these over one database; `journal`, which a client
//! reads and checks; and `history`, which says whether what was answered can have been so. What is left to chance follows from a seed, which a failure shows.
//!
//! `TOKENWARD_TEST_FULL=1` runs these at full size, which takes many minutes; `pairs` takes the most of them.

#[path = "../support/admin.rs"]
mod admin;
mod attacks;
mod cluster;
mod cut;
mod fleet;
mod forked;
mod history;
mod joining;
mod journal;
mod killed;
mod matching;
mod pairs;
mod partitioned;
mod paused;
mod proxy;
mod replica;
#[path = "../support/receiver.rs"]
#[expect(dead_code, reason = "not all of it is needed here")]
mod receiver;
mod reset;
mod restarted;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "not all of it is needed here")]
mod server;
mod stale;
mod usage;
mod webhooks;
#[path = "../support/wire.rs"]
mod wire;

use tokenward::clock::{Entropy, ManualEntropy, random};

/// The size of a run: small in every test run, full on demand.
fn sized(small: usize, full: usize) -> usize {
    if at_full_size() { full } else { small }
}

fn at_full_size() -> bool {
    std::env::var_os("TOKENWARD_TEST_FULL").is_some()
}

/// A number below `bound`, the next one of the seed.
fn below(entropy: &ManualEntropy, bound: u64) -> u64 {
    u64::from_be_bytes(random(entropy as &dyn Entropy)) % bound
}

/// A figure that the test is run for besides its verdict; `--nocapture` shows it.
#[expect(clippy::print_stdout, reason = "for whoever runs it")]
fn report(figure: std::fmt::Arguments<'_>) {
    println!("{figure}");
}
