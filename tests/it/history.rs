//! What happened and what is where: histories, the log of a wiki, full text.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use testkit::{Git, OnWiki, Program, Running, TestServer, test_data};
use wikigrove_server::openapi::{CommitList, SearchResults};

/// A server with the real project's history in the public wiki `rfcs`.
pub(super) fn rfcs(scratch: &Path) -> (Program, Running) {
    let program = crate::program(&scratch.join("data"));
    let source = test_data("rust-rfcs.bundle");
    let args = ["wiki", "import", "--slug", "rfcs", "--visibility", "public_read"];
    let output = program.run(&[&args[..], &[source.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let running = program.serve();
    (program, running)
}

async fn history(wiki: &OnWiki, page: &str) -> Vec<String> {
    let commits = wiki.history(page).await;
    commits.iter().map(|commit| commit["revision"].as_str().unwrap().to_owned()).collect()
}

/// The lines that git prints.
fn lines(git: &Git, arguments: &[&str]) -> Vec<String> {
    git.run(arguments).lines().map(str::to_owned).collect()
}

/// Pages that were begun as a copy of another file, which stayed as it was: of the template, mostly.
/// git follows copies, too.
const COPIES: [&str; 13] = [
    "text/1696-discriminant",
    "text/2141-alternative-registries",
    "text/3389-manifest-lint",
    "text/3424-cargo-script",
    "text/3491-remove-implicit-features",
    "text/3502-cargo-script",
    "text/3503-frontmatter",
    "text/3516-public-private-dependencies",
    "text/3537-msrv-resolver",
    "text/3558-libtest-json",
    "text/3692-feature-unification",
    "text/3772-build-target-edition",
    "text/3945-inherit-default-features",
];

/// Every page's history has all that `git log --follow` shows. All pages are compared when
/// `WIKIGROVE_ALL_HISTORIES` is set, which takes minutes; otherwise every sixteenth.
#[tokio::test(flavor = "multi_thread")]
async fn histories_of_a_real_project_are_those_of_git() {
    let scratch = testkit::scratch();
    let (program, server) = rfcs(scratch.path());
    let git = program.git("rfcs");
    let wiki = server.anonymous().on("rfcs");
    let step = if std::env::var_os("WIKIGROVE_ALL_HISTORIES").is_some() { 1 } else { 16 };
    let pages = wiki.pages().await;
    assert!(COPIES.len() * 50 <= pages.len());
    for page in pages.iter().step_by(step) {
        let path = page["path"].as_str().unwrap();
        let file = format!("{path}.md");
        let follow = ["log", "--follow", "--no-merges", "--format=%H", "master", "--", &file];
        let ours: BTreeSet<String> = history(&wiki, path).await.into_iter().collect();
        let missing: Vec<_> =
            lines(&git, &follow).into_iter().filter(|id| !ours.contains(id)).collect();
        assert_eq!(
            missing.is_empty(),
            !COPIES.contains(&path),
            "{path}: git follows to {missing:?}"
        );
    }
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_real_project_has_every_commit_once() {
    let scratch = testkit::scratch();
    let (program, server) = rfcs(scratch.path());
    let git = program.git("rfcs");
    let wiki = server.anonymous().on("rfcs");
    let log = wiki.changes().await;
    let place: BTreeMap<&str, usize> =
        log.iter().enumerate().map(|(at, c)| (c["revision"].as_str().unwrap(), at)).collect();
    let by_git = lines(&git, &["rev-list", "--parents", "master"]);
    assert_eq!((log.len(), place.len()), (by_git.len(), by_git.len()));
    for line in &by_git {
        let mut ids = line.split(' ');
        let child = place[ids.next().unwrap()];
        assert!(ids.all(|parent| place[parent] > child), "{line}");
    }
    for commit in log.iter().step_by(500) {
        let id = commit["revision"].as_str().unwrap();
        let shown = git.run(&["show", "-s", "--format=%an%x00%ae%x00%at%x00%B", id]);
        let mut shown = shown.split('\0');
        assert_eq!(commit["author"]["name"], shown.next().unwrap());
        assert_eq!(commit["author"]["email"], shown.next().unwrap());
    }
    let first = wiki.api(http::Method::GET, "/changes").await.good();
    let list: CommitList = serde_json::from_value(first.json()).unwrap();
    assert_eq!(list.items.len(), 50);
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_what_grep_finds() {
    let scratch = testkit::scratch();
    let (program, server) = rfcs(scratch.path());
    let git = program.git("rfcs");
    let wiki = server.anonymous().on("rfcs");
    assert_search_finds_what_grep_finds(&wiki, &git).await;
    let answer = wiki.api(http::Method::GET, "/search").query("q", "\"borrow checker\"").await;
    let results: SearchResults = serde_json::from_value(answer.good().json()).unwrap();
    assert!(results.items[0].snippet.to_lowercase().contains("<mark>borrow checker</mark>"));
    server.stop();
}

/// Searches for some words of the newest state.
pub(super) async fn assert_search_finds_what_grep_finds(wiki: &OnWiki, git: &Git) {
    for word in words(git) {
        let grep = ["grep", "-w", "-l", "-z", "-F", "-e", &word, "master", "--", "*.md"];
        let by_git = git.run(&grep);
        let by_git: BTreeSet<&str> = by_git
            .split('\0')
            .filter_map(|file| file.strip_prefix("master:")?.strip_suffix(".md"))
            .collect();
        let found = wiki.search(&word).await;
        let found: BTreeSet<&str> =
            found.iter().map(|page| page["path"].as_str().unwrap()).collect();
        let missing: Vec<_> = by_git.difference(&found).collect();
        assert!(!by_git.is_empty() && missing.is_empty(), "{word}: {missing:?}");
    }
}

/// Fifty words of all kinds: every so-many-th of those in the text.
fn words(git: &Git) -> Vec<String> {
    let text = git.run(&[
        "grep",
        "-h",
        "-I",
        "-o",
        "-w",
        "-E",
        "[[:alpha:]]{4,12}",
        "master",
        "--",
        "*.md",
    ]);
    let words: BTreeSet<&str> = text.lines().collect();
    words.iter().step_by(words.len() / 50).take(50).map(|word| (*word).to_owned()).collect()
}

#[tokio::test]
async fn a_query_is_never_wrong() {
    let (_server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    wiki.create("roses", "# Roses\n\nRed <b>roses</b> & \"thorns\".\n").await.good();
    for q in [
        "\"",
        "*",
        "AND",
        "roses AND",
        "NEAR(a b)",
        "(((",
        "-",
        "title:roses",
        "ro*ses",
        "%",
        "'; drop table page; --",
        "\u{0}",
        "🌹",
    ] {
        wiki.api(http::Method::GET, "/search").query("q", q).await.good();
    }
    let found = wiki.search("thorns").await;
    assert_eq!(
        found[0]["snippet"],
        "# Roses\n\nRed &lt;b&gt;roses&lt;/b&gt; &amp; &quot;<mark>thorns</mark>&quot;.\n"
    );
    let none = wiki.api(http::Method::GET, "/search").await;
    assert_eq!(none.status(), 422);
}
