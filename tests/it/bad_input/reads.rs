//! Malformed requests to those who only read: Verify, BatchVerify, WatchRevocations, ListEntries.

use prost_types::Duration;
use tokenward::proto::v1;
use tokenward::proto::v1::consistency::Requirement;
use tonic::Code;

use super::Expected::{Fields, Reason, Unread};
use super::ground::{Ground, V4, scopes};
use super::{Call, Row};

pub(crate) fn verify_rows() -> Vec<Row> {
    let verify = |namespace: &str, required_scopes| v1::VerifyRequest {
        secret: format!("kn_{}", "0".repeat(40)),
        namespace: namespace.to_owned(),
        required_scopes,
        consistency: None,
        context: None,
        cost: None,
    };
    let consistent = |requirement| {
        let consistency = Some(v1::Consistency { requirement });
        v1::VerifyRequest {
            consistency,
            ..verify("notes", Vec::new())
        }
    };
    let batch = |count, bad: Option<v1::VerifyRequest>| {
        let mut requests = vec![verify("notes", Vec::new()); count];
        if let (Some(bad), Some(fourth)) = (bad, requests.get_mut(3)) {
            *fourth = bad;
        }
        Call::BatchVerify(v1::BatchVerifyRequest { requests })
    };
    let upper = || vec!["A".to_owned()];
    vec![
        (
            "Verify: client address",
            Call::Verify(v1::VerifyRequest {
                context: Some(v1::RequestContext {
                    client_address: "192.0.2.7:443".to_owned(),
                    ..Default::default()
                }),
                ..verify("notes", Vec::new())
            }),
            Fields(&["context.client_address"]),
        ),
        (
            "Verify: namespace",
            Call::Verify(verify("No", Vec::new())),
            Fields(&["namespace"]),
        ),
        (
            "Verify: scope",
            Call::Verify(verify("", upper())),
            Fields(&["required_scopes[0]"]),
        ),
        (
            "Verify: 65 scopes",
            Call::Verify(verify("", scopes(65))),
            Fields(&["required_scopes"]),
        ),
        (
            "Verify: consistency that says nothing",
            Call::Verify(consistent(None)),
            Fields(&["consistency"]),
        ),
        (
            "Verify: at_least that is no cursor",
            Call::Verify(consistent(Some(Requirement::AtLeast("cursor".to_owned())))),
            Fields(&["consistency.at_least"]),
        ),
        (
            "BatchVerify: one at_least",
            batch(5, Some(consistent(Some(Requirement::AtLeast(String::new()))))),
            Fields(&["requests[3].consistency.at_least"]),
        ),
        ("BatchVerify: none", batch(0, None), Fields(&["requests"])),
        ("BatchVerify: 101", batch(101, None), Fields(&["requests"])),
        (
            "BatchVerify: one namespace",
            batch(5, Some(verify("No", Vec::new()))),
            Fields(&["requests[3].namespace"]),
        ),
        (
            "BatchVerify: one scope",
            batch(5, Some(verify("", upper()))),
            Fields(&["requests[3].required_scopes[0]"]),
        ),
        (
            "BatchVerify: message too long",
            batch(100, Some(verify("", scopes(15_000)))),
            Unread(Code::OutOfRange),
        ),
    ]
}

impl Ground {
    pub(crate) fn watch_rows(&self) -> Vec<Row> {
        let (ahead, foreign) = (self.ahead.clone(), self.foreign.clone());
        let damaged = self.ahead[1..].to_owned();
        let expired = || Reason(Code::OutOfRange, "CURSOR_EXPIRED");
        let beat = || Fields(&["heartbeat_interval"]);
        vec![
            (
                "Watch: garbage cursor",
                watch(|r| r.cursor = "!".to_owned()),
                Fields(&["cursor"]),
            ),
            (
                "Watch: damaged cursor",
                watch(|r| r.cursor = damaged),
                Fields(&["cursor"]),
            ),
            ("Watch: cursor ahead", watch(|r| r.cursor = ahead), expired()),
            ("Watch: foreign cursor", watch(|r| r.cursor = foreign), expired()),
            (
                "Watch: 10 ms",
                watch(|r| r.heartbeat_interval = span(0, 10_000_000)),
                beat(),
            ),
            (
                "Watch: 10 s",
                watch(|r| r.heartbeat_interval = span(10, 0)),
                beat(),
            ),
            (
                "Watch: negative",
                watch(|r| r.heartbeat_interval = span(-1, 0)),
                beat(),
            ),
            (
                "Watch: unknown namespace",
                watch(|r| r.namespaces = vec!["notes".to_owned(), "nobody".to_owned()]),
                Reason(Code::NotFound, "NAMESPACE_NOT_FOUND"),
            ),
            (
                "Watch: ill-formed namespace",
                watch(|r| r.namespaces = vec!["notes".to_owned(), "No".to_owned()]),
                Fields(&["namespaces[1]"]),
            ),
            (
                "Watch: 101 namespaces",
                watch(|r| r.namespaces = vec!["notes".to_owned(); 101]),
                Fields(&["namespaces"]),
            ),
        ]
    }

    pub(crate) fn entry_rows(&self) -> Vec<Row> {
        let page = || Reason(Code::InvalidArgument, "PAGE_TOKEN_INVALID");
        vec![
            (
                "ListEntries: size",
                entries(|r| r.page_size = i32::MIN),
                Fields(&["page_size"]),
            ),
            (
                "ListEntries: token id",
                entries(|r| r.token_id = V4.to_owned()),
                Fields(&["token_id"]),
            ),
            (
                "ListEntries: namespace",
                entries(|r| r.namespace = "A".to_owned()),
                Fields(&["namespace"]),
            ),
            (
                "ListEntries: token of other arguments",
                entries(|r| {
                    r.page_token.clone_from(&self.next_entry);
                    r.namespace = "notes".to_owned();
                }),
                page(),
            ),
            (
                "ListEntries: token of another list",
                entries(|r| r.page_token.clone_from(&self.next_token)),
                page(),
            ),
        ]
    }
}

fn watch(change: impl FnOnce(&mut v1::WatchRevocationsRequest)) -> Call {
    let mut request = v1::WatchRevocationsRequest::default();
    change(&mut request);
    Call::Watch(request)
}

fn entries(change: impl FnOnce(&mut v1::ListEntriesRequest)) -> Call {
    let mut request = v1::ListEntriesRequest::default();
    change(&mut request);
    Call::ListEntries(request)
}

#[expect(clippy::unnecessary_wraps, reason = "as the fields have it")]
fn span(seconds: i64, nanos: i32) -> Option<Duration> {
    Some(Duration { seconds, nanos })
}
