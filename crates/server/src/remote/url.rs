//! The parsed addresses that users configure for a wiki: a URL, a branch, a subdirectory. Parsed once, then trusted.
//!
//! git's own parser is lenient: a single word is a directory, `C:\repo` a host called `C`, and some inputs become
//! options of ssh. So only three plain forms are accepted here, and git gets the parsed form, never the user's input.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use wikigrove_tenant::{InvalidPath, PagePath};

/// The longest URL, in bytes.
const MAX_URL: usize = 2048;
/// The longest user name, in bytes.
const MAX_USER: usize = 64;
/// The longest branch name, in bytes: with `refs/heads/` and `.lock` it fits into a file name.
const MAX_BRANCH: usize = 200;

/// A URL that can't be used for a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the URL can't be used: {0}")]
pub struct InvalidUrl(&'static str);

impl InvalidUrl {
    pub(super) fn new(why: &'static str) -> Self {
        Self(why)
    }
}

/// The protocol of a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP over TLS.
    Https,
    /// Unencrypted HTTP, only for hosts that the operator allows.
    Http,
    /// SSH, with a key.
    Ssh,
}

impl Scheme {
    /// The scheme as it is written in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::Ssh => "ssh",
        }
    }

    /// The port of a URL that states none.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
            Self::Ssh => 22,
        }
    }
}

/// A host: a DNS name in lower case, or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name that has to be resolved.
    Name(String),
    /// An IP address.
    Address(IpAddr),
}

impl Host {
    /// The host without the brackets of an IPv6 address, as ssh expects it.
    pub fn bare(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Address(address) => address.to_string(),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
        }
    }
}

impl FromStr for Host {
    type Err = InvalidUrl;

    /// Parses a DNS name or an address. Other notations of an address that a C library accepts (`127.1`, `0x7f000001`,
    /// `2130706433`) are refused.
    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address: Ipv6Addr =
                inner.parse().map_err(|_| InvalidUrl("the address in brackets is none"))?;
            return Ok(Self::Address(address.into()));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        if text.is_empty() || text.len() > 253 {
            return Err(InvalidUrl("the host is empty or too long"));
        }
        if !text.split('.').all(is_label) {
            return Err(InvalidUrl("the host is no DNS name"));
        }
        let last = text.rsplit('.').next().unwrap_or(text);
        if last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x") {
            return Err(InvalidUrl("the host is a number and not an address"));
        }
        Ok(Self::Name(text.to_ascii_lowercase()))
    }
}

/// Returns `true` for letters, digits and inner hyphens.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The URL of a remote: `https://host[:port]/path`, `ssh://[user@]host[:port]/path` or `user@host:path`. It never
/// contains a password.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RemoteUrl {
    scheme: Scheme,
    user: Option<String>,
    host: Host,
    port: Option<u16>,
    /// With a leading `/`, except in the short form.
    path: String,
}

impl RemoteUrl {
    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The user name of an SSH URL.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The explicit port, or the scheme's default.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(self.scheme.default_port())
    }

    /// The URL without its path, such as `https://example.org:8443`.
    pub fn origin(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}", self.scheme.as_str(), self.host)
    }
}

impl FromStr for RemoteUrl {
    type Err = InvalidUrl;

    /// Parses one of the three forms. `http://` is parsed, too: [`Policy`](super::Policy) decides if it may be used,
    /// and checks addresses.
    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        if text.len() > MAX_URL {
            return Err(InvalidUrl("it is longer than 2,048 bytes"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidUrl(
                "it holds a space, a control character or a letter beyond ASCII",
            ));
        }
        let Some((scheme, rest)) = text.split_once("://") else { return short(text) };
        let scheme = match scheme {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            "ssh" => Scheme::Ssh,
            _ => return Err(InvalidUrl("only https:// and ssh:// can be used")),
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => return Err(InvalidUrl("it has no path")),
        };
        let (user, place) = match authority.split_once('@') {
            Some((user, place)) if scheme == Scheme::Ssh => (Some(checked_user(user)?), place),
            Some(_) => {
                return Err(InvalidUrl("a user or token in it: give credentials apart from it"));
            }
            None => (None, authority),
        };
        let (host, port) = host_and_port(place)?;
        check_path(&path[1..])?;
        // The default port is dropped, so that each place has one spelling.
        let port = port.filter(|port| *port != scheme.default_port());
        Ok(Self { scheme, user, host, port, path: path.to_owned() })
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        if !self.path.starts_with('/') {
            return write!(f, "{user}{}:{}", self.host, self.path);
        }
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        write!(f, "{}://{user}{}{port}{}", self.scheme.as_str(), self.host, self.path)
    }
}

/// Parses `user@host:path`. The user is required: without it, a drive letter would be a host.
fn short(text: &str) -> Result<RemoteUrl, InvalidUrl> {
    const FORMS: InvalidUrl = InvalidUrl("it has to be https://, ssh:// or user@host:path");
    let (user, rest) = text.split_once('@').ok_or(FORMS)?;
    let (host, path) = rest.split_once(':').ok_or(FORMS)?;
    let user = checked_user(user)?;
    let host: Host = host.parse()?;
    if path.starts_with('/') {
        // The same as `ssh://`, and git gets it in that form.
        return format!("ssh://{user}@{host}{path}").parse();
    }
    check_path(path)?;
    Ok(RemoteUrl { scheme: Scheme::Ssh, user: Some(user), host, port: None, path: path.to_owned() })
}

fn checked_user(user: &str) -> Result<String, InvalidUrl> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if user.is_empty() || user.len() > MAX_USER || user.starts_with('-') || !user.bytes().all(plain)
    {
        return Err(InvalidUrl("the user is no plain name"));
    }
    Ok(user.to_owned())
}

/// Splits `host`, `host:port`, `[address]` and `[address]:port`.
pub(super) fn host_and_port(place: &str) -> Result<(Host, Option<u16>), InvalidUrl> {
    let end = place.rfind(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match place[end..].split_once(':') {
        Some((rest, port)) => (&place[..end + rest.len()], Some(port)),
        None => (place, None),
    };
    let digits = |port: &&str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.map(|port| {
        let number = Some(port).filter(digits).and_then(|port| port.parse::<u16>().ok());
        number.filter(|port| *port > 0).ok_or(InvalidUrl("the port is none"))
    });
    Ok((host.parse()?, port.transpose()?))
}

/// Checks a path without its leading slash: an accepted path means the same to git, curl, ssh and the remote's shell.
fn check_path(path: &str) -> Result<(), InvalidUrl> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/+@=,:%".contains(&byte);
    if !path.bytes().all(plain) {
        return Err(InvalidUrl("the path holds a character that no repository needs"));
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    for segment in path.split('/') {
        match segment {
            "" => return Err(InvalidUrl("the path is empty, or a part of it is")),
            "." | ".." => return Err(InvalidUrl("the path holds . or ..")),
            _ if segment.starts_with('-') => {
                return Err(InvalidUrl("a part of the path starts like an option"));
            }
            _ => {}
        }
    }
    for (at, _) in path.match_indices('%') {
        let code =
            path.get(at + 1..at + 3).filter(|code| code.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        match byte {
            Some(byte) if byte > b' ' && byte != 0x7f && !b"-./\\".contains(&byte) => {}
            Some(b' ') => {}
            _ => {
                return Err(InvalidUrl("the path holds a code for a character that it can't hold"));
            }
        }
    }
    Ok(())
}

/// A branch name that can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the branch can't be used: {0}")]
pub struct InvalidBranch(&'static str);

/// The name of a remote's branch, without `refs/heads/`. Stricter than git, so that it is a plain ref name in every
/// context.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Branch(String);

impl Branch {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The full name, such as `refs/heads/main`.
    pub fn full(&self) -> String {
        format!("refs/heads/{}", self.0)
    }
}

impl FromStr for Branch {
    type Err = InvalidBranch;

    fn from_str(text: &str) -> Result<Self, InvalidBranch> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
        if text.is_empty() || text.len() > MAX_BRANCH {
            return Err(InvalidBranch("it is empty, or longer than 200 bytes"));
        }
        if !text.bytes().all(plain) {
            return Err(InvalidBranch("it may hold letters, digits and . _ / - only"));
        }
        if text.starts_with('-') || text == "HEAD" || text.starts_with("refs/") {
            return Err(InvalidBranch("it looks like an option, HEAD or a full ref"));
        }
        if text.ends_with('.') || text.contains("..") {
            return Err(InvalidBranch("it ends with a dot or holds two of them"));
        }
        let is_part = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && !part.to_ascii_lowercase().ends_with(".lock")
        };
        if !text.split('/').all(is_part) {
            return Err(InvalidBranch(
                "a part of it is empty, starts with a dot or ends with .lock",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The directory of a remote that holds the wiki, such as `docs`. It follows the rules of page paths, so it can't be a
/// special path of git.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subdirectory(PagePath);

impl Subdirectory {
    /// The path, without a slash at either end.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for Subdirectory {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        PagePath::new(text.strip_suffix('/').unwrap_or(text)).map(Self)
    }
}

#[cfg(test)]
mod tests;
