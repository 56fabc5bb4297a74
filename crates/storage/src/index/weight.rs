//! Upper estimates of the space that changes will take in wiki.db.
//!
//! The numbers are bytes of the file, measured on indexes filled with much of one kind; a test compares
//! them with the real size of such indexes.

use std::collections::HashMap;

use super::file::{MAX_BODY, MAX_LINKS, beginning, searched_names};
use crate::links::{LinkKind, LinkStyle, MarkdownSource, destinations};
use crate::measure::{Changed, Paths};
use crate::page::TITLE_BYTES;
use crate::page_path::ExistingPath;
use crate::repo::{FileChange, RepoError};
use crate::revision::Etag;

/// A commit in the log, without its own bytes.
const COMMIT: u64 = 250;
/// A change in the log: its path is in the row, in the row's index and, if the file moved, in another row.
const CHANGE: u64 = 70;
const CHANGE_PATH: u64 = 3;
/// A file: its path is in the row, in the row's index and in the full text.
const FILE: u64 = 450;
const FILE_PATH: u64 = 4;
/// A byte of indexed text. Scripts without spaces take most.
const TEXT: u64 = 3;
/// A row of a link: one for each path that it may mean, and one for its name.
const LINK_ROW: u64 = 60;
/// Upper limit for a short link.
const LINK: u64 = 150;
/// The shortest link: `[](a)` and a separator.
const SHORTEST_LINK: u64 = 6;

/// Commits that the log hasn't.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NewCommits {
    pub(crate) commits: u64,
    /// The size of the commit objects in bytes.
    pub(crate) bytes: u64,
    /// The paths of all their changes.
    pub(crate) changes: Paths,
    /// Number of files that differ between a commit and one of its parents, summed over all of them.
    different: u64,
}

/// Maximum number of files that differ between commits and their parents, in total: the index compares them
/// all, which takes tens of seconds.
const MAX_DIFFERENT: u64 = 50_000_000;

impl NewCommits {
    /// Adds a commit of `bytes` bytes.
    pub(crate) fn add(&mut self, bytes: u64, changed: &Changed) {
        self.commits += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        self.changes.add(changed.own);
        self.different = self.different.saturating_add(changed.different);
    }

    /// The reason why the commits can't be indexed, if they are too much work.
    pub(crate) fn too_many(&self) -> Option<String> {
        (self.different > MAX_DIFFERENT)
            .then(|| format!("and those before it change more than {MAX_DIFFERENT} files together"))
    }

    /// Their space in bytes.
    pub(crate) fn weight(&self) -> u64 {
        let own = self.bytes.saturating_add(self.commits.saturating_mul(COMMIT));
        let rows = self.changes.files.saturating_mul(CHANGE);
        let paths = self.changes.bytes.saturating_mul(CHANGE_PATH);
        own.saturating_add(rows).saturating_add(paths)
    }
}

/// Files that will be indexed.
#[derive(Debug, Default)]
pub(crate) struct NewFiles {
    paths: Paths,
    texts: HashMap<Etag, Text>,
}

#[derive(Clone, Copy, Debug)]
struct Text {
    /// The size of the indexed text in bytes.
    bytes: u64,
    /// Number of pages with this text.
    names: u64,
}

impl NewFiles {
    pub(crate) fn of(
        changes: &[FileChange],
        size: impl Fn(Etag) -> Result<u64, RepoError>,
    ) -> Result<Self, RepoError> {
        let mut new = Self::default();
        for FileChange { path, new: entry, .. } in changes {
            let Some(entry) = entry.filter(|entry| entry.is_file()) else { continue };
            let Ok(name) = std::str::from_utf8(path) else { continue };
            new.paths.add(Paths::file(path.len()));
            if ExistingPath::of_file(name).is_none() {
                continue;
            }
            match new.texts.get_mut(&entry.id) {
                Some(text) => text.names += 1,
                None => {
                    let bytes = size(entry.id)?.min(MAX_BODY as u64);
                    new.texts.insert(entry.id, Text { bytes, names: 1 });
                }
            }
        }
        Ok(new)
    }

    /// Number of files.
    pub(crate) fn count(&self) -> u64 {
        self.paths.files
    }

    /// Their space in bytes, if each text has as many links as `links` returns.
    fn weight(
        &self,
        links: impl Fn(Etag, u64) -> Result<u64, RepoError>,
    ) -> Result<u64, RepoError> {
        let mut weight = self.paths.files.saturating_mul(FILE);
        weight = weight.saturating_add(self.paths.bytes.saturating_mul(FILE_PATH));
        for (id, Text { bytes, names }) in &self.texts {
            let searched = (*names).min(searched_names(*bytes));
            let one = TEXT * bytes + links(*id, *bytes)?;
            weight = weight
                .saturating_add(searched.saturating_mul(one))
                .saturating_add(names * TEXT * (*bytes).min(TITLE_BYTES as u64));
        }
        Ok(weight)
    }

    /// Their space in bytes. No text is read if the upper limit is allowed, or the lower limit isn't.
    pub(crate) fn weight_in(
        &self,
        text: impl Fn(Etag) -> Result<Vec<u8>, RepoError>,
        style: LinkStyle,
        allowed: u64,
    ) -> Result<u64, RepoError> {
        let (least, most) = (self.weight(|_, _| Ok(0))?, self.weight(|_, b| Ok(most_links(b)))?);
        if least > allowed || most <= allowed {
            return Ok(if least > allowed { least } else { most });
        }
        self.weight(|id, _| {
            let content = text(id)?;
            let text = beginning(&content);
            let source = MarkdownSource::of(&text);
            let links = destinations(&source, style).take(MAX_LINKS);
            Ok(links.map(|(kind, destination)| link(kind, &destination)).sum())
        })
    }
}

/// The space of a link in bytes.
fn link(kind: LinkKind, destination: &str) -> u64 {
    let rows = match kind {
        LinkKind::Link | LinkKind::Image | LinkKind::Wiki => 2,
        LinkKind::Embed => 3,
    };
    // The `#` may begin a fragment or be a part of a page's name.
    let rows = rows + u64::from(destination.contains('#'));
    rows * LINK_ROW + destination.len() as u64
}

/// Upper limit of the space of the links in a text of `bytes` bytes.
fn most_links(bytes: u64) -> u64 {
    LINK * (bytes / SHORTEST_LINK).min(MAX_LINKS as u64) + bytes
}
