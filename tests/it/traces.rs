//! Traces, as a collector gets them.

use std::net::SocketAddr;

use data_encoding::HEXLOWER;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tokenward::proto::v1;
use tokenward::serve::{Options, Running, StoreAddress, TraceOptions};
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::admin;
use crate::server::{Client, Outcome, hex, stop};

const TRACE: [u8; 16] = [0x4b; 16];
const PARENT: [u8; 8] = [0xf0; 8];

struct Collector(mpsc::UnboundedSender<Vec<Span>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let spans = resources.flat_map(|resource| resource.scope_spans);
        let _ = self.0.send(spans.flat_map(|scope| scope.spans).collect());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

type Spans = mpsc::UnboundedReceiver<Vec<Span>>;

/// A server that tells a collector of this part of its calls.
async fn start(ratio: f64) -> Result<(Running, Spans), Box<dyn std::error::Error>> {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = tokio::net::TcpListener::bind(loopback).await?;
    let endpoint = format!("http://{}", listener.local_addr()?).parse()?;
    let (told, spans) = mpsc::unbounded_channel();
    let collecting = tonic::transport::Server::builder()
        .add_service(TraceServiceServer::new(Collector(told)))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(collecting);
    let mut options = Options::new(StoreAddress::Memory, loopback);
    admin::known_to(&mut options);
    options.traces = Some(TraceOptions { endpoint, ratio });
    Ok((Running::start(options)?, spans))
}

/// Everything the collector was told by the time the server has ended.
async fn all(server: Running, mut spans: Spans) -> Result<Vec<Span>, Box<dyn std::error::Error>> {
    stop(server).await?;
    let mut all = Vec::new();
    while let Ok(more) = spans.try_recv() {
        all.extend(more);
    }
    Ok(all)
}

fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key);
    match found?.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// A verification that comes as part of a trace.
async fn verify_in(client: &mut Client, traceparent: &str, secret: &str) -> Outcome {
    let mut request = Request::new(v1::VerifyRequest {
        secret: secret.to_owned(),
        ..Default::default()
    });
    request.metadata_mut().insert("traceparent", traceparent.parse()?);
    client.verification.verify(request).await?;
    Ok(())
}

fn traceparent(sampled: bool) -> String {
    let [trace, parent] = [&TRACE[..], &PARENT].map(|id| HEXLOWER.encode(id));
    format!("00-{trace}-{parent}-{:02x}", u8::from(sampled))
}

#[tokio::test]
async fn a_call_is_told_of_in_the_trace_it_belongs_to() -> Outcome {
    let (server, spans) = start(0.0).await?;
    let mut client = Client::connect(server.address()).await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let (token, secret) = client.issue("notes", &[]).await?;
    verify_in(&mut client, &traceparent(true), &secret).await?;
    verify_in(&mut client, &traceparent(false), &secret).await?;
    verify_in(&mut client, "00-nonsense", &secret).await?;
    let spans = all(server, spans).await?;
    let [span] = spans.as_slice() else {
        return Err(format!("one call was sampled: {spans:?}").into());
    };
    assert_eq!(span.trace_id, TRACE);
    assert_eq!(span.parent_span_id, PARENT);
    assert_eq!(span.kind(), SpanKind::Server);
    let method = "tokenward.v1.VerificationService/Verify";
    assert_eq!(span.name, method);
    assert_eq!(attribute(span, "rpc.system.name"), Some("grpc"));
    assert_eq!(attribute(span, "rpc.method"), Some(method));
    assert_eq!(attribute(span, "rpc.response.status_code"), Some("OK"));
    assert_eq!(attribute(span, "error.type"), None);
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    let told = format!("{span:?}");
    for hidden in [
        secret.as_str(),
        token.id.as_str(),
        "ada",
        admin::CREDENTIAL.as_str(),
    ] {
        assert!(!told.contains(hidden), "{hidden} in {told}");
    }
    Ok(())
}

#[tokio::test]
async fn calls_that_say_nothing_are_told_of_as_the_server_is_told() -> Outcome {
    let (server, spans) = start(1.0).await?;
    let mut client = Client::connect(server.address()).await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    client.revoke("nonsense").await.err().ok_or("revoked")?;
    let spans = all(server, spans).await?;
    let ended: Vec<_> = spans
        .iter()
        .map(|span| (span.name.as_str(), attribute(span, "rpc.response.status_code")))
        .collect();
    assert_eq!(
        ended,
        [
            ("tokenward.v1.NamespaceService/CreateNamespace", Some("OK")),
            ("tokenward.v1.TokenService/Revoke", Some("INVALID_ARGUMENT")),
        ]
    );
    // The caller is at fault, not the server.
    let failed = |span: &Span| {
        span.status
            .as_ref()
            .is_some_and(|status| status.code() == StatusCode::Error)
    };
    assert!(!spans.iter().any(failed), "{spans:?}");
    Ok(())
}

#[tokio::test]
async fn a_collector_that_is_not_there_costs_no_call() -> Outcome {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    // Nobody listens there any more.
    let gone = tokio::net::TcpListener::bind(loopback).await?.local_addr()?;
    let mut options = Options::new(StoreAddress::Memory, loopback);
    admin::known_to(&mut options);
    options.traces = Some(TraceOptions {
        endpoint: format!("http://{gone}").parse()?,
        ratio: 1.0,
    });
    let server = Running::start(options)?;
    let mut client = Client::connect(server.address()).await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    stop(server).await
}
