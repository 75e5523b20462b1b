//! CPU time of the threads of a server, apart from its clients in the same process.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use criterion::Throughput;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};

/// One folder for each thread of this process.
const TASKS: &str = "/proc/self/task";

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
        let tasks = fs::read_dir(TASKS).expect("Linux lists its threads");
        tasks.filter_map(|task| self.used_by(&task.ok()?.path())).sum()
    }

    fn used_by(self, task: &Path) -> Option<u64> {
        let name = fs::read_to_string(task.join("comm")).ok()?;
        name.starts_with(self.prefix).then(|| time_of(task))?
    }
}

/// Nanoseconds that a thread has been on a processor.
fn time_of(task: &Path) -> Option<u64> {
    let statistics = fs::read_to_string(task.join("schedstat")).ok()?;
    statistics.split(' ').next()?.parse().ok()
}

/// Threads that are there: where two servers are in one process, names do not tell theirs apart.
pub(crate) struct Present(BTreeSet<OsString>);

impl Present {
    pub(crate) fn now() -> Present {
        let tasks = fs::read_dir(TASKS).expect("Linux lists its threads");
        Present(tasks.filter_map(|task| Some(task.ok()?.file_name())).collect())
    }

    /// Those that were not there before.
    pub(crate) fn since(self, before: &Present) -> Present {
        Present(&self.0 - &before.0)
    }

    /// What they have used since they started.
    pub(crate) fn used(&self) -> u64 {
        let tasks = self.0.iter().map(|task| Path::new(TASKS).join(task));
        tasks.filter_map(|task| time_of(&task)).sum()
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
