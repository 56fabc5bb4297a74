//! The files that the last changes touched, so that pages in memory outlive the saves of other pages.
//!
//! A commit says nothing about a single page. While a wiki is open, its own changes are numbered as they come, and each
//! file remembers the number of the last one that touched it. A page that was read at one commit is the page at another
//! one if no change between the two touched its file.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::{PoisonError, RwLock};

use unicode_normalization::{UnicodeNormalization as _, is_nfc};

use crate::revision::Revision;

/// So many commits are remembered. Readers are at the last one or two.
const HEADS: usize = 64;
/// So many files are remembered, of about a hundred bytes each. One more, and all pages in memory are read anew.
const FILES: usize = 4096;

/// The number of a change. Each is larger than those before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(u64);

/// The last changes of one open wiki.
#[derive(Debug, Default)]
pub(crate) struct RecentChanges(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The commits that the branch was at or is about to move to, oldest first.
    heads: VecDeque<(Revision, Position)>,
    /// All changes after this one are known.
    since: Position,
    last: Position,
    /// The last change of each file after `since`.
    touched: HashMap<String, Position>,
}

impl RecentChanges {
    /// The position of a commit. One that isn't known was made by another program, or long ago: no page in memory
    /// is known to be the same there.
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

    /// The position of a commit, if it is known.
    pub(crate) fn known_position(&self, head: Revision) -> Option<Position> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).position(head)
    }

    /// Notes a change before the branch moves, so that no reader meets a commit that isn't known. It does no harm
    /// if the branch doesn't move after all.
    pub(crate) fn will_move<'a>(
        &self,
        old: Option<Revision>,
        new: Revision,
        files: impl IntoIterator<Item = &'a [u8]>,
    ) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if old.is_none_or(|old| known.position(old).is_none()) {
            // Between the commits that were known and `old` are changes that weren't noted.
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

    /// Whether no change between the two positions touched the file.
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

    /// Makes all that was read before the last position stale.
    fn forget(&mut self) {
        self.heads.clear();
        self.touched.clear();
        self.since = self.last;
    }

    /// Begins anew after changes that weren't noted.
    fn start(&mut self) {
        self.next();
        self.forget();
    }
}

/// A file under all spellings of its name, which a page is found by.
fn key(file: &str) -> Cow<'_, str> {
    if is_nfc(file) { Cow::Borrowed(file) } else { Cow::Owned(file.nfc().collect()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(number: u8) -> Revision {
        Revision::from_bytes([number; 20])
    }

    fn change(recent: &RecentChanges, old: u8, new: u8, files: &[&str]) {
        recent.will_move(Some(commit(old)), commit(new), files.iter().map(|file| file.as_bytes()));
    }

    #[test]
    fn a_file_is_the_same_until_a_change_touches_it() {
        let recent = RecentChanges::default();
        let first = recent.position(commit(1));
        change(&recent, 1, 2, &["a.md"]);
        change(&recent, 2, 3, &["b.md", "cafe\u{301}.md"]);
        let [second, third] = [2, 3].map(|number| recent.known_position(commit(number)).unwrap());
        assert!(recent.is_untouched("c.md", first, third));
        assert!(
            !recent.is_untouched("a.md", first, second)
                && !recent.is_untouched("a.md", first, third)
        );
        assert!(recent.is_untouched("a.md", second, third), "it changed before");
        assert!(recent.is_untouched("c.md", third, first), "in either direction");
        assert!(!recent.is_untouched("caf\u{e9}.md", second, third), "by either spelling");
    }

    #[test]
    fn a_change_of_another_program_makes_everything_stale() {
        let recent = RecentChanges::default();
        let first = recent.position(commit(1));
        change(&recent, 1, 2, &["a.md"]);
        let theirs = recent.position(commit(9));
        assert!(!recent.is_untouched("c.md", first, theirs));
        change(&recent, 9, 10, &["a.md"]);
        let ours = recent.known_position(commit(10)).unwrap();
        assert!(
            recent.is_untouched("c.md", theirs, ours) && !recent.is_untouched("c.md", first, ours)
        );
        change(&recent, 77, 78, &["a.md"]);
        let after = recent.known_position(commit(78)).unwrap();
        assert!(!recent.is_untouched("c.md", ours, after), "their commit 77 was never seen");
        recent.will_move(None, commit(79), [b"x.md".as_slice()]);
        assert!(!recent.is_untouched("c.md", after, recent.position(commit(79))));
    }

    #[test]
    fn a_change_that_did_not_come_to_be_does_no_harm() {
        let recent = RecentChanges::default();
        let first = recent.position(commit(1));
        change(&recent, 1, 2, &["a.md"]);
        change(&recent, 1, 3, &["b.md"]);
        assert_eq!(recent.known_position(commit(1)), Some(first));
        let third = recent.position(commit(3));
        assert!(
            recent.is_untouched("c.md", first, third) && !recent.is_untouched("b.md", first, third)
        );
    }

    #[test]
    fn changes_of_very_many_files_are_forgotten() {
        let recent = RecentChanges::default();
        let first = recent.position(commit(1));
        let files: Vec<String> = (0..=FILES).map(|number| format!("{number}.md")).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        change(&recent, 1, 2, &files);
        let second = recent.known_position(commit(2)).unwrap();
        assert!(!recent.is_untouched("0.md", first, second));
        change(&recent, 2, 3, &["1.md"]);
        let third = recent.known_position(commit(3)).unwrap();
        assert!(
            recent.is_untouched("0.md", second, third)
                && !recent.is_untouched("0.md", first, third)
        );
    }
}
