//! Every reason an error can have: the only file that names status codes.

use std::collections::HashMap;
use std::fmt::Display;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// `google.rpc.ErrorInfo.domain` of every error.
const DOMAIN: &str = "tokenward.v1";

/// What a caller is asked to wait where a retry makes sense.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// A reason a line: its name, the code it comes with, and whether a retry as it is makes sense.
macro_rules! reasons {
    ($($reason:ident: $name:literal, $code:ident, $retry:literal;)*) => {
        /// `google.rpc.ErrorInfo.reason`: stable, and documented in `error.proto`.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Reason {
            $($reason,)*
        }

        impl Reason {
            pub const ALL: &[Reason] = &[$(Reason::$reason,)*];

            fn row(self) -> (&'static str, Code, bool) {
                match self {
                    $(Reason::$reason => ($name, Code::$code, $retry),)*
                }
            }
        }
    };
}

reasons! {
    InvalidField: "INVALID_FIELD", InvalidArgument, false;
    PageTokenInvalid: "PAGE_TOKEN_INVALID", InvalidArgument, false;
    NamespaceNotFound: "NAMESPACE_NOT_FOUND", NotFound, false;
    TokenNotFound: "TOKEN_NOT_FOUND", NotFound, false;
    NamespaceExists: "NAMESPACE_EXISTS", AlreadyExists, false;
    PrefixOverlaps: "PREFIX_OVERLAPS", AlreadyExists, false;
    TooManyNamespaces: "TOO_MANY_NAMESPACES", ResourceExhausted, false;
    TokenRevoked: "TOKEN_REVOKED", FailedPrecondition, false;
    TokenExpired: "TOKEN_EXPIRED", FailedPrecondition, false;
    EtagMismatch: "ETAG_MISMATCH", Aborted, false;
    RequestIdReused: "REQUEST_ID_REUSED", AlreadyExists, false;
    SecretAlreadyShown: "SECRET_ALREADY_SHOWN", AlreadyExists, false;
    CursorExpired: "CURSOR_EXPIRED", OutOfRange, false;
    WatcherTooSlow: "WATCHER_TOO_SLOW", ResourceExhausted, true;
    Draining: "DRAINING", Unavailable, true;
    StoreUnavailable: "STORE_UNAVAILABLE", Unavailable, true;
    Overloaded: "OVERLOADED", ResourceExhausted, true;
    Contention: "CONTENTION", Aborted, true;
    NotYetApplied: "NOT_YET_APPLIED", Unavailable, true;
    DeadlineExceeded: "DEADLINE_EXCEEDED", DeadlineExceeded, true;
    Internal: "INTERNAL", Internal, false;
    LeaseLost: "LEASE_LOST", Unavailable, true;
    ReplicaBehind: "REPLICA_BEHIND", Unavailable, true;
    StoreForked: "STORE_FORKED", Unavailable, false;
    Unauthenticated: "UNAUTHENTICATED", Unauthenticated, false;
    PermissionDenied: "PERMISSION_DENIED", PermissionDenied, false;
    NotGrantable: "NOT_GRANTABLE", PermissionDenied, false;
    MissesExhausted: "MISSES_EXHAUSTED", ResourceExhausted, true;
    FormatTagged: "FORMAT_TAGGED", FailedPrecondition, false;
    CountMismatch: "COUNT_MISMATCH", FailedPrecondition, false;
    PlanInvalid: "PLAN_INVALID", InvalidArgument, false;
    PlanExpired: "PLAN_EXPIRED", FailedPrecondition, false;
    NotEntitled: "NOT_ENTITLED", FailedPrecondition, false;
    PolicyViolated: "POLICY_VIOLATED", InvalidArgument, false;
    TooManyTokens: "TOO_MANY_TOKENS", FailedPrecondition, false;
    SubjectSuspended: "SUBJECT_SUSPENDED", FailedPrecondition, false;
    UsageUnknown: "USAGE_UNKNOWN", FailedPrecondition, false;
    AccessLogFull: "ACCESS_LOG_FULL", Unavailable, true;
    EndpointNotFound: "ENDPOINT_NOT_FOUND", NotFound, false;
    TooManyEndpoints: "TOO_MANY_ENDPOINTS", ResourceExhausted, false;
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    pub(super) fn status(self, message: impl Into<String>) -> Status {
        self.with(message, &[], Vec::new())
    }

    pub(super) fn about(self, message: impl Into<String>, key: &str, value: &dyn Display) -> Status {
        self.with(message, &[(key, value.to_string())], Vec::new())
    }

    pub(super) fn with(
        self,
        message: impl Into<String>,
        metadata: &[(&str, String)],
        violations: Vec<FieldViolation>,
    ) -> Status {
        let (reason, code, retry) = self.row();
        let metadata: HashMap<String, String> = metadata
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect();
        let mut details = ErrorDetails::with_error_info(reason, DOMAIN, metadata);
        if !violations.is_empty() {
            details.set_bad_request(violations);
        }
        if retry {
            details.set_retry_info(Some(RETRY_DELAY));
        }
        Status::with_error_details(code, message, details)
    }
}
