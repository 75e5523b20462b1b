//! Durable Issues a second on the embedded store: one caller, and 64 who share commits.

use std::time::Duration;

use criterion::{Criterion, Throughput};
use tokenward::proto::v1::token_service_client::TokenServiceClient;
use tokenward::serve::{Running, StoreAddress};
use tokio::task::JoinSet;

use crate::clients::{self, Wire, connect, create_namespace, issue_request, options, shares};

pub(crate) fn bench(criterion: &mut Criterion) {
    let clients = clients::runtime();
    let mut group = criterion.benchmark_group("issue, durable");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(10))
        .throughput(Throughput::Elements(1));
    for callers in [1, 64] {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on a real disk");
        let store = StoreAddress::Sqlite(folder.path().join("tokenward.db"));
        let server = Running::start(options(store)).expect("it starts");
        let channel = clients.block_on(connect(server.address()));
        clients.block_on(create_namespace(&channel));
        group.bench_function(format!("{callers} callers"), |bencher| {
            bencher.iter_custom(|calls| {
                #[expect(clippy::disallowed_methods, reason = "a benchmark is about time")]
                let start = std::time::Instant::now();
                clients.block_on(issue(&channel, callers, calls));
                start.elapsed()
            });
        });
        server.stop().expect("it stops");
    }
    group.finish();
}

/// Exactly `calls` tokens, issued by so many callers at once.
async fn issue(channel: &Wire, callers: u64, calls: u64) {
    let mut tasks = JoinSet::new();
    for share in shares(calls, callers) {
        let mut client = TokenServiceClient::new(channel.clone());
        tasks.spawn(async move {
            for _ in 0..share {
                client.issue(issue_request()).await.expect("it is issued");
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no caller fails");
    }
}
