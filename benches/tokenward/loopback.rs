//! Unary Verify over loopback, next to a stock tonic server that answers the same bytes without looking.

use std::net::SocketAddr;
use std::thread;

use criterion::Criterion;
use tokenward::proto::v1;
use tokenward::proto::v1::token_service_client::TokenServiceClient;
use tokenward::proto::v1::verification_service_client::VerificationServiceClient;
use tokenward::proto::v1::verification_service_server::{VerificationService, VerificationServiceServer};
use tokenward::serve::{Running, StoreAddress};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::clients::{self, LOCAL, Wire, connect, create_namespace, issue_request, options, shares};
use crate::cpu::Threads;

const CONNECTIONS: usize = 10;
const IN_FLIGHT: usize = 10;

#[derive(Clone, Copy)]
pub(crate) enum Server {
    Tokenward,
    /// tonic as its examples have it: one multi-thread runtime, the generated service, no look-up.
    StockEcho,
}

pub(crate) fn bench(criterion: &mut Criterion<Threads>, server: Server) {
    let clients = clients::runtime();
    let running = Running::start(options(StoreAddress::Memory)).expect("it starts");
    let request = clients.block_on(issue(running.address()));
    let answer = clients.block_on(verify_once(running.address(), &request));
    let (name, threads, address) = match server {
        Server::Tokenward => (
            "verify/loopback, tokenward",
            Threads::named("tokenward-rpc"),
            running.address(),
        ),
        Server::StockEcho => (
            "verify/loopback, stock tonic echo",
            Threads::named("stock-echo"),
            echo(answer),
        ),
    };
    let channels = clients.block_on(connect_all(address));
    let mut group = criterion.benchmark_group("server CPU a call");
    group.sample_size(20);
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|calls| {
            let before = threads.used();
            load(&clients, &channels, &request, calls);
            threads.used() - before
        });
    });
    group.finish();
    running.stop().expect("it stops");
}

/// Exactly `calls` calls, spread over all connections.
fn load(clients: &Runtime, channels: &[Wire], request: &v1::VerifyRequest, calls: u64) {
    clients.block_on(async {
        let mut callers = JoinSet::new();
        let shares = shares(calls, (CONNECTIONS * IN_FLIGHT) as u64);
        for (channel, share) in channels.iter().cycle().zip(shares) {
            let (mut client, request) = (VerificationServiceClient::new(channel.clone()), request.clone());
            callers.spawn(async move {
                for _ in 0..share {
                    let response = client.verify(request.clone()).await.expect("it is judged");
                    assert_eq!(response.get_ref().verdict(), v1::Verdict::Accepted);
                }
            });
        }
        while let Some(ended) = callers.join_next().await {
            ended.expect("no caller fails");
        }
    });
}

async fn connect_all(address: SocketAddr) -> Vec<Wire> {
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(connect(address).await);
    }
    channels
}

async fn issue(address: SocketAddr) -> v1::VerifyRequest {
    let channel = connect(address).await;
    create_namespace(&channel).await;
    let issued = TokenServiceClient::new(channel)
        .issue(issue_request())
        .await
        .expect("it is issued");
    v1::VerifyRequest {
        secret: issued.into_inner().secret,
        ..Default::default()
    }
}

async fn verify_once(address: SocketAddr, request: &v1::VerifyRequest) -> v1::VerifyResponse {
    let channel = connect(address).await;
    VerificationServiceClient::new(channel)
        .verify(request.clone())
        .await
        .expect("it is judged")
        .into_inner()
}

/// Answers every call with the same message.
struct Echo(v1::VerifyResponse);

#[tonic::async_trait]
impl VerificationService for Echo {
    async fn verify(&self, _: Request<v1::VerifyRequest>) -> Result<Response<v1::VerifyResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn batch_verify(
        &self,
        _: Request<v1::BatchVerifyRequest>,
    ) -> Result<Response<v1::BatchVerifyResponse>, Status> {
        Err(Status::unimplemented("nobody asks for it here"))
    }
}

/// Runs until the process ends.
fn echo(answer: v1::VerifyResponse) -> SocketAddr {
    let incoming = std::net::TcpListener::bind(LOCAL).expect("a free port");
    let address = incoming.local_addr().expect("it is bound");
    incoming
        .set_nonblocking(true)
        .expect("a socket can be non-blocking");
    thread::spawn(move || {
        let runtime = Builder::new_multi_thread()
            .thread_name("stock-echo")
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let incoming = tokio::net::TcpListener::from_std(incoming).expect("it is a listener");
            let incoming = TcpIncoming::from(incoming).with_nodelay(Some(true));
            let service = VerificationServiceServer::new(Echo(answer));
            // Accepting and serving goes to the runtime's own threads, which are the ones counted.
            let server = tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming);
            tokio::spawn(server)
                .await
                .expect("it does not panic")
                .expect("it serves");
        });
    });
    address
}
