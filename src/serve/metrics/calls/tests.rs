use std::panic::{AssertUnwindSafe, catch_unwind};

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use super::*;
use crate::clock::ManualClock;
use crate::token::samples::instant;

const VERIFY: &str = "/tokenward.v1.VerificationService/Verify";
const WATCH: &str = "/tokenward.v1.RevocationService/WatchRevocations";

struct Scene {
    clock: Arc<ManualClock>,
    counts: Arc<CallCounts>,
}

impl Scene {
    fn new() -> Scene {
        let clock = Arc::new(ManualClock::at(instant(0)));
        let counts = Arc::new(CallCounts::new(Arc::<ManualClock>::clone(&clock)));
        Scene { clock, counts }
    }

    fn begin(&self, path: &str) -> Call {
        self.counts.begin(path, &HeaderMap::new(), None)
    }

    /// The samples that are not zero and not of a bucket.
    fn told(&self) -> Vec<String> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Calls(Arc::clone(&self.counts))));
        let mut told = String::new();
        text::encode(&mut told, &registry).unwrap();
        let samples = told.lines().filter(|line| !line.starts_with('#'));
        let samples = samples
            .filter(|line| !line.contains("_bucket") && !line.ends_with(" 0") && !line.ends_with(" 0.0"));
        samples.map(|line| line.replace("tokenward.v1.", "")).collect()
    }
}

fn of(method: &str, code: &str, count: u64) -> String {
    format!("rpc_calls_total{{method=\"{method}\",code=\"{code}\"}} {count}")
}

fn answer(status: Option<&str>, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    if let Some(status) = status {
        response
            .headers_mut()
            .insert("grpc-status", status.parse().unwrap());
    }
    response
}

#[test]
fn a_call_is_counted_by_how_it_ended_and_timed() {
    let scene = Scene::new();
    for status in [None, None, Some("0"), Some("16"), Some("17"), Some("-1")] {
        let call = scene.begin(VERIFY);
        scene.clock.advance(Duration::from_millis(500));
        call.answered(answer(status, Body::empty()));
    }
    scene.begin(VERIFY).failed();
    // Whoever takes a call back drops it, as a panic does.
    drop(scene.begin(VERIFY));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _call = scene.begin(VERIFY);
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    let verify = |code, count| of("VerificationService/Verify", code, count);
    assert_eq!(
        scene.told(),
        [
            verify("OK", 3),
            verify("CANCELLED", 1),
            verify("UNKNOWN", 2),
            verify("INTERNAL", 2),
            verify("UNAUTHENTICATED", 1),
            "rpc_call_duration_seconds_sum{method=\"VerificationService/Verify\"} 3.0".to_owned(),
            "rpc_call_duration_seconds_count{method=\"VerificationService/Verify\"} 9".to_owned(),
        ]
    );
}

#[test]
fn names_that_strangers_choose_have_one_row() {
    let scene = Scene::new();
    for path in [
        "",
        "/",
        "/tokenward.v1.VerificationService/Verify2",
        "/grpc.health.v1.Health/Check",
    ] {
        scene.begin(path).answered(answer(Some("12"), Body::empty()));
    }
    assert!(scene.told().contains(&of("_OTHER", "UNIMPLEMENTED", 4)));
}

#[tokio::test]
async fn a_stream_is_counted_when_it_ends() {
    let scene = Scene::new();
    let message = || Ok::<_, Status>(Frame::data(bytes::Bytes::from_static(b"message")));
    let trailers = |status: &str| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status.parse().unwrap());
        Ok(Frame::trailers(trailers))
    };
    for frames in [
        vec![message(), trailers("14")],
        vec![message(), Err(Status::unavailable("lost"))],
        vec![message(), message()],
    ] {
        let body = Body::new(http_body_util::StreamBody::new(tokio_stream::iter(frames)));
        let response = scene.begin(WATCH).answered(answer(None, body));
        let response = Box::pin(response.into_body());
        http_body_util::BodyExt::collect(response).await.ok();
    }
    let left = scene.begin(WATCH).answered(answer(None, Body::empty()));
    drop(left);
    // Refused, it never was a stream.
    scene.begin(WATCH).answered(answer(Some("16"), Body::empty()));
    let watch = |code, count| of("RevocationService/WatchRevocations", code, count);
    assert_eq!(
        scene.told(),
        [
            watch("OK", 1),
            watch("CANCELLED", 1),
            watch("UNAVAILABLE", 2),
            watch("UNAUTHENTICATED", 1),
        ]
    );
}
