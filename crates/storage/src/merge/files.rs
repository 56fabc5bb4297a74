//! Three-way merge of all files of a wiki: what becomes of pages that both sides changed, deleted,
//! renamed or created.
//!
//! No side's text is ever lost and nobody ever sees conflict markers. Where one page can't hold what
//! both want, the winner's text stays and the other's becomes a file of its own beside it, named after
//! its content. What comes out depends on the three trees and the [`Winner`] alone; with
//! [`Winner::Stable`] not even on which side is ours.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::settle::settle;
use super::{Effort, Merged, common_base, merge};
use crate::index::{Candidate, MAX_RENAMED, pair_renamed};
use crate::repo::{Entry, RepoError, View, blob_id};
use crate::revision::Etag;

/// Files over this size (bytes) are kept side by side instead of being merged line by line, and so are
/// those that would become larger by it: other wikis would take neither that page nor what comes after.
const MERGE_LIMIT: u64 = 5_000_000;
/// Beyond so many bytes of merged text the rest is kept side by side, too.
const MERGED_BYTES: usize = 128 << 20;

/// All files of a tree by their paths.
pub(crate) type Files = BTreeMap<Vec<u8>, Entry>;

/// Whose text stays where both want the same place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Winner {
    /// The wiki's.
    #[default]
    Wiki,
    /// The remote's.
    Remote,
    /// The one with the smaller blob id: two ends that merge the same histories make the same tree.
    Stable,
}

/// Why a person should look at a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    /// Both changed the same place.
    BothChanged,
    /// Both want another file under the same path.
    BothAdded,
    /// One side deleted what the other changed or renamed; it stays.
    Deleted,
    /// The sides renamed a file to two names; both stay.
    Renamed,
    /// A file has the name of a directory.
    FileAndDirectory,
    /// Two names differ only in case or composition.
    SameName,
}

impl ConflictKind {
    /// Its name in wiki.db and in answers.
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

/// A place that a person should look at, although nothing is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MergeConflict {
    /// Where the winner is.
    pub(crate) path: Vec<u8>,
    pub(crate) kind: ConflictKind,
    pub(crate) base: Option<Etag>,
    /// `None`: we deleted it.
    pub(crate) ours: Option<Etag>,
    /// `None`: they deleted it.
    pub(crate) theirs: Option<Etag>,
    /// Where the other text is; of a file that was renamed twice, its other name.
    pub(crate) beside: Option<Vec<u8>>,
}

/// The state of a wiki as two sides left it, and as it was before.
#[derive(Clone, Copy)]
pub(crate) struct Sides<'a> {
    pub(crate) base: &'a Files,
    pub(crate) ours: &'a Files,
    pub(crate) theirs: &'a Files,
}

/// Where contents come from: the repository, and what was merged so far.
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

    /// A text that a merge made, if that is what it is.
    pub(crate) fn made(&self, id: Etag) -> Option<&Vec<u8>> {
        self.made.get(&id)
    }

    fn make(&mut self, text: Vec<u8>) -> Result<Etag, RepoError> {
        let id = blob_id(&text)?;
        self.bytes += text.len();
        self.made.insert(id, text);
        Ok(id)
    }

    /// The content of a file that may be compared line by line.
    fn text(&self, id: Etag, limit: u64) -> Result<Option<Vec<u8>>, RepoError> {
        if let Some(text) = self.made.get(&id) {
            return Ok(Some(text.clone()));
        }
        let small = self.view.blob_size(id)? <= limit;
        if small { self.view.blob(id).map(Some) } else { Ok(None) }
    }

    /// The three texts, if they are texts.
    fn texts(&self, ids: [Etag; 3]) -> Result<Option<[Vec<u8>; 3]>, RepoError> {
        let mut texts: [Vec<u8>; 3] = Default::default();
        for (text, id) in texts.iter_mut().zip(ids) {
            match self.text(id, MERGE_LIMIT)? {
                // Only a base that was made may hold one.
                Some(content) if !content.contains(&0) || self.made.contains_key(&id) => {
                    *text = content;
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(texts))
    }
}

/// Merges two sides. Gives the files of the result, and what a person should look at.
pub(crate) fn merge_files(
    sides: Sides<'_>,
    winner: Winner,
    contents: &mut Contents<'_>,
) -> Result<(Files, Vec<MergeConflict>), RepoError> {
    let gathered = Gathering::new(sides, winner, contents).gather()?;
    Ok(settle(sides, winner, gathered))
}

/// A base for merging two trees that are both made of the two sides: see [`common_base`]. Where one
/// path can't tell what both wanted, it has nothing.
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

/// A file that a path is wanted for, and who has one there.
#[derive(Clone, Copy)]
pub(super) struct Claim {
    pub(super) entry: Entry,
    pub(super) side: Side,
}

/// A file that has lost its path.
pub(super) struct Loser {
    pub(super) path: Vec<u8>,
    pub(super) entry: Entry,
    /// Its number among the conflicts.
    pub(super) conflict: usize,
}

#[derive(Default)]
pub(super) struct Gathered {
    /// At most two for a path: each stands where one of the sides has a file.
    pub(super) claims: BTreeMap<Vec<u8>, Vec<Claim>>,
    pub(super) losers: Vec<Loser>,
    pub(super) conflicts: Vec<MergeConflict>,
}

/// The first half: which file goes on as what.
struct Gathering<'a, 'c, 'v> {
    sides: Sides<'a>,
    winner: Winner,
    contents: &'c mut Contents<'v>,
    /// Whether the result is for being compared with only.
    for_base: bool,
    /// Files that one side still has as they were, and the other deleted.
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

    /// What both sides have is in the result. Of a page that was renamed twice both names are there, and
    /// whoever tidies up deletes one: if they were different ones, nobody meant to delete the text.
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

    /// A file that only one side still has.
    fn deleted(&mut self, path: &'a [u8], base: Entry, name: &[u8], side: Side) {
        let files = if side == Side::Ours { self.sides.ours } else { self.sides.theirs };
        let entry = files[name];
        if name == path && entry == base {
            self.dropped.push((path, entry, side));
        } else {
            self.keep(name, base, entry, side);
        }
    }

    /// A file that goes on although one side deleted it.
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

    /// A file that both sides still have, under whatever names.
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

    /// One file that holds the changes of both, if there can be one.
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
        // Of the two modes a file can have the one that isn't the base's was chosen by somebody.
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
        let text = match merge(&base, &ours, &theirs, effort) {
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

/// What both agree on, or the one that was changed.
fn pick<T: PartialEq>(base: T, ours: T, theirs: T) -> Option<T> {
    if ours == theirs || base == theirs {
        Some(ours)
    } else if base == ours {
        Some(theirs)
    } else {
        None
    }
}

/// Files that one side has under another name than the base. Looked for only if it matters: the other
/// side changed one of them.
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
    // As in git: two that are empty have nothing in common, and one may be filled by the other side.
    let empty = blob_id(b"")?;
    removed.retain(|file| file.id != empty);
    paired(&removed, &only_in(side, base), contents)
}

/// Files that one tree has under another name than the one before.
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

/// Files that one tree has and the other has not under this name.
fn only_in<'a>(one: &'a Files, other: &Files) -> Vec<Candidate<'a>> {
    let only = one.iter().filter(|(path, entry)| entry.is_file() && !other.contains_key(*path));
    let named = only.filter_map(|(path, entry)| {
        Some(Candidate { path: std::str::from_utf8(path).ok()?, id: entry.id })
    });
    named.collect()
}

#[cfg(test)]
mod tests;
