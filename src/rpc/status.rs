//! What went wrong, as a gRPC status with `google.rpc` details: the only file that names status codes.

mod fields;
mod not_issued;
mod store;
mod webhook;

use std::collections::HashMap;
use std::fmt::Display;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::authority::AuthorityError;
use crate::store::StoreError;
use crate::token::change::Refused;
use crate::token::id::Slug;
use crate::token::overlap::Overlap;
use crate::token::permission::Right;
use crate::verify::{NotYetApplied, Stop, VerifyError};
use crate::watch::{Ended, WatchError};
use fields::fields;

/// `google.rpc.ErrorInfo.domain` of every error.
const DOMAIN: &str = "tokenward.v1";

/// What a caller is asked to wait where a retry makes sense.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// Fields at fault that one error names. It travels in headers, of which clients take 8 KiB.
const VIOLATIONS_MAX: usize = 10;

/// Why a call was not answered.
#[derive(Debug)]
pub enum Problem {
    /// Fields that are missing, ill-formed or out of bounds, by path.
    Fields(Vec<(String, String)>),
    PageToken,
    Unauthenticated {
        what: &'static str,
    },
    /// Whether what was asked for exists is not told.
    PermissionDenied {
        permission: String,
    },
    /// A good certificate, but of nobody who may call.
    NotIdentified {
        names: String,
    },
    Authority(AuthorityError),
    Verify(VerifyError),
    Watch(WatchError),
    Ended(Ended),
    NotYetApplied(NotYetApplied),
    Store(StoreError),
    DeadlineExceeded {
        allowed: Duration,
    },
    ConnectionTooOld,
    Panicked,
}

/// `google.rpc.ErrorInfo.reason`: stable, and documented in `error.proto`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    InvalidField,
    PageTokenInvalid,
    NamespaceNotFound,
    TokenNotFound,
    NamespaceExists,
    PrefixOverlaps,
    TooManyNamespaces,
    TokenRevoked,
    TokenExpired,
    EtagMismatch,
    RequestIdReused,
    SecretAlreadyShown,
    CursorExpired,
    WatcherTooSlow,
    Draining,
    StoreUnavailable,
    Overloaded,
    Contention,
    NotYetApplied,
    DeadlineExceeded,
    Internal,
    LeaseLost,
    ReplicaBehind,
    StoreForked,
    Unauthenticated,
    PermissionDenied,
    NotGrantable,
    MissesExhausted,
    FormatTagged,
    CountMismatch,
    PlanInvalid,
    PlanExpired,
    NotEntitled,
    PolicyViolated,
    TooManyTokens,
    SubjectSuspended,
    EndpointNotFound,
    TooManyEndpoints,
}

impl Reason {
    pub const ALL: [Reason; 38] = [
        Reason::InvalidField,
        Reason::PageTokenInvalid,
        Reason::NamespaceNotFound,
        Reason::TokenNotFound,
        Reason::NamespaceExists,
        Reason::PrefixOverlaps,
        Reason::TooManyNamespaces,
        Reason::TokenRevoked,
        Reason::TokenExpired,
        Reason::EtagMismatch,
        Reason::RequestIdReused,
        Reason::SecretAlreadyShown,
        Reason::CursorExpired,
        Reason::WatcherTooSlow,
        Reason::Draining,
        Reason::StoreUnavailable,
        Reason::Overloaded,
        Reason::Contention,
        Reason::NotYetApplied,
        Reason::DeadlineExceeded,
        Reason::Internal,
        Reason::LeaseLost,
        Reason::ReplicaBehind,
        Reason::StoreForked,
        Reason::Unauthenticated,
        Reason::PermissionDenied,
        Reason::NotGrantable,
        Reason::MissesExhausted,
        Reason::FormatTagged,
        Reason::CountMismatch,
        Reason::PlanInvalid,
        Reason::PlanExpired,
        Reason::NotEntitled,
        Reason::PolicyViolated,
        Reason::TooManyTokens,
        Reason::SubjectSuspended,
        Reason::EndpointNotFound,
        Reason::TooManyEndpoints,
    ];

    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// Its name, the code it comes with, and whether a retry as it is makes sense.
    fn row(self) -> (&'static str, Code, bool) {
        match self {
            Reason::InvalidField => ("INVALID_FIELD", Code::InvalidArgument, false),
            Reason::PageTokenInvalid => ("PAGE_TOKEN_INVALID", Code::InvalidArgument, false),
            Reason::NamespaceNotFound => ("NAMESPACE_NOT_FOUND", Code::NotFound, false),
            Reason::TokenNotFound => ("TOKEN_NOT_FOUND", Code::NotFound, false),
            Reason::NamespaceExists => ("NAMESPACE_EXISTS", Code::AlreadyExists, false),
            Reason::PrefixOverlaps => ("PREFIX_OVERLAPS", Code::AlreadyExists, false),
            Reason::TooManyNamespaces => ("TOO_MANY_NAMESPACES", Code::ResourceExhausted, false),
            Reason::TokenRevoked => ("TOKEN_REVOKED", Code::FailedPrecondition, false),
            Reason::TokenExpired => ("TOKEN_EXPIRED", Code::FailedPrecondition, false),
            Reason::EtagMismatch => ("ETAG_MISMATCH", Code::Aborted, false),
            Reason::RequestIdReused => ("REQUEST_ID_REUSED", Code::AlreadyExists, false),
            Reason::SecretAlreadyShown => ("SECRET_ALREADY_SHOWN", Code::AlreadyExists, false),
            Reason::CursorExpired => ("CURSOR_EXPIRED", Code::OutOfRange, false),
            Reason::WatcherTooSlow => ("WATCHER_TOO_SLOW", Code::ResourceExhausted, true),
            Reason::Draining => ("DRAINING", Code::Unavailable, true),
            Reason::StoreUnavailable => ("STORE_UNAVAILABLE", Code::Unavailable, true),
            Reason::Overloaded => ("OVERLOADED", Code::ResourceExhausted, true),
            Reason::Contention => ("CONTENTION", Code::Aborted, true),
            Reason::NotYetApplied => ("NOT_YET_APPLIED", Code::Unavailable, true),
            Reason::DeadlineExceeded => ("DEADLINE_EXCEEDED", Code::DeadlineExceeded, true),
            Reason::Internal => ("INTERNAL", Code::Internal, false),
            Reason::LeaseLost => ("LEASE_LOST", Code::Unavailable, true),
            Reason::ReplicaBehind => ("REPLICA_BEHIND", Code::Unavailable, true),
            Reason::StoreForked => ("STORE_FORKED", Code::Unavailable, false),
            Reason::Unauthenticated => ("UNAUTHENTICATED", Code::Unauthenticated, false),
            Reason::PermissionDenied => ("PERMISSION_DENIED", Code::PermissionDenied, false),
            Reason::NotGrantable => ("NOT_GRANTABLE", Code::PermissionDenied, false),
            Reason::MissesExhausted => ("MISSES_EXHAUSTED", Code::ResourceExhausted, true),
            Reason::FormatTagged => ("FORMAT_TAGGED", Code::FailedPrecondition, false),
            Reason::CountMismatch => ("COUNT_MISMATCH", Code::FailedPrecondition, false),
            Reason::PlanInvalid => ("PLAN_INVALID", Code::InvalidArgument, false),
            Reason::PlanExpired => ("PLAN_EXPIRED", Code::FailedPrecondition, false),
            Reason::NotEntitled => ("NOT_ENTITLED", Code::FailedPrecondition, false),
            Reason::PolicyViolated => ("POLICY_VIOLATED", Code::InvalidArgument, false),
            Reason::TooManyTokens => ("TOO_MANY_TOKENS", Code::FailedPrecondition, false),
            Reason::SubjectSuspended => ("SUBJECT_SUSPENDED", Code::FailedPrecondition, false),
            Reason::EndpointNotFound => ("ENDPOINT_NOT_FOUND", Code::NotFound, false),
            Reason::TooManyEndpoints => ("TOO_MANY_ENDPOINTS", Code::ResourceExhausted, false),
        }
    }

    fn status(self, message: impl Into<String>) -> Status {
        self.with(message, &[], Vec::new())
    }

    fn about(self, message: impl Into<String>, key: &str, value: &dyn Display) -> Status {
        self.with(message, &[(key, value.to_string())], Vec::new())
    }

    fn with(
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

impl From<Problem> for Status {
    fn from(problem: Problem) -> Status {
        match problem {
            Problem::Fields(violations) => fields(violations),
            Problem::PageToken => Reason::PageTokenInvalid
                .status("the page token is not one this list answered with; begin again without it"),
            Problem::Unauthenticated { what } => {
                Reason::Unauthenticated.status(format!("{what}; send `authorization: Bearer <credential>`"))
            }
            Problem::PermissionDenied { permission } => {
                let message = format!("the caller lacks the permission {permission}");
                Reason::PermissionDenied.about(message, "permission", &permission)
            }
            Problem::NotIdentified { names } => {
                let message = format!("{names}, in the client certificate, is not in the identities file");
                Reason::PermissionDenied.about(message, "names", &names)
            }
            Problem::Authority(error) => authority(error),
            Problem::Verify(error) => match error {
                VerifyError::Stopped(Stop::Forked { .. }) => Reason::StoreForked.status(error.to_string()),
                VerifyError::Stopped(Stop::Corrupt { .. } | Stop::Ended) => {
                    Reason::StoreUnavailable.status(error.to_string())
                }
                VerifyError::LeaseLost(_) => Reason::LeaseLost.status(error.to_string()),
                VerifyError::Behind { .. } => Reason::ReplicaBehind.status(error.to_string()),
                VerifyError::OtherEpoch => Reason::CursorExpired.status(error.to_string()),
                VerifyError::Overloaded | VerifyError::CallerBusy => {
                    Reason::Overloaded.status(error.to_string())
                }
                VerifyError::MissesExhausted { wait } => exhausted(&error, wait),
                VerifyError::Store(error) => store::status(&error),
            },
            Problem::Watch(error) => match error {
                WatchError::CursorExpired => Reason::CursorExpired.status(format!(
                    "{error}: drop what is cached, and start without a cursor"
                )),
                WatchError::Forked => Reason::StoreForked.status(error.to_string()),
                WatchError::CallerWithdrawn => Reason::Unauthenticated.status(error.to_string()),
                WatchError::Overloaded | WatchError::CallerBusy => {
                    Reason::Overloaded.status(error.to_string())
                }
                WatchError::Store(error) => store::status(&error),
            },
            Problem::Ended(ended) => match ended {
                Ended::Draining => Reason::Draining.status(ended.to_string()),
                Ended::TooSlow => Reason::WatcherTooSlow.status(ended.to_string()),
                Ended::Unavailable => Reason::StoreUnavailable.status(ended.to_string()),
                Ended::Forked => Reason::StoreForked.status(ended.to_string()),
                Ended::CallerWithdrawn => Reason::Unauthenticated.status(ended.to_string()),
                Ended::Corrupt => Reason::Internal.status(ended.to_string()),
            },
            Problem::NotYetApplied(error) => {
                Reason::NotYetApplied.status(format!("{error}; retry with the same request id"))
            }
            Problem::Store(error) => store::status(&error),
            Problem::DeadlineExceeded { allowed } => {
                Reason::DeadlineExceeded.status(format!("not answered within {allowed:?}"))
            }
            Problem::ConnectionTooOld => Reason::Draining.status(
                "the connection is as old as it may become; resume from the last cursor over a new one",
            ),
            Problem::Panicked => Reason::Internal.status("the server failed to answer; its log says why"),
        }
    }
}

impl Problem {
    /// The caller has `right` nowhere.
    pub(super) fn denied(right: Right) -> Problem {
        Problem::PermissionDenied {
            permission: right.to_string(),
        }
    }
}

fn exhausted(error: &VerifyError, wait: Duration) -> Status {
    let mut details = Reason::MissesExhausted.status("").get_error_details();
    details.set_retry_info(Some(wait));
    Status::with_error_details(Code::ResourceExhausted, error.to_string(), details)
}

fn authority(error: AuthorityError) -> Status {
    let message = error.to_string();
    match error {
        AuthorityError::NamespaceNotFound(slug) => {
            Reason::NamespaceNotFound.about(message, "namespace", &slug)
        }
        AuthorityError::TokenNotFound(id) => Reason::TokenNotFound.about(message, "token_id", &id),
        AuthorityError::NamespaceExists(slug) => Reason::NamespaceExists.about(message, "namespace", &slug),
        AuthorityError::PrefixOverlaps(slug) => Reason::PrefixOverlaps.about(message, "namespace", &slug),
        AuthorityError::PrefixReserved => Reason::PrefixOverlaps.about(message, "namespace", &Slug::SYSTEM),
        AuthorityError::TooManyNamespaces { max } => Reason::TooManyNamespaces.about(message, "limit", &max),
        AuthorityError::Refused { token_id, refused } => {
            let about = |reason: Reason| match token_id {
                Some(id) => reason.about(message.clone(), "token_id", &id),
                None => reason.status(message.clone()),
            };
            match refused {
                Refused::Revoked => about(Reason::TokenRevoked),
                Refused::Expired => about(Reason::TokenExpired),
                Refused::BornExpired { .. } => fields(vec![("expire_time".to_owned(), message)]),
                Refused::PastEnd { .. } => fields(vec![("token.expire_time".to_owned(), message)]),
                Refused::BeyondTime => fields(vec![("ttl".to_owned(), message)]),
            }
        }
        AuthorityError::Webhook(error) => webhook::status(&error),
        AuthorityError::NotIssued { namespace, why } => not_issued::status(&namespace, &why),
        AuthorityError::Policy { field, what } => fields(vec![(format!("namespace.policy.{field}"), what)]),
        AuthorityError::NotGrantable(scope) => Reason::NotGrantable.about(message, "scope", &scope),
        AuthorityError::OtherSubject | AuthorityError::SecretRetiring => Reason::NotGrantable.status(message),
        AuthorityError::Outlives(end) => Reason::NotGrantable.about(message, "expire_time", &end),
        AuthorityError::FormatTagged(slug) => Reason::FormatTagged.about(message, "namespace", &slug),
        AuthorityError::Breach(breach) => fields(vec![(format!("token.{}", breach.field()), message)]),
        AuthorityError::OverlapTooLong { asked, .. } => {
            let path = match asked {
                Overlap::None | Overlap::For(_) => "overlap",
                Overlap::FromFirstUse(_) => "overlap_from_first_use",
            };
            fields(vec![(path.to_owned(), message)])
        }
        AuthorityError::EtagMismatch => Reason::EtagMismatch.status(message),
        AuthorityError::RequestIdReused => Reason::RequestIdReused.status(message),
        AuthorityError::SecretAlreadyShown { token_id } => {
            Reason::SecretAlreadyShown.about(message, "token_id", &token_id)
        }
        AuthorityError::CountMismatch { expected, found } => {
            let metadata = [("expected", expected.to_string()), ("found", found.to_string())];
            Reason::CountMismatch.with(message, &metadata, Vec::new())
        }
        AuthorityError::PlanInvalid => Reason::PlanInvalid.status(message),
        AuthorityError::PlanExpired => Reason::PlanExpired.status(message),
        AuthorityError::Overloaded | AuthorityError::TooManyImports { .. } => {
            Reason::Overloaded.status(message)
        }
        AuthorityError::Contention => Reason::Contention.status(message),
        AuthorityError::NotSealed(not_sealed) => {
            tracing::error!(%not_sealed, "nothing was written, for it could not have been answered again");
            Reason::Internal.status("the answer could not be sealed; nothing was done")
        }
        AuthorityError::Misfit(misfit) => {
            tracing::error!(%misfit, "a stored token does not fit its own history");
            Reason::Internal.status("the store is corrupt")
        }
        AuthorityError::Store(error) => store::status(&error),
    }
}

macro_rules! problem_from {
    ($($variant:ident($error:ty)),*) => {
        $(impl From<$error> for Problem {
            fn from(error: $error) -> Problem {
                Problem::$variant(error)
            }
        })*
    };
}
problem_from!(
    Authority(AuthorityError),
    Verify(VerifyError),
    Watch(WatchError),
    Ended(Ended),
    NotYetApplied(NotYetApplied),
    Store(StoreError)
);

#[cfg(test)]
mod tests;
