//! Repositories of all ages and habits come in, and go out again, byte for byte.

mod foreign;
mod line_ends;
mod objects;
mod remotes;
mod sources;

use std::path::{Path, PathBuf};

use serde_json::Value;
use testkit::{Git, OnWiki, Program};

/// Runs an import; returns its exit code and what it said.
fn import(program: &Program, slug: &str, source: &Path) -> (Option<i32>, String) {
    import_with(program, slug, source, &["--visibility", "public_read"])
}

fn import_with(
    program: &Program,
    slug: &str,
    source: &Path,
    options: &[&str],
) -> (Option<i32>, String) {
    let source = source.to_str().unwrap();
    let args = [&["wiki", "import", "--slug", slug], options, &[source]].concat();
    let output = program.run(&args);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// Imports a source that can be imported.
#[track_caller]
fn imported(program: &Program, slug: &str, source: &Path) -> String {
    let (code, said) = import(program, slug, source);
    assert_eq!(code, Some(0), "{slug}: {said}");
    said
}

/// Makes the repository of a case in a directory; returns where it is.
fn repository_of(id: &str, dir: &Path) -> PathBuf {
    let dir = dir.join(id);
    std::fs::create_dir_all(&dir).unwrap();
    super::case(id).make_in(&dir);
    dir.join("r")
}

/// What `git log` shows of each commit, newest first: id, author, address, date, message.
fn logged(git: &Git, branch: &str) -> Vec<[String; 5]> {
    let log = git.bytes(&[
        "-c",
        "i18n.logOutputEncoding=UTF-8",
        "log",
        "-z",
        "--format=%H%x1f%an%x1f%ae%x1f%at%x1f%B",
        branch,
    ]);
    let log = String::from_utf8_lossy(&log).into_owned();
    let commit = |text: &str| {
        let mut parts = text.split('\u{1f}').map(|part| part.trim_end().to_owned());
        std::array::from_fn(|_| parts.next().unwrap())
    };
    log.split('\0').filter(|text| !text.is_empty()).map(commit).collect()
}

/// What the wiki shows of each commit, newest first.
fn shown(changes: &[Value]) -> Vec<[String; 5]> {
    let text = |value: &Value| value.as_str().unwrap().trim_end().to_owned();
    let seconds = |value: &Value| {
        let format = &time::format_description::well_known::Rfc3339;
        let date = time::OffsetDateTime::parse(value.as_str().unwrap(), format).unwrap();
        // git shows nothing where there is no date.
        Some(date.unix_timestamp()).filter(|at| *at != 0).map(|at| at.to_string())
    };
    let commit = |change: &Value| {
        let author = &change["author"];
        [
            text(&change["revision"]),
            text(&author["name"]),
            text(&author["email"]),
            seconds(&change["date"]).unwrap_or_default(),
            text(&change["message"]),
        ]
    };
    changes.iter().map(commit).collect()
}

/// Checks that the wiki shows what `git log` shows, and that every page can be read in every way.
async fn reads_as_git_does(wiki: &OnWiki, git: &Git, branch: &str) {
    let mut log = logged(git, branch);
    for commit in &mut log {
        let time: i64 = commit[3].parse().unwrap_or_default();
        commit[3] = Some(time).filter(|at| *at != 0).map(|at| at.to_string()).unwrap_or_default();
    }
    let changes = wiki.changes().await;
    assert_eq!(shown(&changes), log);
    for page in wiki.pages().await {
        let path = page["path"].as_str().unwrap();
        let stored = git.bytes(&["cat-file", "blob", &format!("{branch}:{path}.md")]);
        assert_eq!(wiki.markdown(path).await.good().bytes(), stored, "{path}");
        wiki.blame(path).await.good();
        wiki.rendered(path).await.good();
        let history = wiki.history(path).await;
        assert!(!history.is_empty(), "{path}");
        let first = history.last().unwrap()["revision"].as_str().unwrap().to_owned();
        wiki.diff(path).query("from", &first).await.good();
    }
}
