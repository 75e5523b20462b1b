//! Fields that are wrong, and look-ups that are used up: what is told with more than a reason.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{FieldViolation, StatusExt};

use super::{Reason, VIOLATIONS_MAX};
use crate::verify::VerifyError;

pub(super) fn exhausted(error: &VerifyError, wait: Duration) -> Status {
    let mut details = Reason::MissesExhausted.status("").get_error_details();
    details.set_retry_info(Some(wait));
    Status::with_error_details(Code::ResourceExhausted, error.to_string(), details)
}

pub(super) fn fields(mut violations: Vec<(String, String)>) -> Status {
    let untold = violations.len().saturating_sub(VIOLATIONS_MAX);
    violations.truncate(VIOLATIONS_MAX);
    let message = violations
        .iter()
        .map(|(path, what)| format!("{path} {what}"))
        .chain((untold > 0).then(|| format!("and {untold} more")))
        .collect::<Vec<_>>()
        .join("; ");
    let violations = violations
        .into_iter()
        .map(|(path, what)| FieldViolation::new(path, what))
        .collect();
    Reason::InvalidField.with(message, &[], violations)
}
