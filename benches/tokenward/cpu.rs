//! CPU time of the threads of a server, apart from its clients in the same process.

use std::fs;

use criterion::Throughput;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};

/// Nanoseconds on a processor, over all threads whose name begins so.
#[derive(Clone, Copy)]
pub(crate) struct Threads {
    prefix: &'static str,
}

impl Threads {
    pub(crate) fn named(prefix: &'static str) -> Threads {
        Threads { prefix }
    }

    /// What the threads have used since they started.
    pub(crate) fn used(self) -> u64 {
        let tasks = fs::read_dir("/proc/self/task").expect("Linux lists its threads");
        tasks.filter_map(|task| self.used_by(&task.ok()?.path())).sum()
    }

    fn used_by(self, task: &std::path::Path) -> Option<u64> {
        let name = fs::read_to_string(task.join("comm")).ok()?;
        let statistics = fs::read_to_string(task.join("schedstat")).ok()?;
        name.starts_with(self.prefix)
            .then(|| statistics.split(' ').next()?.parse().ok())?
    }
}

impl Measurement for Threads {
    type Intermediate = u64;
    /// Nanoseconds.
    type Value = u64;

    fn start(&self) -> u64 {
        self.used()
    }

    fn end(&self, start: u64) -> u64 {
        self.used() - start
    }

    fn add(&self, a: &u64, b: &u64) -> u64 {
        a + b
    }

    fn zero(&self) -> u64 {
        0
    }

    #[expect(clippy::cast_precision_loss, reason = "a run takes far less than 2^53 ns")]
    fn to_f64(&self, value: &u64) -> f64 {
        *value as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &CpuTime
    }
}

/// Says "CPU" where criterion would say nothing, so that no table mistakes it for wall time.
struct CpuTime;

impl ValueFormatter for CpuTime {
    fn scale_values(&self, typical_value: f64, values: &mut [f64]) -> &'static str {
        match WallTime.formatter().scale_values(typical_value, values) {
            "ms" => "ms CPU",
            "ns" => "ns CPU",
            "ps" => "ps CPU",
            "s" => "s CPU",
            _ => "µs CPU",
        }
    }

    fn scale_throughputs(&self, typical: f64, throughput: &Throughput, values: &mut [f64]) -> &'static str {
        WallTime
            .formatter()
            .scale_throughputs(typical, throughput, values)
    }

    fn scale_for_machines(&self, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_for_machines(values)
    }
}
