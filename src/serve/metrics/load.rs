//! What callers ask of this server, and what of it was refused.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::number;
use crate::serve::entrance::Entrance;
use crate::verify::Verifier;

#[derive(Debug)]
pub(super) struct Load {
    pub(super) verifier: Arc<Verifier>,
    pub(super) entrance: Arc<Entrance>,
}

impl Collector for Load {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let Load { verifier, entrance } = self;
        let counts = &entrance.counts;
        to.encode_descriptor("connections", "Connections open now", None, MetricType::Gauge)?
            .encode_gauge(&number(entrance.open()))?;
        to.encode_descriptor("cached_tokens", "Tokens in memory", None, MetricType::Gauge)?
            .encode_gauge(&number(verifier.cached_tokens()))?;
        let ever = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        for (name, help, count) in [
            (
                "connections_turned_away",
                "Connections closed at once: there were as many as may be, in all or from their address",
                ever(&counts.turned_away),
            ),
            (
                "connections_cut",
                "Connections closed because they cancelled too many calls",
                ever(&counts.closed),
            ),
            ("calls", "Calls begun", ever(&counts.calls)),
            (
                "calls_cancelled",
                "Calls taken back before they were answered, or lost with their connection",
                ever(&counts.cancelled),
            ),
            ("cache_hits", "Secrets whose token was in memory", verifier.hits()),
            (
                "look_ups",
                "Secrets whose token had to be looked up, refused look-ups included",
                verifier.look_ups(),
            ),
            (
                "look_up_queries",
                "Queries for secrets that were not in memory",
                verifier.queries(),
            ),
            (
                "look_ups_refused",
                "Secrets not looked up: their caller, or all together, had asked for too many",
                verifier.look_ups_refused(),
            ),
        ] {
            to.encode_descriptor(name, help, None, MetricType::Counter)?
                .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }
}
