//! How fast a real project is cloned, compared with git's own HTTP server on the same repository.
//!
//! `cargo bench -p wikigrove-server --bench git`. Both are served by this process over loopback and
//! cloned in turns by the stock client; the reference is `git http-backend` behind a CGI bridge that does
//! no more than it has to. The project is a bundle, where `WIKIGROVE_TEST_DATA` says or in
//! `../shared/data` beside the checkout. `WIKIGROVE_CLONES` (20) says how often each is cloned.
#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on panics")]
#![allow(clippy::print_stdout, reason = "a script that reports")]

#[path = "git/bridge.rs"]
mod bridge;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use wikigrove_server::app::{self, Addresses};
use wikigrove_server::auth::Authenticator;
use wikigrove_server::limits::HttpLimits;
use wikigrove_server::serve::serve;
use wikigrove_tenant::storage::git_program;
use wikigrove_tenant::{Caller, NewTenant, Platform, Revision, Visibility};

/// A clone takes at most this many times as long: four fifths of the speed.
const TARGET: f64 = 0.80;
const FETCHED: &str = "refs/heads/fetched";

fn main() {
    let in_earnest = std::env::args().any(|argument| argument == "--bench");
    let clones = std::env::var("WIKIGROVE_CLONES").ok().and_then(|text| text.parse().ok());
    let clones = clones.unwrap_or(if in_earnest { 20 } else { 1 });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let data = tempfile::tempdir().unwrap();
        let platform = Platform::open(data.path().join("data")).await.unwrap();
        import(&platform).await;
        let ours = ours(&platform).await;
        let repository = platform.dir().join("wikis/rfcs/repo");
        let reference = bridge::serve(&repository).await;
        for version in [2, 0] {
            let mut times = [Vec::new(), Vec::new()];
            for round in 0..clones {
                // Whoever comes second may find more in the system's memory.
                for turn in [round % 2, (round + 1) % 2] {
                    let url = [&ours, &reference][turn];
                    times[turn].push(clone(url, &data.path().join("clone"), version).await);
                }
            }
            report(version, times);
        }
    });
}

fn report(version: u8, mut times: [Vec<Duration>; 2]) {
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    let (ours, reference) = (median(&mut times[0]), median(&mut times[1]));
    let ratio = reference.as_secs_f64() / ours.as_secs_f64();
    let verdict = if ratio >= TARGET { "met" } else { "MISSED" };
    println!(
        "clone, protocol {version}: {ours:.1?}, git http-backend {reference:.1?} (fastest {:.1?}, {:.1?}): \
         {:.0} % of its speed, target {:.0} %: {verdict}",
        times[0][0],
        times[1][0],
        ratio * 100.0,
        TARGET * 100.0,
    );
}

async fn ours(platform: &Platform) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let auth = Authenticator::new(platform.clone(), "operator");
    let limits = HttpLimits::default();
    let router = app::public(platform, &auth, &Addresses::default(), &limits);
    wikigrove_tenant::spawn(async move {
        serve(vec![(listener, router)], &limits, std::future::pending()).await
    });
    format!("http://{address}/w/rfcs/git")
}

/// Brings the project in, with its whole history.
async fn import(platform: &Platform) {
    let mut new = NewTenant::new("rfcs".parse().unwrap());
    new.visibility = Visibility::PublicRead;
    platform.create_tenant(new).await.unwrap();
    let wiki = platform.wiki("rfcs", Caller::operator()).await.unwrap();
    let bundle = bundle();
    let fetch = move |repository: &Path| {
        let git = |args: &[&str]| {
            let output =
                git_program::command().arg("--git-dir").arg(repository).args(args).output();
            let output = output.unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{args:?}: {said}");
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        git(&["fetch", "-q", bundle.to_str().unwrap(), &format!("HEAD:{FETCHED}")]);
        let head: Revision = git(&["rev-parse", FETCHED]).parse().unwrap();
        git(&["update-ref", "-d", FETCHED]);
        Ok(head)
    };
    assert!(wiki.fast_forward(fetch).await.unwrap());
}

fn bundle() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let place = std::env::var_os("WIKIGROVE_TEST_DATA").map_or(beside, PathBuf::from);
    let bundle = place.join("rust-rfcs.bundle");
    assert!(bundle.exists(), "the project isn't in {}", place.display());
    bundle
}

async fn clone(url: &str, to: &Path, version: u8) -> Duration {
    let (url, to) = (url.to_owned(), to.to_owned());
    let cloning = move || {
        let began = Instant::now();
        let version = format!("protocol.version={version}");
        let status = Command::new("git")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .args(["-c", &version, "clone", "-q", "--bare", &url])
            .arg(&to)
            .status()
            .unwrap();
        assert!(status.success());
        let took = began.elapsed();
        std::fs::remove_dir_all(&to).unwrap();
        took
    };
    wikigrove_tenant::spawn_blocking(cloning).await.unwrap()
}
