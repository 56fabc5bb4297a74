//! Resolves the targets of links to existing paths.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use crate::db::DbError;
use crate::error::Error;
use crate::index;
use crate::links::{LinkStyle, Sought, matches_name};
use crate::page::title;
use crate::page_path::{ExistingPath, fold, loose};
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

/// The result of resolving a link, by path or by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Resolved {
    /// The target doesn't exist.
    #[default]
    Nothing,
    /// One page or attachment.
    Found {
        /// The target.
        found: Found,
        /// The title of a page, if it was requested.
        title: Option<String>,
    },
    /// Several pages or attachments have the name.
    Several,
}

impl Resolved {
    /// The target, if there is exactly one.
    pub fn found(&self) -> Option<&Found> {
        match self {
            Self::Found { found, .. } => Some(found),
            Self::Nothing | Self::Several => None,
        }
    }
}

impl From<Option<Found>> for Resolved {
    fn from(found: Option<Found>) -> Self {
        found.map_or(Self::Nothing, |found| Self::Found { found, title: None })
    }
}

/// Maximum number of titles that are read from the texts of pages, where the index lacks them.
const MAX_TITLES: usize = 100;

impl Wiki {
    /// As [`resolve`](Self::resolve), but also resolves links by name, and returns the requested titles.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn resolve_links(
        &self,
        at: Option<Revision>,
        sought: &[Sought],
    ) -> Result<Vec<Resolved>, Error> {
        let commit = match at {
            Some(at) => Some(self.reachable(at)?),
            None => self.current()?,
        };
        if commit.is_some()
            && commit == self.current()?
            && let Some(database) = self.fresh_index()?
        {
            return database.read(|connection| {
                let known = |sought: &Sought| known(connection, sought);
                Ok(sought.iter().map(known).collect::<Result<_, _>>()?)
            });
        }
        let Some(commit) = commit else { return Ok(vec![Resolved::Nothing; sought.len()]) };
        let style = self.preferences()?.link_style();
        let mut tree = Tree::new(self.repo().view(), commit);
        sought.iter().map(|sought| tree.resolve(self, sought, style)).collect()
    }

    /// For each list of candidates, the first that exists in the commit `at`, by default the head. A page goes
    /// before an attachment of the same name, and the requested spelling before one that differs in case or
    /// composition only.
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
        let mut tree = Tree::new(self.repo().view(), commit);
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

/// Resolves a link with the index.
fn known(connection: &Connection, sought: &Sought) -> Result<Resolved, DbError> {
    let mut resolved = Resolved::from(first_known(connection, &sought.candidates)?);
    if resolved == Resolved::Nothing {
        resolved = index::named(connection, &sought.names)?;
    }
    if let Resolved::Found { found, title } = &mut resolved
        && sought.is_untitled
        && found.is_page
    {
        *title = index::get(connection, &found.path)?.map(|page| page.title);
    }
    Ok(resolved)
}

/// Maximum number of paths with one base name that are compared; if there are more, a link has to give the whole
/// path.
pub(crate) const MAX_NAMESAKES: usize = 16;

/// The paths that links may lead to by name.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Paths of pages by their base names.
    pages: HashMap<String, Vec<String>>,
    attachments: HashMap<String, Vec<String>>,
}

impl Names {
    /// Adds the path of a page or an attachment.
    pub(crate) fn add(&mut self, path: &str, is_page: bool) {
        let paths = if is_page { &mut self.pages } else { &mut self.attachments };
        let namesakes = paths.entry(loose(base_name(path))).or_default();
        // One more than the maximum is kept, to know that there are too many.
        if namesakes.len() <= MAX_NAMESAKES {
            namesakes.push(path.to_owned());
        }
    }

    /// Resolves the first of some names that has a match.
    pub(crate) fn find(&self, names: &[String]) -> Resolved {
        for name in names {
            for (paths, is_page) in [(&self.pages, true), (&self.attachments, false)] {
                let namesakes = paths.get(base_name(name)).map(Vec::as_slice).unwrap_or_default();
                let resolved = choose(name, namesakes, is_page);
                if resolved != Resolved::Nothing {
                    return resolved;
                }
            }
        }
        Resolved::Nothing
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Chooses the path for a name among the paths that have its base name: the one that equals the name, or else the
/// only one that ends with it.
pub(crate) fn choose(name: &str, namesakes: &[String], is_page: bool) -> Resolved {
    let mut ends = namesakes.iter().filter(|path| matches_name(path, name));
    let whole = namesakes.iter().find(|path| loose(path) == name);
    let found = match (whole, ends.next(), ends.next()) {
        (Some(whole), _, _) => whole,
        (None, _, _) if namesakes.len() > MAX_NAMESAKES => return Resolved::Several,
        (None, Some(only), None) => only,
        (None, Some(_), Some(_)) => return Resolved::Several,
        (None, None, _) => return Resolved::Nothing,
    };
    let found = Found { path: found.clone(), is_page };
    Resolved::Found { found, title: None }
}

/// The directories of a commit, each read once.
struct Tree {
    view: View,
    commit: Revision,
    directories: HashMap<String, Directory>,
    /// Filled on first use.
    names: Option<Names>,
    /// Number of titles read so far.
    titles: usize,
}

/// The files and directories in a directory; other entries are left out.
#[derive(Default)]
struct Directory {
    files: Spellings,
    directories: Spellings,
}

#[derive(Default)]
struct Spellings {
    exact: HashSet<String>,
    /// Maps folded names to names: to the first in byte order, if several have the same folded form.
    folded: HashMap<String, String>,
}

impl Spellings {
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
    fn new(view: View, commit: Revision) -> Self {
        Self { view, commit, directories: HashMap::new(), names: None, titles: 0 }
    }

    fn resolve(
        &mut self,
        wiki: &Wiki,
        sought: &Sought,
        style: LinkStyle,
    ) -> Result<Resolved, Error> {
        let mut resolved = Resolved::from(self.first(&sought.candidates)?);
        if resolved == Resolved::Nothing && !sought.names.is_empty() {
            resolved = self.names(wiki)?.find(&sought.names);
        }
        if let Resolved::Found { found, title } = &mut resolved
            && sought.is_untitled
            && found.is_page
        {
            *title = self.title(&found.path, style)?;
        }
        Ok(resolved)
    }

    fn names(&mut self, wiki: &Wiki) -> Result<&Names, Error> {
        if self.names.is_none() {
            let mut names = Names::default();
            for (file, entry) in wiki.repo().files(self.commit)? {
                let Ok(file) = String::from_utf8(file) else { continue };
                if entry.is_file() {
                    let page = ExistingPath::of_file(&file);
                    names.add(page.as_ref().map_or(&file, ExistingPath::as_str), page.is_some());
                }
            }
            self.names = Some(names);
        }
        Ok(self.names.get_or_insert_default())
    }

    fn title(&mut self, path: &str, style: LinkStyle) -> Result<Option<String>, Error> {
        self.titles += 1;
        let Ok(page) = ExistingPath::new(path) else { return Ok(None) };
        if self.titles > MAX_TITLES {
            return Ok(None);
        }
        let Some(entry) = self.view.entry(self.commit, &page.file())? else { return Ok(None) };
        Ok(Some(title(&page, &self.view.blob(entry.id)?, style)))
    }

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
