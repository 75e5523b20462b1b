//! Tests of the repository and of the whole program, as one binary so that they link once.

mod bad_input;
mod cli;
#[path = "../support/postgres.rs"]
#[expect(
    dead_code,
    reason = "what looks behind the store is for the tests of the store"
)]
mod database;
mod drain;
mod idempotency;
mod layers;
mod life;
mod limits;
mod lists;
mod refusal;
#[path = "../support/server.rs"]
mod server;
mod shared;
mod slow_watcher;
mod start;
