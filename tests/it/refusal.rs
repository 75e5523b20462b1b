//! What a failed call says to a program: its code, its reason and its details.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// A status, taken apart.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    /// Empty: the service did not say why, so the transport refused.
    pub(crate) reason: String,
    pub(crate) domain: String,
    pub(crate) metadata: HashMap<String, String>,
    /// The paths of the fields at fault.
    pub(crate) fields: Vec<String>,
    pub(crate) retry_delay: Option<Duration>,
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Refusal {
        let details = status.get_error_details();
        let info = details.error_info().cloned();
        let violations = details.bad_request().map(|request| &request.field_violations);
        Refusal {
            code: status.code(),
            fields: violations
                .into_iter()
                .flatten()
                .map(|violation| violation.field.clone())
                .collect(),
            retry_delay: details.retry_info().and_then(|info| info.retry_delay),
            reason: info.as_ref().map(|info| info.reason.clone()).unwrap_or_default(),
            domain: info.as_ref().map(|info| info.domain.clone()).unwrap_or_default(),
            metadata: info.map(|info| info.metadata).unwrap_or_default(),
        }
    }
}

/// How a call failed that must.
pub(crate) fn refused<T>(result: Result<T, Status>) -> Result<Refusal, &'static str> {
    result.map_or_else(|status| Ok(status.into()), |_| Err("the call was answered"))
}
