//! Who asks, in the words of a proxy that signed them in.
//!
//! Off until configured, and then only with something that tells the proxy from everybody else: the
//! networks it connects from, a Unix socket, a shared secret, or several, of which then each counts. It
//! is the peer of the connection that is judged; `X-Forwarded-For` says nothing of who may speak for
//! others. From anybody else the headers are taken out of the request and change nothing.
//!
//! `Proxies::judge` is a function of the peer and the headers alone.

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

/// What became of a request's headers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    /// Where the client is, as far as somebody who can be believed says so.
    pub(crate) client: Option<IpAddr>,
    /// Whom a trusted proxy named.
    pub(crate) identity: Option<Identity>,
}

/// What a trusted proxy says of who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// `None` is somebody who isn't signed in.
    subject: Option<String>,
    name: Option<String>,
    email: Option<String>,
    /// The most that the proxy lets them be; `None` if it doesn't say.
    ceiling: Option<Option<Role>>,
}

impl Identity {
    /// Whether it is somebody.
    pub(crate) fn is_somebody(&self) -> bool {
        self.subject.is_some()
    }

    /// The caller that this is.
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

    /// Somebody who may do no more than the proxy says.
    pub(crate) fn limit(&self, caller: Caller) -> Caller {
        match self.ceiling {
            Some(ceiling) => caller.limited_to(ceiling),
            None => caller,
        }
    }
}

impl Proxies {
    /// Takes the headers that only a proxy may set out of `headers`, and says what they mean.
    ///
    /// # Errors
    /// 400 for headers of a trusted proxy that can be read in more than one way.
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

    /// Whether what this peer says of others is to be believed.
    fn trusts(&self, peer: Option<Peer>, headers: &HeaderMap) -> bool {
        let comes_from_there = match peer {
            Some(Peer::Local) => self.socket,
            // Then the secret is all there is to tell.
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

    /// Digests are compared, so how long it takes says nothing about the secret.
    fn knows_secret(&self, headers: &HeaderMap) -> bool {
        let mut sent = headers.get_all(PROXY_SECRET).iter();
        let (Some(secret), None) = (sent.next(), sent.next()) else { return false };
        let digest = <[u8; 32]>::from(Sha256::digest(secret.as_bytes()));
        // All of them, so that it doesn't say either which of them it is.
        self.secrets.iter().fold(false, |known, secret| known | (*secret == digest))
    }
}

/// Reads what a trusted proxy says.
fn identity(names: &IdentityHeaders, headers: &HeaderMap) -> Result<Identity, Problem> {
    for name in names.all() {
        if let Some(other) = header::look_alike(headers, name) {
            // Software behind some proxies takes them for the same header.
            let detail = format!("the header `{other}` looks like `{name}`");
            return Err(ambiguous(&detail));
        }
    }
    let one = |name| header::one(headers, name);
    let listed = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains(','));
    let (subject, email) = (one(&names.subject)?, one(&names.email)?);
    for (name, text) in [(&names.subject, &subject), (&names.email, &email)] {
        if listed(text) {
            // Two headers that somebody on the way made one.
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

/// A subject that can be a user's: those of tokens and of the operator are ours.
fn checked(subject: String) -> Result<String, Problem> {
    match check_subject(&subject) {
        Ok(()) => Ok(subject),
        Err(error) => Err(ambiguous(&error.to_string())),
    }
}

/// The greatest role of the permissions that are listed, in the words of An Otter Wiki. Words that
/// mean nothing here give nothing.
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
