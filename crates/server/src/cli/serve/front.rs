//! Options about proxies, browsers and limits.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use http::HeaderName;
use wikigrove_tenant::storage::files::{Keeper, read_secret};

use crate::auth::proxy::{IdentityHeaders, Network, Proxies, ProxyError};
use crate::cli::Failure;
use crate::limits::HttpLimits;
use crate::middleware::Origin;

/// Proxies, browsers and limits.
#[derive(Args, Clone, Debug)]
pub(super) struct FrontArgs {
    /// A network, or an address, of trusted proxies; may be repeated. Their X-Forwarded-For headers
    /// determine the client's address.
    #[arg(
        long = "trusted-proxy",
        value_name = "CIDR",
        env = "WIKIGROVE_TRUSTED_PROXY",
        value_delimiter = ','
    )]
    trusted_proxies: Vec<Network>,
    /// A file with the secret that proxies send as X-Wikigrove-Proxy-Secret; during a change of the
    /// secret, a second line has the other one.
    #[arg(long, value_name = "FILE", env = "WIKIGROVE_PROXY_SECRET_FILE")]
    proxy_secret_file: Option<PathBuf>,
    /// Accept users named by trusted proxies. Needs --trusted-proxy, --proxy-secret-file or a listener
    /// on a Unix socket; if several are configured, all must match.
    #[arg(long, env = "WIKIGROVE_IDENTITY_HEADERS")]
    identity_headers: bool,
    /// The header with the user's stable identifier.
    #[arg(
        long,
        value_name = "NAME",
        env = "WIKIGROVE_SUBJECT_HEADER",
        default_value = "x-otterwiki-subject"
    )]
    subject_header: HeaderName,
    /// The header with the user's display name.
    #[arg(
        long,
        value_name = "NAME",
        env = "WIKIGROVE_NAME_HEADER",
        default_value = "x-otterwiki-name"
    )]
    name_header: HeaderName,
    /// The header with the user's e-mail address.
    #[arg(
        long,
        value_name = "NAME",
        env = "WIKIGROVE_EMAIL_HEADER",
        default_value = "x-otterwiki-email"
    )]
    email_header: HeaderName,
    /// The header with the user's maximum permissions (READ, WRITE, UPLOAD, ADMIN).
    #[arg(
        long,
        value_name = "NAME",
        env = "WIKIGROVE_PERMISSIONS_HEADER",
        default_value = "x-otterwiki-permissions"
    )]
    permissions_header: HeaderName,
    /// The file mode of Unix sockets.
    #[arg(
        long,
        value_name = "MODE",
        env = "WIKIGROVE_SOCKET_MODE",
        default_value = "660",
        value_parser = mode
    )]
    pub(super) socket_mode: u32,
    /// Another site, such as https://app.example.org, whose pages may use the API; may be repeated.
    #[arg(
        long = "cors-origin",
        value_name = "URL",
        env = "WIKIGROVE_CORS_ORIGIN",
        value_delimiter = ','
    )]
    pub(super) cors_origins: Vec<Origin>,
    /// Maximum number of connections per IPv4 address or IPv6 /64; no limit for a --trusted-proxy
    /// [default: a quarter of all].
    #[arg(long, value_name = "N", env = "WIKIGROVE_CONNECTIONS_PER_ADDRESS")]
    connections_per_address: Option<usize>,
    /// Seconds that requests in flight have to finish at shutdown; the process exits at most two seconds
    /// later.
    #[arg(long, value_name = "SECONDS", env = "WIKIGROVE_SHUTDOWN_GRACE", default_value = "6")]
    shutdown_grace: u64,
    /// Maximum number of requests per second and principal; anonymous callers count per address
    /// [default: no limit].
    #[arg(long, value_name = "N", env = "WIKIGROVE_RATE_LIMIT_PRINCIPAL")]
    rate_limit_principal: Option<NonZeroU32>,
    /// Maximum number of requests per second and wiki [default: no limit].
    #[arg(long, value_name = "N", env = "WIKIGROVE_RATE_LIMIT_WIKI")]
    rate_limit_wiki: Option<NonZeroU32>,
    /// Maximum number of requests per hour and principal to audited routes of wikis; 0 for no limit.
    #[arg(
        long,
        value_name = "N",
        env = "WIKIGROVE_RATE_LIMIT_AUDITED",
        default_value_t = HttpLimits::default().audited_per_hour.map_or(0, NonZeroU32::get)
    )]
    rate_limit_audited: u32,
    /// Maximum number of requests in flight per wiki [default: half of all connections, at most 1000].
    #[arg(long, value_name = "N", env = "WIKIGROVE_REQUESTS_PER_WIKI")]
    requests_per_wiki: Option<usize>,
    /// Maximum number of bytes in memory for unread responses and for bodies being received [default:
    /// 128 MiB].
    #[arg(long, value_name = "BYTES", env = "WIKIGROVE_BYTES_IN_FLIGHT")]
    bytes_in_flight: Option<u64>,
    /// The same per principal; anonymous callers count per address [default: 32 MiB].
    #[arg(long, value_name = "BYTES", env = "WIKIGROVE_BYTES_PER_PRINCIPAL")]
    bytes_per_principal: Option<u64>,
}

impl FrontArgs {
    /// The trusted proxies; `has_socket` allows them to connect through a Unix socket.
    pub(super) fn proxies(&self, has_socket: bool) -> Result<Proxies, Failure> {
        let secrets = match &self.proxy_secret_file {
            Some(file) => {
                let shown = file.display();
                let text = String::from_utf8(read_secret(file, Keeper::Operator)?)
                    .map_err(|_| format!("{shown}: it is no text"))?;
                Proxies::secrets(&text).map_err(|error| format!("{shown}: {error}"))?
            }
            None => Vec::new(),
        };
        let identity = self.identity_headers.then(|| IdentityHeaders {
            subject: self.subject_header.clone(),
            name: self.name_header.clone(),
            email: self.email_header.clone(),
            permissions: self.permissions_header.clone(),
        });
        let networks = self.trusted_proxies.clone();
        let proxies: Result<Proxies, ProxyError> =
            Proxies::new(networks, &secrets, has_socket, identity);
        Ok(proxies.map_err(|error| error.to_string())?)
    }

    /// The networks of the trusted proxies.
    pub(super) fn networks(&self) -> &[Network] {
        &self.trusted_proxies
    }

    /// Applies these options to `limits`.
    pub(super) fn limits(&self, limits: HttpLimits) -> HttpLimits {
        // Requests to one wiki leave half of the connections to all others.
        let usual = limits.in_flight_per_wiki.min(limits.connections / 2).max(1);
        HttpLimits {
            rate_per_principal: self.rate_limit_principal,
            rate_per_wiki: self.rate_limit_wiki,
            audited_per_hour: NonZeroU32::new(self.rate_limit_audited),
            bytes_in_flight: self.bytes_in_flight.unwrap_or(limits.bytes_in_flight),
            bytes_per_principal: self.bytes_per_principal.unwrap_or(limits.bytes_per_principal),
            in_flight_per_wiki: self.requests_per_wiki.unwrap_or(usual).max(1),
            connections_per_address: self
                .connections_per_address
                .unwrap_or(limits.connections_per_address),
            shutdown_grace: Duration::from_secs(self.shutdown_grace),
            ..limits
        }
    }
}

/// Parses a file mode as `chmod` does.
fn mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("a mode is three octal digits, such as 660".to_owned()),
    }
}
