//! Every call: in its place, until its deadline, and counted when its caller takes it back.
//!
//! tonic's own timer answers CANCELLED; gRPC has DEADLINE_EXCEEDED for this. A stream is not cut short:
//! only its beginning is timed, and only its beginning takes a place.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::metrics::CallCounts;
use super::occupancy::Occupancy;
use super::traces::Traces;
use crate::rpc::Problem;

/// A call that was taken back sooner was not waited for, whatever its deadline.
const PATIENCE_MIN: Duration = Duration::from_millis(10);

/// Gives every call a place on its connection, and a deadline: its own, or at most this.
#[derive(Clone, Debug)]
pub(super) struct CallsLayer {
    pub(super) deadline_max: Duration,
    pub(super) counts: Arc<CallCounts>,
    pub(super) traces: Option<Traces>,
}

#[derive(Clone, Debug)]
pub(super) struct Calls<S> {
    service: S,
    layer: CallsLayer,
}

impl<S> Layer<S> for CallsLayer {
    type Service = Calls<S>;

    fn layer(&self, service: S) -> Calls<S> {
        Calls {
            service,
            layer: self.clone(),
        }
    }
}

impl<S> Service<Request<Body>> for Calls<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let asked = deadline_asked(request.headers());
        let CallsLayer {
            deadline_max,
            counts,
            traces,
        } = &self.layer;
        let allowed = asked.map_or(*deadline_max, |asked| asked.min(*deadline_max));
        let call = counts.begin(request.uri().path(), request.headers(), traces.as_ref());
        let occupancy = request.extensions().get::<Occupancy>().cloned();
        if let Some(occupancy) = &occupancy {
            request.extensions_mut().insert(occupancy.peer());
        }
        // Nothing is worked on before it is awaited.
        let answer = self.service.call(request);
        let in_its_place = {
            let occupancy = occupancy.clone();
            async move {
                let _place = match &occupancy {
                    Some(occupancy) => occupancy.handler().await,
                    None => None,
                };
                answer.await
            }
        };
        // Timed from here on: tonic has a timer for the same deadline, which must not be the first.
        let answer = tokio::time::timeout(allowed, in_its_place);
        Box::pin(async move {
            let mut unanswered = occupancy.map(|occupancy| Unanswered::new(occupancy, asked));
            let answer = answer.await;
            if let Some(unanswered) = &mut unanswered {
                unanswered.answered = true;
            }
            match answer {
                Ok(Ok(response)) => Ok(call.answered(response)),
                Ok(Err(error)) => {
                    call.failed();
                    Err(error)
                }
                Err(_) => Ok(call.answered(Status::from(Problem::DeadlineExceeded { allowed }).into_http())),
            }
        })
    }
}

/// Dropped while it is unanswered, a call was cancelled: reset, or its connection is gone.
struct Unanswered {
    occupancy: Occupancy,
    /// When it was begun, and how long its caller wanted to wait.
    patience: Option<(Duration, Duration)>,
    answered: bool,
}

impl Unanswered {
    fn new(occupancy: Occupancy, asked: Option<Duration>) -> Unanswered {
        let patience = asked.map(|asked| (occupancy.uptime(), asked));
        Unanswered {
            occupancy,
            patience,
            answered: false,
        }
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        // Clients reset a call whose deadline has passed. The server would have ended it as well.
        let waited = self.patience.is_some_and(|(begun, asked)| {
            self.occupancy.uptime().saturating_sub(begun) >= PATIENCE_MIN.max(asked / 2)
        });
        if !waited {
            self.occupancy.cancelled();
        }
    }
}

/// The caller's own deadline: at most eight digits and a unit, as gRPC over HTTP/2 has it.
fn deadline_asked(headers: &HeaderMap) -> Option<Duration> {
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
    fn deadlines_are_read_as_grpc_writes_them() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            deadline_asked(&headers)
        };
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("1H"), Some(Duration::from_hours(1)));
        assert_eq!(read("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for bad in ["", "m", "1", "-1S", "100000000S", "1x", "1.5S", " 1S"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
