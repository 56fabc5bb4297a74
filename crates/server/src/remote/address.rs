//! The policy on reachable hosts and addresses.
//!
//! A name is resolved once per call, all of its addresses must be public, and the connection goes to an address that
//! was checked. A later change of the name (DNS rebinding) has no effect.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;

use super::url::{Host, InvalidUrl, RemoteUrl, Scheme, host_and_port};

/// Deadline for resolving a name.
const RESOLVING: Duration = Duration::from_secs(10);

/// IPv4 networks that aren't on the public internet: first address and prefix length.
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

/// The only IPv6 range that is allocated for global unicast. Loopback, link-local, unique local, mapped IPv4, NAT64 and
/// multicast addresses are outside it.
const GIVEN_OUT_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Networks within that range that aren't on the public internet.
#[rustfmt::skip]
const RESERVED_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),               // protocol assignments, Teredo
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),           // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),               // 6to4: an IPv4 address in it
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48),       // AS112
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),               // documentation
];

/// Returns `true` if an address belongs to a single host on the public internet.
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

/// The reason for which a URL may not be reached. The state machine pauses the link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// The host isn't in the platform's list of hosts.
    #[error("this platform doesn't link wikis with {0}")]
    Host(String),
    /// `http://` to a host that the operator didn't allow.
    #[error("http:// is for hosts that the operator admits with --sync-allow; use https://")]
    Http,
    /// A port that isn't usual for git, on a host that the operator didn't allow.
    #[error(
        "port {0} isn't one that git is served at, unless the operator admits the host with --sync-allow"
    )]
    Port(u16),
    /// An address that isn't public.
    #[error(
        "{host} is at {address}, which is not on the open internet; the operator can admit it with --sync-allow"
    )]
    Address {
        /// The requested host.
        host: String,
        /// Its first blocked address.
        address: IpAddr,
    },
}

/// The reason for which a URL can't be resolved to an address.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The host may not be reached.
    #[error(transparent)]
    Blocked(#[from] Blocked),
    /// The name can't be resolved now.
    #[error("{host} can't be resolved: {source}")]
    Unknown {
        /// The name.
        host: String,
        /// The resolver's error.
        source: io::Error,
    },
}

/// `HOST[:PORT]` in an operator's option.
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

/// The hosts that this platform may reach.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Hosts allowed at any address, at any port, and with `http://` too (`--sync-allow`).
    pub admitted: Vec<Endpoint>,
    /// If given, wikis may be linked only with these hosts and the `admitted` ones.
    pub only: Option<Vec<Endpoint>>,
}

impl Policy {
    /// Checks a URL without resolving its name. Done when a link is created, and again at every run.
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

    /// Resolves this URL's host to the one address for this call.
    ///
    /// # Errors
    /// The host may not be reached, or can't be resolved.
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

    /// Picks one of the addresses of a name, preferring those for which `is_way` returns `true`; `None` if there are
    /// none. If any address is blocked, the whole name is refused: a legitimate name has no blocked address.
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
        // Among the reachable ones prefer IPv4, which is broken less often.
        let way = || found.iter().copied().filter(|address| is_way(*address));
        let chosen = way().find(IpAddr::is_ipv4).or_else(|| way().next());
        Ok(chosen.or(found.first().copied()))
    }

    fn admits(&self, host: &Host, port: u16) -> bool {
        self.admitted.iter().any(|endpoint| endpoint.covers(host, port))
    }
}

/// Returns `true` if this machine has a route to an address: some networks have only IPv4 or only IPv6. Sends no
/// packet.
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

/// The future of a [`Resolver`].
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Resolves host names.
pub trait Resolver: Send + Sync + fmt::Debug {
    /// All addresses of a name.
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> Resolving<'a>;
}

/// The system's resolver.
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
