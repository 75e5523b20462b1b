//! Changes whose answer was lost: how they are repeated.

use tonic::Status;

use super::failure::{self, Failure};
use crate::clock::{SystemEntropy, random};
use crate::token::id::RequestId;

/// The id given, or a fresh one: with an id, a change whose answer was lost can be repeated.
pub(super) fn request_id(given: Option<String>) -> String {
    given.unwrap_or_else(|| RequestId::new(random(&SystemEntropy)).expose())
}

/// The failure of a change: where it may have been made all the same, how to find out.
pub(super) fn repeatable(status: Status, request_id: &str) -> Failure {
    let unknown = failure::outcome_unknown(&status);
    let failure = Failure::from(status);
    if unknown {
        failure.but(format_args!(
            "it may have been done: repeat the command within 24 hours with --request-id {request_id}"
        ))
    } else {
        failure
    }
}
