//! What it costs to record uses: two servers side by side, one that does and one that does not, which get the same load
//! in turn. The machine is not ours alone, and is not the same from one minute to the next.

use std::time::Duration;

use tempfile::TempDir;
use tokenward::proto::v1;
use tokenward::proto::v1::token_service_client::TokenServiceClient;
use tokenward::proto::v1::verification_service_client::VerificationServiceClient;
use tokenward::serve::{Options, Running, StoreAddress};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::clients::{self, Wire, connect, create_namespace, issue_request, options};
use crate::cpu::Present;

const TOKENS: usize = 1000;
/// Verifications a second, as far as the machine goes.
const RATE: u32 = 20_000;
/// So long each of the two is loaded at a stretch, and so often: 30 s together.
const TURN: Duration = Duration::from_secs(5);
const TURNS: u32 = 6;
const PAIRS: usize = 3;
const CALLERS: u32 = 100;
/// The fewer there are, the less evenly they fall to the threads of a server.
const CONNECTIONS: u32 = 20;

/// A server under load.
struct Side {
    folder: TempDir,
    options: Options,
    server: Running,
    requests: Vec<v1::VerifyRequest>,
    channels: Vec<Wire>,
    threads: Present,
    /// Calls before any was measured.
    warming: u64,
    calls: u64,
    /// On a processor, in nanoseconds.
    used: u64,
    loaded: Duration,
}

pub(crate) fn bench() {
    let clients = clients::runtime();
    let mut ratios = Vec::new();
    for pair in 0..PAIRS {
        // Whichever starts second finds the process warm: each does so in turn.
        let (mut on, mut off);
        if pair % 2 == 0 {
            on = Side::start(&clients, true);
            off = Side::start(&clients, false);
        } else {
            off = Side::start(&clients, false);
            on = Side::start(&clients, true);
        }
        for turn in 0..TURNS {
            let sides = if turn % 2 == 0 {
                [&mut on, &mut off]
            } else {
                [&mut off, &mut on]
            };
            for side in sides {
                side.load(&clients, TURN);
            }
        }
        ratios.push(on.cpu_a_call() / off.cpu_a_call());
        report(format_args!(
            "usage: {:.0} and {:.0} verifications a second; {:.2} µs CPU each with it, {:.2} µs without, of {} and {}",
            on.rate(),
            off.rate(),
            on.cpu_a_call(),
            off.cpu_a_call(),
            on.calls,
            off.calls
        ));
        on.stop(&clients);
        off.stop(&clients);
    }
    ratios.sort_by(f64::total_cmp);
    report(format_args!("usage: CPU with it to CPU without it {ratios:.3?}"));
}

#[expect(clippy::cast_precision_loss, reason = "a run has far less than 2^53 calls")]
impl Side {
    /// One that has been called: all of its threads are there.
    fn start(clients: &Runtime, records: bool) -> Side {
        let before = Present::now();
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = options(StoreAddress::Sqlite(folder.path().join("tokenward.db")));
        if !records {
            options.usage_flush = None;
        }
        let server = Running::start(options.clone()).expect("it starts");
        let requests = clients.block_on(tokens(&server));
        let channels = (0..CONNECTIONS).map(|_| clients.block_on(connect(server.address())));
        let channels: Vec<_> = channels.collect();
        let warming = load(clients, Duration::from_secs(1), &channels, &requests);
        Side {
            folder,
            options,
            server,
            requests,
            channels,
            threads: Present::now().since(&before),
            warming,
            calls: 0,
            used: 0,
            loaded: Duration::ZERO,
        }
    }

    fn load(&mut self, clients: &Runtime, lasting: Duration) {
        let (before, begun) = (self.threads.used(), Instant::now());
        self.calls += load(clients, lasting, &self.channels, &self.requests);
        self.used += self.threads.used() - before;
        self.loaded += begun.elapsed();
    }

    fn rate(&self) -> f64 {
        self.calls as f64 / self.loaded.as_secs_f64()
    }

    /// In microseconds.
    fn cpu_a_call(&self) -> f64 {
        self.used as f64 / 1000.0 / self.calls as f64
    }

    /// Where uses are recorded, each is found counted once afterwards.
    fn stop(self, clients: &Runtime) {
        drop(self.channels);
        self.server.stop().expect("it stops");
        if self.options.usage_flush.is_some() {
            let server = Running::start(self.options).expect("it starts again");
            let counted = clients.block_on(counted(&server));
            assert_eq!(counted, self.warming + self.calls, "each is counted once");
            server.stop().expect("it stops");
        }
        drop(self.folder);
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
fn load(clients: &Runtime, lasting: Duration, channels: &[Wire], requests: &[v1::VerifyRequest]) -> u64 {
    clients.block_on(async {
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
                    if begin.elapsed() >= lasting {
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
