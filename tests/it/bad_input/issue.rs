//! Malformed requests to Issue.

use prost_types::{Duration, Timestamp};
use tokenward::proto::v1;
use tokenward::proto::v1::issue_request::Expiration;
use tonic::Code;

use super::Expected::{Fields, Reason, Unread};
use super::ground::{DAY, NIL, scopes};
use super::{Call, Row};

/// 10000-01-01T00:00:00Z, the first instant beyond time.
const BEYOND: i64 = 253_402_300_800;

pub(crate) fn issue_rows() -> Vec<Row> {
    let unknown = || Reason(Code::NotFound, "NAMESPACE_NOT_FOUND");
    let label = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
    vec![
        (
            "Issue: nothing",
            Call::Issue(v1::IssueRequest::default()),
            Fields(&["namespace", "subject"]),
        ),
        (
            "Issue: unknown namespace",
            issue(|r| r.namespace = "nobody".to_owned()),
            unknown(),
        ),
        (
            "Issue: long namespace",
            issue(|r| r.namespace = "n".repeat(64)),
            Fields(&["namespace"]),
        ),
        (
            "Issue: no subject",
            issue(|r| r.subject.clear()),
            Fields(&["subject"]),
        ),
        (
            "Issue: long subject",
            issue(|r| r.subject = "s".repeat(201)),
            Fields(&["subject"]),
        ),
        (
            "Issue: zero-width subject",
            issue(|r| r.subject = "a\u{feff}".to_owned()),
            Fields(&["subject"]),
        ),
        (
            "Issue: NUL in name",
            issue(|r| r.name = "a\0".to_owned()),
            Fields(&["name"]),
        ),
        (
            "Issue: line in name",
            issue(|r| r.name = "a\u{2028}b".to_owned()),
            Fields(&["name"]),
        ),
        (
            "Issue: long name",
            issue(|r| r.name = "🦀".repeat(201)),
            Fields(&["name"]),
        ),
        (
            "Issue: message too long",
            issue(|r| r.name = "n".repeat(65 * 1024)),
            Unread(Code::OutOfRange),
        ),
        (
            "Issue: 65 scopes",
            issue(|r| r.scopes = scopes(65)),
            Fields(&["scopes"]),
        ),
        (
            "Issue: bad scopes",
            issue(|r| r.scopes = vec!["a".to_owned(), String::new(), "a b".to_owned()]),
            Fields(&["scopes[1]", "scopes[2]"]),
        ),
        (
            "Issue: bad label key",
            issue(|r| r.labels = label("Device", "")),
            Fields(&["labels"]),
        ),
        (
            "Issue: no label key",
            issue(|r| r.labels = label("", "")),
            Fields(&["labels"]),
        ),
        (
            "Issue: bad label",
            issue(|r| r.labels = label("os", "\u{7}")),
            Fields(&["labels[\"os\"]"]),
        ),
        (
            "Issue: 33 labels",
            issue(|r| r.labels = (0..33).map(|n| (format!("k{n}"), String::new())).collect()),
            Fields(&["labels"]),
        ),
        (
            "Issue: request id",
            issue(|r| r.request_id = "once".to_owned()),
            Fields(&["request_id"]),
        ),
        (
            "Issue: nil request id",
            issue(|r| r.request_id = NIL.to_owned()),
            Fields(&["request_id"]),
        ),
    ]
}

pub(crate) fn expiry_rows() -> Vec<Row> {
    let until =
        |seconds, nanos| issue(|r| r.expiration = Some(Expiration::ExpireTime(Timestamp { seconds, nanos })));
    let ttl = |seconds, nanos| issue(|r| r.expiration = Some(Expiration::Ttl(Duration { seconds, nanos })));
    vec![
        (
            "Issue: a credential with a scope that is no permission",
            issue(|r| {
                r.namespace = "system".to_owned();
                r.scopes = vec!["read".to_owned()];
            }),
            Fields(&["scopes"]),
        ),
        (
            "Issue: expired from the start",
            until(1_700_000_000, 0),
            Fields(&["expire_time"]),
        ),
        ("Issue: expires at nothing", until(0, 0), Fields(&["expire_time"])),
        (
            "Issue: expires beyond time",
            until(BEYOND, 0),
            Fields(&["expire_time"]),
        ),
        (
            "Issue: expires at the end of i64",
            until(i64::MAX, 0),
            Fields(&["expire_time"]),
        ),
        (
            "Issue: too many nanos",
            until(BEYOND - DAY, 1_000_000_000),
            Fields(&["expire_time"]),
        ),
        (
            "Issue: negative nanos",
            until(BEYOND - DAY, -1),
            Fields(&["expire_time"]),
        ),
        ("Issue: negative ttl", ttl(-60, 0), Fields(&["ttl"])),
        ("Issue: zero ttl", ttl(0, 0), Fields(&["ttl"])),
        ("Issue: nearly a second", ttl(0, 999_999_999), Fields(&["ttl"])),
        ("Issue: ttl beyond time", ttl(BEYOND, 0), Fields(&["ttl"])),
        (
            "Issue: ttl without end",
            ttl(i64::MAX, 999_999_999),
            Fields(&["ttl"]),
        ),
        ("Issue: ttl nanos", ttl(5, i32::MAX), Fields(&["ttl"])),
        ("Issue: ttl of mixed signs", ttl(5, -1), Fields(&["ttl"])),
    ]
}

fn issue(change: impl FnOnce(&mut v1::IssueRequest)) -> Call {
    let mut request = v1::IssueRequest {
        namespace: "notes".to_owned(),
        subject: "ada".to_owned(),
        ..Default::default()
    };
    change(&mut request);
    Call::Issue(request)
}
