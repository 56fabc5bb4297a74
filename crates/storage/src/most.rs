//! Limits of a page of a list.

use crate::allowance::json_size;
use crate::changes::Commit;

/// Estimated bytes of a commit as JSON, besides its texts.
const COMMIT: usize = 200;
/// The same for each of its changes.
const CHANGE: usize = 80;

/// Maximum number of list items that are returned at once, and a rough limit for their bytes. At least one item is
/// always returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most {
    /// Number of items.
    pub items: usize,
    /// Bytes of their texts.
    pub bytes: usize,
}

impl Most {
    /// A limit of `items` items and one mebibyte.
    pub const fn items(items: usize) -> Self {
        Self { items, bytes: 1 << 20 }
    }
}

/// Commits collected within a limit.
#[derive(Debug)]
pub(crate) struct Collected {
    most: Most,
    bytes: usize,
    pub(crate) commits: Vec<Commit>,
}

impl Collected {
    pub(crate) fn new(most: Most) -> Self {
        Self { most, bytes: 0, commits: Vec::new() }
    }

    /// Returns `true` if no more commits can be added.
    pub(crate) fn is_full(&self) -> bool {
        self.commits.len() >= self.most.items
    }

    /// Adds a commit; returns `false` if it doesn't fit.
    pub(crate) fn takes(&mut self, commit: Commit) -> bool {
        let bytes = size(&commit);
        let fits = self.commits.is_empty() || self.bytes + bytes <= self.most.bytes;
        if self.is_full() || !fits {
            return false;
        }
        self.bytes += bytes;
        self.commits.push(commit);
        true
    }
}

/// Estimates the bytes of a commit as JSON.
fn size(commit: &Commit) -> usize {
    let text = |text: &str| json_size(text.as_bytes());
    let other = |path: &Option<String>| path.as_deref().map_or(0, text);
    let changes = commit.changes.iter();
    let changes = changes.map(|change| {
        CHANGE + text(&change.path) + other(&change.old_path) + other(&change.new_path)
    });
    let author = text(commit.author.name()) + text(commit.author.email());
    COMMIT + author + text(&commit.message) + changes.sum::<usize>()
}
