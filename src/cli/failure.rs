//! Why a command did not do what it was asked: one line, and an exit code.

use std::fmt;
use std::io;
use std::process::ExitCode;

use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::proto::v1::ErrorReason;

/// The `domain` of every ErrorInfo the service itself sends.
const DOMAIN: &str = "tokenward.v1";

/// A failure, told as `tokenward: <what was wrong>; <what would be right>`.
#[derive(Debug)]
pub(super) struct Failure {
    wrong: String,
    right: Option<String>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// It was tried and did not work.
    Failed,
    /// It was not tried: the command line asks for something that cannot be.
    Usage,
    /// Whoever read the output has gone; nobody is left to be told.
    BrokenPipe,
}

/// What a command answers with: how it ends, or why it could not.
pub(super) type Outcome = Result<ExitCode, Failure>;

impl Failure {
    pub(super) fn new(wrong: impl fmt::Display) -> Failure {
        Failure {
            wrong: one_line(&wrong.to_string()),
            right: None,
            kind: Kind::Failed,
        }
    }

    pub(super) fn usage(wrong: impl fmt::Display) -> Failure {
        Failure {
            kind: Kind::Usage,
            ..Failure::new(wrong)
        }
    }

    /// The same failure, with what would be right.
    pub(super) fn but(self, right: impl fmt::Display) -> Failure {
        Failure {
            right: Some(one_line(&right.to_string())),
            ..self
        }
    }

    /// What was wrong, without advice.
    pub(super) fn wrong(&self) -> &str {
        &self.wrong
    }

    /// How the process ends: a command that judges has 1 for its refusal, and says 2 for everything else.
    pub(super) fn exit_code(&self, judges: bool) -> ExitCode {
        match self.kind {
            Kind::BrokenPipe if !judges => ExitCode::SUCCESS,
            Kind::Failed if !judges => ExitCode::FAILURE,
            Kind::BrokenPipe | Kind::Failed | Kind::Usage => ExitCode::from(2),
        }
    }

    /// The line for stderr; `None` when nobody needs to be told.
    pub(super) fn line(&self) -> Option<String> {
        match (self.kind, &self.right) {
            (Kind::BrokenPipe, _) => None,
            (_, Some(right)) => Some(format!("tokenward: {}; {right}", self.wrong)),
            (_, None) => Some(format!("tokenward: {}", self.wrong)),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        let kind = match error.kind() {
            io::ErrorKind::BrokenPipe => Kind::BrokenPipe,
            _ => Kind::Failed,
        };
        Failure {
            kind,
            ..Failure::new(format_args!("the output could not be written: {error}"))
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Failure {
        let failure = Failure::new(violations(&status).unwrap_or_else(|| said(&status)));
        match reason(&status).map_or_else(|| advice_by_code(status.code()), advice) {
            Some(right) => failure.but(right),
            None => failure,
        }
    }
}

/// Why the service refused, if it was the service that did.
pub(super) fn reason(status: &Status) -> Option<ErrorReason> {
    let info = status.get_details_error_info()?;
    if info.domain != DOMAIN {
        return None;
    }
    ErrorReason::from_str_name(&format!("ERROR_REASON_{}", info.reason))
}

/// Whether the change asked for may have been made all the same.
pub(super) fn outcome_unknown(status: &Status) -> bool {
    use ErrorReason::{DeadlineExceeded, Internal, NotYetApplied, StoreUnavailable};
    match reason(status) {
        Some(reason) => matches!(
            reason,
            DeadlineExceeded | Internal | NotYetApplied | StoreUnavailable
        ),
        None => matches!(
            status.code(),
            Code::Cancelled | Code::DeadlineExceeded | Code::Internal | Code::Unavailable | Code::Unknown
        ),
    }
}

/// Whether a stream that ended with `status` may be taken up again without hiding a gap or a mistake.
pub(super) fn resumable(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::ResourceExhausted => reason(status) != Some(ErrorReason::StoreForked),
        // Without a reason it was the connection that ended, in one of the ways tonic has of saying so.
        Code::Unknown | Code::Internal | Code::Cancelled | Code::DeadlineExceeded => reason(status).is_none(),
        _ => false,
    }
}

/// The fields that were not taken, each with what is wanted of it.
fn violations(status: &Status) -> Option<String> {
    let violations = status.get_details_bad_request()?.field_violations;
    let told: Vec<_> = violations
        .iter()
        .map(|violation| format!("{}: {}", violation.field, violation.description))
        .collect();
    (!told.is_empty()).then(|| told.join(", "))
}

fn said(status: &Status) -> String {
    match (reason(status), status.code(), status.message()) {
        (Some(reason), code, "") => format!("{code:?}: {}", reason.as_str_name()),
        (Some(_), _, message) => message.to_owned(),
        // What the transport says is in the words of HTTP/2.
        (None, Code::Unimplemented, _) => "the server does not know this call".to_owned(),
        (None, code, "") => format!("the call failed ({code:?})"),
        (None, code, message) => format!("the call failed ({code:?}): {message}"),
    }
}

/// What would be right; `None` where the message says it, or nothing would be.
fn advice(reason: ErrorReason) -> Option<&'static str> {
    use ErrorReason::*;
    match reason {
        NamespaceNotFound => Some("`tokenward namespace list` shows those there are"),
        EndpointNotFound => Some("`tokenward webhook list` shows those of a namespace"),
        TooManyEndpoints => Some("`tokenward webhook delete` makes room"),
        TokenNotFound => Some("`tokenward list --namespace <SLUG>` shows the tokens of a namespace"),
        NamespaceExists | PrefixOverlaps => Some("choose another"),
        TokenRevoked | TokenExpired => Some("issue a new one"),
        EtagMismatch => Some("read again, then decide again"),
        RequestIdReused => Some("send another --request-id"),
        SecretAlreadyShown => Some("if it was lost, `tokenward rotate` makes a new one"),
        CursorExpired => Some("events may have been missed: after that, watch without --cursor"),
        StoreUnavailable | Draining | LeaseLost | Overloaded | ReplicaBehind | Contention
        | WatcherTooSlow | MissesExhausted | AccessLogFull => Some("try again"),
        NotYetApplied => Some("repeat the command until it succeeds"),
        CountMismatch | PlanInvalid | PlanExpired => {
            Some("nothing was revoked: run the command without --plan, and look again")
        }
        DeadlineExceeded => Some("whether it was done is unknown"),
        Internal | StoreForked => Some("tell whoever operates the server"),
        Unauthenticated => Some(
            "`tokenward login` keeps a credential, and --credential-file names one; a first server puts \
             one beside its store",
        ),
        PermissionDenied => Some("`tokenward whoami` shows what the credential permits"),
        NotGrantable => Some("ask somebody who may do it"),
        FormatTagged => Some("create a namespace with --format, such as hex:40"),
        NotEntitled => Some("`tokenward subject set-plan` gives a subject another"),
        UsageUnknown => Some("ask for a time since when it is: `tokenward usage get TOKEN_ID` says which"),
        SubjectSuspended => Some("`tokenward subject resume` does that"),
        Unspecified | InvalidField | PageTokenInvalid | TooManyNamespaces | PolicyViolated
        | TooManyTokens => None,
    }
}

fn advice_by_code(code: Code) -> Option<&'static str> {
    match code {
        Code::Unimplemented => Some("is it tokenward, and of this version?"),
        Code::Unavailable => Some("try again"),
        _ => None,
    }
}

/// Line breaks and control characters would make one message look like several.
fn one_line(text: &str) -> String {
    let calm = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().map(calm).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use tonic_types::ErrorDetails;

    fn refused(code: Code, reason: &str, message: &str) -> Status {
        let details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::<String, String>::new());
        Status::with_error_details(code, message, details)
    }

    fn line(status: Status) -> Option<String> {
        Failure::from(status).line()
    }

    #[test]
    fn field_violations_are_told_by_path() {
        let mut details =
            ErrorDetails::with_error_info("INVALID_FIELD", DOMAIN, HashMap::<String, String>::new());
        details.add_bad_request_violation("namespace.slug", "must match [a-z]");
        details.add_bad_request_violation("ttl", "must be at least 1 second");
        let status = Status::with_error_details(Code::InvalidArgument, "2 fields", details);
        assert_eq!(
            line(status).as_deref(),
            Some("tokenward: namespace.slug: must match [a-z], ttl: must be at least 1 second")
        );
    }

    #[test]
    fn a_reason_brings_its_advice() {
        let status = refused(
            Code::NotFound,
            "NAMESPACE_NOT_FOUND",
            "there is no namespace notes",
        );
        assert_eq!(
            line(status).as_deref(),
            Some("tokenward: there is no namespace notes; `tokenward namespace list` shows those there are")
        );
    }

    #[test]
    fn a_reason_of_a_later_version_is_still_told() {
        let status = refused(Code::FailedPrecondition, "MOON_IS_FULL", "the moon is full");
        assert_eq!(reason(&status), None);
        assert_eq!(
            line(status).as_deref(),
            Some("tokenward: the call failed (FailedPrecondition): the moon is full")
        );
    }

    #[test]
    fn what_is_told_stays_on_one_line() {
        let status = Status::unknown("h2:\r\nbroken\u{1b}[31m");
        assert_eq!(
            line(status).as_deref(),
            Some("tokenward: the call failed (Unknown): h2:  broken [31m")
        );
    }

    #[test]
    fn only_what_may_have_been_done_is_unknown() {
        let unknown = |code, reason| outcome_unknown(&refused(code, reason, ""));
        assert!(unknown(Code::Unavailable, "NOT_YET_APPLIED"));
        assert!(unknown(Code::Unavailable, "STORE_UNAVAILABLE"));
        assert!(!unknown(Code::Unavailable, "DRAINING"));
        assert!(!unknown(Code::ResourceExhausted, "OVERLOADED"));
        assert!(outcome_unknown(&Status::unavailable("connection reset")));
        assert!(!outcome_unknown(&Status::permission_denied("no")));
    }

    #[test]
    fn a_stream_is_resumed_unless_that_would_hide_a_gap_or_a_mistake() {
        let of = |code, reason| resumable(&refused(code, reason, ""));
        assert!(of(Code::Unavailable, "DRAINING"));
        assert!(of(Code::ResourceExhausted, "WATCHER_TOO_SLOW"));
        assert!(of(Code::Unavailable, "A_LATER_REASON"));
        assert!(!of(Code::Unavailable, "STORE_FORKED"));
        assert!(!of(Code::OutOfRange, "CURSOR_EXPIRED"));
        assert!(!of(Code::NotFound, "NAMESPACE_NOT_FOUND"));
        assert!(!of(Code::Internal, "INTERNAL"));
        assert!(resumable(&Status::unknown("connection reset")));
        assert!(!resumable(&Status::unimplemented("")));
        assert!(!resumable(&Status::out_of_range("")));
    }

    #[test]
    fn a_command_that_judges_never_says_1_for_a_failure() {
        let code = |failure: &Failure, judges| format!("{:?}", failure.exit_code(judges));
        let two = format!("{:?}", ExitCode::from(2));
        assert_eq!(code(&Failure::new("x"), true), two);
        assert_eq!(code(&Failure::usage("x"), false), two);
        assert_eq!(
            code(&Failure::new("x"), false),
            format!("{:?}", ExitCode::FAILURE)
        );
        let gone = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(gone.line(), None);
        assert_eq!(code(&gone, true), two);
    }
}
