//! How the recording of uses goes.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::clock::Clock;
use crate::usage::{Recorder, Told};

#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) recorder: Arc<Recorder>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Collector for Recorded {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        if !self.recorder.is_on() {
            return Ok(());
        }
        let Told {
            pending,
            dropped,
            written,
            failures,
            flushed_at,
        } = self.recorder.told();
        let help = "Tokens whose uses wait to be written";
        to.encode_descriptor("usage_pending_tokens", help, None, MetricType::Gauge)?
            .encode_gauge(&u64::try_from(pending).unwrap_or(u64::MAX))?;
        for (name, help, count) in [
            (
                "usage_tokens_written",
                "Tokens whose usage was written, each time it was",
                written,
            ),
            (
                "usage_dropped",
                "Uses that are not on record, for those of too many tokens waited to be written",
                dropped,
            ),
            (
                "usage_flush_failures",
                "Flushes that did not go through; what they had to write is tried again",
                failures,
            ),
        ] {
            to.encode_descriptor(name, help, None, MetricType::Counter)?
                .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        if let Some(at) = flushed_at {
            let age = self.clock.uptime().saturating_sub(at);
            let help = "Since all that was gathered was written; absent before that";
            to.encode_descriptor("usage_flush_age", help, Some(&Unit::Seconds), MetricType::Gauge)?
                .encode_gauge(&age.as_secs_f64())?;
        }
        Ok(())
    }
}
