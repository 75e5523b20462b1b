//! Who watches, and how far behind they are.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::number;
use crate::verify::{Following, Verifier};
use crate::watch::Watch;

#[derive(Debug)]
pub(super) struct Watchers {
    pub(super) watch: Arc<Watch>,
    pub(super) verifier: Arc<Verifier>,
}

impl Collector for Watchers {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let gauge = MetricType::Gauge;
        to.encode_descriptor("watchers", "Streams of revocations that are open", None, gauge)?
            .encode_gauge(&number(self.watch.watchers()))?;
        if let Following::Applied(head) = &*self.verifier.following().borrow() {
            let help = "Revisions that are in force here and that the slowest stream was not told of yet";
            to.encode_descriptor("watcher_lag_revisions", help, None, gauge)?
                .encode_gauge(&self.watch.lag(*head))?;
        }
        Ok(())
    }
}
