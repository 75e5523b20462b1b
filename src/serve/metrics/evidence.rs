//! What is kept to be shown later: how far the journal is signed, and which refused calls are on record.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::audit::{Notary, Refusals};

#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) refusals: Arc<Refusals>,
    pub(super) notary: Option<Arc<Notary>>,
}

impl Collector for Evidence {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let Evidence { refusals, notary } = self;
        let counts = refusals.counts();
        let ever = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let help =
            "Calls refused to callers: on record, not on record for there were too many, or of nobody known";
        let mut refused = to.encode_descriptor("refused_calls", help, None, MetricType::Counter)?;
        for (outcome, count) in [
            ("recorded", ever(&counts.recorded)),
            ("unrecorded", ever(&counts.unrecorded)),
            ("unauthenticated", ever(&counts.unauthenticated)),
        ] {
            refused
                .encode_family(&[("outcome", outcome)])?
                .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        if let Some(notary) = notary {
            let help = "The last revision that this server has signed, or found signed; absent without a key to sign with";
            to.encode_descriptor("signed_revision", help, None, MetricType::Gauge)?
                .encode_gauge(&notary.signed().get())?;
        }
        Ok(())
    }
}
