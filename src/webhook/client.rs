//! One POST to one endpoint, to an address that was checked, and to no other.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_util::task::AbortOnDropHandle;

use super::resolve::Resolver;
use crate::store::StoreError;
use crate::token::webhook::reach::{OutOfReach, Reach};
use crate::token::webhook::url::{EndpointUrl, Target};

/// How long it may take of a sending to look the name up, to connect, and for TLS.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 4;
/// Bytes of the headers of an answer.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Bytes of an answer that are read.
pub const EXCERPT_BYTES_MAX: usize = 1024;

/// Sends to endpoints.
#[derive(Clone, Debug)]
pub struct Client {
    resolver: Arc<dyn Resolver>,
    tls: Arc<ClientConfig>,
    reach: Reach,
    send_max: Duration,
}

/// What an endpoint answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    pub status: u16,
    /// The beginning of what it said, at most [`EXCERPT_BYTES_MAX`] bytes.
    pub excerpt: Vec<u8>,
    /// When it wants to be asked again, if it said so in seconds.
    pub retry_after: Option<Duration>,
}

/// Why there is no answer. No address is told: it would map the network for whoever may name a URL.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    #[error("the URL {0}")]
    OutOfReach(#[from] OutOfReach),
    #[error("the host name is not known")]
    NotFound,
    #[error("no connection could be made")]
    Connect,
    #[error("there is no TLS: {0}")]
    Tls(String),
    #[error("there was no answer in time")]
    TooSlow,
    #[error("what came back is not HTTP, or ended half way")]
    Http,
    #[error("the request cannot be written")]
    Request,
    #[error("the signing secret is gone: rotate it")]
    SecretGone,
    #[error("the signing secret is sealed with pepper {0}, which this server lacks: rotate the secret")]
    PepperGone(u16),
    #[error("the store is unavailable")]
    Store(#[source] StoreError),
}

/// TLS to whoever has a certificate that one of these CAs signed, besides those that the system trusts.
pub fn client_config(own: Vec<CertificateDer<'static>>) -> Result<ClientConfig, tokio_rustls::rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in own {
        roots.add(certificate)?;
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

impl Client {
    /// `send_max`: how long one sending may take in all, up to the end of the answer.
    pub fn new(resolver: Arc<dyn Resolver>, tls: ClientConfig, reach: Reach, send_max: Duration) -> Client {
        Client {
            resolver,
            tls: Arc::new(tls),
            reach,
            send_max,
        }
    }

    pub(super) fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Sends `body`; redirects are answers like others, and not followed.
    pub async fn post(&self, url: &EndpointUrl, headers: HeaderMap, body: String) -> Result<Answer, NotSent> {
        let sent = timeout(self.send_max, self.exchange(url, headers, body)).await;
        sent.unwrap_or(Err(NotSent::TooSlow))
    }

    async fn exchange(&self, url: &EndpointUrl, headers: HeaderMap, body: String) -> Result<Answer, NotSent> {
        let stream = timeout(CONNECT_MAX, self.connect(url)).await;
        let stream = stream.unwrap_or(Err(NotSent::Connect))?;
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.path_and_query().parse().map_err(|_| NotSent::Request)?;
        *request.headers_mut() = headers;
        let host = HeaderValue::from_str(&url.authority()).map_err(|_| NotSent::Request)?;
        request.headers_mut().insert(HOST, host);
        if !url.is_https() {
            return exchanged(stream, request).await;
        }
        let name = match url.target() {
            Target::Address(address) => ServerName::IpAddress(address.into()),
            Target::Name(name) => ServerName::try_from(name.to_owned()).map_err(|_| NotSent::Request)?,
        };
        let connecting = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream);
        let stream = timeout(CONNECT_MAX, connecting)
            .await
            .map_err(|_| NotSent::Connect)?;
        let stream = stream.map_err(|error| NotSent::Tls(error.to_string()))?;
        exchanged(stream, request).await
    }

    /// A connection to an address that may be reached. The name is looked up once, so what was checked is what is
    /// connected to, whatever the name leads to a moment later.
    async fn connect(&self, url: &EndpointUrl) -> Result<TcpStream, NotSent> {
        let addresses = match url.target() {
            Target::Address(address) => vec![address],
            Target::Name(name) => {
                let found = self.resolver.addresses(name).await;
                found.map_err(|_| NotSent::NotFound)?
            }
        };
        let check = |address: &IpAddr| self.reach.check(*address, url.is_https());
        let refused = addresses.iter().find_map(|address| check(address).err());
        let mut within: Vec<_> = addresses
            .into_iter()
            .filter(|address| check(address).is_ok())
            .collect();
        within.truncate(ADDRESSES_MAX);
        if within.is_empty() {
            return Err(refused.map_or(NotSent::NotFound, NotSent::from));
        }
        for address in within {
            if let Ok(stream) = TcpStream::connect(SocketAddr::new(address, url.port())).await {
                return Ok(stream);
            }
        }
        Err(NotSent::Connect)
    }
}

async fn exchanged(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<String>,
) -> Result<Answer, NotSent> {
    let mut http = http1::Builder::new();
    http.max_buf_size(HEADER_BYTES_MAX);
    let handshake = http.handshake(TokioIo::new(stream)).await;
    let (mut sending, connection) = handshake.map_err(|_| NotSent::Http)?;
    // It ends with this call, whatever the other end does.
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let response = sending.send_request(request).await.map_err(|_| NotSent::Http)?;
    let retry_after = retry_after(&response);
    let status = response.status().as_u16();
    let excerpt = excerpt(response.into_body()).await;
    Ok(Answer {
        status,
        excerpt,
        retry_after,
    })
}

fn retry_after(response: &Response<Incoming>) -> Option<Duration> {
    let is_asked = matches!(
        response.status(),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    let text = response
        .headers()
        .get(RETRY_AFTER)
        .filter(|_| is_asked)?
        .to_str()
        .ok()?;
    text.parse().map(Duration::from_secs).ok()
}

/// What counts is the status: an answer that ends half way is one.
async fn excerpt(mut body: Incoming) -> Vec<u8> {
    let mut excerpt = Vec::new();
    while excerpt.len() < EXCERPT_BYTES_MAX {
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        let Some(Ok(frame)) = frame else { break };
        if let Some(data) = frame.data_ref() {
            excerpt.extend_from_slice(data);
        }
    }
    excerpt.truncate(EXCERPT_BYTES_MAX);
    excerpt
}
