//! The git program, as a reader of local repositories and bundles.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use super::ImportError;

/// The branch that the source's HEAD names, such as `refs/heads/master`.
///
/// A bundle doesn't say what its HEAD names: there it is the branch with the same commit.
pub(super) fn branch(source: &Path) -> Result<Option<String>, ImportError> {
    let mut command = git();
    command.args(["ls-remote", "--symref", "--"]).arg(source);
    let output = command.output().map_err(|error| missing("ls-remote", &error))?;
    if !output.status.success() {
        return Err(failed("ls-remote", &String::from_utf8_lossy(&output.stderr)));
    }
    Ok(head_branch(&String::from_utf8_lossy(&output.stdout)))
}

/// Reads what `ls-remote --symref` prints.
fn head_branch(refs: &str) -> Option<String> {
    let mut head = None;
    let mut branches = Vec::new();
    for (id, name) in refs.lines().filter_map(|line| line.split_once('\t')) {
        match (id.strip_prefix("ref: "), name) {
            (Some(branch), "HEAD") => return Some(branch.to_owned()),
            (None, "HEAD") => head = Some(id),
            (None, name) if name.starts_with("refs/heads/") => branches.push((id, name)),
            _ => {}
        }
    }
    let is_head = |(id, _): &&(&str, &str)| head.is_none_or(|head| head == *id);
    let usual = |name: &str| branches.iter().filter(is_head).find(|(_, branch)| *branch == name);
    let found = usual("refs/heads/main").or_else(|| usual("refs/heads/master"));
    found.or_else(|| branches.iter().find(is_head)).map(|(_, name)| (*name).to_owned())
}

/// Fetches one branch into a bare repository, checking every object. While git runs it holds
/// `lock`, as a standard input that it doesn't read.
pub(super) fn fetch(
    repo: &Path,
    source: &Path,
    branch: &str,
    lock: File,
    progress: impl FnMut(&str, u8),
) -> Result<(), ImportError> {
    let mut command = git();
    command
        .current_dir(repo)
        .args([
            "-c",
            "transfer.fsckObjects=true",
            "-c",
            "fetch.unpackLimit=1",
            "-c",
            "core.fsync=all",
        ])
        .args([
            "fetch",
            "--progress",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--",
        ])
        .arg(source)
        .arg(format!("+{branch}:{branch}"))
        .stdin(Stdio::from(lock))
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| missing("fetch", &error))?;
    let said = child.stderr.take().map(|stderr| follow(stderr, progress)).unwrap_or_default();
    let status = child.wait().map_err(|error| missing("fetch", &error))?;
    if status.success() { Ok(()) } else { Err(failed("fetch", &said)) }
}

/// Reads git's progress lines as they come and returns the others.
fn follow(stderr: impl Read, mut progress: impl FnMut(&str, u8)) -> String {
    let mut said = String::new();
    let mut line = Vec::new();
    for byte in BufReader::new(stderr).bytes().map_while(Result::ok) {
        if byte != b'\r' && byte != b'\n' {
            line.push(byte);
            continue;
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        line.clear();
        match percentage(&text) {
            Some((what, percent)) => progress(what, percent),
            None => {
                said.push_str(&text);
                said.push('\n');
            }
        }
    }
    said
}

/// `Receiving objects:  45% (…)` as its parts.
fn percentage(line: &str) -> Option<(&str, u8)> {
    let (what, rest) = line.split_once(": ")?;
    let percent = rest.trim_start().split_once('%')?.0.parse().ok()?;
    Some((what, percent))
}

/// git without the user's and the machine's configuration, and without anything it could ask.
fn git() -> Command {
    let mut command = Command::new("git");
    command.env_clear();
    command
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", "file")
        .args(["-c", "core.hooksPath=/dev/null", "-c", "safe.directory=*"]);
    command
}

fn missing(command: &'static str, error: &std::io::Error) -> ImportError {
    ImportError::Git { command, detail: format!("the git program can't be run: {error}") }
}

fn failed(command: &'static str, said: &str) -> ImportError {
    let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(5)..].join("; ");
    ImportError::Git { command, detail: last }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_branch_is_the_one_head_names() {
        let symbolic =
            "ref: refs/heads/trunk\tHEAD\naa\tHEAD\nbb\trefs/heads/main\naa\trefs/heads/trunk\n";
        assert_eq!(head_branch(symbolic).as_deref(), Some("refs/heads/trunk"));
        let bundle = "aa\trefs/heads/old\nbb\trefs/heads/master\nbb\trefs/heads/also\nbb\tHEAD\n";
        assert_eq!(head_branch(bundle).as_deref(), Some("refs/heads/master"));
        assert_eq!(head_branch("aa\trefs/heads/only\n").as_deref(), Some("refs/heads/only"));
        assert_eq!(head_branch("aa\trefs/tags/v1\n"), None);
        assert_eq!(head_branch(""), None);
    }

    #[test]
    fn progress_is_told_apart_from_messages() {
        let mut heard = Vec::new();
        let said = follow(
            &b"Receiving objects:   5% (1/20)\rReceiving objects: 100% (20/20), done.\nfatal: no\n"
                [..],
            |what, percent| heard.push((what.to_owned(), percent)),
        );
        assert_eq!(
            heard,
            [("Receiving objects".to_owned(), 5), ("Receiving objects".to_owned(), 100)]
        );
        assert_eq!(said, "fatal: no\n");
    }
}
