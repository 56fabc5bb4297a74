//! The servers of the load script, each in a process of its own, so that what is compared has the
//! same surroundings. They end when their standard input does, which is when the script ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use tokio::net::TcpListener;
use wikigrove_server::app::{self, Addresses};
use wikigrove_server::auth::Authenticator;
use wikigrove_server::limits::HttpLimits;
use wikigrove_server::serve::serve;
use wikigrove_tenant::{Base, Caller, NewTenant, Platform, Visibility};

/// The wiki that is read.
pub(crate) const READ: &str = "read";
/// How many pages it has.
pub(crate) const PAGES: usize = 1000;
/// How large each of them is, and the bare handler's answer.
pub(crate) const BYTES: usize = 5000;
/// The wikis that are written are called `write-0` and so on.
pub(crate) const WRITTEN: usize = 16;
/// The operator's token.
pub(crate) const TOKEN: &str = "token-of-the-load-script";

/// What a process serves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A handler that answers from memory, below `axum::serve`.
    Bare,
    /// The same below this crate's `serve`.
    Ours,
    /// Wikis.
    Wikis,
    /// The same, with ten times as many pages to read.
    LargeWikis,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Bare => "serve-bare",
            Self::Ours => "serve-ours",
            Self::Wikis => "serve-wikis",
            Self::LargeWikis => "serve-large-wikis",
        }
    }

    /// What this process is to serve, if it was started by the script.
    pub(crate) fn of_this_process() -> Option<Self> {
        let asked = std::env::args().nth(1)?;
        let all = [Self::Bare, Self::Ours, Self::Wikis, Self::LargeWikis];
        all.into_iter().find(|kind| kind.name() == asked)
    }

    /// Number of pages in the wiki that is read.
    pub(crate) fn pages(self) -> usize {
        match self {
            Self::LargeWikis => 10 * PAGES,
            Self::Bare | Self::Ours | Self::Wikis => PAGES,
        }
    }
}

/// A server in another process.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(kind: Kind) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(kind.name())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().parse().expect("the server says where it is");
        Self { child, address }
    }

    /// The processor time it has used so far, where the system tells (Linux, in ticks of 10 ms).
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // After the name, which may contain anything: user and system time are fields 14 and 15.
        let fields = stat.rsplit_once(')')?.1.split_whitespace();
        let ticks: u64 =
            fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Some(Duration::from_millis(ticks * 10))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Serves until the script ends.
pub(crate) fn run(kind: Kind) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits =
            HttpLimits { shutdown_grace: Duration::from_millis(100), ..HttpLimits::default() };
        match kind {
            Kind::Bare => {
                say(address);
                tokio::select! {
                    ended = axum::serve(listener, bare()) => ended.unwrap(),
                    () = end_of_input() => {}
                }
            }
            Kind::Ours => {
                say(address);
                serve(vec![(listener, bare())], &limits, end_of_input()).await;
            }
            Kind::Wikis | Kind::LargeWikis => {
                let data = tempfile::tempdir().unwrap();
                let platform = platform(data.path(), kind.pages()).await;
                let auth = Authenticator::new(platform.clone(), TOKEN);
                let router = app::public(&platform, &auth, &Addresses::default(), &limits);
                say(address);
                serve(vec![(listener, router)], &limits, end_of_input()).await;
                platform.close().await;
            }
        }
    });
}

fn bare() -> Router {
    let content = Bytes::from(text(0));
    Router::new().route("/page", get(move || std::future::ready(content.clone())))
}

async fn platform(dir: &Path, pages: usize) -> Platform {
    let platform = Platform::open(dir).await.unwrap();
    let slugs = (0..WRITTEN).map(|number| format!("write-{number}"));
    for slug in slugs.chain([READ.to_owned()]) {
        let mut new = NewTenant::new(slug.parse().unwrap());
        new.visibility = Visibility::PublicRead;
        platform.create_tenant(new).await.unwrap();
    }
    let wiki = platform.wiki(READ, Caller::operator()).await.unwrap();
    for number in 0..pages {
        wiki.save(&page(number), text(number), Base::New).await.unwrap();
    }
    platform
}

/// The path of a page, in directories of a hundred.
pub(crate) fn page(number: usize) -> String {
    format!("part-{}/page-{number}", number / 100)
}

/// Prose, with a link now and then.
pub(crate) fn text(number: usize) -> String {
    let paragraph =
        "Roses want sun, water and a \"pruning\" in spring; see [[garden/pruning]].\n\n";
    let mut text = format!("# Page {number}\n\n");
    while text.len() < BYTES {
        text.push_str(paragraph);
    }
    text.truncate(BYTES);
    text
}

fn say(address: SocketAddr) {
    let mut out = std::io::stdout();
    writeln!(out, "{address}").and_then(|()| out.flush()).unwrap();
}

async fn end_of_input() {
    let _ = wikigrove_tenant::spawn_blocking(|| std::io::stdin().read(&mut [0])).await;
}
