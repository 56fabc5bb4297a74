//! Imports an exported wiki.

use std::path::{Path, PathBuf};

use wikigrove_tenant::storage::otterwiki::{Room, TableRow, Tables};
use wikigrove_tenant::{Revision, storage};

use super::{History, ImportError, Prepared, Report, git};
use crate::archive::{ArchiveError, Incoming, Member};

/// Size of a transaction that writes rows: number of rows, and bytes of drafts.
const BATCH: (usize, usize) = (1000, 16 << 20);
/// The largest size of rows that are compared with existing ones, in bytes: they are all in memory.
const COMPARED: usize = 256 << 20;
/// The longest title that is imported, in bytes.
const MAX_TITLE: usize = 1000;

/// Checks the whole file, and reports omitted data.
pub(super) fn read(path: PathBuf, mut report: Report) -> Result<Prepared, ImportError> {
    let archive = Incoming::open(&path).map_err(|source| ImportError::Archive { path, source })?;
    let manifest = archive.manifest();
    report.preferences = size(manifest.preferences);
    report.drafts = size(manifest.drafts);
    report.users = size(manifest.users);
    report.access.insert("visibility".to_owned(), manifest.visibility.clone());
    for name in &manifest.secrets {
        report.leave("secret", name, "it isn't in the file and has to be set anew");
    }
    let branch = manifest.branch.clone();
    let history = History::Archive(Box::new(archive));
    Ok(Prepared { work_tree: None, branch, history, plan: None, report })
}

fn size(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// The wiki's title, if it can be displayed.
pub(super) fn title(archive: &Incoming) -> Option<&str> {
    let title = archive.manifest().title.trim();
    let is_title = (1..=MAX_TITLE).contains(&title.len()) && !title.chars().any(char::is_control);
    is_title.then_some(title)
}

/// A history that git can read. Dropping it deletes its temporary files.
pub(super) enum Readable {
    /// A bundle.
    Extracted(PathBuf),
    /// A repository.
    Copied(PathBuf),
}

impl Readable {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Extracted(path) | Self::Copied(path) => path,
        }
    }
}

impl Drop for Readable {
    fn drop(&mut self) {
        // Errors are ignored: the directory is either swept or completed.
        let _ = match self {
            Self::Extracted(path) => std::fs::remove_file(path),
            Self::Copied(path) => std::fs::remove_dir_all(path),
        };
    }
}

impl History {
    /// Writes the history into a repository in a directory of our own. `None` if it has no commits.
    pub(super) fn in_dir(
        &self,
        dir: &Path,
        branch: &str,
        progress: impl FnMut(&str, u8),
    ) -> Result<Option<Readable>, ImportError> {
        let copied = Readable::Copied(dir.join("source"));
        match self {
            Self::Bundle(path, is_detached, _) => {
                git::unbundle(path, branch, *is_detached, copied.path(), progress)?;
            }
            Self::Repository(repository, branch, head) => {
                repository.put(branch, *head, copied.path())?;
            }
            Self::Archive(archive) => {
                let extracted = Readable::Extracted(dir.join(Member::History.name()));
                let bundle = extracted.path();
                if !archive.extract(Member::History, bundle).map_err(damaged(archive))? {
                    return Ok(None);
                }
                check(archive, bundle)?;
                git::unbundle(bundle, branch, false, copied.path(), progress)?;
            }
        }
        Ok(Some(copied))
    }

    /// The newest commit of the history; `None` if it has no commits.
    pub(super) fn head(&self) -> Option<Revision> {
        match self {
            Self::Bundle(_, _, head) => *head,
            Self::Repository(_, _, head) => Some(*head),
            Self::Archive(archive) => archive.manifest().head.as_ref()?.parse().ok(),
        }
    }

    /// Adds advice to the error of a failed fetch if grafts replace missing commits.
    pub(super) fn explained(&self, error: ImportError) -> ImportError {
        match (self, error) {
            (
                Self::Repository(repository, ..),
                error @ (ImportError::Git { .. } | ImportError::CutOff),
            ) => {
                let Ok(Some(path)) = repository.grafts() else { return error };
                let why = "parts of the history are missing that its grafts stand in for; make a new \
                           repository that has them as parents, by `git fast-export --all | git -C NEW \
                           fast-import`, and import that"
                    .to_owned();
                ImportError::Foreign { path, why }
            }
            (_, error) => error,
        }
    }
}

/// Checks that the bundle has the branch of the manifest, at its head, and nothing else.
fn check(archive: &Incoming, bundle: &Path) -> Result<(), ImportError> {
    let manifest = archive.manifest();
    let refs = git::refs(bundle)?;
    let is_head = refs.head.map(|head| head.to_string()) == manifest.head;
    let is_branch = refs.branch.as_ref() == Some(&manifest.branch);
    if is_head && is_branch && refs.others.is_empty() {
        return Ok(());
    }
    let why =
        "`history.bundle` doesn't have the branch and the head of the manifest, or others too";
    Err(damaged(archive)(ArchiveError::Damaged(why.to_owned())))
}

fn damaged(archive: &Incoming) -> impl Fn(ArchiveError) -> ImportError {
    let path = archive.path().to_owned();
    move |source| ImportError::Archive { path: path.clone(), source }
}

/// Writes all rows into a new wiki, in transactions of [`BATCH`].
pub(super) fn put_rows(archive: &Incoming, wiki: &storage::Wiki) -> Result<(), storage::Error> {
    let mut batch = Tables::default();
    let (mut rows, mut bytes) = (0, 0);
    archive
        .rows(Room::of(usize::MAX), |row| {
            if let TableRow::Draft(draft) = &row {
                bytes += draft.content.as_ref().map_or(0, String::len);
            }
            batch.add(row);
            rows += 1;
            if rows >= BATCH.0 || bytes >= BATCH.1 {
                wiki.put_rows(&std::mem::take(&mut batch)).map_err(Failed::Wiki)?;
                (rows, bytes) = (0, 0);
            }
            Ok(())
        })
        .map_err(|error| match error {
            Failed::Archive(source) => damaged(archive)(source).boxed(),
            Failed::Wiki(error) => error,
        })?;
    if rows > 0 { wiki.put_rows(&batch) } else { Ok(()) }
}

enum Failed {
    Archive(ArchiveError),
    Wiki(storage::Error),
}

impl From<ArchiveError> for Failed {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

/// Reads all rows at once, to compare them with the existing ones.
pub(super) fn tables(archive: &Incoming) -> Result<Tables, ImportError> {
    let mut tables = Tables::default();
    let add = |row| {
        tables.add(row);
        Ok::<_, ArchiveError>(())
    };
    archive.rows(Room::of(COMPARED), add).map_err(damaged(archive))?;
    Ok(tables)
}

/// Puts the embedding application's database at the path where that application opens it.
pub(super) fn put_app_db(archive: &Incoming, dir: &Path) -> Result<(), ImportError> {
    let to = dir.join(Member::AppDb.name());
    archive.extract(Member::AppDb, &to).map(drop).map_err(damaged(archive))
}

/// Reports the data that an update doesn't change.
pub(super) fn note_kept(archive: &Incoming, report: &mut Report) {
    if archive.has(Member::AppDb) {
        report.leave("file", Member::AppDb.name(), "an update doesn't touch the one that is here");
    }
    if archive.manifest().users > 0 {
        report.leave("table", "user", "an update takes no accounts");
    }
}
