//! `wikigrove serve`: opens everything, prints the addresses, and serves until told to stop.

mod ending;
mod front;
mod sync;

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser};
use wikigrove_tenant::{Platform, Settings};

use super::Failure;
use super::local::Place;
use super::through::Running;
use crate::app::{self, Addresses};
use crate::auth::Authenticator;
use crate::limits::HttpLimits;
use crate::operator_token::{self, OperatorToken};
use crate::serve::{Listen, Listener, serve_behind};
use crate::sync::runner::Remotes;
use crate::welcome;
use ending::Ending;
use front::FrontArgs;
use sync::SyncArgs;

/// File descriptors reserved for sockets, logs and the platform's own database.
const RESERVED_FILES: u64 = 256;
/// Maximum number of file descriptors of an open wiki: four connections of three files, and a pack.
const FILES_PER_WIKI: u64 = 16;

/// Addresses and limits of the server.
#[derive(Args, Clone, Debug)]
pub(super) struct ServeArgs {
    /// Where to serve the wikis: an address (port 0 selects a free port), or unix:PATH; may be repeated.
    #[arg(
        long,
        value_name = "ADDR",
        env = "WIKIGROVE_LISTEN",
        default_value = "127.0.0.1:8080",
        value_delimiter = ','
    )]
    listen: Vec<Listen>,
    /// Where to serve the admin API.
    #[arg(
        long,
        value_name = "ADDR",
        env = "WIKIGROVE_ADMIN_LISTEN",
        default_value = "127.0.0.1:8081"
    )]
    admin_listen: SocketAddr,
    /// Give each wiki a host of its own, `{slug}.DOMAIN`.
    #[arg(long, value_name = "DOMAIN", env = "WIKIGROVE_BASE_DOMAIN")]
    base_domain: Option<String>,
    /// The public base URL of the wikis, such as https://wiki.example.org.
    #[arg(long, value_name = "URL", env = "WIKIGROVE_PUBLIC_URL", value_parser = url)]
    public_url: Option<String>,
    /// The operator's token, instead of the one in `<data>/operator-token`.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "WIKIGROVE_ADMIN_TOKEN",
        hide = true,
        hide_env_values = true
    )]
    admin_token: Option<String>,
    /// Maximum number of open wikis [default: derived from the limit of open files, at most 500].
    #[arg(long, value_name = "N", env = "WIKIGROVE_OPEN_WIKIS")]
    open_wikis: Option<usize>,
    /// Maximum size of an attachment, in bytes [default: 100 MB].
    #[arg(long, value_name = "BYTES", env = "WIKIGROVE_ATTACHMENT_LIMIT")]
    attachment_limit: Option<u64>,
    /// Maximum size of a wiki on disk, in bytes, including history, index and drafts, unless the wiki
    /// has a limit of its own [default: 10 GB].
    #[arg(long, value_name = "BYTES", env = "WIKIGROVE_DISK_LIMIT")]
    disk_limit: Option<u64>,
    /// Maximum size of a git push, in bytes [default: 1 GB].
    #[arg(long, value_name = "BYTES", env = "WIKIGROVE_PACK_LIMIT")]
    pack_limit: Option<u64>,
    /// Number of days that the audit log is kept.
    #[arg(long, value_name = "DAYS", env = "WIKIGROVE_AUDIT_DAYS", default_value_t = 365)]
    audit_days: u32,
    /// Maximum number of rows in the audit log, of about 300 bytes each.
    #[arg(
        long,
        value_name = "N",
        env = "WIKIGROVE_AUDIT_ROWS",
        default_value_t = Settings::default().audit_rows
    )]
    audit_rows: u64,
    #[command(flatten)]
    front: FrontArgs,
    #[command(flatten)]
    sync: SyncArgs,
}

#[derive(Parser)]
struct Defaults {
    #[command(flatten)]
    serve: ServeArgs,
}

impl ServeArgs {
    /// The arguments without a command: the defaults and the environment.
    pub(super) fn from_environment() -> Self {
        Defaults::parse_from(["wikigrove"]).serve
    }
}

pub(super) async fn serve(place: Place, args: ServeArgs) -> Result<(), Failure> {
    let files = raise_file_limit();
    let mut limits = args.front.limits(limits(files));
    let has_socket = args.listen.iter().any(|listen| matches!(listen, Listen::Unix(_)));
    // Before anything is opened, so that an invalid proxy configuration stops the start.
    let proxies = args.front.proxies(has_socket)?;
    if let Some(limit) = args.pack_limit {
        limits.git.pack_bytes = limit;
    }
    let options = args.sync.options()?;
    let mut settings =
        Settings { secret_key_file: place.secret_key_file, ..settings(args.open_wikis, files) };
    if let Some(limit) = args.attachment_limit {
        settings.attachment_limit = limit;
    }
    settings.audit_kept_for = Duration::from_secs(u64::from(args.audit_days) * 24 * 3600);
    settings.audit_rows = args.audit_rows;
    if let Some(limit) = args.disk_limit {
        settings.disk_limit = limit;
    }
    let platform = Platform::open_with(&place.data, settings).await?;
    let token = operator_token::load_or_create(&place.data, args.admin_token)?;
    let is_new = welcome::create_if_empty(&platform).await?;
    let admin = bind(&Listen::Tcp(args.admin_listen), 0).await?;
    if !args.admin_listen.ip().is_loopback() {
        tracing::warn!(
            address = %args.admin_listen,
            "the control plane can be reached from other machines, in plain HTTP: whoever reads along has the operator's token"
        );
    }
    let admin_address = admin.address()?.to_string();
    let mut public = Vec::new();
    for listen in &args.listen {
        public.push(bind(listen, args.front.socket_mode).await?);
    }
    let public_addresses: Vec<String> = public
        .iter()
        .filter_map(|listener| match listener.address() {
            Ok(Listen::Tcp(address)) => Some(address.to_string()),
            _ => None,
        })
        .collect();
    let public_url = match &args.public_url {
        Some(url) => url.clone(),
        None => reached_at(&public)?,
    };
    let auth = Authenticator::new(platform.clone(), &token.secret);
    let addresses = Addresses {
        public_url: args.public_url,
        base_domain: args.base_domain,
        cors_origins: args.front.cors_origins.clone(),
    };
    let remotes = Remotes::start(&platform, options).await?;
    let control = app::control_with(&platform, &auth, &public_url, &limits, &remotes);
    let router = app::public_with(&platform, &auth.behind(proxies), &addresses, &limits, &remotes);
    let mut listeners: Vec<_> =
        public.into_iter().map(|listener| (listener, router.clone())).collect();
    listeners.push((admin, control));
    let running =
        Running { admin: admin_address.clone(), wikis: public_addresses.into_iter().next() };
    let _announced = running.announce(&place.data)?;
    let (ending, signalled) = Ending::on_signal(limits.shutdown_grace)?;
    say(&greeting(&public_url, &admin_address, &token, is_new));
    let cut = serve_behind(args.front.networks(), listeners, &limits, signalled).await;
    if cut > 0 {
        tracing::warn!(connections = cut, "some connections were cut when their time was over");
    }
    ending.goes_on_to("links are being ended");
    remotes.stop().await;
    ending.goes_on_to("wikis are being closed");
    platform.close().await;
    ending.goes_on_to("the last work is being ended");
    Ok(())
}

/// Parses a base URL of the wikis. An invalid URL would match no host, and every host would serve every
/// wiki.
fn url(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches('/');
    let uri: http::Uri = text.parse().map_err(|error| format!("{error}"))?;
    match (uri.scheme_str(), uri.host(), uri.path_and_query().map(|rest| rest.as_str())) {
        (Some("http" | "https"), Some(_), None | Some("/")) => Ok(text.to_owned()),
        _ => Err("it must be https:// or http:// and a host, such as https://wiki.example.org"
            .to_owned()),
    }
}

async fn bind(to: &Listen, mode: u32) -> Result<Listener, Failure> {
    Listener::bind(to, mode).await.map_err(|error| format!("can't listen on {to}: {error}").into())
}

/// The address of the first TCP listener, or else the path of the socket.
fn reached_at(listeners: &[Listener]) -> Result<String, Failure> {
    let mut at = String::new();
    for listener in listeners {
        match listener.address()? {
            Listen::Tcp(address) => return Ok(format!("http://{address}")),
            socket @ Listen::Unix(_) => at = socket.to_string(),
        }
    }
    Ok(at)
}

/// Limits each of the two listeners to an eighth of all file descriptors, so that a flood of clients
/// can't keep the server from opening wikis.
fn limits(files: u64) -> HttpLimits {
    let defaults = HttpLimits::default();
    let share = usize::try_from(files / 8).unwrap_or(usize::MAX).max(1);
    let connections = defaults.connections.min(share);
    // A browser opens six, and several people may share an address.
    let connections_per_address = (connections / 4).max(16);
    HttpLimits { connections, connections_per_address, ..defaults }
}

/// Limits the number of open wikis by the limit of open files.
fn settings(open_wikis: Option<usize>, files: u64) -> Settings {
    let defaults = Settings::default();
    let sockets = files / 4;
    let left = files.saturating_sub(RESERVED_FILES + sockets);
    let possible = usize::try_from(left / FILES_PER_WIKI).unwrap_or(usize::MAX).max(1);
    Settings {
        open_wikis: open_wikis.unwrap_or(defaults.open_wikis).clamp(1, possible),
        ..defaults
    }
}

/// Raises the soft limit of open files to the hard limit, and returns it.
fn raise_file_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum.unwrap_or(u64::MAX),
        Err(_) => current.unwrap_or(u64::MAX),
    }
}

/// The startup message: addresses, and commands to try.
fn greeting(public_url: &str, admin: &str, token: &OperatorToken, is_new: bool) -> String {
    let (place, secret) = match &token.file {
        Some(file) => {
            let quoted = file.display().to_string().replace('\'', r"'\''");
            (file.display().to_string(), format!("$(cat '{quoted}')"))
        }
        None => ("WIKIGROVE_ADMIN_TOKEN".to_owned(), "$WIKIGROVE_ADMIN_TOKEN".to_owned()),
    };
    let mut text = format!(
        "wikis   {public_url}/w/<slug>/\nadmin   http://{admin}/admin/v1/\ntoken   the operator's token is in {place}\n"
    );
    if token.is_new && std::io::stdout().is_terminal() {
        text += &format!("        it was made just now: {}\n", token.secret);
    }
    if is_new {
        text += &format!(
            "
A wiki was created to begin with: {public_url}/w/{slug}/

Read a page:
  curl {public_url}/w/{slug}/api/v1/pages/home
Write one:
  curl -X PUT -H \"Authorization: Bearer {secret}\" -H 'If-None-Match: *' -H 'Content-Type: application/json' -d '{{\"content\": \"# Roses\\n\"}}' {public_url}/w/{slug}/api/v1/pages/roses
Create another wiki:
  curl -H \"Authorization: Bearer {secret}\" -H 'Content-Type: application/json' -d '{{\"slug\": \"garden\"}}' http://{admin}/admin/v1/wikis
",
            slug = welcome::SLUG,
        );
    }
    text
}

fn say(text: &str) {
    let mut out = std::io::stdout();
    // Serve even if the message can't be written.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_a_scheme_and_a_host() {
        assert_eq!(url("https://wiki.example.org/").as_deref(), Ok("https://wiki.example.org"));
        assert_eq!(url("http://127.0.0.1:8080").as_deref(), Ok("http://127.0.0.1:8080"));
        for bad in [
            "",
            "wiki.example.org",
            "ftp://a",
            "https://",
            "https://a b",
            "https://a/b",
            "https://a?x",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn wikis_and_connections_fit_into_the_descriptors() {
        for files in [1024, 4096, 1 << 20, u64::MAX] {
            let (wikis, connections) =
                (settings(None, files).open_wikis, limits(files).connections);
            let needed = wikis as u128 * u128::from(FILES_PER_WIKI) + 2 * connections as u128;
            assert!(needed + u128::from(RESERVED_FILES) <= u128::from(files), "{files}");
        }
    }
}
