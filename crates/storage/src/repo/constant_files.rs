//! HEAD and config. They never change, so missing or damaged ones are rewritten: without them, git doesn't
//! accept the directory as a repository.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use super::aside::set_aside;
use super::{NEW_BRANCH, RepoError, check_branch};
use crate::files::{self, At as _, FileError};

/// git's configuration of our repositories. Packing refs while another process writes loses updates, so
/// only our code does it, under the lock; git's own automatic cleanups are off, too.
pub(super) const CONFIG: &[u8] = b"[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
\tlogallrefupdates = false
\thooksPath = /dev/null
[gc]
\tauto = 0
\tpackRefs = false
[maintenance]
\tauto = false
[receive]
\tautogc = false
\tdenyNonFastForwards = true
[transfer]
\thideRefs = refs/wiki
";

/// Rewrites HEAD and config if they are missing or damaged. HEAD then names `branch` or, if that isn't
/// known, the only branch of the repository.
///
/// # Errors
/// HEAD is damaged and any of several branches could be the wiki's.
pub(super) fn mend(dir: &Path, branch: Option<&str>) -> Result<(), RepoError> {
    if !dir.join("objects").is_dir() {
        return Ok(());
    }
    mend_config(dir)?;
    let path = dir.join("HEAD");
    let head = read(&path)?;
    if head.as_deref().is_some_and(is_good_head) {
        return Ok(());
    }
    let branch = match branch {
        Some(branch) => branch.to_owned(),
        None => likely_branch(dir)?,
    };
    let was = head.map(|head| head.escape_ascii().to_string());
    tracing::error!(path = %path.display(), was, branch, "HEAD was missing or damaged and is written again");
    Ok(files::replace(&path, format!("ref: {branch}\n").as_bytes())?)
}

fn mend_config(dir: &Path) -> Result<(), FileError> {
    let path = dir.join("config");
    let config = read(&path)?;
    if config.as_deref().is_some_and(is_good_config) {
        return Ok(());
    }
    tracing::error!(path = %path.display(), "the repository's config was missing or damaged and is written again");
    if config.is_some_and(|config| !CONFIG.starts_with(&config)) {
        set_aside(dir, &path)?;
    }
    files::replace(&path, CONFIG)
}

/// Reads a file; `None` if it doesn't exist. An empty directory of its name is removed.
fn read(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match std::fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ErrorKind::IsADirectory => {
            std::fs::remove_dir(path).at("remove", path)?;
            Ok(None)
        }
        read => read.map(Some).at("read", path),
    }
}

/// Returns `true` if HEAD has content that a person may have set: a branch, or a commit, which is refused
/// later.
fn is_good_head(head: &[u8]) -> bool {
    let Ok(head) = std::str::from_utf8(head) else { return false };
    match head.trim_end().strip_prefix("ref:") {
        Some(name) => check_branch(name.trim_start()).is_ok(),
        None => head.trim_end().parse::<crate::Revision>().is_ok(),
    }
}

/// Returns `true` if git can read the config and it isn't a truncated copy of ours: a person may have
/// changed it.
fn is_good_config(config: &[u8]) -> bool {
    let is_cut_off = config.len() < CONFIG.len() && CONFIG.starts_with(config);
    !is_cut_off
        && !config.contains(&0)
        && gix::config::parse::Events::from_bytes(config, None).is_ok()
}

/// The branch that must be the wiki's: the only one, or the default branch of a new wiki.
fn likely_branch(dir: &Path) -> Result<String, RepoError> {
    let mut branches = BTreeSet::new();
    loose_branches(&dir.join("refs/heads"), "refs/heads", &mut branches)?;
    if let Some(packed) = read(&dir.join("packed-refs"))? {
        let packed = String::from_utf8_lossy(&packed);
        let names = packed.lines().filter_map(|line| line.split_once(' ').map(|(_, name)| name));
        branches.extend(names.filter(|name| check_branch(name).is_ok()).map(str::to_owned));
    }
    match branches.first() {
        _ if branches.is_empty() || branches.contains(NEW_BRANCH) => Ok(NEW_BRANCH.to_owned()),
        Some(only) if branches.len() == 1 => Ok(only.clone()),
        _ => {
            let names: Vec<_> = branches.into_iter().collect();
            let source = format!(
                "HEAD is missing or damaged, and each of several branches could be the wiki's: point it at one of {} \
                 with `git symbolic-ref HEAD`",
                names.join(", ")
            );
            Err(RepoError::Unusable { dir: dir.to_owned(), source: source.into() })
        }
    }
}

fn loose_branches(dir: &Path, name: &str, found: &mut BTreeSet<String>) -> Result<(), FileError> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.at("read directory", dir)?,
    };
    for entry in entries {
        let entry = entry.at("read directory", dir)?;
        let path = entry.path();
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().at("read", &path)?.is_dir() {
            loose_branches(&path, &name, found)?;
        } else if check_branch(&name).is_ok() {
            found.insert(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
