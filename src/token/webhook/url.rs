//! The URL of an endpoint: parsed once, as browsers do it, so that each address has one spelling.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// An absolute http or https URL without credentials and without a fragment, in its normal form.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointUrl(Url);

/// Why a text is not the URL of an endpoint.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotEndpointUrl {
    #[error("must have at most {} bytes", EndpointUrl::BYTES_MAX)]
    TooLong,
    #[error("must be a URL such as https://example.com/hooks: {0}")]
    NotUrl(&'static str),
    #[error("must begin with https://")]
    Scheme,
    #[error("must not carry a user name or a password: it would be shown to all who may list it")]
    Credentials,
    #[error("must not have a fragment: it is never sent")]
    Fragment,
    #[error("must name a host, without a dot at its end")]
    Host,
    #[error("must not have port 0")]
    Port,
}

/// Who is at the other end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target<'u> {
    Address(IpAddr),
    /// A name to be looked up.
    Name(&'u str),
}

impl EndpointUrl {
    pub const BYTES_MAX: usize = 2048;

    pub fn parse(text: &str) -> Result<EndpointUrl, NotEndpointUrl> {
        if text.len() > EndpointUrl::BYTES_MAX {
            return Err(NotEndpointUrl::TooLong);
        }
        // The parser would drop these without a word.
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(NotEndpointUrl::NotUrl("it has spaces or control characters"));
        }
        let url = Url::parse(text).map_err(|_| NotEndpointUrl::NotUrl("it cannot be read as one"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(NotEndpointUrl::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NotEndpointUrl::Credentials);
        }
        if url.fragment().is_some() {
            return Err(NotEndpointUrl::Fragment);
        }
        if url
            .host_str()
            .is_none_or(|host| host.is_empty() || host.ends_with('.'))
        {
            return Err(NotEndpointUrl::Host);
        }
        if url.port() == Some(0) {
            return Err(NotEndpointUrl::Port);
        }
        // What is percent-encoded may have grown.
        if url.as_str().len() > EndpointUrl::BYTES_MAX {
            return Err(NotEndpointUrl::TooLong);
        }
        Ok(EndpointUrl(url))
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub fn target(&self) -> Target<'_> {
        match self.0.host() {
            Some(Host::Ipv4(address)) => Target::Address(address.into()),
            Some(Host::Ipv6(address)) => Target::Address(address.into()),
            Some(Host::Domain(name)) => Target::Name(name),
            // There is none without: it was parsed so.
            None => Target::Name(""),
        }
    }

    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(443)
    }

    /// Host and port as they are sent in the header `Host`: the port only where it is not the usual one.
    pub fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// What is asked for there.
    pub fn path_and_query(&self) -> &str {
        &self.0[url::Position::BeforePath..url::Position::AfterQuery]
    }
}

impl TryFrom<String> for EndpointUrl {
    type Error = NotEndpointUrl;

    fn try_from(text: String) -> Result<EndpointUrl, NotEndpointUrl> {
        EndpointUrl::parse(&text)
    }
}

impl From<EndpointUrl> for String {
    fn from(url: EndpointUrl) -> String {
        url.0.into()
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
