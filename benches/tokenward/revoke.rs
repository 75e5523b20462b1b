//! Revocations a second on Postgres, each in force at every replica before it is answered: one caller, many
//! who share commits, and many at four replicas. Needs the database that `scripts/with-postgres` starts.

use std::time::Duration;

use criterion::{Criterion, Throughput};
use tokenward::proto::v1;
use tokenward::proto::v1::token_service_client::TokenServiceClient;
use tokenward::serve::Running;
use tokio::task::JoinSet;

use crate::clients::{self, Wire, connect, create_namespace, issue_request, shares};
use crate::shared_store::SharedStore;

/// Tokens are issued before the clock runs, by so many at once.
const ISSUERS: u64 = 128;

pub(crate) fn bench(criterion: &mut Criterion) {
    let clients = clients::runtime();
    let mut group = criterion.benchmark_group("revoke, in force everywhere");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(10))
        .throughput(Throughput::Elements(1));
    for (replicas, callers) in [(1, 1), (1, 128), (4, 32)] {
        let fleet = clients.block_on(Fleet::start(replicas));
        group.bench_function(format!("{replicas} replicas x {callers} callers"), |bencher| {
            bencher.iter_custom(|calls| {
                let ids = clients.block_on(issue(&fleet.channels[0], calls));
                #[expect(clippy::disallowed_methods, reason = "a benchmark is about time")]
                let start = std::time::Instant::now();
                clients.block_on(revoke(&fleet.channels, callers, ids));
                start.elapsed()
            });
        });
        for server in fleet.servers {
            server.stop().expect("it stops");
        }
    }
    group.finish();
}

/// Replicas over one database, and a connection to each.
struct Fleet {
    servers: Vec<Running>,
    channels: Vec<Wire>,
    _store: SharedStore,
}

impl Fleet {
    async fn start(replicas: usize) -> Fleet {
        let store = SharedStore::new().await.expect("a store to share");
        let mut servers = Vec::new();
        let mut channels = Vec::new();
        for _ in 0..replicas {
            let server = Running::start(store.server().expect("a server")).expect("it starts");
            channels.push(connect(server.address()).await);
            servers.push(server);
        }
        create_namespace(&channels[0]).await;
        Fleet {
            servers,
            channels,
            _store: store,
        }
    }
}

/// Tokens to revoke.
async fn issue(channel: &Wire, count: u64) -> Vec<String> {
    let mut tasks = JoinSet::new();
    for share in shares(count, ISSUERS) {
        let mut client = TokenServiceClient::new(channel.clone());
        tasks.spawn(async move {
            let mut ids = Vec::new();
            for _ in 0..share {
                let issued = client.issue(issue_request()).await.expect("it is issued");
                ids.push(issued.into_inner().token.expect("a token").id);
            }
            ids
        });
    }
    let mut ids = Vec::new();
    while let Some(issued) = tasks.join_next().await {
        ids.extend(issued.expect("no caller fails"));
    }
    ids
}

/// Revokes them all, by so many callers at each replica at once.
async fn revoke(channels: &[Wire], callers: u64, mut ids: Vec<String>) {
    let mut tasks = JoinSet::new();
    let all = callers * channels.len() as u64;
    for (channel, share) in channels.iter().cycle().zip(shares(ids.len() as u64, all)) {
        let mut client = TokenServiceClient::new(channel.clone());
        let mine = ids.split_off(ids.len() - usize::try_from(share).expect("a share"));
        tasks.spawn(async move {
            for token_id in mine {
                let request = v1::RevokeRequest {
                    token_id,
                    ..Default::default()
                };
                client.revoke(request).await.expect("it is revoked");
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no caller fails");
    }
}
