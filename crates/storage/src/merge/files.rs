//! Three-way merge of all files of a wiki: pages that both sides changed, deleted, renamed or created.
//!
//! No side's text is ever lost, and users never see conflict markers. Where one page can't hold both texts, the
//! winner's stays and the other becomes a file of its own beside it, named after its content. The result depends only
//! on the three trees and the [`Winner`]; with [`Winner::Stable`] it doesn't even depend on which side is ours.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::settle::settle;
use super::{Effort, Ends, Merged, common_base, merge_lines};
use crate::index::{Candidate, MAX_RENAMED, pair_renamed};
use crate::repo::{Entry, RepoError, View, blob_id};
use crate::revision::Etag;

/// Files above this size (in bytes) are kept side by side instead of being merged line by line, and so are files whose
/// merge would be larger: other wikis would refuse such a page, and with it all later commits.
const MERGE_LIMIT: u64 = 5_000_000;
/// Above this many bytes of merged text, the remaining files are kept side by side, too.
const MERGED_BYTES: usize = 128 << 20;

/// All files of a tree, by path.
pub(crate) type Files = BTreeMap<Vec<u8>, Entry>;

/// The side whose text keeps the path in a conflict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Winner {
    /// The wiki's.
    #[default]
    Wiki,
    /// The remote's.
    Remote,
    /// The one with the smaller blob id: two wikis that merge the same histories make the same tree.
    Stable,
}

/// The kind of a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    /// Both sides changed the same lines.
    BothChanged,
    /// Both sides added different files at the same path.
    BothAdded,
    /// One side deleted a file that the other changed or renamed; the file stays.
    Deleted,
    /// The sides renamed a file to different names; both stay.
    Renamed,
    /// A file has the same name as a directory.
    FileAndDirectory,
    /// Two names differ only in case or composition.
    SameName,
}

impl ConflictKind {
    /// The kind's name in wiki.db and in the API.
    pub fn code(self) -> &'static str {
        match self {
            Self::BothChanged => "both_changed",
            Self::BothAdded => "both_added",
            Self::Deleted => "deleted",
            Self::Renamed => "renamed",
            Self::FileAndDirectory => "file_and_directory",
            Self::SameName => "same_name",
        }
    }

    pub(crate) fn of_code(code: &str) -> Option<Self> {
        let all = [
            Self::BothChanged,
            Self::BothAdded,
            Self::Deleted,
            Self::Renamed,
            Self::FileAndDirectory,
            Self::SameName,
        ];
        all.into_iter().find(|kind| kind.code() == code)
    }
}

/// A conflict that a person should look at, although nothing is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MergeConflict {
    /// Path of the winner's file.
    pub(crate) path: Vec<u8>,
    pub(crate) kind: ConflictKind,
    pub(crate) base: Option<Etag>,
    /// `None`: deleted in the wiki.
    pub(crate) ours: Option<Etag>,
    /// `None`: deleted by the other side.
    pub(crate) theirs: Option<Etag>,
    /// Path of the losing text; for a file that both sides renamed, its second name.
    pub(crate) beside: Option<Vec<u8>>,
}

/// The two sides of a merge and their base.
#[derive(Clone, Copy)]
pub(crate) struct Sides<'a> {
    pub(crate) base: &'a Files,
    pub(crate) ours: &'a Files,
    pub(crate) theirs: &'a Files,
}

/// The source of contents: the repository, and the texts merged so far.
pub(crate) struct Contents<'a> {
    view: &'a View,
    made: HashMap<Etag, Vec<u8>>,
    bytes: usize,
    effort: Effort,
}

impl<'a> Contents<'a> {
    pub(crate) fn new(view: &'a View) -> Self {
        Self { view, made: HashMap::new(), bytes: 0, effort: Effort::default() }
    }

    /// Returns a text that this merge made, by its id.
    pub(crate) fn made(&self, id: Etag) -> Option<&Vec<u8>> {
        self.made.get(&id)
    }

    fn make(&mut self, text: Vec<u8>) -> Result<Etag, RepoError> {
        let id = blob_id(&text)?;
        self.bytes += text.len();
        self.made.insert(id, text);
        Ok(id)
    }

    /// Returns the content of a file; `None` if it is too large to be compared line by line.
    fn text(&self, id: Etag, limit: u64) -> Result<Option<Vec<u8>>, RepoError> {
        if let Some(text) = self.made.get(&id) {
            return Ok(Some(text.clone()));
        }
        let small = self.view.blob_size(id)? <= limit;
        if small { self.view.blob(id).map(Some) } else { Ok(None) }
    }

    /// Returns the three texts; `None` if one of them is binary or too large.
    fn texts(&self, ids: [Etag; 3]) -> Result<Option<[Vec<u8>; 3]>, RepoError> {
        let mut texts: [Vec<u8>; 3] = Default::default();
        for (text, id) in texts.iter_mut().zip(ids) {
            match self.text(id, MERGE_LIMIT)? {
                // Only a synthetic base may contain NULs.
                Some(content) if !content.contains(&0) || self.made.contains_key(&id) => {
                    *text = content;
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(texts))
    }
}

/// Merges two sides. Returns the resulting files and the conflicts.
pub(crate) fn merge_files(
    sides: Sides<'_>,
    winner: Winner,
    contents: &mut Contents<'_>,
) -> Result<(Files, Vec<MergeConflict>), RepoError> {
    let gathered = Gathering::new(sides, winner, contents).gather()?;
    Ok(settle(sides, winner, gathered))
}

/// Makes a synthetic base for merging two trees that both descend from the two sides; see [`common_base`]. A path with
/// two different claims is left out.
pub(crate) fn merge_bases(
    sides: Sides<'_>,
    contents: &mut Contents<'_>,
) -> Result<Files, RepoError> {
    let mut gathering = Gathering::new(sides, Winner::Stable, contents);
    gathering.for_base = true;
    let claims = gathering.gather()?.claims;
    let alone = |(path, claims): (Vec<u8>, Vec<Claim>)| match &claims[..] {
        [claim] => Some((path, claim.entry)),
        _ => None,
    };
    Ok(claims.into_iter().filter_map(alone).collect())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Ours,
    Theirs,
    Both,
}

/// A file that claims a path, and the sides that have it there.
#[derive(Clone, Copy)]
pub(super) struct Claim {
    pub(super) entry: Entry,
    pub(super) side: Side,
}

/// A file that lost its path.
pub(super) struct Loser {
    pub(super) path: Vec<u8>,
    pub(super) entry: Entry,
    /// Index of its conflict.
    pub(super) conflict: usize,
}

#[derive(Default)]
pub(super) struct Gathered {
    /// At most two per path: each comes from a file that one side has at this path.
    pub(super) claims: BTreeMap<Vec<u8>, Vec<Claim>>,
    pub(super) losers: Vec<Loser>,
    pub(super) conflicts: Vec<MergeConflict>,
}

/// The first half of a merge: determines which files continue under which names.
struct Gathering<'a, 'c, 'v> {
    sides: Sides<'a>,
    winner: Winner,
    contents: &'c mut Contents<'v>,
    /// True if the result is only a base for another merge.
    for_base: bool,
    /// Files that one side left unchanged and the other deleted.
    dropped: Vec<(&'a [u8], Entry, Side)>,
    result: Gathered,
}

impl<'a, 'c, 'v> Gathering<'a, 'c, 'v> {
    fn new(sides: Sides<'a>, winner: Winner, contents: &'c mut Contents<'v>) -> Self {
        Self {
            sides,
            winner,
            contents,
            for_base: false,
            dropped: Vec::new(),
            result: Gathered::default(),
        }
    }

    fn gather(mut self) -> Result<Gathered, RepoError> {
        let Sides { base, ours, theirs } = self.sides;
        let our_names = renames(base, ours, theirs, self.contents)?;
        let their_names = renames(base, theirs, ours, self.contents)?;
        let mut known: [HashSet<&[u8]>; 2] = Default::default();
        for (path, entry) in base {
            let name = |files: &'a Files, renamed: &HashMap<&'a [u8], &'a [u8]>| match files
                .get_key_value(path)
            {
                Some((path, _)) => Some(path.as_slice()),
                None => renamed.get(path.as_slice()).copied(),
            };
            let (our_name, their_name) = (name(ours, &our_names), name(theirs, &their_names));
            known[0].extend(our_name);
            known[1].extend(their_name);
            match (our_name, their_name) {
                (None, None) => {}
                (Some(name), None) => self.deleted(path, *entry, name, Side::Ours),
                (None, Some(name)) => self.deleted(path, *entry, name, Side::Theirs),
                (Some(ours), Some(theirs)) => self.both_have(path, *entry, ours, theirs)?,
            }
        }
        for (files, known, side) in
            [(ours, &known[0], Side::Ours), (theirs, &known[1], Side::Theirs)]
        {
            for (path, entry) in files.iter().filter(|(path, _)| !known.contains(path.as_slice())) {
                self.claim(path, *entry, side);
            }
        }
        self.keep_copies();
        Ok(self.result)
    }

    /// Keeps every text that both sides have. After a page was renamed on both sides, it exists under both names until
    /// its users delete one copy each. If they deleted different copies, neither meant to delete the text.
    fn keep_copies(&mut self) {
        if self.dropped.is_empty() {
            return;
        }
        let ids = |files: &Files| files.values().map(|entry| entry.id).collect::<HashSet<_>>();
        let (mut lost, theirs) = (ids(self.sides.ours), ids(self.sides.theirs));
        lost.retain(|id| theirs.contains(id));
        let claims = self.result.claims.values().flatten().map(|claim| claim.entry);
        for entry in claims.chain(self.result.losers.iter().map(|loser| loser.entry)) {
            lost.remove(&entry.id);
        }
        for (path, entry, side) in std::mem::take(&mut self.dropped) {
            if lost.contains(&entry.id) {
                self.keep(path, entry, entry, side);
            }
        }
    }

    fn claim(&mut self, path: &[u8], entry: Entry, side: Side) {
        self.result.claims.entry(path.to_vec()).or_default().push(Claim { entry, side });
    }

    /// Handles a file that only one side still has.
    fn deleted(&mut self, path: &'a [u8], base: Entry, name: &[u8], side: Side) {
        let files = if side == Side::Ours { self.sides.ours } else { self.sides.theirs };
        let entry = files[name];
        if name == path && entry == base {
            self.dropped.push((path, entry, side));
        } else {
            self.keep(name, base, entry, side);
        }
    }

    /// Keeps a file that one side deleted.
    fn keep(&mut self, name: &[u8], base: Entry, entry: Entry, side: Side) {
        self.claim(name, entry, side);
        self.result.conflicts.push(MergeConflict {
            path: name.to_vec(),
            kind: ConflictKind::Deleted,
            base: Some(base.id),
            ours: (side == Side::Ours).then_some(entry.id),
            theirs: (side == Side::Theirs).then_some(entry.id),
            beside: None,
        });
    }

    /// Handles a file that both sides still have, perhaps under different names.
    fn both_have(
        &mut self,
        path: &[u8],
        base: Entry,
        our_name: &[u8],
        their_name: &[u8],
    ) -> Result<(), RepoError> {
        let (ours, theirs) = (self.sides.ours[our_name], self.sides.theirs[their_name]);
        let conflict = |path: &[u8], kind, beside: Option<&[u8]>| MergeConflict {
            path: path.to_vec(),
            kind,
            base: Some(base.id),
            ours: Some(ours.id),
            theirs: Some(theirs.id),
            beside: beside.map(<[u8]>::to_vec),
        };
        if our_name != path && their_name != path && our_name != their_name {
            self.claim(our_name, ours, Side::Ours);
            self.claim(their_name, theirs, Side::Theirs);
            let (one, other) = (our_name.min(their_name), our_name.max(their_name));
            self.result.conflicts.push(conflict(one, ConflictKind::Renamed, Some(other)));
            return Ok(());
        }
        let (name, side) = if our_name == their_name {
            (our_name, Side::Both)
        } else if our_name == path {
            (their_name, Side::Theirs)
        } else {
            (our_name, Side::Ours)
        };
        if let Some(merged) = self.combine(base, ours, theirs)? {
            self.claim(name, merged, side);
            return Ok(());
        }
        let (winner, loser) = match self.winner {
            Winner::Wiki => (ours, theirs),
            Winner::Remote => (theirs, ours),
            Winner::Stable if (ours.id, ours.mode) <= (theirs.id, theirs.mode) => (ours, theirs),
            Winner::Stable => (theirs, ours),
        };
        if self.for_base {
            return Ok(());
        }
        self.claim(name, winner, side);
        let number = self.result.conflicts.len();
        self.result.losers.push(Loser { path: name.to_vec(), entry: loser, conflict: number });
        self.result.conflicts.push(conflict(name, ConflictKind::BothChanged, None));
        Ok(())
    }

    /// Combines the changes of both sides in one file; `None` if they conflict.
    fn combine(
        &mut self,
        base: Entry,
        ours: Entry,
        theirs: Entry,
    ) -> Result<Option<Entry>, RepoError> {
        if let Some(entry) = pick(base, ours, theirs) {
            return Ok(Some(entry));
        }
        if ![base, ours, theirs].iter().all(|entry| entry.is_file()) {
            return Ok(None);
        }
        // A file has one of two modes, so a mode that differs from the base's was chosen deliberately.
        let mode = pick(base.mode, ours.mode, theirs.mode).unwrap_or(Entry::FILE);
        if let Some(id) = pick(base.id, ours.id, theirs.id) {
            return Ok(Some(Entry { mode, id }));
        }
        if self.contents.bytes > MERGED_BYTES || self.contents.effort.is_spent() {
            return Ok(None);
        }
        let Some([base, ours, theirs]) = self.contents.texts([base.id, ours.id, theirs.id])? else {
            return Ok(None);
        };
        let effort = &mut self.contents.effort;
        let text = match merge_lines(&base, &ours, &theirs, Ends::Changed, effort) {
            Merged::Clean(text) => text,
            Merged::Conflict(_) if self.for_base => common_base(&base, &ours, &theirs, effort),
            Merged::Conflict(_) => return Ok(None),
        };
        if text.len() as u64 > MERGE_LIMIT {
            return Ok(None);
        }
        Ok(Some(Entry { mode, id: self.contents.make(text)? }))
    }
}

/// Returns the value that both sides share, or that only one side changed.
fn pick<T: PartialEq>(base: T, ours: T, theirs: T) -> Option<T> {
    if ours == theirs || base == theirs {
        Some(ours)
    } else if base == ours {
        Some(theirs)
    } else {
        None
    }
}

/// Finds files that one side renamed. The search is made only if the other side changed or renamed one of them.
fn renames<'a>(
    base: &'a Files,
    side: &'a Files,
    other: &Files,
    contents: &Contents<'_>,
) -> Result<HashMap<&'a [u8], &'a [u8]>, RepoError> {
    let mut removed = only_in(base, side);
    let matters = |file: &Candidate<'_>| {
        let path = file.path.as_bytes();
        other.get(path) != base.get(path)
    };
    if !removed.iter().any(matters) {
        return Ok(HashMap::new());
    }
    // As in git, empty files aren't paired: they have nothing in common, and one may be filled by the other side.
    let empty = blob_id(b"")?;
    removed.retain(|file| file.id != empty);
    paired(&removed, &only_in(side, base), contents)
}

/// Finds all files that were renamed between two trees.
pub(crate) fn all_renames<'a>(
    before: &'a Files,
    after: &'a Files,
    contents: &Contents<'_>,
) -> Result<HashMap<&'a [u8], &'a [u8]>, RepoError> {
    paired(&only_in(before, after), &only_in(after, before), contents)
}

fn paired<'a>(
    removed: &[Candidate<'a>],
    added: &[Candidate<'a>],
    contents: &Contents<'_>,
) -> Result<HashMap<&'a [u8], &'a [u8]>, RepoError> {
    let pairs = pair_renamed(removed, added, |id| contents.text(id, MAX_RENAMED))?;
    Ok(pairs
        .into_iter()
        .map(|(i, j)| (removed[i].path.as_bytes(), added[j].path.as_bytes()))
        .collect())
}

/// Returns the files of one tree whose paths the other lacks.
fn only_in<'a>(one: &'a Files, other: &Files) -> Vec<Candidate<'a>> {
    let only = one.iter().filter(|(path, entry)| entry.is_file() && !other.contains_key(*path));
    let named = only.filter_map(|(path, entry)| {
        Some(Candidate { path: std::str::from_utf8(path).ok()?, id: entry.id })
    });
    named.collect()
}

#[cfg(test)]
mod tests;
