//! Tokenward, a token authority. The modules, in rank order: each imports only those above it.

pub mod clock;
pub mod journal;
pub mod proto;
pub mod store;
pub mod token;
