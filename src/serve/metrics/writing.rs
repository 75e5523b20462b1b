//! What is written, and how soon it is in force.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::number;
use crate::authority::Authority;
use crate::rpc::InForce;

#[derive(Debug)]
pub(super) struct Writing {
    pub(super) authority: Arc<Authority>,
    pub(super) in_force: InForce,
}

impl Collector for Writing {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let load = self.authority.load();
        let counter = MetricType::Counter;
        let help = "Transactions that changes were written in, failed ones included";
        to.encode_descriptor("commits", help, None, counter)?
            .encode_counter::<NoLabelSet, _, u64>(&load.commits, None)?;
        let help = "Changes in those transactions: divided by them, how many shared one";
        to.encode_descriptor("commit_changes", help, None, counter)?
            .encode_counter::<NoLabelSet, _, u64>(&load.drafts, None)?;
        let help = "Time those transactions took";
        to.encode_descriptor("commit", help, Some(&Unit::Seconds), counter)?
            .encode_counter::<NoLabelSet, _, u64>(&load.took.as_secs_f64(), None)?;
        let gauge = MetricType::Gauge;
        let help = "Changes that wait to be written";
        to.encode_descriptor("changes_waiting", help, None, gauge)?
            .encode_gauge(&number(load.waiting))?;
        let help =
            "How long the oldest change made here has waited that some server may not have applied yet";
        to.encode_descriptor("oldest_unacknowledged_change", help, Some(&Unit::Seconds), gauge)?
            .encode_gauge(&self.in_force.oldest_wait().as_secs_f64())
    }
}
