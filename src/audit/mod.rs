//! What proves, later, what happened: checkpoints that are signed, and calls that were refused.

mod notary;
mod refusals;

pub use notary::Notary;
pub use refusals::{RefusalCounts, Refusals};
