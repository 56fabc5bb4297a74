//! Bringing in a git repository or bundle, with its whole history.

mod git;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use wikigrove_tenant::storage::IndexProgress;
use wikigrove_tenant::storage::files::sync_filesystem;
use wikigrove_tenant::{Error, NewTenant, Platform, Tenant, storage};

/// Why a source can't be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// There is nothing at this path.
    #[error("`{}` can't be read: {source}", path.display())]
    Unreadable {
        /// The path as given.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What is there is neither a repository nor a bundle.
    #[error("`{}` is neither a git repository nor a git bundle", path.display())]
    Unknown {
        /// The path.
        path: PathBuf,
    },
    /// The source has no branch to take.
    #[error("`{}` has no branch that a wiki could be made of", path.display())]
    NoBranch {
        /// The path.
        path: PathBuf,
    },
    /// The git program is missing or failed.
    #[error("git {command} failed: {detail}")]
    Git {
        /// The subcommand.
        command: &'static str,
        /// What git said last.
        detail: String,
    },
    /// The wiki could not be created.
    #[error(transparent)]
    Platform(#[from] Error),
}

/// What an import is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// git is working: what it does, and how much of it is done, in percent.
    Git(&'a str, u8),
    /// The index is being built.
    Index(IndexProgress),
}

/// Creates a wiki from a repository or bundle at `source`: the branch its HEAD names, with the whole
/// history. The wiki appears complete and indexed, or not at all.
///
/// # Errors
/// The source is no repository, has no branch, or is damaged; the slug is taken; the disk is full.
pub async fn import(
    platform: &Platform,
    new: NewTenant,
    source: &Path,
    progress: impl FnMut(Progress<'_>) + Send + 'static,
) -> Result<Tenant, ImportError> {
    let source = recognise(source)?;
    let branch =
        git::branch(&source)?.ok_or_else(|| ImportError::NoBranch { path: source.clone() })?;
    let lock = platform.lock_for_child()?;
    let make =
        move |dir: &Path, tenant: &Tenant| build(dir, tenant, &source, &branch, lock, progress);
    Ok(platform.create_with(new, make).await?)
}

/// Fills the new wiki's directory. Runs on a thread of its own.
fn build(
    dir: &Path,
    tenant: &Tenant,
    source: &Path,
    branch: &str,
    lock: File,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<(), storage::Error> {
    storage::Wiki::create_on(dir, branch)?;
    git::fetch(&dir.join("repo"), source, branch, lock, |what, percent| {
        progress(Progress::Git(what, percent))
    })
    .map_err(|error| storage::Error::Repository(Box::new(error)))?;
    let options = storage::Options {
        preferences: tenant.preferences.clone(),
        ..storage::Options::new(tenant.id.to_string())
    };
    let wiki = storage::Wiki::open(dir, options, &storage::Resources::default())?;
    wiki.update_index(|now| progress(Progress::Index(now)))?;
    wiki.close()?;
    // git synced its pack at most; what else it wrote has to be on the disk before the wiki exists.
    Ok(sync_filesystem(dir)?)
}

/// The absolute path of a source that looks like what we can read, judged by its content.
fn recognise(source: &Path) -> Result<PathBuf, ImportError> {
    let unreadable = |error| ImportError::Unreadable { path: source.to_owned(), source: error };
    // Absolute, so that git can take it for nothing but a path.
    let path = source.canonicalize().map_err(unreadable)?;
    if path.is_dir() {
        let is_repository = |dir: &Path| dir.join("HEAD").is_file() && dir.join("objects").is_dir();
        return match [path.join(".git"), path.clone()].into_iter().find(|dir| is_repository(dir)) {
            Some(dir) => Ok(dir),
            None => Err(ImportError::Unknown { path }),
        };
    }
    let mut beginning = Vec::new();
    let file = File::open(&path).map_err(unreadable)?;
    file.take(32).read_to_end(&mut beginning).map_err(unreadable)?;
    let is_bundle =
        beginning.starts_with(b"# v2 git bundle\n") || beginning.starts_with(b"# v3 git bundle\n");
    if is_bundle { Ok(path) } else { Err(ImportError::Unknown { path }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_recognised_by_their_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("text.bundle"), "just text").unwrap();
        std::fs::write(path("history"), "# v2 git bundle\n0123 refs/heads/main\n\nPACK").unwrap();
        std::fs::create_dir_all(path("work/.git/objects")).unwrap();
        std::fs::write(path("work/.git/HEAD"), "ref: refs/heads/main\n").unwrap();
        std::fs::create_dir(path("empty")).unwrap();
        assert!(matches!(recognise(&path("text.bundle")), Err(ImportError::Unknown { .. })));
        assert!(matches!(recognise(&path("empty")), Err(ImportError::Unknown { .. })));
        assert!(matches!(recognise(&path("missing")), Err(ImportError::Unreadable { .. })));
        assert!(recognise(&path("history")).unwrap().is_absolute());
        assert!(recognise(&path("work")).unwrap().ends_with("work/.git"));
        assert!(recognise(&path("work/.git")).unwrap().ends_with("work/.git"));
    }
}
