//! Wikis of other programs: what they hold is there, read as they read it, or named in the report.

use std::path::PathBuf;

use serde_json::Value;
use testkit::{OnWiki, Program};

use super::imported;

/// The wikis of Gitea, Gollum and Wiki.js, unpacked.
fn unpacked(dir: &std::path::Path) -> PathBuf {
    let archive = testkit::test_data("foreign-wikis.tar.gz");
    let dir = dir.join("foreign");
    std::fs::create_dir(&dir).unwrap();
    let mut tar = std::process::Command::new("tar");
    let status = tar.arg("-xzf").arg(archive).arg("-C").arg(&dir).status().unwrap();
    assert!(status.success());
    dir
}

/// What the report of an import says was left, or is odd: kind, name, reason.
fn left(program: &Program, slug: &str, source: &std::path::Path) -> Vec<[String; 3]> {
    let source = source.to_str().unwrap();
    let output = program.run(&["wiki", "import", "--slug", slug, "--json", source]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |left: &Value, key: &str| left[key].as_str().unwrap().to_owned();
    let left = report["left"].as_array().unwrap();
    left.iter().map(|left| ["what", "name", "why"].map(|key| text(left, key))).collect()
}

/// The names of one kind of thing.
fn names<'a>(left: &'a [[String; 3]], what: &str) -> Vec<&'a str> {
    left.iter().filter(|left| left[0] == what).map(|left| left[1].as_str()).collect()
}

async fn preference(wiki: &OnWiki, name: &str) -> Value {
    wiki.preferences().await.good().json()[name].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_formats_are_named_one_by_one() {
    let scratch = testkit::scratch();
    let program = crate::program(&scratch.path().join("data"));
    let foreign = unpacked(scratch.path());
    let gollum = left(&program, "gollum", &foreign.join("gollum"));
    assert_eq!(
        names(&gollum, "format"),
        ["Doc.asciidoc", "M.markdown", "Media.mediawiki", "O.org", "Old.textile", "R.rst"]
    );
    assert_eq!(names(&gollum, "page"), ["_Sidebar.md"]);
    let gitea = left(&program, "gitea", &foreign.join("gitea"));
    assert_eq!(names(&gitea, "page"), ["_Footer.md", "_Sidebar.md"]);
    let wikijs = left(&program, "wikijs", &foreign.join("wikijs"));
    assert_eq!(names(&wikijs, "format"), ["team/html.html"]);
    // All of it is there, whether it is a page or not.
    let server = program.serve();
    for (slug, file, of) in [
        ("gollum", "R.rst", "Title"),
        ("gollum", "Media.mediawiki", "= MW ="),
        ("wikijs", "team/html.html", "<h1>"),
    ] {
        let read = server.operator().on(slug).attachment(file).await.good();
        assert!(String::from_utf8_lossy(read.bytes()).contains(of), "{file}");
    }
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_style_of_links_is_that_of_the_source() {
    let scratch = testkit::scratch();
    let program = crate::program(&scratch.path().join("data"));
    let foreign = unpacked(scratch.path());
    for slug in ["gollum", "gitea"] {
        let left = left(&program, slug, &foreign.join(slug));
        assert_eq!(names(&left, "setting"), ["wikilink_style"], "{left:?}");
    }
    let wikijs = left(&program, "wikijs", &foreign.join("wikijs"));
    assert!(names(&wikijs, "setting").is_empty(), "{wikijs:?}");
    imported(&program, "bare", &foreign.join("gollum/.git"));
    let server = program.serve();
    for slug in ["gollum", "gitea", "bare"] {
        let wiki = server.operator().on(slug);
        assert_eq!(preference(&wiki, "wikilink_style").await, "title_link", "{slug}");
    }
    let wikijs = server.operator().on("wikijs");
    assert_eq!(preference(&wikijs, "wikilink_style").await, "link_title");
    server.stop();
}
