//! The limits of a server as options, each within bounds. `docs/limits.md` says what happens beyond each.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{RangedU64ValueParser, TypedValueParser};

use crate::limit::Allowance;
use crate::serve::{Limits, Options};
use crate::watch::WatchLimits;

/// More of anything would not fit into memory.
const COUNT_MAX: u64 = 1_000_000;

/// A number of things: at least one, and not more than there can be.
fn count<T: TryFrom<u64> + Clone + Send + Sync + 'static>() -> RangedU64ValueParser<T>
where
    <T as TryFrom<u64>>::Error: Clone + Send + Sync + 'static + std::error::Error,
{
    RangedU64ValueParser::new().range(1..=COUNT_MAX)
}

fn counted() -> impl TypedValueParser<Value = NonZeroU32> {
    count::<u32>().map(|count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN))
}

fn bytes<T: TryFrom<u64> + Clone + Send + Sync + 'static>() -> RangedU64ValueParser<T>
where
    <T as TryFrom<u64>>::Error: Clone + Send + Sync + 'static + std::error::Error,
{
    // Below, no call of this service fits; above, a few calls at once exhaust the memory.
    RangedU64ValueParser::new().range(1024..=16 * 1024 * 1024)
}

const SPAN_MIN: Duration = Duration::from_millis(1);
/// Whoever wants no bound has this one.
const SPAN_MAX: Duration = Duration::from_hours(24 * 365);

/// A time that something may take: some, and not for ever.
pub(super) fn span(text: &str) -> Result<humantime::Duration, String> {
    let span = humantime::Duration::from_str(text).map_err(|error| error.to_string())?;
    if (SPAN_MIN..=SPAN_MAX).contains(&*span) {
        Ok(span)
    } else {
        // Formatted, the longest has months of 30.44 days.
        Err("must be from 1ms to 365days".to_owned())
    }
}

/// How often uses are written: often enough for whoever looks, and not so often that the journal waits for it.
pub(super) fn flush(text: &str) -> Result<humantime::Duration, String> {
    let span = humantime::Duration::from_str(text).map_err(|error| error.to_string())?;
    if (Duration::from_secs(1)..=Duration::from_mins(1)).contains(&*span) {
        Ok(span)
    } else {
        Err("must be from 1s to 60s".to_owned())
    }
}

/// How often the lives of tokens are looked at: what is told may be late by this.
pub(super) fn lifecycle(text: &str) -> Result<humantime::Duration, String> {
    let span = humantime::Duration::from_str(text).map_err(|error| error.to_string())?;
    if (Duration::from_secs(1)..=Duration::from_hours(1)).contains(&*span) {
        Ok(span)
    } else {
        Err("must be from 1s to 1h".to_owned())
    }
}

#[derive(clap::Args, Debug)]
pub(super) struct LimitArgs {
    /// Connections open at once; a further one is closed
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().connections_max, value_parser = count::<usize>())]
    connections_max: usize,
    /// The same, from one IPv4 address or /64 of IPv6
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().connections_per_address_max, value_parser = count::<usize>())]
    connections_per_address_max: usize,
    /// Calls and streams open at once on one connection
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().streams_max, value_parser = count::<u32>())]
    streams_max: u32,
    /// Calls of one connection that are worked on at once; a further one waits
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().handlers_max, value_parser = count::<usize>())]
    handlers_max: usize,
    /// Calls that one connection may cancel at once; beyond, it is closed
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().cancelled.burst, value_parser = counted())]
    cancelled_burst: NonZeroU32,
    /// Calls that it may cancel in a second, after that
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().cancelled.rate, value_parser = counted())]
    cancelled_rate: NonZeroU32,
    /// Bytes of one request
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().message_bytes_max, value_parser = bytes::<usize>())]
    message_bytes_max: usize,
    /// Bytes of all headers of one request
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().header_bytes_max, value_parser = bytes::<u32>())]
    header_bytes_max: u32,
    /// How long a client may take to begin to speak HTTP/2
    #[arg(long, value_name = "SPAN", default_value_t = Limits::default().preface_max.into(), value_parser = span)]
    preface_max: humantime::Duration,
    /// How long an idle connection may be silent before it is asked whether it lives
    #[arg(long, value_name = "SPAN", default_value_t = Limits::default().keepalive_interval.into(), value_parser = span)]
    keepalive_interval: humantime::Duration,
    /// How long it may take to answer that
    #[arg(long, value_name = "SPAN", default_value_t = Limits::default().keepalive_timeout.into(), value_parser = span)]
    keepalive_timeout: humantime::Duration,
    /// How old a connection may become; then its streams end resumably, and new calls go to a new one
    #[arg(long, value_name = "SPAN", default_value_t = Limits::default().connection_age_max.into(), value_parser = span)]
    connection_age_max: humantime::Duration,
    /// How long calls under way may take after that
    #[arg(long, value_name = "SPAN", default_value_t = Limits::default().connection_grace.into(), value_parser = span)]
    connection_grace: humantime::Duration,
    /// How long a call may take, whatever its own deadline is
    #[arg(long, value_name = "SPAN", default_value_t = Limits::default().deadline_max.into(), value_parser = span)]
    deadline_max: humantime::Duration,
    /// Revocation streams open at once
    #[arg(long, value_name = "COUNT", default_value_t = WatchLimits::default().watchers_max, value_parser = count::<usize>())]
    watchers_max: usize,
    /// The same, of one caller
    #[arg(long, value_name = "COUNT", default_value_t = WatchLimits::default().watchers_per_caller_max, value_parser = count::<usize>())]
    watchers_per_caller_max: usize,
    /// How long a watcher may leave its messages untaken before its stream ends
    #[arg(long, value_name = "SPAN", default_value_t = WatchLimits::default().stall_max.into(), value_parser = span)]
    watcher_stall_max: humantime::Duration,
    /// Secrets that one caller may have looked up at once although they belong to no token
    #[arg(long, value_name = "COUNT", default_value_t = crate::verify::MISSES.burst, value_parser = counted())]
    misses_burst: NonZeroU32,
    /// The same in a second, after that
    #[arg(long, value_name = "COUNT", default_value_t = crate::verify::MISSES.rate, value_parser = counted())]
    misses_rate: NonZeroU32,
}

impl LimitArgs {
    pub(super) fn set(&self, options: &mut Options) {
        options.limits = Limits {
            message_bytes_max: self.message_bytes_max,
            header_bytes_max: self.header_bytes_max,
            streams_max: self.streams_max,
            handlers_max: self.handlers_max,
            cancelled: Allowance::a_second(self.cancelled_burst, self.cancelled_rate),
            connections_max: self.connections_max,
            connections_per_address_max: self.connections_per_address_max,
            preface_max: self.preface_max.into(),
            keepalive_interval: self.keepalive_interval.into(),
            keepalive_timeout: self.keepalive_timeout.into(),
            connection_age_max: self.connection_age_max.into(),
            connection_grace: self.connection_grace.into(),
            deadline_max: self.deadline_max.into(),
        };
        options.watch = WatchLimits {
            watchers_max: self.watchers_max,
            watchers_per_caller_max: self.watchers_per_caller_max,
            stall_max: self.watcher_stall_max.into(),
        };
        options.misses = Allowance::a_second(self.misses_burst, self.misses_rate);
    }
}
