use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An instant in microseconds since the Unix epoch, UTC: exact on the wire, in SQL and in the journal.
///
/// The range is that of `google.protobuf.Timestamp`: years 1 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Timestamp(i64);

/// An instant outside the years 1 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must lie between the years 1 and 9999")]
pub struct TimestampOutOfRange;

impl Timestamp {
    /// 0001-01-01T00:00:00Z.
    pub const MIN: Timestamp = Timestamp(-62_135_596_800_000_000);
    /// 9999-12-31T23:59:59.999999Z.
    pub const MAX: Timestamp = Timestamp(253_402_300_799_999_999);

    pub fn from_micros(micros: i64) -> Result<Timestamp, TimestampOutOfRange> {
        let instant = Timestamp(micros);
        (Timestamp::MIN..=Timestamp::MAX)
            .contains(&instant)
            .then_some(instant)
            .ok_or(TimestampOutOfRange)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// This instant plus `span`, rounded down to a microsecond.
    pub fn after(self, span: Duration) -> Result<Timestamp, TimestampOutOfRange> {
        let span = i64::try_from(span.as_micros()).map_err(|_| TimestampOutOfRange)?;
        Timestamp::from_micros(self.0.checked_add(span).ok_or(TimestampOutOfRange)?)
    }

    /// This instant less `span`; at the earliest the first there is.
    pub fn earlier(self, span: Duration) -> Timestamp {
        let span = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(self.0.saturating_sub(span)).unwrap_or(Timestamp::MIN)
    }

    /// This instant, or the first one after `before` where this is not later: a clock that was set back does not bring
    /// the same instant twice. After the last instant there is none.
    pub fn later_than(self, before: Timestamp) -> Timestamp {
        self.max(Timestamp::from_micros(before.0 + 1).unwrap_or(Timestamp::MAX))
    }

    /// The time from `self` to `later`; zero when `later` is not later.
    pub fn until(self, later: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(later.0 - self.0).unwrap_or(0))
    }
}

/// A length of time that is kept, in whole microseconds: at most a hundred years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Span(i64);

/// A length of time in words, as flags take it. Whole days are days however many they are: no two months are alike.
pub fn spelled(span: Duration) -> String {
    const DAY: Duration = Duration::from_hours(24);
    if span <= DAY || !span.as_nanos().is_multiple_of(DAY.as_nanos()) {
        return humantime::format_duration(span).to_string();
    }
    format!("{}days", span.as_nanos() / DAY.as_nanos())
}

/// A length of time below zero, or above a hundred years.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be at most 100 years")]
pub struct SpanOutOfRange;

impl Span {
    pub const ZERO: Span = Span(0);
    pub const MAX: Span = Span(100 * 365 * 86_400 * 1_000_000);

    pub const fn days(days: u16) -> Span {
        Span(days as i64 * 86_400 * 1_000_000)
    }

    pub const fn seconds(seconds: u32) -> Span {
        Span(seconds as i64 * 1_000_000)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    pub const fn duration(self) -> Duration {
        Duration::from_micros(self.0.unsigned_abs())
    }
}

impl TryFrom<i64> for Span {
    type Error = SpanOutOfRange;

    fn try_from(micros: i64) -> Result<Span, SpanOutOfRange> {
        let span = Span(micros);
        (Span::ZERO..=Span::MAX)
            .contains(&span)
            .then_some(span)
            .ok_or(SpanOutOfRange)
    }
}

impl TryFrom<Duration> for Span {
    type Error = SpanOutOfRange;

    /// Rounded down to a microsecond.
    fn try_from(duration: Duration) -> Result<Span, SpanOutOfRange> {
        let micros = i64::try_from(duration.as_micros()).map_err(|_| SpanOutOfRange)?;
        Span::try_from(micros)
    }
}

impl From<Span> for i64 {
    fn from(span: Span) -> i64 {
        span.0
    }
}

impl TryFrom<i64> for Timestamp {
    type Error = TimestampOutOfRange;

    fn try_from(micros: i64) -> Result<Timestamp, TimestampOutOfRange> {
        Timestamp::from_micros(micros)
    }
}

impl From<Timestamp> for i64 {
    fn from(instant: Timestamp) -> i64 {
        instant.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(instant) => instant.fmt(f),
            // jiff's range ends a few hours before ours does.
            Err(_) => write!(f, "{} us", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::token::samples::{any_instant, any_span};

    #[test]
    fn days_are_told_as_days() {
        let hours = |hours| spelled(Duration::from_hours(hours));
        assert_eq!(hours(400 * 24), "400days");
        assert_eq!((hours(24), hours(36)), ("1day".to_owned(), "1day 12h".to_owned()));
        assert_eq!((hours(1), hours(0)), ("1h".to_owned(), "0s".to_owned()));
    }

    proptest! {
        #[test]
        fn what_is_spelled_reads_back_as_the_same(span in any_span()) {
            let spelled = spelled(span.duration());
            prop_assert_eq!(humantime::parse_duration(&spelled).ok(), Some(span.duration()), "{}", spelled);
        }

        #[test]
        fn what_is_later_comes_after_what_was_before_and_no_later_than_it_must(
            now in any_instant(),
            before in any_instant(),
        ) {
            prop_assume!(before < Timestamp::MAX);
            let later = now.later_than(before);
            prop_assert!(later > before);
            prop_assert_eq!(later.micros(), now.micros().max(before.micros() + 1));
        }
    }

    #[test]
    fn nothing_is_later_than_the_last_instant() {
        assert_eq!(Timestamp::MIN.later_than(Timestamp::MAX), Timestamp::MAX);
    }
}
