//! What it costs to record uses: the same load with and without, in pairs, for the machine is not ours alone.

use std::time::Duration;

use tokenward::proto::v1;
use tokenward::proto::v1::token_service_client::TokenServiceClient;
use tokenward::proto::v1::verification_service_client::VerificationServiceClient;
use tokenward::serve::{Options, Running, StoreAddress};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::clients::{self, Wire, connect, create_namespace, issue_request, options};
use crate::cpu::Threads;

const TOKENS: usize = 1000;
/// Verifications a second, as far as the machine goes.
const RATE: u32 = 20_000;
const LASTING: Duration = Duration::from_secs(30);
const PAIRS: usize = 3;
const CONNECTIONS: usize = 10;
const CALLERS: u32 = 100;

/// What one run came to.
struct Run {
    calls: u64,
    rate: f64,
    cpu_a_call: f64,
}

pub(crate) fn bench() {
    let mut ratios = Vec::new();
    for pair in 0..PAIRS {
        // Whatever comes second finds the machine warm: each does so in turn.
        let on_first = pair % 2 == 0;
        let (first, second) = (run(on_first), run(!on_first));
        let (on, off) = if on_first {
            (first, second)
        } else {
            (second, first)
        };
        ratios.push(on.cpu_a_call / off.cpu_a_call);
        report(format_args!(
            "usage: {:.0} and {:.0} verifications a second; {:.2} µs CPU each with it, {:.2} µs without, of {} and {}",
            on.rate, off.rate, on.cpu_a_call, off.cpu_a_call, on.calls, off.calls
        ));
    }
    ratios.sort_by(f64::total_cmp);
    report(format_args!("usage: CPU with it to CPU without it {ratios:.3?}"));
}

/// Loads a server; where uses are recorded, each is found counted once afterwards.
fn run(records: bool) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let store = StoreAddress::Sqlite(folder.path().join("tokenward.db"));
    let mut options: Options = options(store);
    if !records {
        options.usage_flush = None;
    }
    let clients = clients::runtime();
    let server = Running::start(options.clone()).expect("it starts");
    let requests = clients.block_on(tokens(&server));
    // Every server thread counts, also those that write.
    let threads = Threads::named("tokenward-");
    let (before, begun) = (threads.used(), Instant::now());
    let calls = load(&clients, &server, &requests);
    let (used, elapsed) = (threads.used() - before, begun.elapsed());
    server.stop().expect("it stops");
    if records {
        let server = Running::start(options).expect("it starts again");
        assert_eq!(clients.block_on(counted(&server)), calls, "each is counted once");
        server.stop().expect("it stops");
    }
    #[expect(clippy::cast_precision_loss, reason = "a run has far less than 2^53 calls")]
    Run {
        calls,
        rate: calls as f64 / elapsed.as_secs_f64(),
        cpu_a_call: used as f64 / 1000.0 / calls as f64,
    }
}

async fn tokens(server: &Running) -> Vec<v1::VerifyRequest> {
    let channel = connect(server.address()).await;
    create_namespace(&channel).await;
    let mut client = TokenServiceClient::new(channel);
    let mut requests = Vec::with_capacity(TOKENS);
    for number in 0..TOKENS {
        let issued = client.issue(issue_request()).await.expect("it is issued");
        requests.push(v1::VerifyRequest {
            secret: issued.into_inner().secret,
            context: Some(v1::RequestContext {
                client_address: format!("192.0.2.{}", number % 256),
                user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
                    .to_owned(),
                method: "GET".to_owned(),
                path: "/api/v1/notes".to_owned(),
            }),
            ..Default::default()
        });
    }
    requests
}

/// Verifies in turn at the rate that is wanted, or as fast as it goes; how often.
fn load(clients: &Runtime, server: &Running, requests: &[v1::VerifyRequest]) -> u64 {
    clients.block_on(async {
        let mut channels: Vec<Wire> = Vec::new();
        for _ in 0..CONNECTIONS {
            channels.push(connect(server.address()).await);
        }
        let begin = Instant::now();
        let pause = Duration::from_secs(1) * CALLERS / RATE;
        let mut callers = JoinSet::new();
        for (caller, channel) in (0..CALLERS).zip(channels.iter().cycle()) {
            let mut client = VerificationServiceClient::new(channel.clone());
            let requests = requests.to_vec();
            callers.spawn(async move {
                let mut calls = 0;
                let mut next = begin + pause * caller / CALLERS;
                for request in requests.iter().cycle().skip(caller as usize * 10) {
                    sleep_until(next).await;
                    next += pause;
                    if begin.elapsed() >= LASTING {
                        break;
                    }
                    let response = client.verify(request.clone()).await.expect("it is judged");
                    assert_eq!(response.get_ref().verdict(), v1::Verdict::Accepted);
                    calls += 1;
                }
                calls
            });
        }
        callers.join_all().await.into_iter().sum()
    })
}

/// The uses of all tokens, as a list shows them.
async fn counted(server: &Running) -> u64 {
    let request = v1::ListRequest {
        namespace: "bench".to_owned(),
        page_size: i32::try_from(TOKENS).expect("a page"),
        ..Default::default()
    };
    let channel = connect(server.address()).await;
    let mut client = TokenServiceClient::new(channel).max_decoding_message_size(16 * 1024 * 1024);
    let page = client.list(request).await.expect("it is listed").into_inner();
    page.tokens
        .iter()
        .map(|token| token.use_count.unsigned_abs())
        .sum()
}

#[expect(clippy::print_stdout, reason = "the figures are what it is run for")]
fn report(figure: std::fmt::Arguments<'_>) {
    println!("{figure}");
}
