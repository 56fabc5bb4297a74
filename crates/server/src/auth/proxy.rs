//! Users who are signed in by a reverse proxy.
//!
//! Off until configured, and then only with at least one way to recognise the proxy: the networks
//! it connects from, a Unix socket, or a shared secret. If several are configured, all must match.
//! Trust depends on the peer of the connection; `X-Forwarded-For` never establishes it. The headers
//! of an untrusted peer are removed from the request and have no effect.
//!
//! `Proxies::judge` depends only on the peer and the headers.

mod config;
mod forwarded;
mod header;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use http::{HeaderMap, StatusCode};
use sha2::{Digest as _, Sha256};
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Author, Caller, Role, check_subject};

use crate::serve::Peer;

pub use config::{IdentityHeaders, Network, Proxies, ProxyError};
use header::{Lines, PROXY_SECRET};

/// The client's address and identity according to the headers of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    /// The client's address: from a trusted proxy if there is one, else the peer's.
    pub(crate) client: Option<IpAddr>,
    /// The identity that a trusted proxy reports; `None` for an untrusted peer.
    pub(crate) identity: Option<Identity>,
}

/// The user that a trusted proxy reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// `None` if the user isn't signed in.
    subject: Option<String>,
    name: Option<String>,
    email: Option<String>,
    /// The highest role that the proxy allows, with `Some(None)` for no rights at all; `None` if
    /// the proxy sets no limit.
    ceiling: Option<Option<Role>>,
}

impl Identity {
    /// Returns `true` if the user is signed in.
    pub(crate) fn is_somebody(&self) -> bool {
        self.subject.is_some()
    }

    /// The caller with this identity, limited to the role that the proxy allows.
    pub(crate) fn caller(&self) -> Caller {
        let caller = match &self.subject {
            None => Caller::anonymous(),
            Some(subject) => {
                let name = self.name.as_deref().unwrap_or(subject);
                match &self.email {
                    Some(email) => Caller::user(subject, Author::new(name, email)),
                    None => Caller::user_without_email(subject, name),
                }
            }
        };
        self.limit(caller)
    }

    /// Limits `caller` to the role that the proxy allows.
    pub(crate) fn limit(&self, caller: Caller) -> Caller {
        match self.ceiling {
            Some(ceiling) => caller.limited_to(ceiling),
            None => caller,
        }
    }
}

impl Proxies {
    /// Removes the headers that only a proxy may set from `headers`, and evaluates them if the peer
    /// is trusted.
    ///
    /// # Errors
    /// 400 if the headers of a trusted proxy are ambiguous.
    pub(crate) fn judge(
        &self,
        peer: Option<Peer>,
        headers: &mut HeaderMap,
    ) -> Result<Judged, Problem> {
        let address = peer.and_then(Peer::address);
        if !self.is_configured() {
            return Ok(Judged { client: address, identity: None });
        }
        let is_trusted = self.trusts(peer, headers);
        header::remove(headers, PROXY_SECRET);
        let client = match is_trusted {
            true => forwarded::client(address, headers, |hop| self.is_proxy(hop)),
            false => address,
        };
        let identity = match &self.identity {
            None => None,
            Some(names) if is_trusted => Some(identity(names, headers)?),
            Some(_) => None,
        };
        for name in self.identity.iter().flat_map(IdentityHeaders::all) {
            header::remove(headers, name.as_str());
        }
        Ok(Judged { client, identity })
    }

    /// Returns `true` if this peer may report the addresses and identities of others.
    fn trusts(&self, peer: Option<Peer>, headers: &HeaderMap) -> bool {
        let comes_from_there = match peer {
            Some(Peer::Local) => self.socket,
            // Without networks, the secret alone identifies the proxy.
            Some(Peer::Tcp(_)) if self.networks.is_empty() => !self.secrets.is_empty(),
            Some(Peer::Tcp(address)) => self.is_proxy(address.ip()),
            None => false,
        };
        comes_from_there && (self.secrets.is_empty() || self.knows_secret(headers))
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(address))
    }

    /// Compares digests, so that the time taken reveals nothing about the secret.
    fn knows_secret(&self, headers: &HeaderMap) -> bool {
        let mut sent = headers.get_all(PROXY_SECRET).iter();
        let (Some(secret), None) = (sent.next(), sent.next()) else { return false };
        let digest = <[u8; 32]>::from(Sha256::digest(secret.as_bytes()));
        // Compare against every secret, so that the time taken doesn't reveal which one matched.
        self.secrets.iter().fold(false, |known, secret| known | (*secret == digest))
    }
}

/// Reads the identity headers of a trusted proxy.
fn identity(names: &IdentityHeaders, headers: &HeaderMap) -> Result<Identity, Problem> {
    for name in names.all() {
        if let Some(other) = header::look_alike(headers, name) {
            // Software behind some proxies treats both names as the same header.
            let detail = format!("the header `{other}` looks like `{name}`");
            return Err(ambiguous(&detail));
        }
    }
    let one = |name| header::one(headers, name);
    let listed = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains(','));
    let (subject, email) = (one(&names.subject)?, one(&names.email)?);
    for (name, text) in [(&names.subject, &subject), (&names.email, &email)] {
        if listed(text) {
            // An intermediary may have joined two headers into one.
            return Err(ambiguous(&format!("the header `{name}` has several values")));
        }
    }
    let permissions = match header::lines(headers, &names.permissions) {
        Lines::None => None,
        _ => Some(one(&names.permissions)?.unwrap_or_default()),
    };
    Ok(Identity {
        subject: subject.map(checked).transpose()?,
        name: one(&names.name)?,
        email,
        ceiling: permissions.as_deref().map(ceiling),
    })
}

/// Refuses a subject that is reserved for tokens or the operator.
fn checked(subject: String) -> Result<String, Problem> {
    match check_subject(&subject) {
        Ok(()) => Ok(subject),
        Err(error) => Err(ambiguous(&error.to_string())),
    }
}

/// The highest of the listed permissions, which have the names of An Otter Wiki. Unknown names are
/// ignored.
fn ceiling(permissions: &str) -> Option<Role> {
    let role = |word: &str| match word.to_ascii_uppercase().as_str() {
        "READ" => Some(Role::Reader),
        "WRITE" | "UPLOAD" => Some(Role::Editor),
        "ADMIN" => Some(Role::Admin),
        _ => None,
    };
    permissions.split([',', ' ', ';']).filter_map(role).max()
}

fn ambiguous(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_identity", detail.to_owned())
}
