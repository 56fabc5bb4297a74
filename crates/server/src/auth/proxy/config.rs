//! Configuration of trusted proxies: how to recognise them, and which headers they set.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::HeaderName;
use ipnet::IpNet;
use sha2::{Digest as _, Sha256};

/// Minimum length of a secret, in bytes.
const SHORTEST: usize = 16;
/// Maximum number of valid secrets: a new one and the one it replaces.
const SECRETS: usize = 2;

/// Headers that are read from every client and so can't be identity headers.
const TAKEN: &[&str] = &[
    super::PROXY_SECRET,
    "accept",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "last-event-id",
    "origin",
    "range",
    "referer",
    "sec-fetch-site",
    "transfer-encoding",
    "user-agent",
    "x-forwarded-for",
    "x-request-id",
];

/// Trusted proxies and the headers they may set. The default trusts none.
#[derive(Clone, Default)]
pub struct Proxies {
    pub(super) networks: Vec<Network>,
    /// SHA-256 digests.
    pub(super) secrets: Vec<[u8; 32]>,
    /// Trust every peer that connects through a Unix socket.
    pub(super) socket: bool,
    pub(super) identity: Option<IdentityHeaders>,
}

/// A network that proxies connect from, such as `10.0.0.0/8`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

/// Names of the headers in which a proxy reports the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityHeaders {
    /// The user's stable identifier, assigned by the identity provider; never a name or an address
    /// that could be reassigned to another person.
    pub subject: HeaderName,
    /// The user's display name.
    pub name: HeaderName,
    /// The user's e-mail address.
    pub email: HeaderName,
    /// The user's maximum permissions, as a list of `READ`, `WRITE`, `UPLOAD` and `ADMIN`.
    pub permissions: HeaderName,
}

/// Errors in the configuration of proxies.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyError {
    /// Nothing identifies the proxy, so that any client could claim any identity.
    #[error(
        "identity headers need something that tells the proxy from everybody else: its network \
         (--trusted-proxy), a Unix socket (--listen unix:PATH) or a shared secret (--proxy-secret-file)"
    )]
    NoAnchor,
    /// A network of all addresses, which identifies no proxy.
    #[error("every address is in {0}: a trusted proxy has a network of its own")]
    Everybody(String),
    /// Not a network.
    #[error("`{0}` is neither an address nor a network such as 10.0.0.0/8")]
    NoNetwork(String),
    /// Too many or too few secrets, or one that is too short.
    #[error(
        "a file of proxy secrets has one or two lines of at least {SHORTEST} printable characters"
    )]
    Secrets,
    /// Two identity headers have the same name.
    #[error("two of the identity headers have the same name, `{0}`")]
    SameHeader(HeaderName),
    /// An identity header has the name of a header with another meaning.
    #[error("`{0}` can't be an identity header: it has a meaning of its own")]
    TakenHeader(HeaderName),
}

impl Proxies {
    /// Proxies that are recognised by their networks, by secrets, by a Unix `socket` that only they
    /// can reach, or by several of these. They report users in the headers `identity`, if any.
    ///
    /// # Errors
    /// If identity headers are configured without a way to recognise a proxy, if the headers' names
    /// collide, or if a secret is unsuitable.
    pub fn new(
        networks: Vec<Network>,
        secrets: &[String],
        socket: bool,
        identity: Option<IdentityHeaders>,
    ) -> Result<Self, ProxyError> {
        let is_fit = |secret: &String| {
            secret.len() >= SHORTEST && secret.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if secrets.len() > SECRETS || !secrets.iter().all(is_fit) {
            return Err(ProxyError::Secrets);
        }
        if let Some(names) = &identity {
            names.check()?;
            if networks.is_empty() && secrets.is_empty() && !socket {
                return Err(ProxyError::NoAnchor);
            }
        }
        let secrets = secrets.iter().map(|secret| Sha256::digest(secret).into()).collect();
        Ok(Self { networks, secrets, socket, identity })
    }

    /// Reads the secrets from a file's text: one per line.
    ///
    /// # Errors
    /// If the text has no secrets.
    pub fn secrets(text: &str) -> Result<Vec<String>, ProxyError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let secrets: Vec<String> = lines.map(str::to_owned).collect();
        if secrets.is_empty() { Err(ProxyError::Secrets) } else { Ok(secrets) }
    }

    /// Returns `true` if any proxy is trusted.
    pub(crate) fn is_configured(&self) -> bool {
        self.identity.is_some()
            || self.socket
            || !self.networks.is_empty()
            || !self.secrets.is_empty()
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("networks", &self.networks)
            .field("secrets", &self.secrets.len())
            .field("socket", &self.socket)
            .field("identity", &self.identity)
            .finish()
    }
}

impl Network {
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

impl FromStr for Network {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        let network = match text.parse::<IpNet>() {
            Ok(network) => network,
            Err(_) => match text.parse::<IpAddr>() {
                Ok(address) => IpNet::from(address.to_canonical()),
                Err(_) => return Err(ProxyError::NoNetwork(text.to_owned())),
            },
        };
        if network.prefix_len() == 0 {
            return Err(ProxyError::Everybody(text.to_owned()));
        }
        Ok(Self(network.trunc()))
    }
}

impl Default for IdentityHeaders {
    /// The headers of An Otter Wiki, plus one for the subject, which An Otter Wiki lacks.
    fn default() -> Self {
        let name = HeaderName::from_static;
        Self {
            subject: name("x-otterwiki-subject"),
            name: name("x-otterwiki-name"),
            email: name("x-otterwiki-email"),
            permissions: name("x-otterwiki-permissions"),
        }
    }
}

impl IdentityHeaders {
    pub(super) fn all(&self) -> [&HeaderName; 4] {
        [&self.subject, &self.name, &self.email, &self.permissions]
    }

    fn check(&self) -> Result<(), ProxyError> {
        let all = self.all();
        for (index, name) in all.into_iter().enumerate() {
            if all[..index].contains(&name) {
                return Err(ProxyError::SameHeader(name.clone()));
            }
            if TAKEN.contains(&name.as_str()) {
                return Err(ProxyError::TakenHeader(name.clone()));
            }
        }
        Ok(())
    }
}
