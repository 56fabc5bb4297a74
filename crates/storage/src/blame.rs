//! Who wrote each line of a page.

use serde::Serialize;
use time::OffsetDateTime;

use crate::author::Author;
use crate::error::Error;
use crate::page::from_seconds;
use crate::page_path::ExistingPath;
use crate::revision::{Etag, Revision};
use crate::wiki::Wiki;

/// A page, line by line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Blame {
    /// The page path.
    pub path: String,
    /// The version of the page.
    pub etag: Etag,
    /// The commit in which it was looked at.
    pub revision: Revision,
    /// All lines in order, in runs that come from one commit.
    pub ranges: Vec<BlameRange>,
}

/// Lines beside each other that one commit brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlameRange {
    /// The first line, counted from 1.
    pub line: usize,
    /// The lines, without their ends.
    pub lines: Vec<String>,
    /// The commit.
    pub revision: Revision,
    /// Who made it.
    pub author: Author,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub date: OffsetDateTime,
    /// Why.
    pub message: String,
}

impl Wiki {
    /// Says which commit brought each line of a page, as it is now or was at a commit. Renames are
    /// followed.
    ///
    /// # Errors
    /// There is no such page; `at` isn't part of the history.
    pub fn blame(&self, path: &ExistingPath, at: Option<Revision>) -> Result<Blame, Error> {
        self.check_open()?;
        let not_found = || Error::NotFound { path: path.as_str().to_owned() };
        let revision = match at {
            Some(at) => self.reachable(at)?,
            None => self.head()?.ok_or_else(not_found)?,
        };
        let (path, entry) = self.find(revision, path)?;
        let content = self.blob(entry.id)?;
        let mut lines = content.split_inclusive(|byte| *byte == b'\n').map(|line| {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            String::from_utf8_lossy(text).into_owned()
        });
        let mut ranges = Vec::new();
        for (first, count, revision) in self.repo().blame(revision, &path.file())? {
            let commit = self.repo().commit(revision)?;
            ranges.push(BlameRange {
                line: first + 1,
                lines: lines.by_ref().take(count).collect(),
                revision,
                author: commit.author,
                date: from_seconds(commit.time),
                message: commit.message,
            });
        }
        Ok(Blame { path: path.as_str().to_owned(), etag: entry.id, revision, ranges })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn every_line_has_the_commit_that_brought_it() {
        let scratch = Scratch::new();
        let first = scratch.create("old", "one\ntwo\nthree\nfour\n").revision;
        scratch.move_with_git("old.md", "new.md", "one\ntwo\nthree\nfour\n");
        let last = scratch.update("new", "one\n2\nthree\nfour\nfive").revision;
        let path = ExistingPath::new("new").unwrap();
        let blame = scratch.wiki().blame(&path, None).unwrap();
        let ranges: Vec<_> =
            blame.ranges.iter().map(|r| (r.line, r.lines.join("|"), r.revision)).collect();
        assert_eq!(
            ranges,
            [
                (1, "one".to_owned(), first),
                (2, "2".to_owned(), last),
                (3, "three|four".to_owned(), first),
                (5, "five".to_owned(), last)
            ]
        );
        scratch.create("empty", "");
        let path = ExistingPath::new("empty").unwrap();
        assert!(scratch.wiki().blame(&path, None).unwrap().ranges.is_empty());
    }
}
