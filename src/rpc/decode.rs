//! From messages to facts: each field is parsed once, and every field at fault is named.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use ipnet::IpNet;

use super::status::Problem;
use crate::proto::v1;
use crate::token::id::{RequestId, Slug, TokenId};
use crate::token::network::{Networks, NotNetworks};
use crate::token::overlap::Overlap;
use crate::token::policy::{Policy, RateLimit};
use crate::token::scope::{LabelKey, Labels, Scope, Scopes};
use crate::token::text::LabelValue;
use crate::token::time::{Span, Timestamp, spelled};
use crate::token::update::To;

/// Collects what is wrong with the fields of a request, by path.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// The value of the field at `path`, if it parsed.
    pub(super) fn take<T, E: Display>(&mut self, path: impl Display, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.wrong(path, error)).ok()
    }

    pub(super) fn wrong(&mut self, path: impl Display, what: impl Display) {
        self.0.push((path.to_string(), what.to_string()));
    }

    /// The first that was said to be wrong.
    pub(super) fn first(self) -> Option<(String, String)> {
        self.0.into_iter().next()
    }

    /// Everything said to be wrong, as the answer.
    pub(super) fn problem(self) -> Problem {
        Problem::Fields(self.0)
    }

    /// Goes on only if nothing was wrong.
    pub(super) fn check(self) -> Result<(), Problem> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(self.problem())
        }
    }

    /// What a field says that may be left empty.
    pub(super) fn optional<S: AsRef<str>, T, E: Display>(
        &mut self,
        path: impl Display,
        text: S,
        parse: impl FnOnce(S) -> Result<T, E>,
    ) -> Option<T> {
        if text.as_ref().is_empty() {
            return None;
        }
        self.take(path, parse(text))
    }

    /// Whether a list is no longer than it may be.
    pub(super) fn at_most(&mut self, path: impl Display, max: usize, count: usize) -> bool {
        if count > max {
            self.wrong(
                path,
                format_args!("must have at most {max} elements, not {count}"),
            );
        }
        count <= max
    }

    /// The values that a list of numbers stands for, at most `max` of them; `wrong` is what one that is not `known` is.
    pub(super) fn known<T>(
        &mut self,
        path: &str,
        (numbers, max): (&[i32], usize),
        known: impl Fn(i32) -> Option<T>,
        wrong: &str,
    ) -> Vec<T> {
        if !self.at_most(path, max, numbers.len()) {
            return Vec::new();
        }
        let numbers = numbers.iter().enumerate();
        numbers
            .filter_map(|(i, number)| self.take(format_args!("{path}[{i}]"), known(*number).ok_or(wrong)))
            .collect()
    }

    pub(super) fn slug(&mut self, path: &str, text: String) -> Option<Slug> {
        self.take(path, Slug::try_from(text))
    }

    pub(super) fn token_id(&mut self, text: &str) -> Option<TokenId> {
        self.token_id_at("token_id", text)
    }

    pub(super) fn token_id_at(&mut self, path: &str, text: &str) -> Option<TokenId> {
        self.take(path, TokenId::parse(text))
    }

    /// An empty request id is none.
    pub(super) fn request_id(&mut self, text: &str) -> Option<RequestId> {
        self.optional("request_id", text, RequestId::parse)
    }

    pub(super) fn scopes(&mut self, path: &str, names: Vec<String>) -> Option<Scopes> {
        if !self.at_most(path, Scopes::COUNT_MAX, names.len()) {
            return None;
        }
        let parsed = names
            .into_iter()
            .enumerate()
            .map(|(i, name)| self.take(format_args!("{path}[{i}]"), Scope::try_from(name)));
        let scopes: Vec<_> = parsed.collect();
        let scopes: Option<Vec<Scope>> = scopes.into_iter().collect();
        scopes.and_then(|scopes| self.take(path, Scopes::try_from(scopes)))
    }

    pub(super) fn labels(&mut self, labels: HashMap<String, String>) -> Option<Labels> {
        self.labels_at("labels", labels)
    }

    pub(super) fn labels_at(&mut self, at: &str, labels: HashMap<String, String>) -> Option<Labels> {
        if !self.at_most(at, Labels::COUNT_MAX, labels.len()) {
            return None;
        }
        let mut parsed = BTreeMap::new();
        // In a fixed order, so that the same request is refused with the same words.
        for (key, value) in labels.into_iter().collect::<BTreeMap<_, _>>() {
            let path = format!("{at}[{key:?}]");
            // An ill-formed key is not repeated: it may be a secret in the wrong place, or of any length.
            let Some(key) = self.take(at, LabelKey::try_from(key)) else {
                continue;
            };
            if let Some(value) = self.take(path, LabelValue::try_from(value)) {
                parsed.insert(key, value);
            }
        }
        self.take(at, Labels::try_from(parsed))
    }

    /// Networks in CIDR form, or addresses; none: anywhere. What is said beyond the prefix would be ignored, and is
    /// hardly what was meant.
    pub(super) fn networks(&mut self, at: &str, texts: &[String]) -> Option<To<Option<Networks>>> {
        if texts.is_empty() {
            return Some(To(None));
        }
        if texts.len() > Networks::COUNT_MAX {
            self.wrong(at, NotNetworks { count: texts.len() });
            return None;
        }
        let parsed = texts.iter().enumerate().map(|(i, text)| {
            let network: Option<IpNet> = text.parse().ok();
            let network = network.filter(|network| *network == network.trunc());
            let network = network.or_else(|| text.parse().map(IpAddr::into).ok());
            let wanted =
                "must be a network such as 192.0.2.0/24, without bits beyond its prefix, or an address";
            self.take(format_args!("{at}[{i}]"), network.ok_or(wanted))
        });
        let networks: Vec<_> = parsed.collect();
        let networks: Option<Vec<_>> = networks.into_iter().collect();
        let networks = self.take(at, Networks::try_from(networks?))?;
        Some(To(Some(networks)))
    }

    /// A rate limit that may not be there.
    pub(super) fn rate_limit(
        &mut self,
        at: &str,
        limit: Option<v1::RateLimit>,
    ) -> Option<To<Option<RateLimit>>> {
        let Some(limit) = limit else {
            return Some(To(None));
        };
        let requests = u32::try_from(limit.requests).ok().and_then(NonZeroU32::new);
        let requests = self.take(
            format_args!("{at}.requests"),
            requests.ok_or("must be at least 1"),
        );
        let (min, max) = (Policy::SPAN_MIN, Policy::RATE_PERIOD_MAX);
        let period = limit.period.unwrap_or_default();
        let period = self.span(&format!("{at}.period"), period, min, Some(max));
        Some(To(Some(RateLimit {
            requests: requests?,
            period: period?,
        })))
    }

    /// How long an overlap lasts, whatever the policy says.
    pub(super) fn overlap(&mut self, path: &str, span: prost_types::Duration) -> Option<Span> {
        self.span(path, span, Duration::ZERO, Some(Overlap::MAX.duration()))
    }

    /// The paths of a mask, which may be empty. One that is not `known` is wrong; `wanted` says what would be right.
    pub(super) fn mask(
        &mut self,
        mask: Option<prost_types::FieldMask>,
        known: impl Fn(&str) -> bool,
        wanted: &str,
    ) -> Vec<String> {
        let paths = mask.unwrap_or_default().paths;
        for (i, path) in paths.iter().enumerate() {
            if !known(path) {
                self.wrong(
                    format!("update_mask.paths[{i}]"),
                    format_args!("must be {wanted}: nothing else can change"),
                );
            }
        }
        paths
    }

    /// A span that is kept, within the same bounds as a [`Fields::duration`], and up to a hundred years.
    pub(super) fn span(
        &mut self,
        path: &str,
        span: prost_types::Duration,
        min: Duration,
        max: Option<Duration>,
    ) -> Option<Span> {
        let span = self.duration(path, span, min, max)?;
        self.take(path, Span::try_from(span))
    }

    /// An instant, rounded down to a microsecond.
    pub(super) fn timestamp(&mut self, path: &str, instant: prost_types::Timestamp) -> Option<Timestamp> {
        if !(0..1_000_000_000).contains(&instant.nanos) {
            self.wrong(path, "must have nanos between 0 and 999,999,999");
            return None;
        }
        let micros = instant
            .seconds
            .checked_mul(1_000_000)
            .and_then(|m| m.checked_add(i64::from(instant.nanos) / 1000));
        self.take(
            path,
            micros
                .ok_or(crate::token::time::TimestampOutOfRange)
                .and_then(Timestamp::from_micros),
        )
    }

    /// A span of at least `min` and at most `max`; without a `max`, any longer one.
    pub(super) fn duration(
        &mut self,
        path: &str,
        span: prost_types::Duration,
        min: Duration,
        max: Option<Duration>,
    ) -> Option<Duration> {
        // Only the one spelling that google.protobuf.Duration has: the conversion below would take others.
        let spelt_well = span.nanos.unsigned_abs() < 1_000_000_000
            && (span.seconds == 0 || span.nanos == 0 || (span.seconds < 0) == (span.nanos < 0));
        let span = Duration::try_from(span).ok().filter(|_| spelt_well);
        match (span, max) {
            (Some(span), None) if min <= span => return Some(span),
            (Some(span), Some(max)) if (min..=max).contains(&span) => return Some(span),
            (_, None) => self.wrong(path, format_args!("must be at least {}", spelled(min))),
            (_, Some(max)) => {
                let (min, max) = (spelled(min), spelled(max));
                self.wrong(path, format_args!("must lie between {min} and {max}"));
            }
        }
        None
    }
}
