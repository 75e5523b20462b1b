//! Ends a call when its caller has stopped waiting, and says so with the right status.
//!
//! tonic's own timer answers CANCELLED; gRPC has DEADLINE_EXCEEDED for this. A stream is not cut short:
//! only its beginning is timed.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::rpc::Problem;

/// Gives every call a deadline: its own, or at most this.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeadlineLayer {
    pub(super) at_most: Duration,
}

#[derive(Clone, Debug)]
pub(super) struct Deadline<S> {
    service: S,
    at_most: Duration,
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, service: S) -> Deadline<S> {
        Deadline {
            service,
            at_most: self.at_most,
        }
    }
}

impl<S> Service<Request<Body>> for Deadline<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let allowed = asked(request.headers()).map_or(self.at_most, |asked| asked.min(self.at_most));
        let answer = self.service.call(request);
        Box::pin(async move {
            tokio::time::timeout(allowed, answer)
                .await
                .unwrap_or_else(|_| Ok(Status::from(Problem::DeadlineExceeded { allowed }).into_http()))
        })
    }
}

/// The caller's own deadline: at most eight digits and a unit, as gRPC over HTTP/2 has it.
fn asked(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if number.len() > 8 || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_hours(number),
        "M" => Duration::from_mins(number),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            asked(&headers)
        };
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("1H"), Some(Duration::from_hours(1)));
        assert_eq!(read("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for bad in ["", "m", "1", "-1S", "100000000S", "1x", "1.5S", " 1S"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
