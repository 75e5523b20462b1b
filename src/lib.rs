//! Tokenward, a token authority. The modules, in rank order: each imports only those above it.

pub mod token;
pub mod journal;

pub mod clock;
pub mod limit;
pub mod store;
pub mod membership;

pub mod audit;
pub mod authority;
pub mod verify;
pub mod watch;
pub mod usage;
pub mod webhook;
pub mod lifecycle;

pub mod proto;
pub mod rpc;

pub mod telemetry;
pub mod serve;

pub mod cli;
