//! What is told of fields that are missing, ill-formed or out of bounds.

use tonic::Status;
use tonic_types::FieldViolation;

use super::{Reason, VIOLATIONS_MAX};

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
