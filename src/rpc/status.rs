//! What went wrong, as a gRPC status with `google.rpc` details.

mod fields;
mod not_issued;
mod reason;
mod store;
mod webhook;

use std::time::Duration;

use tonic::Status;
use tonic_types::StatusExt;

use crate::authority::AuthorityError;
use crate::store::StoreError;
use crate::token::change::Refused;
use crate::token::id::Slug;
use crate::token::overlap::Overlap;
use crate::token::permission::Right;
use crate::token::update::END;
use crate::usage::access::Full;
use crate::verify::{NotYetApplied, Stop, VerifyError};
use crate::watch::{Ended, WatchError};
use fields::fields;
pub use reason::Reason;

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
    /// A call that must be on record could not be.
    AccessLogFull(Full),
    Store(StoreError),
    DeadlineExceeded {
        allowed: Duration,
    },
    ConnectionTooOld,
    Panicked,
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
            Problem::AccessLogFull(full) => {
                Reason::AccessLogFull.about(full.to_string(), "namespace", &full.namespace)
            }
            Problem::Store(error) => store::status(&error),
            Problem::DeadlineExceeded { allowed } => {
                Reason::DeadlineExceeded.status(format!("not answered within {allowed:?}"))
            }
            Problem::ConnectionTooOld => Reason::Draining.status(
                "the connection is as old as it may become; call again over a new one, and where there is a cursor, resume from the last",
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
    let status = Reason::MissesExhausted.status("");
    let mut details = status.get_error_details();
    details.set_retry_info(Some(wait));
    Status::with_error_details(status.code(), error.to_string(), details)
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
        AuthorityError::Breach(breach) => fields(vec![(format!("token.{}", breach.field(END)), message)]),
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
        AuthorityError::UsageUnknown { recorded_since: None } => Reason::UsageUnknown.status(message),
        AuthorityError::UsageUnknown {
            recorded_since: Some(since),
        } => Reason::UsageUnknown.about(message, "recorded_since", &since),
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
    AccessLogFull(Full),
    Store(StoreError)
);

#[cfg(test)]
mod tests;
