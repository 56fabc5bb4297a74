//! Bringing together two histories of the same wiki, when somebody else moved the branch.
//!
//! No side's text is lost and no reader ever sees conflict markers: where both changed the same
//! lines, the page keeps ours and theirs becomes a page of its own beside it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Edit, Entry, FileChange, Repo, RepoError};
use crate::merge::{Merged, merge};
use crate::revision::Revision;

/// Files over this size (bytes) are kept side by side instead of being merged line by line.
const MERGE_LIMIT: u64 = 5_000_000;

/// What has to change in ours to contain theirs too.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reconciled {
    pub(crate) edits: Vec<Edit>,
    /// Files both sides changed in the same place; their text of each is in the second path.
    pub(crate) conflicts: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Repo {
    /// Merges `theirs` into `ours`; the edits apply to `ours`.
    pub(crate) fn reconcile(
        &self,
        ours: Revision,
        theirs: Revision,
    ) -> Result<Reconciled, RepoError> {
        let base = self.merge_base(ours, theirs)?;
        let our_files = self.files(ours)?;
        let our_changes = self.changed_since(base, ours)?;
        let mut merge =
            Reconciliation { repo: self, files: our_files, result: Reconciled::default() };
        for (path, theirs) in self.changed_since(base, theirs)? {
            let ours = our_changes.get(&path);
            merge.file(path, ours, &theirs)?;
        }
        Ok(merge.result)
    }

    fn changed_since(
        &self,
        base: Option<Revision>,
        head: Revision,
    ) -> Result<BTreeMap<Vec<u8>, FileChange>, RepoError> {
        Ok(self
            .changes(base, head)?
            .into_iter()
            .map(|change| (change.path.clone(), change))
            .collect())
    }
}

struct Reconciliation<'a> {
    repo: &'a Repo,
    /// Our files with the edits so far applied.
    files: BTreeMap<Vec<u8>, Entry>,
    result: Reconciled,
}

impl Reconciliation<'_> {
    fn file(
        &mut self,
        path: Vec<u8>,
        ours: Option<&FileChange>,
        theirs: &FileChange,
    ) -> Result<(), RepoError> {
        match (ours, theirs.new) {
            (None, None) => {
                self.files.remove(&path);
                self.result.edits.push(Edit { path, new: None, content: None });
            }
            // They deleted what we edited: the edited text stays.
            (Some(_), None) => {}
            (Some(ours), new) if ours.new == new => {}
            (Some(FileChange { new: Some(ours), .. }), Some(new)) => {
                self.both_changed(path, theirs.old, *ours, new)?;
            }
            // New to us, or deleted by us but edited by them: again the text stays.
            (None | Some(_), Some(new)) => self.put(path, new, None),
        }
        Ok(())
    }

    fn both_changed(
        &mut self,
        path: Vec<u8>,
        base: Option<Entry>,
        ours: Entry,
        theirs: Entry,
    ) -> Result<(), RepoError> {
        if ours.id == theirs.id {
            return Ok(());
        }
        let texts = [base, Some(ours), Some(theirs)];
        if let Some([base, our_text, their_text]) = self.texts(texts)?
            && let Merged::Clean(text) = merge(&base, &our_text, &their_text)
        {
            let new = Entry { mode: ours.mode, id: super::write::blob_id(&text)? };
            self.put(path, new, Some(text));
            return Ok(());
        }
        let beside = beside(&path, theirs);
        self.result.conflicts.push((path, beside.clone()));
        self.put(beside, theirs, None);
        Ok(())
    }

    /// The contents, if all three are ordinary files of a size that is merged line by line.
    fn texts(&self, entries: [Option<Entry>; 3]) -> Result<Option<[Vec<u8>; 3]>, RepoError> {
        let mut texts: [Vec<u8>; 3] = Default::default();
        for (text, entry) in texts.iter_mut().zip(entries) {
            let Some(entry) = entry else { continue };
            if !entry.is_file() || self.repo.blob_size(entry.id)? > MERGE_LIMIT {
                return Ok(None);
            }
            *text = self.repo.blob(entry.id)?;
            if text.contains(&0) {
                return Ok(None);
            }
        }
        Ok(Some(texts))
    }

    fn put(&mut self, path: Vec<u8>, new: Entry, content: Option<Vec<u8>>) {
        let path = if self.is_blocked(&path) { beside(&path, new) } else { path };
        self.files.insert(path.clone(), new);
        self.result.edits.push(Edit { path, new: Some(new), content });
    }

    /// Whether a file at `path` would replace a directory, or need a file to become one.
    fn is_blocked(&self, path: &[u8]) -> bool {
        let mut below = path.to_vec();
        below.push(b'/');
        let is_directory = self
            .files
            .range(below.clone()..)
            .next()
            .is_some_and(|(other, _)| other.starts_with(&below));
        let parents: BTreeSet<&[u8]> = path
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'/')
            .map(|(at, _)| &path[..at])
            .collect();
        is_directory || parents.into_iter().any(|parent| self.files.contains_key(parent))
    }
}

/// `notes.md` → `notes (conflict 1a2b3c4).md`: named after the text, so that two ends that meet the
/// same conflict choose the same name. A directory in the way of the path is named likewise.
fn beside(path: &[u8], theirs: Entry) -> Vec<u8> {
    let mark = format!(" (conflict {})", &theirs.id.to_string()[..7]);
    let name_at = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let dot = path[name_at..].iter().rposition(|byte| *byte == b'.').filter(|at| *at > 0);
    let (stem, extension) = path.split_at(dot.map_or(path.len(), |at| name_at + at));
    // Flattened, so that no directory of the path can be in the way again.
    let stem: Vec<u8> = if name_at == 0 {
        stem.to_vec()
    } else {
        stem.iter().map(|b| if *b == b'/' { b'-' } else { *b }).collect()
    };
    [&stem, mark.as_bytes(), extension].concat()
}
