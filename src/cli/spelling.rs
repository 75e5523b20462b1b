//! How values are spelt on the command line.

use std::time::Duration;

use crate::proto::v1;
use crate::token::format::{Body, Prefix};

/// `native`, or an alphabet and a number of characters: `hex:40`, `base64url:48`, `base62:40`.
pub(super) fn body(text: &str) -> Result<Body, String> {
    let wanted = || "must be native, hex:<N>, base64url:<N> or base62:<N>, such as hex:40".to_owned();
    let Some((alphabet, length)) = text.split_once(':') else {
        return match text {
            "native" => Ok(Body::Native),
            _ => Err(wanted()),
        };
    };
    let length: i64 = length.parse().map_err(|_| wanted())?;
    let body = match alphabet {
        "hex" => Body::hex(length),
        "base64url" => Body::base64url(length),
        "base62" => Body::base62(length),
        _ => return Err(wanted()),
    };
    body.map_err(|error| error.to_string())
}

pub(super) fn prefix(text: &str) -> Result<Prefix, String> {
    Prefix::try_from(text.to_owned()).map_err(|error| error.to_string())
}

/// `key=value`; the value may be empty and may hold further equals signs.
pub(super) fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("must be KEY=VALUE, such as team=notes".to_owned()),
    }
}

/// `90d`, `1h 30m`.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("must be a duration such as 90d or 1h: {error}"))
}

/// An instant in RFC 3339.
pub(super) fn instant(text: &str) -> Result<jiff::Timestamp, String> {
    text.parse()
        .map_err(|error| format!("must be an instant such as 2030-01-31T12:00:00Z: {error}"))
}

/// The end of a token, which may have none.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Never,
    At(jiff::Timestamp),
}

/// `never`, or an instant in RFC 3339.
pub(super) fn end(text: &str) -> Result<End, String> {
    match text {
        "never" => Ok(End::Never),
        text => instant(text).map(End::At),
    }
}

impl End {
    pub(super) fn to_proto(self) -> Option<prost_types::Timestamp> {
        match self {
            End::Never => None,
            End::At(instant) => Some(to_proto_timestamp(instant)),
        }
    }
}

/// `100/1m`: so many requests within so long.
pub(super) fn rate_limit(text: &str) -> Result<v1::RateLimit, String> {
    let wanted = || "must be N/DURATION, such as 100/1m".to_owned();
    let (requests, period) = text.split_once('/').ok_or_else(wanted)?;
    Ok(v1::RateLimit {
        requests: requests.parse().map_err(|_| wanted())?,
        period: Some(to_proto_duration(span(period)?)),
    })
}

pub(super) fn to_proto_duration(span: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        nanos: span.subsec_nanos().cast_signed(),
    }
}

pub(super) fn to_proto_timestamp(instant: jiff::Timestamp) -> prost_types::Timestamp {
    // jiff counts the digits before 1970 backwards, the API counts all of them forwards.
    let backwards = instant.subsec_nanosecond() < 0;
    prost_types::Timestamp {
        seconds: instant.as_second() - i64::from(backwards),
        nanos: instant.subsec_nanosecond() + if backwards { 1_000_000_000 } else { 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        assert_eq!(body("native"), Ok(Body::Native));
        assert_eq!(body("hex:40"), Body::hex(40).map_err(|e| e.to_string()));
        assert_eq!(
            body("base64url:48"),
            Body::base64url(48).map_err(|e| e.to_string())
        );
        assert_eq!(body("base62:40"), Body::base62(40).map_err(|e| e.to_string()));
        for text in [
            "",
            "hex",
            "hex:",
            "hex:x",
            "HEX:40",
            "native:42",
            "hex:40:1",
            "hex: 40",
        ] {
            let refused = body(text);
            assert!(
                refused.as_ref().is_err_and(|why| why.contains("such as hex:40")),
                "{text:?}: {refused:?}"
            );
        }
        assert_eq!(
            body("hex:31"),
            Err("must lie between 32 and 128 characters, not 31".to_owned())
        );
    }

    #[test]
    fn labels() {
        let pair = |key: &str, value: &str| Ok((key.to_owned(), value.to_owned()));
        assert_eq!(label("team=notes"), pair("team", "notes"));
        assert_eq!(label("team="), pair("team", ""));
        assert_eq!(label("query=a=b"), pair("query", "a=b"));
        for text in ["", "team", "=notes"] {
            assert!(label(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn instants_reach_the_api_exactly() -> Result<(), String> {
        let proto = |text| instant(text).map(to_proto_timestamp);
        let at = |seconds, nanos| prost_types::Timestamp { seconds, nanos };
        assert_eq!(proto("1970-01-01T00:00:01.5Z")?, at(1, 500_000_000));
        assert_eq!(proto("1969-12-31T23:59:59.25Z")?, at(-1, 250_000_000));
        assert_eq!(proto("2030-01-31T13:00:00+01:00")?, at(1_896_091_200, 0));
        assert!(instant("2030-01-31").is_err());
        Ok(())
    }

    #[test]
    fn rate_limits() {
        let limit = rate_limit("100/1m");
        let period = |limit: v1::RateLimit| limit.period.map(|period| period.seconds);
        assert_eq!(
            limit.map(|limit| (limit.requests, period(limit))),
            Ok((100, Some(60)))
        );
        for text in ["", "100", "100/", "/1m", "-/1m", "100/1", "1e2/1m"] {
            assert!(rate_limit(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn spans_reach_the_api_exactly() -> Result<(), String> {
        let day = span("90d")?;
        assert_eq!(to_proto_duration(day).seconds, 90 * 24 * 60 * 60);
        assert_eq!(to_proto_duration(span("1s 500ms")?).nanos, 500_000_000);
        assert!(span("90").is_err());
        Ok(())
    }
}
