//! Which hosts may be reached, and at which address.
//!
//! A name is resolved once for each call, all of the answers have to be addresses of the open
//! internet, and the call goes to the one that was looked at: what a name means a moment later
//! doesn't matter any more.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;

use super::url::{Host, InvalidUrl, RemoteUrl, Scheme, host_and_port};

/// How long a name may take.
const RESOLVING: Duration = Duration::from_secs(10);

/// Networks of IPv4 that are no place on the open internet: first address and length of the prefix.
#[rustfmt::skip]
const RESERVED_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),         // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),        // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),     // behind a carrier's NAT; a cloud's metadata
    (Ipv4Addr::new(127, 0, 0, 0), 8),       // loopback
    (Ipv4Addr::new(168, 63, 129, 16), 32),  // a cloud's metadata
    (Ipv4Addr::new(169, 254, 0, 0), 16),    // link-local; clouds' metadata
    (Ipv4Addr::new(172, 16, 0, 0), 12),     // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),      // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),      // documentation
    (Ipv4Addr::new(192, 31, 196, 0), 24),   // AS112
    (Ipv4Addr::new(192, 52, 193, 0), 24),   // AMT
    (Ipv4Addr::new(192, 88, 99, 0), 24),    // 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16),    // private
    (Ipv4Addr::new(192, 175, 48, 0), 24),   // AS112
    (Ipv4Addr::new(198, 18, 0, 0), 15),     // benchmarking
    (Ipv4Addr::new(198, 51, 100, 0), 24),   // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),    // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),       // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),       // reserved, broadcast
];

/// The only part of IPv6 that is given out: everything else (loopback, link-local, unique local,
/// mapped IPv4, NAT64, multicast) is outside of it.
const GIVEN_OUT_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What inside of it isn't a place.
#[rustfmt::skip]
const RESERVED_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),               // protocol assignments, Teredo
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),           // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),               // 6to4: an IPv4 address in it
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48),       // AS112
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),               // documentation
];

/// Whether an address is one host's on the open internet.
pub fn is_global_unicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let within = |(net, length): &(Ipv4Addr, u32)| {
                (address.to_bits() ^ net.to_bits()).leading_zeros() >= *length
            };
            !RESERVED_V4.iter().any(within)
        }
        IpAddr::V6(address) => {
            let within = |(net, length): &(Ipv6Addr, u32)| {
                (address.to_bits() ^ net.to_bits()).leading_zeros() >= *length
            };
            within(&GIVEN_OUT_V6) && !RESERVED_V6.iter().any(within)
        }
    }
}

/// Why a place can't be reached. The state machine pauses a link for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// The platform's list of hosts doesn't have it.
    #[error("this platform doesn't link wikis with {0}")]
    Host(String),
    /// `http://`, to a host that the operator didn't admit.
    #[error("http:// is for hosts that the operator admits with --sync-allow; use https://")]
    Http,
    /// A port that git isn't served at, and that the operator didn't admit.
    #[error(
        "port {0} isn't one that git is served at, unless the operator admits the host with --sync-allow"
    )]
    Port(u16),
    /// An address inside some network.
    #[error(
        "{host} is at {address}, which is not on the open internet; the operator can admit it with --sync-allow"
    )]
    Address {
        /// The host that was asked for.
        host: String,
        /// The first of its addresses that may not be reached.
        address: IpAddr,
    },
}

/// Why there is no address to go to.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// It may not be reached.
    #[error(transparent)]
    Blocked(#[from] Blocked),
    /// The name can't be resolved now.
    #[error("{host} can't be resolved: {source}")]
    Unknown {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
}

/// `HOST[:PORT]` as an operator gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    host: Host,
    port: Option<u16>,
}

impl Endpoint {
    fn covers(&self, host: &Host, port: u16) -> bool {
        self.host == *host && self.port.is_none_or(|own| own == port)
    }
}

impl FromStr for Endpoint {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let (host, port) = host_and_port(text)?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        write!(f, "{}{port}", self.host)
    }
}

/// What this platform may reach.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Hosts that are reached wherever they are, at any port, and with `http://` too (`--sync-allow`).
    pub admitted: Vec<Endpoint>,
    /// If given, the only hosts that wikis may be linked with, besides the admitted ones.
    pub only: Option<Vec<Endpoint>>,
}

impl Policy {
    /// What can be said of a URL without asking anybody. For the moment when a link is made; it is
    /// said again at every run.
    ///
    /// # Errors
    /// [`Blocked`].
    pub fn check(&self, url: &RemoteUrl) -> Result<(), Blocked> {
        let ports: &[u16] = match url.scheme() {
            Scheme::Ssh => &[22, 443, 2222, 7999, 29418],
            Scheme::Https => &[443, 8443],
            Scheme::Http => &[],
        };
        if self.admits(url.host(), url.port()) {
            return Ok(());
        }
        if url.scheme() == Scheme::Http {
            return Err(Blocked::Http);
        }
        if let Some(only) = &self.only
            && !only.iter().any(|endpoint| endpoint.covers(url.host(), url.port()))
        {
            return Err(Blocked::Host(url.host().to_string()));
        }
        if !ports.contains(&url.port()) {
            return Err(Blocked::Port(url.port()));
        }
        match url.host() {
            Host::Address(address) => check_address(url.host(), *address),
            Host::Name(_) => Ok(()),
        }
    }

    /// The one address that this URL's host is reached at, this time.
    ///
    /// # Errors
    /// It may not be reached, or isn't known.
    pub async fn resolve(
        &self,
        url: &RemoteUrl,
        resolver: &dyn Resolver,
    ) -> Result<IpAddr, ResolveError> {
        self.check(url)?;
        let name = match url.host() {
            Host::Address(address) => return Ok(*address),
            Host::Name(name) => name,
        };
        let unknown = |source| ResolveError::Unknown { host: name.clone(), source };
        let found = match tokio::time::timeout(RESOLVING, resolver.resolve(name, url.port())).await
        {
            Ok(found) => found.map_err(unknown)?,
            Err(_) => return Err(unknown(io::ErrorKind::TimedOut.into())),
        };
        let chosen = self.choose(url, &found, has_route)?;
        chosen.ok_or_else(|| unknown(io::ErrorKind::NotFound.into()))
    }

    /// Picks one of the answers, if there is one to which there `is_way` from here; `None` if there are none.
    /// One that may not be reached spoils all: an honest name has none of those.
    ///
    /// # Errors
    /// [`Blocked::Address`].
    pub fn choose(
        &self,
        url: &RemoteUrl,
        found: &[IpAddr],
        is_way: impl Fn(IpAddr) -> bool,
    ) -> Result<Option<IpAddr>, Blocked> {
        if !self.admits(url.host(), url.port()) {
            found.iter().try_for_each(|address| check_address(url.host(), *address))?;
        }
        // Of those that can be reached IPv4 is the one that is broken less often.
        let way = || found.iter().copied().filter(|address| is_way(*address));
        let chosen = way().find(IpAddr::is_ipv4).or_else(|| way().next());
        Ok(chosen.or(found.first().copied()))
    }

    fn admits(&self, host: &Host, port: u16) -> bool {
        self.admitted.iter().any(|endpoint| endpoint.covers(host, port))
    }
}

/// Whether this machine knows a way to an address: there are networks with one kind of addresses only.
/// Nothing is sent.
fn has_route(address: IpAddr) -> bool {
    let local: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    UdpSocket::bind((local, 0)).and_then(|socket| socket.connect((address, 9))).is_ok()
}

fn check_address(host: &Host, address: IpAddr) -> Result<(), Blocked> {
    if is_global_unicast(address) {
        return Ok(());
    }
    Err(Blocked::Address { host: host.to_string(), address })
}

/// The answer of a [`Resolver`], later.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Who knows the addresses of names.
pub trait Resolver: Send + Sync + fmt::Debug {
    /// All addresses of a name.
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> Resolving<'a>;
}

/// The machine's own resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> Resolving<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, port)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

#[cfg(test)]
mod tests;
