//! Durable Issues a second on the embedded store: one caller, and 64 who share commits.

use std::net::SocketAddr;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use tokenward::proto::v1;
use tokenward::proto::v1::namespace_service_client::NamespaceServiceClient;
use tokenward::proto::v1::secret_format::Body;
use tokenward::proto::v1::token_service_client::TokenServiceClient;
use tokenward::serve::{Options, Running, StoreAddress};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

pub(crate) fn bench(criterion: &mut Criterion) {
    let clients = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut group = criterion.benchmark_group("issue, durable");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(10))
        .throughput(Throughput::Elements(1));
    for callers in [1, 64] {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on a real disk");
        let store = StoreAddress::Sqlite(folder.path().join("tokenward.db"));
        let server =
            Running::start(Options::new(store, SocketAddr::from(([127, 0, 0, 1], 0)))).expect("it starts");
        let channel = clients.block_on(prepare(server.address()));
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

async fn prepare(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    let channel = endpoint.connect().await.expect("it listens");
    let body = Some(Body::Native(v1::NativeBody {}));
    let format = Some(v1::SecretFormat {
        prefix: "tw_".to_owned(),
        body,
    });
    let namespace = Some(v1::Namespace {
        slug: "bench".to_owned(),
        format,
        ..Default::default()
    });
    let request = v1::CreateNamespaceRequest {
        namespace,
        ..Default::default()
    };
    NamespaceServiceClient::new(channel.clone())
        .create_namespace(request)
        .await
        .expect("it is created");
    channel
}

/// Exactly `calls` tokens, issued by so many callers at once.
async fn issue(channel: &Channel, callers: u64, calls: u64) {
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let mut client = TokenServiceClient::new(channel.clone());
        let share = calls / callers + u64::from(caller < calls % callers);
        tasks.spawn(async move {
            for _ in 0..share {
                let request = v1::IssueRequest {
                    namespace: "bench".to_owned(),
                    subject: "ada".to_owned(),
                    ..Default::default()
                };
                client.issue(request).await.expect("it is issued");
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no caller fails");
    }
}
