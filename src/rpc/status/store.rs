//! What callers are told of a store that cannot do what it was asked.

use tonic::Status;

use super::Reason;
use crate::store::StoreError;

/// What the driver said goes to the log; the caller learns what to do.
pub(super) fn status(error: &StoreError) -> Status {
    let cause = error.cause();
    match error {
        StoreError::Unavailable(_) => {
            tracing::warn!(cause, "the store is unavailable");
            Reason::StoreUnavailable
                .status("the store does not answer; whether a change was made is unknown: retry with the same request id")
        }
        StoreError::Forked { what } => {
            tracing::error!(what, "the store is not the one that was followed");
            Reason::StoreForked
                .status("the store is not the one this server has followed; call another server")
        }
        StoreError::Corrupt { what } => {
            tracing::error!(what, "the store is corrupt");
            Reason::Internal.status("the store is corrupt")
        }
    }
}
