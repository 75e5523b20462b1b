//! How it goes with what is put on record.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::number;
use crate::usage::access::{Log, Told};

#[derive(Debug)]
pub(super) struct Access(pub(super) Arc<Log>);

impl Collector for Access {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let Told {
            pending,
            written,
            dropped,
            refused,
            failures,
        } = self.0.told();
        let help = "Records of judged calls that wait to be written";
        to.encode_descriptor("access_records_pending", help, None, MetricType::Gauge)?
            .encode_gauge(&number(pending))?;
        for (name, help, count) in [
            (
                "access_records_written",
                "Judged calls that were put on record",
                written,
            ),
            (
                "access_records_dropped",
                "Judged calls that are not on record although their namespace wants them to be, for too many waited to be written",
                dropped,
            ),
            (
                "access_calls_refused",
                "Calls that were not judged, for they could not have been put on record",
                refused,
            ),
            (
                "access_write_failures",
                "Writes of records that did not go through; they are tried again",
                failures,
            ),
        ] {
            to.encode_descriptor(name, help, None, MetricType::Counter)?
                .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }
}
