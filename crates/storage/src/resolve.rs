//! Resolves the targets of links to existing paths.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use crate::db::DbError;
use crate::error::Error;
use crate::index;
use crate::page_path::{ExistingPath, fold};
use crate::repo::View;
use crate::revision::Revision;
use crate::wiki::Wiki;

/// The target of a link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Found {
    /// The path of the page, without `.md`, or of the attachment, in the wiki's spelling.
    pub path: String,
    /// True if it is a page.
    pub is_page: bool,
}

impl Wiki {
    /// Finds, for each list of candidates, the first that exists in the commit `at`, or in the present state. Pages
    /// take precedence over attachments of the same name, and the exact spelling over one that differs in case or
    /// composition.
    ///
    /// # Errors
    /// `at` isn't part of this wiki's history; the repository can't be read.
    pub fn resolve(
        &self,
        at: Option<Revision>,
        candidates: &[Vec<String>],
    ) -> Result<Vec<Option<Found>>, Error> {
        let commit = match at {
            Some(at) => Some(self.reachable(at)?),
            None => self.current()?,
        };
        if commit.is_some()
            && commit == self.current()?
            && let Some(database) = self.fresh_index()?
        {
            return database.read(|connection| {
                let first = |paths: &Vec<String>| first_known(connection, paths);
                Ok(candidates.iter().map(first).collect::<Result<_, _>>()?)
            });
        }
        let Some(commit) = commit else { return Ok(vec![None; candidates.len()]) };
        let mut tree = Tree { view: self.repo().view(), commit, directories: HashMap::new() };
        let mut found = Vec::with_capacity(candidates.len());
        for paths in candidates {
            found.push(tree.first(paths)?);
        }
        Ok(found)
    }
}

/// Returns the first path that the index has.
fn first_known(connection: &Connection, paths: &[String]) -> Result<Option<Found>, DbError> {
    for path in paths {
        if let Some(found) = index::existing(connection, path)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The directories of a commit, each read once.
struct Tree {
    view: View,
    commit: Revision,
    directories: HashMap<String, Directory>,
}

/// The files and directories in a directory; other entries are left out.
#[derive(Default)]
struct Directory {
    files: Names,
    directories: Names,
}

#[derive(Default)]
struct Names {
    exact: HashSet<String>,
    /// Maps folded names to names: to the first in byte order, if several have the same folded form.
    folded: HashMap<String, String>,
}

impl Names {
    fn add(&mut self, name: String) {
        self.folded.entry(fold(&name)).or_insert_with(|| name.clone());
        self.exact.insert(name);
    }

    /// Returns the name in the spelling of this directory.
    fn spelt(&self, name: &str) -> Option<&str> {
        let exact = self.exact.get(name).or_else(|| self.folded.get(&fold(name)));
        exact.map(String::as_str)
    }
}

impl Tree {
    fn first(&mut self, paths: &[String]) -> Result<Option<Found>, Error> {
        for path in paths {
            if let Some(found) = self.find(path)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn find(&mut self, path: &str) -> Result<Option<Found>, Error> {
        // An invalid path can't exist.
        if ExistingPath::new(path).is_err() {
            return Ok(None);
        }
        let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut parent = String::new();
        for segment in parents.split('/').filter(|segment| !segment.is_empty()) {
            let Some(spelt) = self.directory(&parent)?.directories.spelt(segment) else {
                return Ok(None);
            };
            parent = below(&parent, spelt);
        }
        let files = &self.directory(&parent)?.files;
        if let Some(page) = files
            .spelt(&format!("{name}.md"))
            .and_then(|file| ExistingPath::of_file(&below(&parent, file)))
        {
            return Ok(Some(Found { path: page.as_str().to_owned(), is_page: true }));
        }
        let file = files.spelt(name).filter(|file| !file.ends_with(".md"));
        Ok(file.map(|file| Found { path: below(&parent, file), is_page: false }))
    }

    fn directory(&mut self, path: &str) -> Result<&Directory, Error> {
        if !self.directories.contains_key(path) {
            let mut directory = Directory::default();
            for (name, entry) in self.view.directory(self.commit, path)?.unwrap_or_default() {
                if entry.is_file() {
                    directory.files.add(name);
                } else if entry.is_directory() {
                    directory.directories.add(name);
                }
            }
            self.directories.insert(path.to_owned(), directory);
        }
        Ok(&self.directories[path])
    }
}

fn below(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    fn found(path: &str, is_page: bool) -> Option<Found> {
        Some(Found { path: path.to_owned(), is_page })
    }

    #[test]
    fn the_first_candidate_that_exists_is_found_however_it_is_spelt() {
        let scratch = Scratch::new();
        scratch.create("Garden/Caf\u{e9}", "x");
        scratch.create("garden-2/roses", "x");
        scratch.commit_with_git("Garden/Roses/photo.PNG", "x");
        scratch.commit_with_git("odd", "x");
        scratch.commit_with_git("odd.md", "x");
        scratch.commit_with_git("case/a.md", "x");
        scratch.commit_with_git("case/A.md", "x");
        for (paths, expected) in [
            (&["Garden/Caf\u{e9}"][..], found("Garden/Caf\u{e9}", true)),
            (&["garden/CAFE\u{301}"], found("Garden/Caf\u{e9}", true)),
            (&["nothing", "garden-2/Roses"], found("garden-2/roses", true)),
            (&["garden/roses/photo.png"], found("Garden/Roses/photo.PNG", false)),
            (&["odd"], found("odd", true)),
            (&["odd.md"], None),
            (&["case/a"], found("case/a", true)),
            (&["case/A"], found("case/A", true)),
            (&["Garden", "", "..", "a//b", "odd/below", "\0"], None),
            (&[], None),
        ] {
            let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
            let all = scratch.wiki().resolve(None, std::slice::from_ref(&paths)).unwrap();
            assert_eq!(all, [expected], "{paths:?}");
        }
    }

    #[test]
    fn what_is_there_depends_on_the_commit() {
        let scratch = Scratch::new();
        let wanted = [vec!["later".to_owned()]];
        assert_eq!(scratch.wiki().resolve(None, &wanted).unwrap(), [None]);
        let before = scratch.create("home", "x").revision;
        scratch.create("later", "x");
        assert_eq!(scratch.wiki().resolve(Some(before), &wanted).unwrap(), [None]);
        assert_eq!(scratch.wiki().resolve(None, &wanted).unwrap(), [found("later", true)]);
        let unknown = Revision::from_bytes([1; 20]);
        assert!(scratch.wiki().resolve(Some(unknown), &wanted).is_err());
    }
}
