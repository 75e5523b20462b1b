//! Malformed requests to those who change a token in place: Update, Suspend, Resume.

use prost_types::{Duration, FieldMask};
use tokenward::proto::v1;
use tonic::Code;

use super::Expected::{Fields, Reason};
use super::ground::{DAY, Ground, NOBODY, V4, scopes};
use super::{Call, Row};

impl Ground {
    fn update(&self, paths: &[&str], change: impl FnOnce(&mut v1::Token)) -> Call {
        let mut token = v1::Token {
            id: self.token_id.clone(),
            ..Default::default()
        };
        change(&mut token);
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        Call::Update(Box::new(v1::UpdateRequest {
            token: Some(token),
            update_mask: Some(FieldMask { paths }),
            request_id: String::new(),
        }))
    }

    pub(crate) fn update_rows(&self) -> Vec<Row> {
        vec![
            (
                "Update: nothing",
                Call::Update(Box::default()),
                Fields(&["token.id"]),
            ),
            (
                "Update: no UUID",
                self.update(&["name"], |t| t.id = "kn_0123".to_owned()),
                Fields(&["token.id"]),
            ),
            (
                "Update: version 4",
                self.update(&["name"], |t| t.id = V4.to_owned()),
                Fields(&["token.id"]),
            ),
            (
                "Update: unknown",
                self.update(&["name"], |t| t.id = NOBODY.to_owned()),
                Reason(Code::NotFound, "TOKEN_NOT_FOUND"),
            ),
            (
                "Update: what never changes",
                self.update(&["name", "subject", "secrets", "*", "labels.a"], |_| {}),
                Fields(&[
                    "update_mask.paths[1]",
                    "update_mask.paths[2]",
                    "update_mask.paths[3]",
                    "update_mask.paths[4]",
                ]),
            ),
            (
                "Update: another etag",
                self.update(&["name"], |t| t.etag = "0".to_owned()),
                Reason(Code::Aborted, "ETAG_MISMATCH"),
            ),
            (
                "Update: revoked",
                self.update(&["name"], |t| t.id = self.revoked_id.clone()),
                Reason(Code::FailedPrecondition, "TOKEN_REVOKED"),
            ),
        ]
    }

    pub(crate) fn value_rows(&self) -> Vec<Row> {
        let networks = |networks: &[&str]| {
            let networks = networks.iter().map(|text| (*text).to_owned()).collect();
            self.update(&[], |t| t.networks = networks)
        };
        let limit = |requests, seconds| {
            let period = Some(Duration { seconds, nanos: 0 });
            self.update(&[], |t| t.rate_limit = Some(v1::RateLimit { requests, period }))
        };
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        vec![
            (
                "Update: name",
                self.update(&[], |t| t.name = "a\0".to_owned()),
                Fields(&["token.name"]),
            ),
            (
                "Update: scope",
                self.update(&[], |t| t.scopes = vec!["read".to_owned(), "A".to_owned()]),
                Fields(&["token.scopes[1]"]),
            ),
            (
                "Update: 65 scopes",
                self.update(&[], |t| t.scopes = scopes(65)),
                Fields(&["token.scopes"]),
            ),
            (
                "Update: label",
                self.update(&[], |t| t.labels = [("A".to_owned(), String::new())].into()),
                Fields(&["token.labels"]),
            ),
            (
                "Update: an end that has passed",
                self.update(&[], |t| t.expire_time = at(1)),
                Fields(&["token.expire_time"]),
            ),
            (
                "Update: an end beyond time",
                self.update(&[], |t| t.expire_time = at(i64::MAX)),
                Fields(&["token.expire_time"]),
            ),
            (
                "Update: no network",
                networks(&["here"]),
                Fields(&["token.networks[0]"]),
            ),
            (
                "Update: bits beyond the prefix",
                networks(&["10.0.0.1", "10.0.0.1/8"]),
                Fields(&["token.networks[1]"]),
            ),
            (
                "Update: a port",
                networks(&["10.0.0.1:80"]),
                Fields(&["token.networks[0]"]),
            ),
            (
                "Update: 65 networks",
                networks(&["10.0.0.1"; 65]),
                Fields(&["token.networks"]),
            ),
            (
                "Update: no requests",
                limit(0, 60),
                Fields(&["token.rate_limit.requests"]),
            ),
            (
                "Update: requests below zero",
                limit(-1, 60),
                Fields(&["token.rate_limit.requests"]),
            ),
            (
                "Update: no time",
                limit(1, 0),
                Fields(&["token.rate_limit.period"]),
            ),
            (
                "Update: two days",
                limit(1, 2 * DAY),
                Fields(&["token.rate_limit.period"]),
            ),
        ]
    }

    pub(crate) fn suspend_rows(&self) -> Vec<Row> {
        let suspend = |token_id: &str, reason: &str, request_id: &str| {
            Call::Suspend(v1::SuspendRequest {
                token_id: token_id.to_owned(),
                reason: reason.to_owned(),
                request_id: request_id.to_owned(),
            })
        };
        let resume = |token_id: &str, request_id: &str| {
            Call::Resume(v1::ResumeRequest {
                token_id: token_id.to_owned(),
                request_id: request_id.to_owned(),
            })
        };
        let unknown = || Reason(Code::NotFound, "TOKEN_NOT_FOUND");
        let revoked = || Reason(Code::FailedPrecondition, "TOKEN_REVOKED");
        vec![
            ("Suspend: nothing", suspend("", "", ""), Fields(&["token_id"])),
            (
                "Suspend: reason",
                suspend(&self.token_id, "a\nb", ""),
                Fields(&["reason"]),
            ),
            (
                "Suspend: long reason",
                suspend(&self.token_id, &"a".repeat(501), ""),
                Fields(&["reason"]),
            ),
            (
                "Suspend: request id",
                suspend(&self.token_id, "", "1"),
                Fields(&["request_id"]),
            ),
            ("Suspend: unknown", suspend(NOBODY, "", ""), unknown()),
            ("Suspend: revoked", suspend(&self.revoked_id, "", ""), revoked()),
            (
                "Resume: nothing",
                resume("", "x"),
                Fields(&["request_id", "token_id"]),
            ),
            ("Resume: unknown", resume(NOBODY, ""), unknown()),
            ("Resume: revoked", resume(&self.revoked_id, ""), revoked()),
        ]
    }
}
