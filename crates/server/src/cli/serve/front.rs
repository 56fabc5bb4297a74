//! Options about who is in front of the server, and what they may do.

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
    /// A network, or an address, that proxies in front connect from; may be repeated. What they say of
    /// where clients are (X-Forwarded-For) is believed.
    #[arg(
        long = "trusted-proxy",
        value_name = "CIDR",
        env = "WIKIGROVE_TRUSTED_PROXY",
        value_delimiter = ','
    )]
    trusted_proxies: Vec<Network>,
    /// A file with the secret that a proxy sends as X-Wikigrove-Proxy-Secret; on a second line may be
    /// another, while one replaces the other.
    #[arg(long, value_name = "FILE", env = "WIKIGROVE_PROXY_SECRET_FILE")]
    proxy_secret_file: Option<PathBuf>,
    /// Let trusted proxies say who asks. It takes --trusted-proxy, --proxy-secret-file or a listener on
    /// a Unix socket; of several, each has to be right.
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
    /// The header with what the user may at most do (READ, WRITE, UPLOAD, ADMIN).
    #[arg(
        long,
        value_name = "NAME",
        env = "WIKIGROVE_PERMISSIONS_HEADER",
        default_value = "x-otterwiki-permissions"
    )]
    permissions_header: HeaderName,
    /// The mode of Unix sockets that are listened on.
    #[arg(
        long,
        value_name = "MODE",
        env = "WIKIGROVE_SOCKET_MODE",
        default_value = "660",
        value_parser = mode
    )]
    pub(super) socket_mode: u32,
    /// Another site, such as https://app.example.org, whose pages may use the wikis; may be repeated.
    #[arg(
        long = "cors-origin",
        value_name = "URL",
        env = "WIKIGROVE_CORS_ORIGIN",
        value_delimiter = ','
    )]
    pub(super) cors_origins: Vec<Origin>,
    /// The most connections at once of one address, and of IPv6 of one /64; a --trusted-proxy may have as many
    /// as there are [default: a quarter of all].
    #[arg(long, value_name = "N", env = "WIKIGROVE_CONNECTIONS_PER_ADDRESS")]
    connections_per_address: Option<usize>,
    /// How many seconds requests that are being answered may take when the server ends; two seconds later it has
    /// ended in any case.
    #[arg(long, value_name = "SECONDS", env = "WIKIGROVE_SHUTDOWN_GRACE", default_value = "6")]
    shutdown_grace: u64,
    /// The most requests a second of one principal; without a credential, of one address
    /// [default: no limit].
    #[arg(long, value_name = "N", env = "WIKIGROVE_RATE_LIMIT_PRINCIPAL")]
    rate_limit_principal: Option<NonZeroU32>,
    /// The most requests a second to one wiki [default: no limit].
    #[arg(long, value_name = "N", env = "WIKIGROVE_RATE_LIMIT_WIKI")]
    rate_limit_wiki: Option<NonZeroU32>,
    /// The most requests an hour of one principal to audited routes of wikis; 0 is no limit.
    #[arg(
        long,
        value_name = "N",
        env = "WIKIGROVE_RATE_LIMIT_AUDITED",
        default_value_t = HttpLimits::default().audited_per_hour.map_or(0, NonZeroU32::get)
    )]
    rate_limit_audited: u32,
    /// The most requests to one wiki at once [default: half of what may be at all, at most 1000].
    #[arg(long, value_name = "N", env = "WIKIGROVE_REQUESTS_PER_WIKI")]
    requests_per_wiki: Option<usize>,
    /// The most bytes in memory for answers that clients haven't read yet, and for bodies they send
    /// [default: 128 MiB].
    #[arg(long, value_name = "BYTES", env = "WIKIGROVE_BYTES_IN_FLIGHT")]
    bytes_in_flight: Option<u64>,
    /// The same for one principal; without a credential, for one address [default: 32 MiB].
    #[arg(long, value_name = "BYTES", env = "WIKIGROVE_BYTES_PER_PRINCIPAL")]
    bytes_per_principal: Option<u64>,
}

impl FrontArgs {
    /// The proxies that are believed; `has_socket` says whether one may come by a Unix socket.
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

    /// The networks of the proxies that are believed.
    pub(super) fn networks(&self) -> &[Network] {
        &self.trusted_proxies
    }

    /// `limits`, as these options change them.
    pub(super) fn limits(&self, limits: HttpLimits) -> HttpLimits {
        // Whatever comes to one wiki leaves half of the connections to the others.
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

/// A mode as `chmod` has it.
fn mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("a mode is three octal digits, such as 660".to_owned()),
    }
}
