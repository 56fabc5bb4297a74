//! Calls a webhook: at a checked address, signed, without following redirects.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use wikigrove_tenant::Secret;

use super::{NotDelivered, Notice, Notifier};
use crate::remote::address::ResolveError;
use crate::remote::url::{Host, InvalidUrl, RemoteUrl, Scheme};
use crate::remote::webhook::sign_standard;

/// The longest query, in bytes.
const MAX_QUERY: usize = 1024;

/// Text without a usable certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no certificate of an authority in this")]
pub struct InvalidRoots;

/// The URL of a webhook: like that of a remote, but with `https://` only (`http://` for allowed hosts), and with an
/// optional query.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    place: RemoteUrl,
    query: Option<String>,
}

impl WebhookUrl {
    /// The URL without the query.
    pub fn place(&self) -> &RemoteUrl {
        &self.place
    }

    /// The full URL as it is parsed. Not for logs.
    pub(super) fn text(&self) -> String {
        let query = self.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}{query}", self.place)
    }

    /// Path and query.
    fn target(&self) -> String {
        let text = self.text();
        text.strip_prefix(&self.place.origin()).unwrap_or("/").to_owned()
    }
}

impl FromStr for WebhookUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let (place, query) = match text.split_once('?') {
            Some((place, query)) => (place, Some(query)),
            None => (text, None),
        };
        let place: RemoteUrl = place.parse()?;
        if place.scheme() == Scheme::Ssh {
            return Err(InvalidUrl::new("a webhook is called by https://"));
        }
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(&byte);
        if query.is_some_and(|query| query.len() > MAX_QUERY || !query.bytes().all(plain)) {
            return Err(InvalidUrl::new("the query is too long or holds what no query can"));
        }
        Ok(Self { place, query: query.map(str::to_owned) })
    }
}

impl fmt::Debug for WebhookUrl {
    /// Without path and query, as many of them are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({}/…)", self.place.origin())
    }
}

/// The TLS configuration with the trusted authorities.
#[derive(Clone)]
pub(super) struct Tls(TlsConnector);

impl Tls {
    /// Trusts the system's authorities. A system without any can still send mail.
    pub(super) fn system() -> Self {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            tracing::warn!("this machine trusts no certificates: webhooks can't be called");
        }
        Self::trusting(roots)
    }

    pub(super) fn of_pem(pem: &[u8]) -> Result<Self, InvalidRoots> {
        let mut roots = RootCertStore::empty();
        let found = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
        let (added, _) = roots.add_parsable_certificates(found);
        if added == 0 { Err(InvalidRoots) } else { Ok(Self::trusting(roots)) }
    }

    fn trusting(roots: RootCertStore) -> Self {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has the usual protocols")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self(TlsConnector::from(Arc::new(config)))
    }
}

impl Notifier {
    pub(super) async fn post(
        &self,
        notice: &Notice,
        url: &WebhookUrl,
        secret: &Secret,
    ) -> Result<(), NotDelivered> {
        let place = url.place();
        let address = match self.policy.resolve(place, &*self.resolver).await {
            Ok(address) => address,
            Err(ResolveError::Blocked(blocked)) => return Err(blocked.into()),
            Err(error) => return Err(later(error)),
        };
        let request = request(notice, url, secret)?;
        let stream = TcpStream::connect((address, place.port())).await.map_err(later)?;
        let status = if place.scheme() == Scheme::Https {
            let name = match place.host() {
                Host::Name(name) => ServerName::try_from(name.clone()).map_err(later)?,
                Host::Address(address) => ServerName::from(*address),
            };
            let tls = self.tls.get_or_init(Tls::system);
            exchange(tls.0.connect(name, stream).await.map_err(later)?, request).await?
        } else {
            exchange(stream, request).await?
        };
        match status {
            status if status.is_success() => Ok(()),
            StatusCode::GONE => Err(NotDelivered::Gone),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(later(status)),
            status if status.is_server_error() => Err(later(status)),
            status => Err(NotDelivered::Refused(status.to_string())),
        }
    }
}

fn request(
    notice: &Notice,
    url: &WebhookUrl,
    secret: &Secret,
) -> Result<Request<Full<Bytes>>, NotDelivered> {
    let place = url.place();
    let default = place.port() == place.scheme().default_port();
    let port = if default { String::new() } else { format!(":{}", place.port()) };
    let now = time::OffsetDateTime::now_utc().unix_timestamp().unsigned_abs();
    let body = notice.body();
    Request::builder()
        .method(Method::POST)
        .uri(url.target())
        .header(header::HOST, format!("{}{port}", place.host()))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "wikigrove")
        .header("webhook-id", &notice.id)
        .header("webhook-timestamp", now)
        .header("webhook-signature", sign_standard(secret, &notice.id, now, &body))
        .body(Full::from(body))
        .map_err(|error| NotDelivered::Refused(error.to_string()))
}

/// Sends one request and returns the status of the answer. The connection is closed after it.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<StatusCode, NotDelivered> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(later)?;
    let driven = async {
        // The request reports the error if the connection ends early.
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = sender.send_request(request) => Ok(answer.map_err(later)?.status()),
        () = driven => Err(NotDelivered::Later("the connection ended".to_owned())),
    }
}

fn later(error: impl fmt::Display) -> NotDelivered {
    NotDelivered::Later(error.to_string())
}
