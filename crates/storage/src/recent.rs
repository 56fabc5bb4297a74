//! The files touched by the last changes, so that cached pages stay valid when other pages are saved.
//!
//! A commit doesn't tell whether a single page changed. While a wiki is open, its own changes are numbered, and each
//! file is recorded with the number of the last change that touched it. A page read at one commit is unchanged at
//! another if no change between the two touched its file.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::{PoisonError, RwLock};

use unicode_normalization::{UnicodeNormalization as _, is_nfc};

use crate::revision::Revision;

/// Maximum number of recorded commits. Readers use the last one or two.
const HEADS: usize = 64;
/// Maximum number of recorded files, of about a hundred bytes each. When it is exceeded, all cached pages become stale.
const FILES: usize = 4096;

/// The number of a change. Numbers increase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(u64);

/// The last changes of one open wiki.
#[derive(Debug, Default)]
pub(crate) struct RecentChanges(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The commits that the branch was at or is about to move to, oldest first.
    heads: VecDeque<(Revision, Position)>,
    /// All changes after this one are recorded.
    since: Position,
    last: Position,
    /// The last change of each file after `since`.
    touched: HashMap<String, Position>,
}

impl RecentChanges {
    /// Returns the position of a commit. An unknown commit was made by another program, or long ago; it gets a new
    /// position, at which no cached page is valid.
    pub(crate) fn position(&self, head: Revision) -> Position {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).position(head);
        known.unwrap_or_else(|| {
            let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
            known.position(head).unwrap_or_else(|| {
                known.start();
                let start = known.last;
                known.add(head, start);
                start
            })
        })
    }

    /// Returns the position of a commit, if it is known.
    pub(crate) fn known_position(&self, head: Revision) -> Option<Position> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).position(head)
    }

    /// Records a change before the branch moves, so that readers never meet an unknown commit. Harmless if the branch
    /// doesn't move after all.
    pub(crate) fn will_move<'a>(
        &self,
        old: Option<Revision>,
        new: Revision,
        files: impl IntoIterator<Item = &'a [u8]>,
    ) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if old.is_none_or(|old| known.position(old).is_none()) {
            // The changes between the known commits and `old` weren't recorded.
            known.start();
            let start = known.last;
            old.into_iter().for_each(|old| known.add(old, start));
        }
        let position = known.next();
        // A file whose name isn't UTF-8 is neither a page nor an attachment.
        let files = files.into_iter().filter_map(|file| std::str::from_utf8(file).ok());
        for file in files {
            known.touched.insert(key(file).into_owned(), position);
            if known.touched.len() > FILES {
                known.forget();
                break;
            }
        }
        known.add(new, position);
    }

    /// Returns `true` if no change between the two positions touched the file.
    pub(crate) fn is_untouched(&self, file: &str, one: Position, other: Position) -> bool {
        if one == other {
            return true;
        }
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let first = one.min(other);
        first >= known.since
            && known.touched.get(&*key(file)).is_none_or(|touched| *touched <= first)
    }
}

impl Known {
    fn position(&self, head: Revision) -> Option<Position> {
        self.heads.iter().rev().find(|(known, _)| *known == head).map(|(_, position)| *position)
    }

    fn next(&mut self) -> Position {
        self.last.0 += 1;
        self.last
    }

    fn add(&mut self, head: Revision, position: Position) {
        if self.heads.len() == HEADS {
            self.heads.pop_front();
        }
        self.heads.push_back((head, position));
    }

    /// Makes everything read before the last position stale.
    fn forget(&mut self) {
        self.heads.clear();
        self.touched.clear();
        self.since = self.last;
    }

    /// Starts again after unrecorded changes.
    fn start(&mut self) {
        self.next();
        self.forget();
    }
}

/// Returns the key of a file, common to all spellings of its name by which a page is found.
fn key(file: &str) -> Cow<'_, str> {
    if is_nfc(file) { Cow::Borrowed(file) } else { Cow::Owned(file.nfc().collect()) }
}

#[cfg(test)]
mod tests;
