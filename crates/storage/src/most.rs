//! How long a part of a list may be.

use crate::allowance::json_size;
use crate::changes::Commit;

/// What a commit takes as JSON besides its texts, in bytes.
const COMMIT: usize = 200;
/// The same for one change of it.
const CHANGE: usize = 80;

/// The most items of a list that are returned at once, and the bytes they may take, roughly. One item is
/// returned in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most {
    /// Items.
    pub items: usize,
    /// Bytes of their texts.
    pub bytes: usize,
}

impl Most {
    /// So many items, of up to a mebibyte.
    pub const fn items(items: usize) -> Self {
        Self { items, bytes: 1 << 20 }
    }
}

/// Commits that are being collected, as many as there may be.
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

    /// Whether no commit is to be added any more.
    pub(crate) fn is_full(&self) -> bool {
        self.commits.len() >= self.most.items
    }

    /// Adds a commit; `false` if it doesn't fit.
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

/// About how many bytes a commit takes as JSON.
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
