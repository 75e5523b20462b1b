//! What rate limits refused, and how well servers share them.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::verify::{Holder, Verifier};

#[derive(Debug)]
pub(super) struct RateLimits(pub(super) Arc<Verifier>);

impl Collector for RateLimits {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let RateLimits(verifier) = self;
        let help = "Verdicts RATE_LIMITED, by whose limit it was";
        let mut limited = to.encode_descriptor("rate_limited", help, None, MetricType::Counter)?;
        for (holder, name) in [(Holder::Token, "token"), (Holder::Subject, "subject")] {
            limited
                .encode_family(&[("holder", name)])?
                .encode_counter::<NoLabelSet, _, u64>(&verifier.rate_limited(holder), None)?;
        }
        let help = "Budgets of rate limits kept here";
        let budgets = u64::try_from(verifier.budgets()).unwrap_or(u64::MAX);
        to.encode_descriptor("rate_limit_budgets", help, None, MetricType::Gauge)?
            .encode_gauge(&budgets)?;
        if let Some(lag) = verifier.budgets_share_lag() {
            let help = "Budgets shared with other servers, each as often as it was";
            to.encode_descriptor("rate_limit_budgets_shared", help, None, MetricType::Counter)?
                .encode_counter::<NoLabelSet, _, u64>(&verifier.budgets_shared(), None)?;
            let help = "How long ago other servers had been told all that was taken up to then";
            to.encode_descriptor(
                "rate_limit_share_lag",
                help,
                Some(&Unit::Seconds),
                MetricType::Gauge,
            )?
            .encode_gauge(&lag.as_secs_f64())?;
        }
        Ok(())
    }
}
