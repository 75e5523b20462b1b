//! What verdicts came to.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::token::usage::Outcome;
use crate::verify::Verifier;

#[derive(Debug)]
pub(super) struct Verdicts(pub(super) Arc<Verifier>);

impl Collector for Verdicts {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Secrets judged, by verdict; the credentials of callers are among them";
        let mut verdicts = to.encode_descriptor("verdicts", help, None, MetricType::Counter)?;
        for outcome in Outcome::ALL {
            verdicts
                .encode_family(&[("verdict", outcome.name())])?
                .encode_counter::<NoLabelSet, _, u64>(&self.0.verdicts(outcome), None)?;
        }
        Ok(())
    }
}
