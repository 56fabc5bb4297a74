//! The git program, used to read local repositories and bundles.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use wikigrove_tenant::Revision;
use wikigrove_tenant::storage::fsck::{self, Door, Finding};
pub(crate) use wikigrove_tenant::storage::git_program::command as git;

use super::ImportError;

/// The ref that commits are fetched to before the branch is moved. Clones don't see it.
const INCOMING: &str = "refs/wiki/incoming";

/// The branch of a wiki whose source has a detached HEAD.
const DETACHED_AS: &str = "refs/heads/main";

/// The branches of a source.
pub(crate) struct Refs {
    /// The branch that the source's HEAD names, such as `refs/heads/master`.
    ///
    /// A bundle doesn't say what its HEAD names: there it is the branch with the same commit. The commit of a
    /// detached HEAD, which no branch has, becomes `refs/heads/main`.
    pub(crate) branch: Option<String>,
    /// True if no branch of the source is at that commit.
    pub(crate) is_detached: bool,
    /// The commit of that branch.
    pub(crate) head: Option<Revision>,
    /// The other branches and tags.
    pub(crate) others: Vec<String>,
}

/// Lists the branches of a bundle, or of a repository of our own.
pub(crate) fn refs(source: &Path) -> Result<Refs, ImportError> {
    let mut command = git();
    command.args(["ls-remote", "--symref", "--"]).arg(source);
    let listed = output("ls-remote", &mut command)?;
    Ok(Refs::of(&String::from_utf8_lossy(&listed)))
}

impl Refs {
    /// Parses the output of `ls-remote --symref`.
    pub(super) fn of(listed: &str) -> Self {
        let lines = || listed.lines().filter_map(|line| line.split_once('\t'));
        let at_head = || lines().find(|(id, name)| *name == "HEAD" && !id.starts_with("ref: "));
        let branch = head_branch(listed);
        let is_detached = branch.is_none() && at_head().is_some();
        let taken = if is_detached { Some("HEAD") } else { branch.as_deref() };
        let is_head = |(_, name): &(&str, &str)| taken == Some(*name);
        let is_id = |(id, _): &(&str, &str)| !id.starts_with("ref: ");
        let head = lines().filter(is_id).find(is_head).and_then(|(id, _)| id.parse().ok());
        let is_other = |name: &&str| name.starts_with("refs/") && !name.ends_with("^{}");
        let names = lines().filter(|line| !is_head(line)).map(|(_, name)| name);
        let others = names.filter(is_other).map(str::to_owned).collect();
        let branch = branch.or_else(|| is_detached.then(|| DETACHED_AS.to_owned()));
        Self { branch, is_detached, head, others }
    }
}

/// The files in a work tree that differ from the repository's HEAD, each marked as new, changed, missing or ignored.
/// Only the configuration of the given repository is used, never an untrusted one beside the work tree.
pub(super) fn uncommitted(
    repo: &Path,
    work_tree: &Path,
) -> Result<Vec<(&'static str, String)>, ImportError> {
    let unusable = |error| failed("status", &format!("the repository can't be found: {error}"));
    // Absolute, because git resolves it from the work tree.
    let repo = repo.canonicalize().map_err(unusable)?;
    let scratch = tempfile::Builder::new().prefix(".tmp-").tempdir_in(&repo).map_err(|error| {
        failed("status", &format!("no directory can be made in {}: {error}", repo.display()))
    })?;
    let in_tree = || {
        let mut command = git();
        command
            .current_dir(work_tree)
            .env("GIT_INDEX_FILE", scratch.path().join("index"))
            .env("GIT_DIR", &repo)
            .env("GIT_WORK_TREE", work_tree)
            .env("GIT_OPTIONAL_LOCKS", "0");
        command
    };
    output("read-tree", in_tree().args(["read-tree", "HEAD"]))?;
    let mut status = in_tree();
    status.args([
        "status",
        "--porcelain=v1",
        "-z",
        "--no-renames",
        "--untracked-files=all",
        "--ignored",
        // git would run in each submodule, with the submodule's own configuration.
        "--ignore-submodules=all",
    ]);
    let listed = output("status", &mut status)?;
    let entries = listed.split(|byte| *byte == 0).filter(|entry| entry.len() > 3);
    Ok(entries
        .map(|entry| {
            let state = match &entry[..2] {
                b"??" => "it is not committed",
                b"!!" => "it is ignored",
                b" D" => "it was removed and that is not committed",
                _ => "its changes are not committed",
            };
            (state, String::from_utf8_lossy(&entry[3..]).into_owned())
        })
        .collect())
}

/// Fetches a branch without moving our own, and returns its commit.
pub(super) fn fetch_beside(
    repo: &Path,
    source: &Path,
    branch: &str,
    lock: File,
    progress: impl FnMut(&str, u8),
) -> Result<Revision, ImportError> {
    fetch(repo, source, &format!("{branch}:{INCOMING}"), Some(lock), Checks::Objects, progress)?;
    let in_repo = || {
        let mut command = git();
        command.env("GIT_DIR", repo);
        command
    };
    let commit = format!("{INCOMING}^{{commit}}");
    let mut find = in_repo();
    find.args(["rev-parse", "--verify", "--quiet", "--end-of-options", &commit]);
    // git omits refs that it can't fetch, without an error.
    let found = output("rev-parse", &mut find)
        .map_err(|_| ImportError::NotArrived { branch: branch.to_owned() })?;
    // The commits stay in the repository; the ref was needed for the fetch only.
    output("update-ref", in_repo().args(["update-ref", "-d", INCOMING]))?;
    let text = String::from_utf8_lossy(&found);
    text.trim().parse().map_err(|_| failed("rev-parse", "the branch names no commit"))
}

/// Clones a repository into `dir`, with a work tree and without shared objects. Symbolic links are written as files,
/// because they could lead anywhere.
pub(crate) fn clone(repo: &Path, branch: Option<&str>, dir: &Path) -> Result<(), ImportError> {
    let Some(branch) = branch.and_then(|name| name.strip_prefix("refs/heads/")) else {
        output(
            "init",
            git().args(["init", "--quiet", "--template=", "--initial-branch=main", "--"]).arg(dir),
        )?;
        return Ok(());
    };
    let mut command = git();
    command
        .args(["clone", "--quiet", "--no-local", "--no-tags", "--single-branch", "--template="])
        .args(["-c", "core.symlinks=false"])
        .arg(format!("--branch={branch}"))
        .arg("--")
        .args([repo, dir]);
    output("clone", &mut command)?;
    output("remote", git().env("GIT_DIR", dir.join(".git")).args(["remote", "remove", "origin"]))?;
    Ok(())
}

/// Runs a command to completion and returns its output.
fn output(name: &'static str, command: &mut Command) -> Result<Vec<u8>, ImportError> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| missing(name, &error))?;
    if !output.status.success() {
        return Err(failed(name, &String::from_utf8_lossy(&output.stderr)));
    }
    Ok(output.stdout)
}

/// The branch of HEAD in the output of `ls-remote --symref`.
fn head_branch(refs: &str) -> Option<String> {
    let mut head = None;
    let mut branches = Vec::new();
    for (id, name) in refs.lines().filter_map(|line| line.split_once('\t')) {
        match (id.strip_prefix("ref: "), name) {
            (Some(branch), "HEAD") if branch.starts_with("refs/heads/") => {
                return Some(branch.to_owned());
            }
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

/// Messages of git about a history whose beginning is missing.
const CUT_OFF: [&str; 2] = ["lacks these prerequisite commits", "Failed to traverse parents"];

/// The checks that git makes of a fetched history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checks {
    /// Every object is well-formed.
    Objects,
    /// All objects are present.
    Whole,
}

/// Unpacks a bundle's history into a new repository in `to`, as the branch `branch`. Its objects aren't checked yet:
/// before version 2.48, git can't ignore selected findings while it reads a bundle.
pub(super) fn unbundle(
    bundle: &Path,
    branch: &str,
    is_detached: bool,
    to: &Path,
    progress: impl FnMut(&str, u8),
) -> Result<(), ImportError> {
    let short = branch.strip_prefix("refs/heads/").unwrap_or(branch);
    let mut init = git();
    init.args(["init", "--quiet", "--bare", "--template=", "--object-format=sha1"]);
    output("init", init.arg(format!("--initial-branch={short}")).arg("--").arg(to))?;
    let from = if is_detached { "HEAD" } else { branch };
    fetch(to, bundle, &format!("{from}:{branch}"), None, Checks::Whole, progress)
}

/// Fetches `refspec` into a bare repository. git holds `lock` while it runs, as a standard input that it doesn't read.
pub(super) fn fetch(
    repo: &Path,
    source: &Path,
    refspec: &str,
    lock: Option<File>,
    checks: Checks,
    progress: impl FnMut(&str, u8),
) -> Result<(), ImportError> {
    // git runs in another directory, where a relative path would be a different one.
    let source =
        &std::path::absolute(source).map_err(|error| failed("fetch", &error.to_string()))?;
    let mut command = git();
    let checked = fsck::settings(Door::Fetch);
    for setting in checked.iter().filter(|_| checks == Checks::Objects) {
        command.args(["-c", setting]);
    }
    command
        .current_dir(repo)
        .args(["-c", "fetch.unpackLimit=1", "-c", "core.fsync=all"])
        .args([
            "fetch",
            "--progress",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--",
        ])
        .arg(source)
        .arg(format!("+{refspec}"))
        .stdin(lock.map_or_else(Stdio::null, Stdio::from))
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| missing("fetch", &error))?;
    let said = child.stderr.take().map(|stderr| follow(stderr, progress)).unwrap_or_default();
    let status = child.wait().map_err(|error| missing("fetch", &error))?;
    match Finding::of(&said) {
        _ if status.success() => Ok(()),
        Some(finding) => Err(ImportError::Refused { finding }),
        None if CUT_OFF.iter().any(|words| said.contains(words)) => Err(ImportError::CutOff),
        None => Err(failed("fetch", &said)),
    }
}

/// Passes git's progress lines on as they arrive, and returns the other lines.
fn follow(stderr: impl Read, mut progress: impl FnMut(&str, u8)) -> String {
    let mut heard = Heard::default();
    for byte in BufReader::new(stderr).bytes().map_while(Result::ok) {
        heard.hear(&[byte], &mut progress);
    }
    heard.said
}

/// A parser of git's output that takes it in pieces.
#[derive(Default)]
pub(crate) struct Heard {
    line: Vec<u8>,
    /// The lines that aren't progress.
    pub(crate) said: String,
}

impl Heard {
    pub(crate) fn hear(&mut self, bytes: &[u8], progress: &mut impl FnMut(&str, u8)) {
        for byte in bytes {
            if *byte != b'\r' && *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let text = String::from_utf8_lossy(&self.line).into_owned();
            self.line.clear();
            match percentage(&text) {
                Some((what, percent)) => progress(what, percent),
                None => {
                    self.said.push_str(&text);
                    self.said.push('\n');
                }
            }
        }
    }
}

/// Parses `Receiving objects:  45% (…)`, also after `remote:`.
fn percentage(line: &str) -> Option<(&str, u8)> {
    let line = line.strip_prefix("remote: ").unwrap_or(line);
    let (what, rest) = line.split_once(": ")?;
    let percent = rest.trim_start().split_once('%')?.0.parse().ok()?;
    Some((what, percent))
}

pub(crate) fn missing(command: &'static str, error: &std::io::Error) -> ImportError {
    ImportError::Git { command, detail: format!("the git program can't be run: {error}") }
}

pub(crate) fn failed(command: &'static str, said: &str) -> ImportError {
    let is_progress = |line: &str| {
        let told = ["Enumerating objects:", "Total "];
        line.strip_prefix("remote: ").is_some_and(|of| told.iter().any(|word| of.starts_with(word)))
    };
    let lines = said.lines().map(str::trim);
    let lines: Vec<_> = lines.filter(|line| !line.is_empty() && !is_progress(line)).collect();
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
            &b"Receiving objects:   5% (1/20)\rremote: Receiving objects: 100% (20/20), done.\nfatal: no\n"
                [..],
            |what, percent| heard.push((what.to_owned(), percent)),
        );
        assert_eq!(
            heard,
            [("Receiving objects".to_owned(), 5), ("Receiving objects".to_owned(), 100)]
        );
        assert_eq!(said, "fatal: no\n");
        let said = "remote: Enumerating objects: 3, done.\nremote: Total 3 (delta 0)\nfatal: no\n";
        assert_eq!(failed("fetch", said).to_string(), "git fetch failed: fatal: no");
    }

    #[test]
    fn the_commit_of_a_detached_head_is_a_branch_too() {
        let (one, other) = ("1".repeat(40), "2".repeat(40));
        let refs = Refs::of(&format!("{one}\tHEAD\n{other}\trefs/heads/trunk\n"));
        assert_eq!(refs.branch.as_deref(), Some("refs/heads/main"));
        assert_eq!(
            (refs.is_detached, refs.head.map(|id| id.to_string())),
            (true, Some(one.clone()))
        );
        assert_eq!(refs.others, ["refs/heads/trunk"]);
        let refs = Refs::of(&format!("{one}\tHEAD\n{one}\trefs/heads/trunk\n"));
        assert_eq!((refs.branch.as_deref(), refs.is_detached), (Some("refs/heads/trunk"), false));
    }
}
