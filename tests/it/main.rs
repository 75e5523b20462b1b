//! Tests of the repository and of the whole program, as one binary so that they link once.

mod bad_input;
mod cli;
mod drain;
mod faults;
mod idempotency;
mod layers;
mod life;
mod limits;
mod lists;
mod refusal;
mod server;
mod slow_watcher;
mod start;
