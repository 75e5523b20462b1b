//! Tests of the repository and of the whole program, as one binary so that they link once.

mod access;
#[path = "../support/admin.rs"]
mod admin;
mod bad_input;
#[path = "../support/certificates.rs"]
mod certificates;
mod cli;
#[path = "../support/postgres.rs"]
mod database;
mod drain;
mod evidence;
mod idempotency;
mod import;
mod layers;
mod life;
mod lifecycle;
mod limits;
mod lists;
#[path = "../support/log.rs"]
mod log;
mod lost_answers;
mod matching;
mod metrics;
mod permissions;
mod pepper;
mod place;
mod products;
mod program;
mod races;
mod rate_limits;
#[path = "../support/receiver.rs"]
mod receiver;
mod refusal;
mod relay;
#[path = "../support/server.rs"]
mod server;
mod shared;
#[path = "../support/shared_store.rs"]
mod shared_store;
mod slow_watcher;
mod start;
mod subjects;
mod superuser;
mod tls;
mod traces;
mod updates;
mod usage;
mod webhooks;
#[path = "../support/wire.rs"]
#[expect(dead_code, reason = "not all of it is needed here")]
mod wire;
