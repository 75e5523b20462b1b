//! Traces: of some calls a collector is told, over OTLP, when they came, how long they took and how they ended.
//!
//! Nothing of what a call says goes into it, and nothing of who made it.

use std::time::Duration;

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{Span, SpanKind, Status, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span as SdkSpan};

/// How long the collector may take for what is left at the end.
const END_MAX: Duration = Duration::from_secs(5);

/// Status codes that are the fault of the server.
const FAULTS: [&str; 6] = [
    "UNKNOWN",
    "DEADLINE_EXCEEDED",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
];

/// Where traces go, and of how many calls.
#[derive(Clone, PartialEq, Debug)]
pub struct TraceOptions {
    /// The collector, as a URL: OTLP over gRPC, such as `http://127.0.0.1:4317`.
    pub endpoint: http::Uri,
    /// Of the calls that do not say themselves whether they are traced, 0 to 1.
    pub ratio: f64,
}

/// There can be no traces.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be sent to {endpoint}: {source}")]
pub struct TracesError {
    endpoint: http::Uri,
    source: ExporterBuildError,
}

/// The way to the collector. What it does not take in time is dropped.
#[derive(Clone, Debug)]
pub(super) struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// What is told of one call.
#[derive(Debug)]
pub(super) struct CallSpan(SdkSpan);

impl Traces {
    /// Connects, as soon as there is something to tell, from the current runtime.
    pub(super) fn start(options: &TraceOptions, replica_name: &str) -> Result<Traces, TracesError> {
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(options.endpoint.to_string())
            .build();
        let exporter = exporter.map_err(|source| TracesError {
            endpoint: options.endpoint.clone(),
            source,
        })?;
        let resource = Resource::builder()
            .with_service_name("tokenward")
            .with_attributes([
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", replica_name.to_owned()),
            ]);
        let ratio = Sampler::TraceIdRatioBased(options.ratio);
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::ParentBased(Box::new(ratio)))
            .with_resource(resource.build())
            .build();
        let tracer = provider.tracer("tokenward");
        Ok(Traces { provider, tracer })
    }

    /// Begins to tell of a call, as part of the trace that its headers name (W3C Trace Context), if any; `None`: it is
    /// not among those that are told of.
    pub(super) fn begin(&self, method: &str, headers: &HeaderMap) -> Option<CallSpan> {
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
        let builder = self.tracer.span_builder(method.to_owned());
        let builder = builder.with_kind(SpanKind::Server);
        let mut span = self.tracer.build_with_context(builder, &parent);
        // Most calls end here: they pay for no more than the decision.
        if !span.is_recording() {
            return None;
        }
        span.set_attribute(KeyValue::new("rpc.system.name", "grpc"));
        span.set_attribute(KeyValue::new("rpc.method", method.to_owned()));
        Some(CallSpan(span))
    }

    /// Tells what is left.
    pub(super) async fn end(self) {
        let ending = move || self.provider.shutdown_with_timeout(END_MAX);
        // It waits for a thread of its own.
        if let Ok(Err(error)) = tokio::task::spawn_blocking(ending).await {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

impl CallSpan {
    /// The call has ended with this status code.
    pub(super) fn end(mut self, code: &'static str) {
        self.0
            .set_attribute(KeyValue::new("rpc.response.status_code", code));
        if FAULTS.contains(&code) {
            self.0.set_attribute(KeyValue::new("error.type", code));
            self.0.set_status(Status::error(""));
        }
        self.0.end();
    }
}

/// What the propagator reads. Of a header that is there twice nothing is believed.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let mut values = self.0.get_all(key).iter();
        let value = values.next()?.to_str().ok();
        value.filter(|_| values.next().is_none())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
