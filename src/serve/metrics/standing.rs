//! Whether this server judges.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::verify::{Following, NotJudging, Stop, Verifier};

/// Whether this server judges, why it does not, and how long it may go on.
#[derive(Debug)]
pub(super) struct Standing(pub(super) Arc<Verifier>);

/// Why a server does not judge: each is there all the time, so that an alarm can name it.
const REASONS: [&str; 4] = ["lease_lost", "store_forked", "store_corrupt", "ended"];

fn reason(why: &NotJudging) -> &'static str {
    let [lease_lost, store_forked, store_corrupt, ended] = REASONS;
    match why {
        NotJudging::LeaseLost(_) => lease_lost,
        NotJudging::Stopped(Stop::Forked { .. }) => store_forked,
        NotJudging::Stopped(Stop::Corrupt { .. }) => store_corrupt,
        NotJudging::Stopped(Stop::Ended) => ended,
    }
}

impl Collector for Standing {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let Standing(verifier) = self;
        let why = verifier.standing().err().map(|why| reason(&why));
        let gauge = MetricType::Gauge;
        to.encode_descriptor(
            "judging",
            "Whether Verify is answered (1) or not (0)",
            None,
            gauge,
        )?
        .encode_gauge(&u32::from(why.is_none()))?;
        let help =
            "Why Verify is not answered (1); all but lease_lost last until the server is started again";
        let mut not_judging = to.encode_descriptor("not_judging", help, None, gauge)?;
        for reason in REASONS {
            not_judging
                .encode_family(&[("reason", reason)])?
                .encode_gauge(&u32::from(why == Some(reason)))?;
        }
        if let Following::Applied(revision) = &*verifier.following().borrow() {
            let help = "The last revision of the journal that is in force here; absent once nothing is";
            to.encode_descriptor("applied_revision", help, None, gauge)?
                .encode_gauge(&revision.get())?;
        }
        if let Some(remaining) = verifier.lease_remaining() {
            let help = "How long Verify may still be answered without hearing from the shared store";
            to.encode_descriptor("lease_remaining", help, Some(&Unit::Seconds), gauge)?
                .encode_gauge(&remaining.as_secs_f64())?;
        }
        Ok(())
    }
}
