//! The origin of each line of a page.

use std::collections::HashSet;

use serde::Serialize;
use time::OffsetDateTime;

use crate::allowance::Allowance;
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
    /// The commit whose state is shown.
    pub revision: Revision,
    /// All lines in order, in runs that come from one commit.
    pub ranges: Vec<BlameRange>,
    /// True if the page has more lines: only the first lines of a very long page are returned.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// The commits of the ranges, each once, in the order of their first lines.
    pub commits: Vec<BlameCommit>,
}

/// Consecutive lines that come from one commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlameRange {
    /// The first line, counted from 1.
    pub line: usize,
    /// The lines, without line ends.
    pub lines: Vec<String>,
    /// The commit.
    pub revision: Revision,
}

/// A commit that lines come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlameCommit {
    /// The commit.
    pub revision: Revision,
    /// Its author.
    pub author: Author,
    /// Its time.
    #[serde(with = "time::serde::rfc3339")]
    pub date: OffsetDateTime,
    /// The first line of its message, cut off to fit beside a page.
    pub summary: String,
}

/// Maximum length of a summary, in characters.
const SUMMARY: usize = 200;

impl Wiki {
    /// Finds the commit that each line of a page comes from, in its present state or that at a commit. Follows renames.
    /// May take a minute for a long page with a long history; stops at the thread's [deadline](crate::deadline).
    ///
    /// # Errors
    /// There is no such page; `at` isn't part of the history; a version of the page has more than 100,000 lines; the
    /// deadline has passed.
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
        let (mut ranges, mut commits, mut known) = (Vec::new(), Vec::new(), HashSet::new());
        let mut allowance = Allowance::default();
        let view = self.repo().view();
        for (first, count, revision) in self.repo().blame(revision, &path.file())? {
            let lines: Vec<String> =
                lines.by_ref().take(count).take_while(|line| allowance.takes(line)).collect();
            if lines.is_empty() {
                break;
            }
            ranges.push(BlameRange { line: first + 1, lines, revision });
            if known.insert(revision) {
                let commit = view.commit(revision)?;
                let first_line = commit.message.lines().next().unwrap_or_default();
                let summary = first_line.chars().take(SUMMARY).collect();
                let date = from_seconds(commit.time);
                commits.push(BlameCommit { revision, author: commit.author, date, summary });
            }
        }
        let (path, etag) = (path.as_str().to_owned(), entry.id);
        let truncated = allowance.is_exceeded();
        Ok(Blame { path, etag, revision, ranges, truncated, commits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::Deadline;
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
        let commits: Vec<_> =
            blame.commits.iter().map(|c| (c.revision, c.summary.as_str())).collect();
        assert_eq!(commits, [(first, "Create old"), (last, "Update new")]);
        scratch.create("empty", "");
        let path = ExistingPath::new("empty").unwrap();
        assert!(scratch.wiki().blame(&path, None).unwrap().ranges.is_empty());
    }

    #[test]
    fn a_blame_ends_with_its_deadline() {
        let scratch = Scratch::new();
        scratch.create("home", "0\n");
        scratch.update("home", "1\n");
        let path = ExistingPath::new("home").unwrap();
        let over = Deadline::unlimited();
        over.cancel();
        let blame = over.enter(|| scratch.wiki().blame(&path, None));
        assert!(matches!(blame, Err(Error::Cancelled(_))), "{blame:?}");
    }

    #[test]
    fn versions_of_too_many_lines_are_not_compared() {
        let scratch = Scratch::new();
        scratch.create("home", &"a\n".repeat(100_001));
        scratch.update("home", "short\n");
        let path = ExistingPath::new("home").unwrap();
        let blame = scratch.wiki().blame(&path, None);
        assert!(matches!(blame, Err(Error::TooLargeToCompare { .. })), "{blame:?}");
    }
}
