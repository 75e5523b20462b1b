//! What tokens are used for: seen where verdicts are given, gathered in memory, written in batches. No verdict waits for
//! it, or fails with it.

pub mod access;
mod flush;
mod notes;
mod recorder;
mod shards;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use flush::Flusher;
pub use notes::{JudgedCall, Notes};
pub use recorder::{Recorder, Told};

/// How often what was gathered is written, unless told otherwise: so much of it is lost with the process.
pub const FLUSH_INTERVAL: Duration = Duration::from_secs(10);

/// Tokens whose uses wait to be written; those of further ones are dropped, and counted. A token counts once for each
/// thread that has seen it.
pub const TOKENS_PENDING_MAX: usize = 65_536;
