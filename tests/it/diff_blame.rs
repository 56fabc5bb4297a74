//! Versions of a page side by side, and who wrote each line, held against git.

use std::io::Write as _;
use std::process::Stdio;

use http::Method;
use serde_json::{Value, json};
use testkit::{Git, OnWiki, TestServer, User};
use wikigrove_server::openapi::{Blame, Diff};

use crate::history::rfcs;

/// Commit and text of every line, by the wiki.
async fn lines_of(wiki: &OnWiki, page: &str) -> Vec<(String, String)> {
    let blame: Blame = serde_json::from_value(wiki.blame(page).await.good().json()).unwrap();
    let mut lines = Vec::new();
    for range in blame.ranges {
        assert_eq!(range.line, lines.len() + 1, "{page}");
        assert!(blame.commits.iter().any(|commit| commit.revision == range.revision), "{page}");
        lines.extend(range.lines.into_iter().map(|text| (range.revision.clone(), text)));
    }
    lines
}

/// The same by git.
fn lines_by_git(git: &Git, branch: &str, page: &str) -> Vec<(String, String)> {
    let file = format!("{page}.md");
    let blame = git.bytes(&["blame", "--line-porcelain", branch, "--", &file]);
    let (mut lines, mut commit) = (Vec::new(), String::new());
    for line in String::from_utf8_lossy(&blame).split('\n') {
        match line.strip_prefix('\t') {
            Some(text) => lines.push((commit.clone(), text.to_owned())),
            None if line.len() > 40 && line[..40].bytes().all(|b| b.is_ascii_hexdigit()) => {
                line[..40].clone_into(&mut commit);
            }
            None => {}
        }
    }
    lines
}

/// Pages whose line ends were changed in the commit that renamed them. git takes the two files for one,
/// since it doesn't look at the ends of lines there.
const RECODED: [&str; 2] = ["text/0042-regexps", "text/1212-line-endings"];

/// Two programs that compare texts may choose differently among lines that are alike: of two empty
/// lines, or two closing braces, each can be the new one.
fn is_like_others(line: &str) -> bool {
    !line.contains(char::is_alphanumeric)
}

/// All pages are compared when `WIKIGROVE_ALL_BLAMES` is set, which takes minutes; otherwise twenty.
#[tokio::test(flavor = "multi_thread")]
async fn blame_says_of_each_line_what_git_says() {
    let scratch = testkit::scratch();
    let (program, server) = rfcs(scratch.path());
    let git = program.git("rfcs");
    let wiki = server.anonymous().on("rfcs");
    let pages = wiki.pages().await;
    let all = std::env::var_os("WIKIGROVE_ALL_BLAMES").is_some();
    let (mut compared, mut different) = (0, 0);
    for page in pages.iter().step_by(if all { 1 } else { pages.len() / 20 }) {
        let path = page["path"].as_str().unwrap();
        if RECODED.contains(&path) {
            continue;
        }
        let (ours, by_git) = (lines_of(&wiki, path).await, lines_by_git(&git, "master", path));
        assert_eq!(ours.len(), by_git.len(), "{path}");
        compared += ours.len();
        for (ours, by_git) in ours.iter().zip(&by_git).filter(|(ours, by_git)| ours != by_git) {
            assert_eq!(ours.1, by_git.1, "{path}");
            assert!(is_like_others(&ours.1), "{path}: {ours:?}, and by git {}", by_git.0);
            different += 1;
        }
    }
    assert!(compared > 5000 && different * 1000 < compared, "{different} of {compared}");
    server.stop();
}

/// What `git apply` makes of a page.
fn applied(page: &str, old: Option<&[u8]>, patch: &str) -> Vec<u8> {
    let dir = testkit::scratch();
    let git = Git::init(dir.path());
    let file = format!("{page}.md");
    if let Some(old) = old {
        git.write(&file, old);
    }
    let mut apply = git.command();
    let mut apply =
        apply.args(["apply", "--whitespace=nowarn", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    apply.stdin.take().unwrap().write_all(patch.as_bytes()).unwrap();
    assert!(apply.wait().unwrap().success(), "{page}: git refuses {patch}");
    std::fs::read(dir.path().join(file)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diff_applied_by_git_gives_the_new_text() {
    let scratch = testkit::scratch();
    let (program, server) = rfcs(scratch.path());
    let git = program.git("rfcs");
    let wiki = server.anonymous().on("rfcs");
    let changes = wiki.changes().await;
    let of_pages = changes.iter().flat_map(|commit| {
        let changes = commit["changes"].as_array().unwrap().iter();
        let changes = changes.filter(|change| {
            change["type"] == "page" && ["added", "modified"].iter().any(|k| change["kind"] == *k)
        });
        changes
            .map(|change| (commit["revision"].as_str().unwrap(), change["path"].as_str().unwrap()))
    });
    let of_pages: Vec<_> = of_pages.collect();
    let mut compared = 0;
    for (revision, path) in of_pages.iter().step_by(of_pages.len() / 20) {
        let at = |revision: &str| git.output(&["show", &format!("{revision}:{path}.md")]);
        let (old, new) = (at(&format!("{revision}^1")), at(revision));
        let old = old.status.success().then_some(old.stdout);
        let call = || wiki.diff(path).query("to", revision);
        let patch = call().header("accept", "text/x-diff").await.good();
        assert_eq!(patch.header("content-type"), "text/x-diff; charset=utf-8");
        assert_eq!(applied(path, old.as_deref(), patch.text()), new.stdout, "{path} {revision}");
        let diff: Diff = serde_json::from_value(call().await.good().json()).unwrap();
        assert_eq!(diff.unified, patch.text());
        assert_eq!(diff.from.etag.is_some(), old.is_some());
        compared += 1;
    }
    assert!(compared >= 20);
    server.stop();
}

/// A wiki with a page that was changed twice; the revisions.
async fn three_versions() -> (TestServer, User, User, [String; 3]) {
    let (server, operator, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    let one = wiki.create("roses", "red\nwhite\n").await.good();
    let two = wiki.save("roses", one.etag(), "red\nyellow\n").await.good();
    let three = wiki.save("roses", two.etag(), "red\nyellow\npink\n").await.good();
    let revision = |saved: &Value| saved["revision"].as_str().unwrap().to_owned();
    let revisions = [one.json(), two.json(), three.json()].map(|saved| revision(&saved));
    (server, operator, editor, revisions)
}

#[tokio::test]
async fn a_diff_is_between_any_two_versions_and_by_default_the_last_change() {
    let (_server, _, editor, [one, two, three]) = three_versions().await;
    let wiki = editor.on("garden");
    let last = wiki.diff("roses").await.good();
    let diff: Diff = serde_json::from_value(last.json()).unwrap();
    assert_eq!((diff.from.revision, diff.to.revision), (Some(two.clone()), Some(three.clone())));
    let unified = async |from: &str, to: &str| {
        let call = wiki.diff("roses").query("from", from).query("to", to);
        call.header("accept", "text/plain").await.good().text().to_owned()
    };
    assert_eq!(
        unified(&one, &three).await,
        "--- a/roses.md\n+++ b/roses.md\n@@ -1,2 +1,3 @@\n red\n-white\n+yellow\n+pink\n"
    );
    assert_eq!(
        unified(&two, &one).await,
        "--- a/roses.md\n+++ b/roses.md\n@@ -1,2 +1,2 @@\n red\n-yellow\n+white\n"
    );
    assert_eq!(unified(&one, &one).await, "");
    let first = wiki.diff("roses").query("to", &one).await.good().json();
    assert_eq!(first["from"], json!({ "revision": null, "path": "roses", "etag": null }));
}

#[tokio::test]
async fn diff_and_blame_have_etags_and_the_headers_of_pages() {
    let (_server, _, editor, _) = three_versions().await;
    let wiki = editor.on("garden");
    for call in [wiki.diff("roses"), wiki.blame("roses")] {
        let answer = call.clone().await.good();
        assert_eq!(answer.header("cache-control"), "private, no-cache");
        assert!(answer.header("vary").contains("authorization"));
        let known = call.clone().header("if-none-match", format!("\"{}\"", answer.etag()));
        assert_eq!(known.await.status(), 304);
    }
    let json = wiki.diff("roses").await.good();
    let text = wiki.diff("roses").header("accept", "text/x-diff").await.good();
    assert_ne!(json.etag(), text.etag());
}

#[tokio::test]
async fn only_readers_see_versions_and_only_versions_that_are() {
    let (server, operator, editor, [one, ..]) = three_versions().await;
    let reader = operator.token("garden", "reader").await;
    let stranger = server.anonymous();
    let nobodys = "0123456789012345678901234567890123456789";
    for route in ["diff", "blame"] {
        let call = |user: &User, path: &str| {
            user.on("garden").api(Method::GET, format!("/{route}/{path}"))
        };
        call(&reader, "roses").await.good();
        call(&stranger, "roses").await.problem("unknown_wiki");
        call(&editor, "tulips").await.problem("page_not_found");
        let parameter = if route == "diff" { "to" } else { "at" };
        call(&editor, "roses").query(parameter, &one).await.good();
        let unknown = call(&editor, "roses").query(parameter, nobodys).await;
        unknown.problem("unknown_revision");
        for malformed in ["HEAD", "a..b", "--output=/tmp/x", &one[..8], &one.to_uppercase()] {
            let answer = call(&editor, "roses").query(parameter, malformed).await;
            assert_eq!(answer.status(), 422, "{malformed}: {answer}");
            assert_eq!(answer.problem("invalid_revision")["errors"][0]["parameter"], parameter);
        }
    }
}

/// A page was renamed, and then changed: its lines keep their commits, and it is compared with what it
/// was under its old name.
#[tokio::test]
async fn a_renamed_page_keeps_its_past() {
    let (server, _, editor, [one, two, three]) = three_versions().await;
    let wiki = editor.on("garden");
    let work = testkit::scratch();
    let git = Git::at(work.path());
    let bare = server.git("garden").dir().to_owned();
    git.run(&["clone", "-q", "-b", "main", bare.to_str().unwrap(), "."]);
    std::fs::create_dir(work.path().join("garden")).unwrap();
    git.run(&["mv", "roses.md", "garden/all roses.md"]);
    git.commit("Move").run(&["push", "-q", "origin", "main"]);
    let moved = wiki.read("garden/all roses").await.good();
    let saved = wiki.save("garden/all roses", moved.etag(), "red\nyellow\npink\nblue\n").await;
    let last = saved.good().json()["revision"].as_str().unwrap().to_owned();
    let lines = lines_of(&wiki, "garden/all roses").await;
    let revisions: Vec<_> = lines.iter().map(|(revision, _)| revision).collect();
    assert_eq!(revisions, [&one, &two, &three, &last]);
    assert_eq!(lines, lines_by_git(&server.git("garden"), "main", "garden/all roses"));
    let diff = wiki.diff("garden/all roses").query("from", &two).await.good();
    let diff: Diff = serde_json::from_value(diff.json()).unwrap();
    assert_eq!((&*diff.from.path, &*diff.to.path), ("roses", "garden/all roses"));
    // With a tab, as git ends a name with a space in it.
    assert!(diff.unified.starts_with("--- a/roses.md\n+++ b/garden/all roses.md\t\n"));
    assert_eq!(diff.hunks[0].lines.len(), 4);
}

/// Two texts of 5 MB in which no line is the same: each diff algorithm's worst case.
#[tokio::test]
async fn pages_without_a_common_line_are_compared_in_time() {
    let (_server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    let text = |side: &str| (0..380_000).map(|n| format!("{side}{n:>10}\n")).collect::<String>();
    let created = wiki.create("long", &text("a")).await.good();
    wiki.save("long", created.etag(), &text("b")).await.good();
    // The server gives up what takes a minute.
    let diff: Diff = serde_json::from_value(wiki.diff("long").await.good().json()).unwrap();
    assert!(diff.truncated);
    assert_eq!((diff.hunks.len(), diff.hunks[0].lines.len()), (1, 20_000));
}

/// A page of so many lines, of which each of so many commits changed one.
fn import_long_page(git: &Git, lines: usize, commits: usize) {
    let mut text: Vec<String> = (0..lines).map(|n| format!("line {n}\n")).collect();
    let mut stream = String::new();
    for n in 0..commits {
        text[n * 7919 % lines] = format!("changed by {n}\n");
        let (content, time) = (text.concat(), 1_600_000_000 + n);
        stream += &format!(
            "commit refs/heads/main\ncommitter Ann <ann@example.org> {time} +0000\ndata 0\n\
             M 100644 inline long.md\ndata {}\n{content}\n",
            content.len()
        );
    }
    let mut import = git.command();
    let mut import = import.args(["fast-import", "--quiet"]).stdin(Stdio::piped()).spawn().unwrap();
    import.stdin.take().unwrap().write_all(stream.as_bytes()).unwrap();
    assert!(import.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_page_with_a_long_history_is_blamed_as_git_does() {
    let (server, operator) = TestServer::start().await;
    operator.create_wiki("garden").await.good();
    let git = server.git("garden");
    import_long_page(&git, 5_000, 500);
    let wiki = operator.on("garden");
    assert_eq!(lines_of(&wiki, "long").await, lines_by_git(&git, "main", "long"));
    // Nobody waits for these any more; what comes after them is answered all the same.
    for _ in 0..20 {
        let asked = wikigrove_tenant::spawn(wiki.blame("long").into_future());
        tokio::task::yield_now().await;
        asked.abort();
    }
    wiki.blame("long").await.good();
}
