//! What was sent to endpoints of webhooks, and what waits. Only the server that delivers knows what waits.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::clock::Clock;
use crate::webhook::{Outcome, Tally};

#[derive(Debug)]
pub(in crate::serve) struct Webhooks {
    pub(in crate::serve) tally: Arc<Tally>,
    pub(in crate::serve) clock: Arc<dyn Clock>,
}

impl Collector for Webhooks {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let Webhooks { tally, clock } = self;
        let gauge = MetricType::Gauge;
        let help = "Messages sent to endpoints of webhooks, by how it ended";
        let mut attempts = to.encode_descriptor("webhook_attempts", help, None, MetricType::Counter)?;
        for outcome in Outcome::ALL {
            attempts
                .encode_family(&[("outcome", outcome.as_str())])?
                .encode_counter::<NoLabelSet, _, u64>(&tally.attempts(outcome), None)?;
        }
        let help = "Whether this server delivers webhooks for all (1) or another one does (0)";
        to.encode_descriptor("webhook_delivering", help, None, gauge)?
            .encode_gauge(&u32::from(tally.on_duty()))?;
        if !tally.on_duty() {
            return Ok(());
        }
        let (active, paused) = tally.endpoints();
        let help = "Endpoints of webhooks, by whether they are sent to; told by the server that delivers";
        let mut endpoints = to.encode_descriptor("webhook_endpoints", help, None, gauge)?;
        for (state, count) in [("active", active), ("paused", paused)] {
            endpoints
                .encode_family(&[("state", state)])?
                .encode_gauge(&count)?;
        }
        let (behind, oldest) = tally.lag();
        let help =
            "Revisions by which the slowest active endpoint is behind; told by the server that delivers";
        to.encode_descriptor("webhook_lag_revisions", help, None, gauge)?
            .encode_gauge(&behind)?;
        let age = oldest.map(|oldest| oldest.until(clock.now()).as_secs_f64());
        let help =
            "Age of the oldest event that an active endpoint has not taken; told by the server that delivers";
        to.encode_descriptor("webhook_oldest_undelivered", help, Some(&Unit::Seconds), gauge)?
            .encode_gauge(&age.unwrap_or(0.0))
    }
}
