use std::collections::BTreeSet;

use tonic_types::StatusExt;

use super::Reason;
use crate::proto::v1::ErrorReason;

/// The documented reasons and the ones in use are the same.
#[test]
fn every_reason_is_documented() {
    let used: BTreeSet<String> = Reason::ALL
        .iter()
        .map(|reason| format!("ERROR_REASON_{}", reason.as_str()))
        .collect();
    let documented: BTreeSet<String> = (1..1000)
        .filter_map(|number| ErrorReason::try_from(number).ok())
        .map(|reason| reason.as_str_name().to_owned())
        .collect();
    assert_eq!(used, documented);
}

/// Where a retry as it is makes sense, callers are told how long to wait, and the contract says so.
#[test]
fn retry_info_is_sent_where_it_is_promised() {
    let contract = include_str!("../../../proto/tokenward/v1/error.proto");
    let values = contract
        .split_once("enum ErrorReason {")
        .map_or("", |(_, values)| values);
    for reason in Reason::ALL {
        let value = format!("ERROR_REASON_{} = ", reason.as_str());
        let before = values.split_once(&value).map_or("", |(before, _)| before);
        let comment = before.rsplit("ERROR_REASON_").next().unwrap_or_default();
        let sent = reason.status("").get_details_retry_info().is_some();
        assert_eq!(sent, comment.contains("RetryInfo"), "{reason:?}: {comment}");
    }
}
