//! The changes of the index for one commit.

use std::collections::{HashMap, HashSet};

use rusqlite::Transaction;

use super::file::{FileState, Signature};
use super::log::{self, Change, Kind};
use super::renames::{self, Candidate};
use super::same_text::Names;
use super::{current, pages, set_indexed};
use crate::changes::{ChangeKind, PathChange};
use crate::db::DbError;
use crate::deadline;
use crate::links::LinkStyle;
use crate::repo::{Commit, Edit, Entry, FileChange, RepoError, View};
use crate::revision::{Etag, Revision};

/// The index changes of a commit of ours, computed before its transaction.
pub(crate) struct Described {
    changes: Vec<Change>,
    files: Vec<FileState>,
    /// The former contents of the changed pages.
    before: Vec<Etag>,
}

/// Maximum memory of the description of a commit, in bytes.
const MAX_DESCRIBED: usize = 32 << 20;

impl Described {
    /// Describes the edits made on top of `head`. `moves` are known renames: the paths before and after.
    /// `None` if there is too much to index at once.
    pub(crate) fn new(
        view: &View,
        head: Option<Revision>,
        edits: &[Edit],
        moves: &[(String, String)],
        style: LinkStyle,
    ) -> Result<Option<Self>, RepoError> {
        let edited = file_changes(view, head, edits)?;
        let mut files = Vec::with_capacity(edits.len());
        let (mut names, mut bytes) = (Names::default(), 0);
        for Edit { path, new, content } in edits {
            let read = |id| content.clone().map_or_else(|| view.blob(id), Ok);
            let size = |id| match content {
                Some(content) => Ok(content.len() as u64),
                None => view.blob_size(id),
            };
            let is_searched = match new {
                Some(new) => names.is_searched(new.id, size)?,
                None => true,
            };
            let state = FileState::of(path, *new, style, is_searched, read, size)?;
            bytes += state.as_ref().map_or(0, FileState::size);
            if bytes > MAX_DESCRIBED {
                return Ok(None);
            }
            files.extend(state);
        }
        let before = edited.iter().filter_map(|change| Some(change.old?.id)).collect();
        Ok(Some(Self { changes: with_moves(&edited, moves), files, before }))
    }

    /// Updates the index, in the transaction of the commit `new` made on top of `old`. Returns `true` if it
    /// did.
    ///
    /// An index that is behind is left alone, and the next catch-up includes this commit. The same happens
    /// if a page with the same text as a changed one must become searchable in its place.
    pub(crate) fn apply(
        &self,
        transaction: &Transaction<'_>,
        old: Option<Revision>,
        new: Revision,
        commit: &Commit,
    ) -> Result<bool, DbError> {
        if current(transaction)? != old || pages::have_unsearched(transaction, &self.before)? {
            return Ok(false);
        }
        log::append(transaction, new, commit, &self.changes)?;
        let by = Signature { revision: new, author: &commit.author, time: commit.time };
        for file in &self.files {
            file.apply(transaction, &by)?;
        }
        set_indexed(transaction, Some(new))?;
        Ok(true)
    }
}

/// The changes that edits make on top of `head`. `moves` are known renames: the paths before and after.
pub(crate) fn changes_by(
    view: &View,
    head: Option<Revision>,
    edits: &[Edit],
    moves: &[(String, String)],
) -> Result<Vec<Change>, RepoError> {
    Ok(with_moves(&file_changes(view, head, edits)?, moves))
}

fn file_changes(
    view: &View,
    head: Option<Revision>,
    edits: &[Edit],
) -> Result<Vec<FileChange>, RepoError> {
    let mut directories = head.map(|head| view.directories(head));
    let mut change = |Edit { path, new, .. }: &Edit| {
        deadline::check()?;
        let old = match (&mut directories, std::str::from_utf8(path)) {
            (Some(directories), Ok(path)) => {
                directories.entry(path)?.filter(|old| !old.is_directory())
            }
            _ => None,
        };
        Ok(FileChange { path: path.clone(), old, new: *new })
    };
    edits.iter().map(&mut change).collect()
}

/// The path of a file as users see it: pages without `.md`.
pub(crate) fn shown_path(file: &[u8]) -> String {
    PathChange::of_file(&String::from_utf8_lossy(file), ChangeKind::Modified, None).path
}

/// The changes of a commit: against its parent or, for a merge, against all parents.
pub(crate) fn changes_of(
    view: &View,
    commit: Revision,
    parents: &[Revision],
) -> Result<Vec<Change>, RepoError> {
    let changes = view.changes(parents.first().copied(), commit)?;
    let Some((_, others)) = parents.split_first().filter(|(_, others)| !others.is_empty()) else {
        return with_renames(view, &changes);
    };
    // A file that is the same in one of the parents was not changed by the merge.
    let mut changes = changes;
    for other in others {
        if changes.is_empty() {
            break;
        }
        let differing: HashSet<Vec<u8>> =
            view.changes(Some(*other), commit)?.into_iter().map(|change| change.path).collect();
        changes.retain(|change| differing.contains(&change.path));
    }
    Ok(with_moves(&changes, &[]))
}

/// As [`changes_of`], for a commit whose renames are known.
pub(super) fn changes_with(
    view: &View,
    commit: Revision,
    parents: &[Revision],
    moves: &[(String, String)],
) -> Result<Vec<Change>, RepoError> {
    Ok(with_moves(&view.changes(parents.first().copied(), commit)?, moves))
}

/// Detects renames among the changes.
fn with_renames(view: &View, changes: &[FileChange]) -> Result<Vec<Change>, RepoError> {
    let changed = with_moves(changes, &moves_of(view, changes)?);
    with_copies(view, changed, changes)
}

/// Detects renamed files: the paths before and after.
pub(crate) fn moves_of(
    view: &View,
    changes: &[FileChange],
) -> Result<Vec<(String, String)>, RepoError> {
    let (removed, added) =
        (candidates(changes, |c| c.old, |c| c.new), candidates(changes, |c| c.new, |c| c.old));
    if removed.is_empty() || added.is_empty() {
        return Ok(Vec::new());
    }
    let pairs = renames::pair(&removed, &added, |id| content(view, id))?;
    let path = |file: &Candidate<'_>| file.path.to_owned();
    Ok(pairs.into_iter().map(|(i, j)| (path(&removed[i]), path(&added[j]))).collect())
}

/// A file's content; `None` if it is too large to be compared.
fn content(view: &View, id: Etag) -> Result<Option<Vec<u8>>, RepoError> {
    if view.blob_size(id)? > renames::MAX_SIZE { Ok(None) } else { view.blob(id).map(Some) }
}

/// Detects copies: new files that are equal or similar to the former content of a file that the same commit
/// changed or moved, as when a page is split. Other copies (of a template) have histories of their own.
fn with_copies(
    view: &View,
    mut changed: Vec<Change>,
    changes: &[FileChange],
) -> Result<Vec<Change>, RepoError> {
    let is_added: HashSet<&str> = changed
        .iter()
        .filter(|change| change.kind == Kind::Added)
        .map(|change| change.path.as_str())
        .collect();
    let candidate = |path, entry: Option<Entry>| {
        let id = entry.filter(|entry| entry.is_file())?.id;
        Some(Candidate { path: std::str::from_utf8(path).ok()?, id })
    };
    let origins: Vec<_> = changes.iter().filter_map(|c| candidate(&c.path, c.old)).collect();
    let mut added: Vec<_> = changes.iter().filter_map(|c| candidate(&c.path, c.new)).collect();
    added.retain(|file| is_added.contains(file.path));
    let copies = renames::copies(&origins, &added, |id| content(view, id))?;
    let copies: HashMap<&str, &str> =
        copies.into_iter().map(|(i, j)| (added[j].path, origins[i].path)).collect();
    for change in &mut changed {
        if let Some(origin) = copies.get(change.path.as_str()) {
            change.kind = Kind::Copied((*origin).to_owned());
        }
    }
    Ok(changed)
}

/// The files that are only in one of the two states.
fn candidates(
    changes: &[FileChange],
    here: impl Fn(&FileChange) -> Option<Entry>,
    there: impl Fn(&FileChange) -> Option<Entry>,
) -> Vec<Candidate<'_>> {
    let candidate = |change| {
        let entry = here(change).filter(|entry| entry.is_file() && there(change).is_none())?;
        Some(Candidate { path: std::str::from_utf8(&change.path).ok()?, id: entry.id })
    };
    changes.iter().filter_map(candidate).collect()
}

/// Assigns a kind to each change; `moves` are the known renames.
fn with_moves(changes: &[FileChange], moves: &[(String, String)]) -> Vec<Change> {
    let to: HashMap<&str, &str> = moves.iter().map(|(old, new)| (&**old, &**new)).collect();
    let from: HashMap<&str, &str> = moves.iter().map(|(old, new)| (&**new, &**old)).collect();
    let name = |change: &FileChange| {
        let path = String::from_utf8(change.path.clone()).ok()?;
        let kind = match (change.old, change.new) {
            (None, None) => return None,
            (None, Some(_)) => match from.get(path.as_str()) {
                Some(old) => Kind::Renamed((*old).to_owned()),
                None => Kind::Added,
            },
            (Some(_), None) => match to.get(path.as_str()) {
                Some(new) => Kind::Moved((*new).to_owned()),
                None => Kind::Deleted,
            },
            // The file takes the place of another file that moves, too.
            (Some(_), Some(_)) if from.contains_key(path.as_str()) => {
                Kind::Renamed(from[path.as_str()].to_owned())
            }
            (Some(old), Some(new)) if old == new => return None,
            (Some(_), Some(_)) => Kind::Modified,
        };
        Some(Change { path, kind })
    };
    changes.iter().filter_map(name).collect()
}

impl Change {
    /// The change as the wiki's log shows it, where a move appears once.
    pub(crate) fn shown(&self) -> Option<PathChange> {
        let (kind, other) = match &self.kind {
            Kind::Added => (ChangeKind::Added, None),
            Kind::Modified => (ChangeKind::Modified, None),
            Kind::Deleted => (ChangeKind::Deleted, None),
            Kind::Renamed(old) => (ChangeKind::Renamed, Some(old.as_str())),
            Kind::Copied(old) => (ChangeKind::Copied, Some(old.as_str())),
            Kind::Moved(_) => return None,
        };
        Some(PathChange::of_file(&self.path, kind, other))
    }
}
