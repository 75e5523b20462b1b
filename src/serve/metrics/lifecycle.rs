//! What time brought to tokens, and whether anybody looks. Only the server that looks knows how far it is.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::clock::Clock;
use crate::lifecycle::Tally;
use crate::token::lifecycle::Matter;

#[derive(Debug)]
pub(super) struct Lifecycle {
    pub(super) tally: Arc<Tally>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Collector for Lifecycle {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let Lifecycle { tally, clock } = self;
        let help = "Tokens told of, by what time brought them to";
        let mut told = to.encode_descriptor("lifecycle_told", help, None, MetricType::Counter)?;
        for matter in Matter::ALL {
            told.encode_family(&[("matter", matter.as_str())])?
                .encode_counter::<NoLabelSet, _, u64>(&tally.tokens_told(matter), None)?;
        }
        let (suspended, revoked) = tally.withdrawn();
        let help = "Tokens withdrawn because nobody used them, by what they became";
        let mut withdrawn = to.encode_descriptor("lifecycle_withdrawn", help, None, MetricType::Counter)?;
        for (state, count) in [("suspended", suspended), ("revoked", revoked)] {
            withdrawn
                .encode_family(&[("state", state)])?
                .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        let help = "Tokens, namespaces and rounds that could not be looked at; they are in the next round";
        to.encode_descriptor("lifecycle_failures", help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, u64>(&tally.failures(), None)?;
        let help = "Whether this server looks for all (1) or another one does (0)";
        to.encode_descriptor("lifecycle_watching", help, None, MetricType::Gauge)?
            .encode_gauge(&u32::from(tally.on_duty()))?;
        if let Some(at) = tally.completed_at().filter(|_| tally.on_duty()) {
            let age = clock.uptime().saturating_sub(at);
            let help = "Since all that was due was looked at; told by the server that looks";
            to.encode_descriptor(
                "lifecycle_round_age",
                help,
                Some(&Unit::Seconds),
                MetricType::Gauge,
            )?
            .encode_gauge(&age.as_secs_f64())?;
        }
        Ok(())
    }
}
