//! Every call by method: how many, how they ended, and how long they took.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;

use http::{HeaderMap, Response};
use http_body::Frame;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;
use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use tonic::Status;
use tonic::body::Body;

use crate::clock::Clock;
use crate::proto::DESCRIPTORS;
use crate::serve::traces::{CallSpan, Traces};

/// The names of the status codes of gRPC, each at its number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
const OK: usize = 0;
const CANCELLED: usize = 1;
const UNKNOWN: usize = 2;
const INTERNAL: usize = 13;

/// Upper ends of the buckets that durations are counted in, in seconds.
const SECONDS: [f64; 16] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Whatever is asked for under a name that is none: strangers choose it, so all have one row.
const OTHER: &str = "_OTHER";

/// What is known of all calls there were.
#[derive(Debug)]
pub(in crate::serve) struct CallCounts {
    rows: Vec<Row>,
    /// The row of each path.
    by_path: HashMap<String, usize>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Row {
    method: String,
    by_code: [AtomicU64; CODES.len()],
    /// `None` where an answer is a stream: that takes as long as its reader likes.
    seconds: Option<Histogram>,
}

/// A call on its way. Dropped before it has ended it was cancelled, or whoever worked on it panicked.
#[derive(Debug)]
pub(in crate::serve) struct Call {
    counts: Arc<CallCounts>,
    row: usize,
    begun: Duration,
    span: Option<CallSpan>,
    code: Option<usize>,
}

impl CallCounts {
    /// Counts for every method of this package, and for all others together.
    pub(in crate::serve) fn new(clock: Arc<dyn Clock>) -> CallCounts {
        // It is compiled in, and a test reads it.
        let services = FileDescriptorSet::decode(DESCRIPTORS).unwrap_or_default();
        let mut rows: Vec<_> = services.file.iter().flat_map(methods).collect();
        let by_path = rows.iter().enumerate();
        let by_path = by_path
            .map(|(at, row)| (format!("/{}", row.method), at))
            .collect();
        rows.push(Row::new(OTHER.to_owned(), false));
        CallCounts { rows, by_path, clock }
    }

    /// Begins to count a call, and to tell of it whoever is told of such.
    pub(in crate::serve) fn begin(
        self: &Arc<Self>,
        path: &str,
        headers: &HeaderMap,
        traces: Option<&Traces>,
    ) -> Call {
        let other = self.rows.len() - 1;
        let row = self.by_path.get(path).copied().unwrap_or(other);
        let method = &self.rows[row].method;
        Call {
            row,
            begun: self.clock.uptime(),
            span: traces.and_then(|traces| traces.begin(method, headers)),
            counts: Arc::clone(self),
            code: None,
        }
    }
}

fn methods(file: &FileDescriptorProto) -> impl Iterator<Item = Row> {
    file.service.iter().flat_map(|service| {
        service.method.iter().map(|method| {
            let name = format!("{}.{}/{}", file.package(), service.name(), method.name());
            Row::new(name, method.server_streaming())
        })
    })
}

impl Row {
    fn new(method: String, is_stream: bool) -> Row {
        Row {
            method,
            by_code: Default::default(),
            seconds: (!is_stream).then(|| Histogram::new(SECONDS)),
        }
    }
}

impl Call {
    /// The call is answered; a stream goes on until its last word.
    pub(in crate::serve) fn answered(mut self, response: Response<Body>) -> Response<Body> {
        let code = code(response.headers());
        let is_stream = self.counts.rows[self.row].seconds.is_none();
        if is_stream && code.is_none() {
            return response.map(|body| {
                Body::new(Counted {
                    body,
                    call: Some(self),
                })
            });
        }
        self.code = Some(code.unwrap_or(OK));
        response
    }

    /// The call came to nothing that could be told to its caller.
    pub(in crate::serve) fn failed(mut self) {
        self.code = Some(INTERNAL);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let lost = if thread::panicking() { INTERNAL } else { CANCELLED };
        let row = &self.counts.rows[self.row];
        let code = self.code.unwrap_or(lost);
        row.by_code[code].fetch_add(1, Ordering::Relaxed);
        if let Some(span) = self.span.take() {
            span.end(CODES[code]);
        }
        if let Some(seconds) = &row.seconds {
            let took = self.counts.clock.uptime().saturating_sub(self.begun);
            seconds.observe(took.as_secs_f64());
        }
    }
}

/// What gRPC says of how a call ended; nothing, if these are not the last headers of it.
fn code(headers: &HeaderMap) -> Option<usize> {
    let text = headers.get("grpc-status")?.to_str().ok();
    let number = text.and_then(|text| text.parse().ok());
    Some(number.filter(|code| *code < CODES.len()).unwrap_or(UNKNOWN))
}

/// A stream that is counted when it ends.
struct Counted {
    body: Body,
    call: Option<Call>,
}

impl http_body::Body for Counted {
    type Data = <Body as http_body::Body>::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let ended = match &frame {
            Some(Ok(frame)) => frame.trailers_ref().map(|trailers| code(trailers).unwrap_or(OK)),
            Some(Err(status)) => Some(status.code() as usize),
            None => Some(OK),
        };
        if let Some(code) = ended
            && let Some(mut call) = self.call.take()
        {
            call.code = Some(code);
        }
        Poll::Ready(frame)
    }
}

/// Tells what was counted.
#[derive(Debug)]
pub(super) struct Calls(pub(super) Arc<CallCounts>);

impl Collector for Calls {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let Calls(counts) = self;
        let help = "Calls that have ended, by method and status code of gRPC";
        let mut ended = to.encode_descriptor("rpc_calls", help, None, MetricType::Counter)?;
        for row in &counts.rows {
            for (code, count) in CODES.iter().zip(&row.by_code) {
                let count = count.load(Ordering::Relaxed);
                // The usual end is told from the beginning, the others as they happen.
                if count > 0 || *code == CODES[OK] {
                    let labels = [("method", row.method.as_str()), ("code", code)];
                    ended
                        .encode_family(&labels)?
                        .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
                }
            }
        }
        let help = "How long calls took, but for those that answer with a stream";
        let seconds = Some(&Unit::Seconds);
        let mut took = to.encode_descriptor("rpc_call_duration", help, seconds, MetricType::Histogram)?;
        for row in &counts.rows {
            if let Some(histogram) = &row.seconds {
                histogram.encode(took.encode_family(&[("method", row.method.as_str())])?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
