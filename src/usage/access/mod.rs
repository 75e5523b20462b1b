//! Access logs: judged calls, noted where verdicts are given, gathered in memory, written in batches. No verdict waits for
//! that. Where there is no room for one more record, the namespace says whether the call goes without one or not at all.

mod log;
mod sweep;
#[cfg(test)]
mod tests;
mod write;

use std::time::Duration;

pub use log::{Call, Full, Log, Place, Told};
pub use sweep::{SWEEP_INTERVAL, sweep};
pub use write::Writer;

/// Records that wait to be written, of all namespaces that would rather drop one; and as many of those that would rather
/// refuse the call, so that neither takes the room of the other.
pub const RECORDS_PENDING_MAX: usize = 32_768;

/// How often what was gathered is written; sooner where much was. So much of it is lost with the process.
pub const WRITE_INTERVAL: Duration = Duration::from_secs(1);
