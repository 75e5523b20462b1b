//! Clients of a server under measurement: connected, with a namespace to work in, and sharing calls.

use std::net::SocketAddr;

use tokenward::proto::v1;
use tokenward::proto::v1::namespace_service_client::NamespaceServiceClient;
use tokenward::proto::v1::secret_format::Body;
use tokenward::serve::{Options, StoreAddress};
use tokio::runtime::{Builder, Runtime};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

use crate::admin::{self, Bearer};

/// A connection on which every call carries the admin's credential.
pub(crate) type Wire = InterceptedService<Channel, Bearer>;

/// A free port on loopback.
pub(crate) const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A server that knows the admin, on a free port.
pub(crate) fn options(store: StoreAddress) -> Options {
    let mut options = Options::new(store, LOCAL);
    admin::known_to(&mut options);
    options
}

/// One thread for all clients, so that the server has the rest.
pub(crate) fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).thread_name("client").enable_all();
    builder.build().expect("a runtime")
}

pub(crate) async fn connect(address: SocketAddr) -> Wire {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    InterceptedService::new(endpoint.connect().await.expect("it listens"), Bearer::admin())
}

/// The namespace `bench`, whose tokens are native.
pub(crate) async fn create_namespace(channel: &Wire) {
    let format = v1::SecretFormat {
        prefix: "tw_".to_owned(),
        body: Some(Body::Native(v1::NativeBody {})),
    };
    let namespace = v1::Namespace {
        slug: "bench".to_owned(),
        format: Some(format),
        ..Default::default()
    };
    let request = v1::CreateNamespaceRequest {
        namespace: Some(namespace),
        ..Default::default()
    };
    let mut client = NamespaceServiceClient::new(channel.clone());
    client.create_namespace(request).await.expect("it is created");
}

/// A token of that namespace, asked for.
pub(crate) fn issue_request() -> v1::IssueRequest {
    v1::IssueRequest {
        namespace: "bench".to_owned(),
        subject: "ada".to_owned(),
        ..Default::default()
    }
}

/// How many of `calls` fall to each of so many callers: together exactly as many as a figure is divided by.
pub(crate) fn shares(calls: u64, callers: u64) -> impl Iterator<Item = u64> {
    (0..callers).map(move |caller| calls / callers + u64::from(caller < calls % callers))
}
