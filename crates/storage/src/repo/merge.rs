//! In-memory merges of two histories of the same wiki.

use std::collections::BTreeSet;

use super::old_commits::Walkable;
use super::{Edit, Entry, FileChange, RepoError, Revision, View, object_id, revision};
use crate::merge::files::{
    Contents, Files, MergeConflict, Sides, Winner, all_renames, merge_bases, merge_files,
};
use crate::revision::Etag;
use crate::sync::Left;

/// Maximum number of merge bases, and of levels of recursion. Histories that were merged with each other
/// before may have several merge bases; up to this many are merged into one virtual base, and their own
/// bases likewise. Beyond the limit one of them is the base: the merge is coarser then, and no less safe.
const BASES: usize = 3;
const LEVELS: usize = 3;

/// The result of merging two histories.
pub(crate) struct Merge<'a> {
    pub(crate) ours: Files,
    pub(crate) theirs: Files,
    pub(crate) result: Files,
    pub(crate) conflicts: Vec<MergeConflict>,
    contents: Contents<'a>,
}

impl Merge<'_> {
    /// Our files that are missing at their paths in the result, each with its new path if it was renamed.
    pub(crate) fn left(&self) -> Result<Left, RepoError> {
        let moved = all_renames(&self.ours, &self.result, &self.contents)?;
        let left = self.ours.keys().filter(|path| !self.result.contains_key(*path));
        let to = |path: &Vec<u8>| moved.get(path.as_slice()).map(|to| to.to_vec());
        Ok(left.map(|path| (path.clone(), to(path))).collect())
    }

    /// Returns `true` if no text was made by merging lines.
    pub(crate) fn is_all_stored(&self) -> bool {
        self.result.values().all(|entry| self.contents.made(entry.id).is_none())
    }

    /// The changes from `files`, one of the two sides, to the result.
    pub(crate) fn changes(&self, files: &Files) -> Vec<FileChange> {
        let gone = files.iter().filter(|(path, _)| !self.result.contains_key(*path));
        let gone =
            gone.map(|(path, old)| FileChange { path: path.clone(), old: Some(*old), new: None });
        let changed = self.result.iter().filter_map(|(path, new)| {
            let old = files.get(path).copied();
            let change = || FileChange { path: path.clone(), old, new: Some(*new) };
            (old != Some(*new)).then(change)
        });
        // Removals first: a file may take the place of a directory, and the other way round.
        gone.chain(changed).collect()
    }

    /// The edits that turn `files`, one of the two sides, into the result.
    pub(crate) fn edits(&self, files: &Files) -> Vec<Edit> {
        let made = |entry: Option<Entry>| self.contents.made(entry?.id).cloned();
        let edit = |FileChange { path, new, .. }| Edit { path, new, content: made(new) };
        self.changes(files).into_iter().map(edit).collect()
    }

    /// The size of a text that is stored in `view` or was made by merging lines.
    pub(crate) fn size(&self, view: &View, id: Etag) -> Result<u64, RepoError> {
        match self.contents.made(id) {
            Some(text) => Ok(text.len() as u64),
            None => view.blob_size(id),
        }
    }
}

impl Merge<'_> {
    /// A text that is stored in `view` or was made by merging lines.
    pub(crate) fn text(&self, view: &View, id: Etag) -> Result<Vec<u8>, RepoError> {
        match self.contents.made(id) {
            Some(text) => Ok(text.clone()),
            None => view.blob(id),
        }
    }
}

impl View {
    /// Merges two histories. Nothing is written.
    pub(crate) fn merge(
        &self,
        ours: Option<Revision>,
        theirs: Revision,
        winner: Winner,
    ) -> Result<Merge<'_>, RepoError> {
        let mut contents = Contents::new(self);
        let base = match ours {
            Some(ours) => self.base_files(ours, theirs, &mut contents, LEVELS)?,
            None => Files::new(),
        };
        let ours = ours.map_or_else(|| Ok(Files::new()), |ours| self.files(ours))?;
        self.merge_trees(base, ours, self.files(theirs)?, winner, contents)
    }

    /// Merges the files of two sides whose common base is `base`.
    pub(crate) fn merge_files(
        &self,
        base: Files,
        ours: Files,
        theirs: Files,
        winner: Winner,
    ) -> Result<Merge<'_>, RepoError> {
        self.merge_trees(base, ours, theirs, winner, Contents::new(self))
    }

    fn merge_trees<'a>(
        &self,
        base: Files,
        ours: Files,
        theirs: Files,
        winner: Winner,
        mut contents: Contents<'a>,
    ) -> Result<Merge<'a>, RepoError> {
        let sides = Sides { base: &base, ours: &ours, theirs: &theirs };
        let (result, conflicts) = merge_files(sides, winner, &mut contents)?;
        Ok(Merge { ours, theirs, result, conflicts, contents })
    }

    /// The files of the merge base, virtual if there are several; empty if the histories are unrelated.
    fn base_files(
        &self,
        one: Revision,
        other: Revision,
        contents: &mut Contents<'_>,
        levels: usize,
    ) -> Result<Files, RepoError> {
        let bases = self.merge_bases(one, other)?;
        let mut bases = bases.into_iter();
        let Some(first) = bases.next() else { return Ok(Files::new()) };
        let mut merged = self.files(first)?;
        if levels == 0 {
            return Ok(merged);
        }
        for next in bases.take(BASES - 1) {
            let base = self.base_files(first, next, contents, levels - 1)?;
            let sides = Sides { base: &base, ours: &merged, theirs: &self.files(next)? };
            merged = merge_bases(sides, contents)?;
        }
        Ok(merged)
    }

    /// The merge bases of two commits, in an order that doesn't depend on the order of the two.
    pub(crate) fn merge_bases(
        &self,
        one: Revision,
        other: Revision,
    ) -> Result<BTreeSet<Revision>, RepoError> {
        let cache = self.0.commit_graph_if_enabled()?;
        let mut graph = gix::revwalk::Graph::new(Walkable(&self.0.objects), cache.as_ref());
        let (one, others) = (object_id(one.as_bytes()), [object_id(other.as_bytes())]);
        let bases = gix::revision::plumbing::merge_base(one, &others, &mut graph)?;
        Ok(bases.into_iter().flatten().map(|id| revision(&id)).collect())
    }
}
