//! What a Verify, an Issue and a Revoke cost. `scripts/with-postgres cargo bench --profile dist` is how the
//! published figures are made.
//!
//! CPU time is what is compared: on a shared machine wall time says more about the neighbours.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has nothing to say"
)]

#[path = "../../tests/support/admin.rs"]
mod admin;
mod clients;
mod cpu;
#[path = "../../tests/support/postgres.rs"]
#[expect(
    dead_code,
    reason = "what looks behind the store is for the tests of the store"
)]
mod database;
mod in_process;
mod issue;
mod loopback;
mod revoke;
#[path = "../../tests/support/shared_store.rs"]
mod shared_store;
mod usage;

use criterion::Criterion;

fn main() {
    let wall = || Criterion::default().configure_from_args();
    in_process::bench(&mut wall());
    loopback::bench(
        &mut wall().with_measurement(cpu::Threads::named("tokenward-rpc")),
        loopback::Server::Tokenward,
    );
    loopback::bench(
        &mut wall().with_measurement(cpu::Threads::named("stock-echo")),
        loopback::Server::StockEcho,
    );
    issue::bench(&mut wall());
    revoke::bench(&mut wall());
    Criterion::default().final_summary();
    // It lasts minutes, so it is run when it is asked for by name.
    if std::env::args().any(|argument| argument == "usage") {
        usage::bench();
    }
}
