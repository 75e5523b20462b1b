//! Malformed requests about tokens that exist: Get, List, Revoke, Rotate.

use prost_types::Duration;
use tokenward::proto::v1;
use tokenward::proto::v1::rotate_request::OverlapMode;
use tonic::Code;

use super::Expected::{Fields, Reason};
use super::ground::{DAY, Ground, NIL, NOBODY, V4, list};
use super::{Call, Row};

impl Ground {
    pub(crate) fn list_rows(&self) -> Vec<Row> {
        let damaged = self.next_token[1..].to_owned();
        let (own, entry) = (self.next_token.clone(), self.next_entry.clone());
        let page = || Reason(Code::InvalidArgument, "PAGE_TOKEN_INVALID");
        vec![
            ("Get: nothing", get(""), Fields(&["token_id"])),
            ("Get: no UUID", get("kn_0123"), Fields(&["token_id"])),
            ("Get: version 4", get(V4), Fields(&["token_id"])),
            (
                "Get: another spelling",
                get(&format!("{{{NOBODY}}}")),
                Fields(&["token_id"]),
            ),
            (
                "Get: unknown",
                get(NOBODY),
                Reason(Code::NotFound, "TOKEN_NOT_FOUND"),
            ),
            (
                "List: no namespace",
                Call::List(v1::ListRequest::default()),
                Fields(&["namespace"]),
            ),
            (
                "List: unknown namespace",
                Call::List(list(|r| r.namespace = "nobody".to_owned())),
                Reason(Code::NotFound, "NAMESPACE_NOT_FOUND"),
            ),
            (
                "List: negative size",
                Call::List(list(|r| r.page_size = -1)),
                Fields(&["page_size"]),
            ),
            (
                "List: unknown state",
                Call::List(list(|r| r.state = 99)),
                Fields(&["state"]),
            ),
            (
                "List: garbage token",
                Call::List(list(|r| r.page_token = "!".to_owned())),
                page(),
            ),
            (
                "List: damaged token",
                Call::List(list(|r| r.page_token = damaged)),
                page(),
            ),
            (
                "List: token of another list",
                Call::List(list(|r| r.page_token = entry)),
                page(),
            ),
            (
                "List: token of another namespace",
                Call::List(list(|r| {
                    r.page_token.clone_from(&own);
                    r.namespace = "tasks".to_owned();
                })),
                page(),
            ),
            (
                "List: token of another filter",
                Call::List(list(|r| {
                    r.page_token.clone_from(&own);
                    r.state = 1;
                })),
                page(),
            ),
        ]
    }

    pub(crate) fn revoke_rows(&self) -> Vec<Row> {
        let revoke = |change: fn(&mut v1::RevokeRequest)| {
            let mut request = v1::RevokeRequest {
                token_id: self.token_id.clone(),
                ..Default::default()
            };
            change(&mut request);
            Call::Revoke(request)
        };
        let unknown = || Reason(Code::NotFound, "TOKEN_NOT_FOUND");
        vec![
            (
                "Revoke: no UUID",
                revoke(|r| r.token_id = "x".repeat(36)),
                Fields(&["token_id"]),
            ),
            (
                "Revoke: unknown",
                revoke(|r| r.token_id = NOBODY.to_owned()),
                unknown(),
            ),
            (
                "Revoke: long reason",
                revoke(|r| r.reason = "🦀".repeat(501)),
                Fields(&["reason"]),
            ),
            (
                "Revoke: bidi in reason",
                revoke(|r| r.reason = "a\u{202e}b".to_owned()),
                Fields(&["reason"]),
            ),
            (
                "Revoke: nil request id",
                revoke(|r| r.request_id = NIL.to_owned()),
                Fields(&["request_id"]),
            ),
            (
                "Revoke: all wrong",
                revoke(|r| {
                    r.request_id = "1".to_owned();
                    r.token_id = "2".to_owned();
                    r.reason = "\0".to_owned();
                }),
                Fields(&["request_id", "token_id", "reason"]),
            ),
        ]
    }

    pub(crate) fn rotate_rows(&self) -> Vec<Row> {
        let rotate = |change: fn(&mut v1::RotateRequest)| {
            let mut request = v1::RotateRequest {
                token_id: self.token_id.clone(),
                ..Default::default()
            };
            change(&mut request);
            Call::Rotate(request)
        };
        let rotate_revoked = v1::RotateRequest {
            token_id: self.revoked_id.clone(),
            ..Default::default()
        };
        let unknown = || Reason(Code::NotFound, "TOKEN_NOT_FOUND");
        vec![
            (
                "Rotate: version 4",
                rotate(|r| r.token_id = V4.to_owned()),
                Fields(&["token_id"]),
            ),
            (
                "Rotate: unknown",
                rotate(|r| r.token_id = NOBODY.to_owned()),
                unknown(),
            ),
            (
                "Rotate: negative overlap",
                rotate(|r| r.overlap_mode = overlap(-1, 0)),
                Fields(&["overlap"]),
            ),
            (
                "Rotate: barely negative",
                rotate(|r| r.overlap_mode = overlap(0, -1)),
                Fields(&["overlap"]),
            ),
            (
                "Rotate: 31 days",
                rotate(|r| r.overlap_mode = overlap(31 * DAY, 0)),
                Fields(&["overlap"]),
            ),
            (
                "Rotate: 30 days and a bit",
                rotate(|r| r.overlap_mode = overlap(30 * DAY, 1)),
                Fields(&["overlap"]),
            ),
            (
                "Rotate: nanos",
                rotate(|r| r.overlap_mode = overlap(1, 1_000_000_000)),
                Fields(&["overlap"]),
            ),
            (
                "Rotate: mixed signs",
                rotate(|r| r.overlap_mode = overlap(2, -1)),
                Fields(&["overlap"]),
            ),
            (
                "Rotate: 31 days from the first use",
                rotate(|r| {
                    let seconds = 31 * DAY;
                    r.overlap_mode = Some(OverlapMode::OverlapFromFirstUse(Duration { seconds, nanos: 0 }));
                }),
                Fields(&["overlap_from_first_use"]),
            ),
            (
                "Rotate: revoked",
                Call::Rotate(rotate_revoked),
                Reason(Code::FailedPrecondition, "TOKEN_REVOKED"),
            ),
        ]
    }
}

fn get(token_id: &str) -> Call {
    Call::Get(v1::GetRequest {
        token_id: token_id.to_owned(),
    })
}

#[expect(clippy::unnecessary_wraps, reason = "as the fields have it")]
fn overlap(seconds: i64, nanos: i32) -> Option<OverlapMode> {
    Some(OverlapMode::Overlap(Duration { seconds, nanos }))
}
