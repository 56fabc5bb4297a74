//! Undoes one commit, or all commits since one. Both make a new commit; nothing is removed from the history.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::author::Author;
use crate::changes::{First, PathChange};
use crate::deadline;
use crate::error::{Conflict, Error};
use crate::index::{self, Change};
use crate::merge::{Effort, Ends, Merged, merge_lines};
use crate::message::Message;
use crate::repo::{Edit, Entry, FileChange, View, blob_id};
use crate::revision::Revision;
use crate::unit::{MadeTexts, Unit};
use crate::wiki::Wiki;

/// A request to undo one commit, or to restore the state of one.
#[derive(Clone, Debug)]
pub struct Undo<'a> {
    /// The commit.
    pub revision: Revision,
    /// The author of the undo.
    pub author: &'a Author,
    /// The commit message; one is generated if it is absent.
    pub message: Option<&'a str>,
    /// True to compute the changes without making them.
    pub dry_run: bool,
}

/// The outcome of an undo, or of its dry run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Undone {
    /// The new commit; `None` if there was nothing to undo, or for a dry run.
    pub revision: Option<Revision>,
    /// The changes, by path: the first [`MAX_CHANGES`](crate::MAX_CHANGES).
    pub changes: Vec<PathChange>,
    /// Paths of pages and attachments that changed since in the same place, the first of them. Only in a dry run: an
    /// undo with conflicts fails.
    pub conflicts: Vec<String>,
    /// True if there are more changes or conflicts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

impl Wiki {
    /// Undoes one commit: restores the files that it changed, merged with later changes.
    ///
    /// # Errors
    /// The commit isn't part of the history; it is a merge; a later change conflicts ([`Error::RevertConflict`]).
    pub fn revert(&self, undo: &Undo<'_>) -> Result<Undone, Error> {
        let revision = self.reachable(undo.revision)?;
        let commit = self.repo().commit(revision)?;
        if commit.parents.len() > 1 {
            return Err(Error::RevertsMerge { revision });
        }
        let undone = self.repo().changes(commit.parents.first().copied(), revision)?;
        let moves = self.moves_in(revision, &undone)?;
        let subject = commit.message.lines().next().unwrap_or_default();
        let subject = format!("\"{subject}\"");
        let detail = format!("This reverts commit {revision}.");
        let message = Message {
            given: undo.message,
            verb: "Revert",
            subject: &subject,
            detail: Some(&detail),
        };
        self.undo(undo, message, |unit| {
            let mut plan = Plan::default();
            let moved = self.plan_moves_back(unit, &undone, &moves, &mut plan)?;
            for change in undone.iter().filter(|change| !moved.contains(change.path.as_slice())) {
                deadline::check()?;
                self.plan_revert(unit, change, &mut plan)?;
            }
            self.keep_what_is_in_the_way(unit, &mut plan)?;
            Ok(plan)
        })
    }

    /// Restores the whole wiki to a commit: every page and attachment is then as it was in that commit.
    ///
    /// # Errors
    /// The commit isn't part of the history.
    pub fn restore(&self, undo: &Undo<'_>) -> Result<Undone, Error> {
        let revision = self.reachable(undo.revision)?;
        let subject = revision.to_string();
        let message =
            Message { given: undo.message, verb: "Restore", subject: &subject, detail: None };
        self.undo(undo, message, |unit| {
            let edit =
                |change: FileChange| Edit { path: change.path, new: change.new, content: None };
            let edits = match unit.head {
                Some(head) => {
                    unit.view.changes(Some(head), revision)?.into_iter().map(edit).collect()
                }
                None => Vec::new(),
            };
            Ok(Plan { edits, ..Plan::default() })
        })
    }

    fn undo<'a>(
        &'a self,
        undo: &Undo<'_>,
        message: Message<'_>,
        plan: impl FnOnce(&Unit<'a>) -> Result<Plan, Error>,
    ) -> Result<Undone, Error> {
        let (mut undone, published) = self.write(|unit| {
            let Plan { edits, moves, conflicts, first, .. } = plan(unit)?;
            let (changes, more_changes) = shown(&unit.view, unit.head, &edits, &moves)?;
            let (conflicts, more_conflicts) = First::of(conflicts);
            let truncated = more_changes || more_conflicts;
            let undone = Undone { revision: None, changes, conflicts, truncated };
            if undo.dry_run {
                return Ok(undone);
            }
            if let Some(first) = first {
                return Err(Error::RevertConflict { first, paths: undone.conflicts });
            }
            if !edits.is_empty() {
                (unit.edits, unit.moves) = (edits, moves);
                unit.sign(undo.author, message)?;
            }
            Ok(undone)
        })?;
        undone.revision = published.map(|published| published.revision);
        Ok(undone)
    }

    /// The files that a commit moved, before and after, as the log knows it.
    fn moves_in(
        &self,
        revision: Revision,
        changes: &[FileChange],
    ) -> Result<Vec<(String, String)>, Error> {
        if changes.iter().all(|change| change.new.is_some()) {
            return Ok(Vec::new());
        }
        let known = self.database()?.read(|c| Ok::<_, Error>(index::moves_in(c, revision)?))?;
        match known {
            Some(moves) => Ok(moves),
            None => Ok(index::moves_of(&self.repo().view(), changes)?),
        }
    }

    /// Adds what brings files back from where a commit moved them, with what was changed in them since.
    /// Returns the paths of which nothing else has to be undone.
    fn plan_moves_back<'c>(
        &self,
        unit: &Unit<'_>,
        changes: &'c [FileChange],
        moves: &[(String, String)],
        plan: &mut Plan,
    ) -> Result<HashSet<&'c [u8]>, Error> {
        let by_path: HashMap<&[u8], &'c FileChange> =
            changes.iter().map(|change| (change.path.as_slice(), change)).collect();
        let change = |path: &str| by_path.get(path.as_bytes()).copied();
        let mut moved = HashSet::new();
        for (old, new) in moves {
            deadline::check()?;
            let (Some(left), Some(came)) = (change(old), change(new)) else { continue };
            let (Some(before), Some(after)) = (left.old, came.new) else { continue };
            // A file that it replaced comes back by itself, and a file that is where it was is in the way.
            if left.new.is_some() || came.old.is_some() || unit.entry(old)?.is_some() {
                continue;
            }
            let (path, now) = self.present(unit, came)?;
            let Some(now) = now.filter(|now| now.is_file()) else { continue };
            let new = if now == after {
                Some(Brought { file: before, content: None })
            } else {
                self.brought_back(unit, (before, after, now), &path, plan)?
            };
            moved.extend([left.path.as_slice(), came.path.as_slice()]);
            let Some(Brought { file, content }) = new else { continue };
            if let Ok(path) = String::from_utf8(path.clone()) {
                plan.moves.push((path, old.clone()));
            }
            plan.edits.push(Edit { path, new: None, content: None });
            plan.edits.push(Edit { path: left.path.clone(), new: Some(file), content });
        }
        Ok(moved)
    }

    /// The file that goes back to where it was, with the changes made since; `None` if that is a
    /// conflict, which is added to the plan. Given are the file before and after the move, and now.
    fn brought_back(
        &self,
        unit: &Unit<'_>,
        (before, after, now): (Entry, Entry, Entry),
        path: &[u8],
        plan: &mut Plan,
    ) -> Result<Option<Brought>, Error> {
        if before.id == after.id {
            return Ok(Some(Brought { file: now, content: None }));
        }
        if plan.effort.is_spent() {
            plan.conflict(path, None);
            return Ok(None);
        }
        let text = |entry: Entry| unit.view.blob(entry.id);
        let (base, ours, theirs) = (text(after)?, text(now)?, text(before)?);
        let hunks = match merge_lines(&base, &ours, &theirs, Ends::Ours, &mut plan.effort) {
            Merged::Clean(content) if content.len() as u64 > self.page_limit() => Vec::new(),
            Merged::Clean(content) => {
                plan.made.add(content.len())?;
                let file = Entry { id: blob_id(&content)?, ..now };
                return Ok(Some(Brought { file, content: Some(content) }));
            }
            Merged::Conflict(places) => places,
        };
        let lossy = |text: Vec<u8>| Some(String::from_utf8_lossy(&text).into_owned());
        let conflict = Conflict {
            path: index::shown_path(path),
            base: lossy(base),
            ours: lossy(ours),
            theirs: lossy(theirs),
            current: Some(now.id),
            hunks,
            moved_to: None,
        };
        plan.conflict(path, Some(conflict));
        Ok(None)
    }

    /// Adds what undoes one change, if it can be undone.
    fn plan_revert(
        &self,
        unit: &Unit<'_>,
        change: &FileChange,
        plan: &mut Plan,
    ) -> Result<(), Error> {
        let (path, now) = self.present(unit, change)?;
        if now == change.old {
            return Ok(());
        }
        if now == change.new {
            plan.edits.push(Edit { path, new: change.old, content: None });
            return Ok(());
        }
        if plan.effort.is_spent() {
            plan.conflict(&path, None);
            return Ok(());
        }
        let file = |entry: Option<Entry>| entry.filter(|entry| entry.is_file());
        let text = |entry: Option<Entry>| match file(entry) {
            Some(entry) => unit.view.blob(entry.id).map(Some),
            None => Ok(None),
        };
        let (base, ours, theirs) = (text(change.new)?, text(now)?, text(change.old)?);
        let mut hunks = Vec::new();
        if let (Some(base), Some(ours), Some(theirs), Some(now)) = (&base, &ours, &theirs, now) {
            match merge_lines(base, ours, theirs, Ends::Ours, &mut plan.effort) {
                // It was undone already, together with something else.
                Merged::Clean(content) if content == *ours => return Ok(()),
                Merged::Clean(content) if content.len() as u64 > self.page_limit() => {}
                Merged::Clean(content) => {
                    plan.made.add(content.len())?;
                    let new = Some(Entry { id: blob_id(&content)?, ..now });
                    plan.edits.push(Edit { path, new, content: Some(content) });
                    return Ok(());
                }
                Merged::Conflict(places) => hunks = places,
            }
        }
        let lossy = |text: Option<Vec<u8>>| Some(String::from_utf8_lossy(&text?).into_owned());
        let conflict = Conflict {
            path: index::shown_path(&path),
            base: lossy(base),
            ours: lossy(ours),
            theirs: lossy(theirs),
            current: now.map(|now| now.id),
            hunks,
            moved_to: None,
        };
        plan.conflict(&path, Some(conflict));
        Ok(())
    }

    /// Finds files that a restored file would replace: files below a directory of its name, and a file where it needs a
    /// directory. A tree can't hold both, and writing one removes the other.
    fn keep_what_is_in_the_way(&self, unit: &Unit<'_>, plan: &mut Plan) -> Result<(), Error> {
        let Some(head) = unit.head else { return Ok(()) };
        let touched: HashSet<&[u8]> = plan.edits.iter().map(|edit| edit.path.as_slice()).collect();
        let written = || plan.edits.iter().filter(|edit| edit.new.is_some());
        let files: HashSet<&[u8]> = written().map(|edit| edit.path.as_slice()).collect();
        let directories: HashSet<&[u8]> =
            written().flat_map(|edit| directories_of(&edit.path)).collect();
        let mut in_the_way = Vec::new();
        for file in self.repo().files(head)?.into_keys() {
            let stays = !touched.contains(file.as_slice());
            let is_in_the_way = directories.contains(file.as_slice())
                || directories_of(&file).any(|directory| files.contains(directory));
            if stays && is_in_the_way {
                in_the_way.push(file);
            }
        }
        in_the_way.iter().for_each(|file| plan.conflict(file, None));
        Ok(())
    }

    /// Returns the present path and entry of a changed file, which may have been renamed since.
    fn present(
        &self,
        unit: &Unit<'_>,
        change: &FileChange,
    ) -> Result<(Vec<u8>, Option<Entry>), Error> {
        let Ok(path) = std::str::from_utf8(&change.path) else {
            return Ok((change.path.clone(), None));
        };
        let at =
            |path: &str| Ok::<_, Error>(unit.entry(path)?.filter(|entry| !entry.is_directory()));
        let now = at(path)?;
        if now.is_none() && change.new.is_some() {
            let moved = self.database()?.read(|c| Ok::<_, Error>(index::moved_to(c, path)?))?;
            if let Some(moved) = moved
                && let Some(there) = at(&moved)?
            {
                return Ok((moved.into_bytes(), Some(there)));
            }
        }
        Ok((change.path.clone(), now))
    }
}

/// A file that goes back to where it was.
struct Brought {
    file: Entry,
    /// Its content, if it was merged.
    content: Option<Vec<u8>>,
}

#[derive(Default)]
struct Plan {
    edits: Vec<Edit>,
    /// Files that go back to where they were: where they are and where they were.
    moves: Vec<(String, String)>,
    /// The paths of conflicts, and the first conflict with its texts.
    conflicts: Vec<String>,
    first: Option<Box<Conflict>>,
    /// The size of the merged texts.
    made: MadeTexts,
    /// Limits the work of merging, since saves wait for it.
    effort: Effort,
}

impl Plan {
    fn conflict(&mut self, path: &[u8], conflict: Option<Conflict>) {
        let path = index::shown_path(path);
        let without_texts = || Conflict {
            path: path.clone(),
            base: None,
            ours: None,
            theirs: None,
            current: None,
            hunks: Vec::new(),
            moved_to: None,
        };
        self.first.get_or_insert_with(|| Box::new(conflict.unwrap_or_else(without_texts)));
        self.conflicts.push(path);
    }
}

/// The directories that contain a file, outermost first.
fn directories_of(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = file.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes.map(move |(end, _)| &file[..end])
}

/// Returns the first changes by path, as users see them, and whether there are more.
pub(crate) fn shown(
    view: &View,
    head: Option<Revision>,
    edits: &[Edit],
    moves: &[(String, String)],
) -> Result<(Vec<PathChange>, bool), Error> {
    let changes = index::changes_by(view, head, edits, moves)?;
    Ok(First::of(changes.iter().filter_map(Change::shown)))
}

#[cfg(test)]
mod tests;
