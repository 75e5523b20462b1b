//! The way to the server.

use std::error::Error;
use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

use super::credential::Bearer;
use super::failure::Failure;

/// Where a server listens unless it is told otherwise.
pub(super) const DEFAULT_ADDRESS: &str = "http://127.0.0.1:7117";

/// How long to wait for somebody to take the call.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait for an answer to begin; far above any deadline the server sets itself.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer taken, in bytes: a full page of the largest tokens there can be fits.
pub(super) const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A connection that carries a stream is found dead after this silence.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Where a server listens: `http://host:port`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Address(http::Uri);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        let text = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let uri: http::Uri = text.parse().map_err(|error| format!("{error}"))?;
        match (uri.scheme_str(), uri.authority(), uri.path()) {
            (Some("http"), Some(_), "/") if uri.query().is_none() => Ok(Address(uri)),
            _ => Err(format!("must be http://HOST:PORT, such as {DEFAULT_ADDRESS}")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.0.authority().map_or("", |it| it.as_str()))
    }
}

/// A connection on which every call carries the credential.
pub(super) type Wire = InterceptedService<Channel, Bearer>;

impl Address {
    pub(super) async fn connect(&self, bearer: Bearer) -> Result<Wire, Failure> {
        let endpoint = Endpoint::from(self.0.clone())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_while_idle(true);
        let channel = endpoint.connect().await;
        let channel = channel.map_err(|error| self.unreached(&error))?;
        Ok(InterceptedService::new(channel, bearer))
    }

    fn unreached(&self, error: &tonic::transport::Error) -> Failure {
        let failure = match root_cause(error) {
            (_, Some(io::ErrorKind::ConnectionRefused)) => {
                Failure::new(format_args!("nothing listens at {self}"))
            }
            (cause, _) => Failure::new(format_args!("{self} cannot be reached ({cause})")),
        };
        failure.but("start a server with `tokenward serve`, or name another with --address")
    }
}

/// What lies at the bottom of an error, and of which kind it is if the system reported it.
fn root_cause(error: &dyn Error) -> (String, Option<io::ErrorKind>) {
    let mut cause = error;
    let mut kind = None;
    while let Some(source) = cause.source() {
        cause = source;
        kind = source.downcast_ref().map(io::Error::kind).or(kind);
    }
    (cause.to_string(), kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() -> Result<(), String> {
        for text in [
            "http://127.0.0.1:7117",
            "http://127.0.0.1:7117/",
            "127.0.0.1:7117",
        ] {
            assert_eq!(text.parse::<Address>()?.to_string(), "http://127.0.0.1:7117");
        }
        for text in [
            "https://a:1",
            "unix:///a",
            "http://a/b",
            "http://a?b",
            "http://",
            "",
            "a b",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        Ok(())
    }
}
