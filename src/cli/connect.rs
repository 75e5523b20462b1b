//! The way to the server.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

use super::credential::Bearer;
use super::dial::{Heard, dial};
use super::failure::Failure;
use super::tls::{self, ClientTls};

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

/// Where a server listens, `http://host:port` or `https://host:port`, and how it is known.
#[derive(Clone, Debug)]
pub(super) struct Address {
    uri: http::Uri,
    tls: ClientTls,
    heard: Heard,
}

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
            (Some("http" | "https"), Some(_), "/") if uri.query().is_none() => Ok(Address {
                uri,
                tls: ClientTls::default(),
                heard: Heard::default(),
            }),
            _ => Err(format!(
                "must be http://HOST:PORT or https://HOST:PORT, such as {DEFAULT_ADDRESS}"
            )),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.uri.scheme_str().unwrap_or_default();
        let authority = self.uri.authority().map_or("", |it| it.as_str());
        write!(f, "{scheme}://{authority}")
    }
}

/// A connection on which every call carries the credential.
pub(super) type Wire = InterceptedService<Channel, Bearer>;

impl Address {
    /// The same server, to be known and called in this way.
    pub(super) fn with(self, tls: ClientTls, heard: Heard) -> Address {
        Address { tls, heard, ..self }
    }

    /// Whether what is sent passes others in the clear.
    pub(super) fn shows_to_the_network(&self) -> bool {
        let host = self.uri.host().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let is_near = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        !self.is_encrypted() && !is_near
    }

    fn is_encrypted(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    pub(super) async fn connect(&self, bearer: Bearer) -> Result<Wire, Failure> {
        let channel = if self.is_encrypted() {
            self.connect_encrypted().await?
        } else if self.tls.is_asked_for() {
            let plain = Failure::usage(format_args!(
                "--ca, --client-cert and --client-key do nothing at {self}, which is not encrypted"
            ));
            return Err(plain.but("write https:// in --address, or leave them out"));
        } else {
            let connected = endpoint(self.uri.clone()).connect().await;
            connected.map_err(|error| self.unreached(&error))?
        };
        Ok(InterceptedService::new(channel, bearer))
    }

    async fn connect_encrypted(&self) -> Result<Channel, Failure> {
        let config = Arc::new(self.tls.config()?);
        let (uri, heard) = (self.uri.clone(), Arc::clone(&self.heard));
        let connector = tower::service_fn(move |_| {
            let (uri, config, heard) = (uri.clone(), Arc::clone(&config), Arc::clone(&heard));
            async move { dial(&uri, config, heard).await }
        });
        // What it is given is encrypted already: it would not have it be so twice.
        let endpoint = endpoint(http::Uri::from_static("http://encrypted")).origin(self.uri.clone());
        let connected = endpoint.connect_with_connector(connector).await;
        connected.map_err(|error| self.unreached(&error))
    }

    fn unreached(&self, error: &tonic::transport::Error) -> Failure {
        if let Some(failure) = tls::refused(&self.to_string(), error) {
            return failure;
        }
        let failure = match root_cause(error) {
            (_, Some(io::ErrorKind::ConnectionRefused)) => {
                Failure::new(format_args!("nothing listens at {self}"))
            }
            (cause, _) => Failure::new(format_args!("{self} cannot be reached ({cause})")),
        };
        failure.but("start a server with `tokenward serve`, or name another with --address")
    }
}

fn endpoint(uri: http::Uri) -> Endpoint {
    Endpoint::from(uri)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_while_idle(true)
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
        assert_eq!("https://a:1".parse::<Address>()?.to_string(), "https://a:1");
        for text in [
            "ftp://a:1",
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
