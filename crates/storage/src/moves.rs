//! Moving and deleting a page with everything below it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;

use crate::author::Author;
use crate::changes::PathChange;
use crate::deadline;
use crate::drafts;
use crate::error::Error;
use crate::index;
use crate::links::{LinkStyle, MovedNames, TooLong, rewrite};
use crate::measure::Paths;
use crate::message::Message;
use crate::page_path::{ExistingPath, PagePath, fold};
use crate::repo::{Edit, Entry, FileChange};
use crate::resolve::Names;
use crate::revision::Revision;
use crate::spelling::{moved_page, stored_directory, stored_page};
use crate::undo::shown;
use crate::unit::{MadeTexts, Unit};
use crate::wiki::Wiki;

/// A page to be moved, with its sub-pages and attachments.
#[derive(Clone, Debug)]
pub struct Move<'a> {
    /// The present path.
    pub from: &'a ExistingPath,
    /// The new path.
    pub to: &'a PagePath,
    /// True if links on all pages that would break are rewritten.
    pub update_links: bool,
    /// The author of the commit.
    pub author: &'a Author,
    /// The commit message; generated if `None`.
    pub message: Option<&'a str>,
}

/// The result of a move. It is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// The commit; the newest one if no file had to move.
    pub revision: Revision,
    /// The changes by path: the moved files, and pages whose links were rewritten. At most the first
    /// [`MAX_CHANGES`](crate::MAX_CHANGES).
    pub changes: Vec<PathChange>,
    /// True if there are more changes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

impl Wiki {
    /// Moves a page with its sub-pages and attachments, in one commit. Drafts move with their pages. No commit is
    /// made if the page is at its new path already.
    ///
    /// # Errors
    /// Neither the page nor anything below it exists, and the author hasn't just moved it to the new path; a name
    /// collides with a file that stays; a path would be too long, or all paths together; a page, or all pages
    /// together, would become too large because of new links. On an error nothing was changed.
    pub fn move_page(&self, order: &Move<'_>) -> Result<Moved, Error> {
        let (((changes, truncated), done), published) = self.write(|unit| {
            let from = source(unit, order.from)?;
            let to = moved_page(&unit.view, unit.head, order.to)?;
            let way = Way { from: from.as_ref().unwrap_or(order.from), to: &to };
            if from.is_some() && (*order.from == **order.to || way.from == way.to) {
                // The page is at its new path already: no change is needed.
                return Ok(((Vec::new(), false), unit.head));
            }
            let plan = match Plan::new(self, unit, way, order.update_links) {
                Err(error @ Error::NotFound { .. }) => {
                    let Moved { revision, changes, truncated } =
                        moved_before(unit, order.author, way)?.ok_or(error)?;
                    return Ok(((changes, truncated), Some(revision)));
                }
                plan => plan?,
            };
            plan.fill(self, unit, way, order.update_links)?;
            unit.moves = plan.moved.into_iter().map(|(from, (to, _))| (from, to)).collect();
            let changes = shown(&unit.view, unit.head, &unit.edits, &unit.moves)?;
            let subject = format!("{} to {}", way.from.as_str(), way.to.as_str());
            let message =
                Message { given: order.message, verb: "Move", subject: &subject, detail: None };
            unit.sign(order.author, message)?;
            Ok((changes, None))
        })?;
        let revision = published.map(|published| published.revision).or(done);
        Ok(Moved { revision: revision.ok_or(Error::Closed)?, changes, truncated })
    }
}

/// The old and the new path, in the wiki's spelling.
#[derive(Clone, Copy)]
struct Way<'a> {
    from: &'a ExistingPath,
    to: &'a ExistingPath,
}

/// The stored path of the page that moves, or of the folder of its sub-pages; `None` if neither exists.
fn source(unit: &Unit<'_>, path: &ExistingPath) -> Result<Option<ExistingPath>, Error> {
    let Some(head) = unit.head else { return Ok(None) };
    if let Some((page, _)) = stored_page(&unit.view, head, path)? {
        return Ok(Some(page));
    }
    let folder = stored_directory(&unit.view, head, path.as_str())?;
    Ok(folder.map(|folder| ExistingPath::new(&folder)).transpose()?)
}

/// Finds the same move among the newest commits of this author, so that a repeated request is idempotent. All moved
/// files must still exist.
fn moved_before(unit: &Unit<'_>, author: &Author, way: Way<'_>) -> Result<Option<Moved>, Error> {
    let target = |path: &[u8]| moved_file(way, std::str::from_utf8(path).ok()?);
    let gone = |change: &FileChange| target(&change.path).filter(|_| change.new.is_none());
    let is_it = |changes: &[FileChange]| {
        let written = |to: &str| {
            changes.iter().any(|change| change.path == to.as_bytes() && change.new.is_some())
        };
        let mut targets = changes.iter().filter_map(gone).peekable();
        targets.peek().is_some() && targets.all(|to| written(&to))
    };
    let Some(done) = unit.made_before(author, is_it)? else { return Ok(None) };
    let mut moves = Vec::new();
    for change in &done.changes {
        let Some(to) = gone(change) else { continue };
        if unit.entry(&to)?.is_none() {
            return Ok(None);
        }
        moves.push((String::from_utf8_lossy(&change.path).into_owned(), to));
    }
    let edit = |change: FileChange| Edit { path: change.path, new: change.new, content: None };
    let edits: Vec<Edit> = done.changes.into_iter().map(edit).collect();
    let (changes, truncated) = shown(&unit.view, done.parent, &edits, &moves)?;
    Ok(Some(Moved { revision: done.revision, changes, truncated }))
}

/// The files that move, and those that stay.
struct Plan {
    /// Maps old paths to the new path and the file.
    moved: BTreeMap<String, (String, Entry)>,
    /// Pages and attachments before the move, by folded paths; empty if links aren't rewritten.
    before: HashMap<String, String>,
    /// Pages before the move; empty if links aren't rewritten.
    pages: Vec<(ExistingPath, Entry)>,
    /// Files that stay in place; empty if links aren't rewritten.
    staying: Vec<String>,
}

impl Plan {
    fn new(wiki: &Wiki, unit: &Unit<'_>, way: Way<'_>, update_links: bool) -> Result<Self, Error> {
        let not_found = || Error::NotFound { path: way.from.as_str().to_owned() };
        let head = unit.head.ok_or_else(not_found)?;
        let mut moved = BTreeMap::new();
        let mut staying = Vec::new();
        let mut before = HashMap::new();
        let mut pages = Vec::new();
        let (mut paths_before, mut paths_after) = (Paths::default(), Paths::default());
        for (file, entry) in wiki.repo().files(head)? {
            deadline::check()?;
            paths_before.add(Paths::file(file.len()));
            // A path that isn't UTF-8 can't be linked to.
            let Ok(file) = String::from_utf8(file) else { continue };
            if entry.is_file() && update_links {
                let page = ExistingPath::of_file(&file);
                let name = page.as_ref().map_or(file.as_str(), ExistingPath::as_str);
                before.insert(fold(name), name.to_owned());
                pages.extend(page.map(|page| (page, entry)));
            }
            match moved_file(way, &file) {
                Some(to) => {
                    check_name(&file, &to)?;
                    paths_after.add(Paths::file(to.len()));
                    moved.insert(file, (to, entry));
                }
                None => {
                    paths_after.add(Paths::file(file.len()));
                    staying.push(file);
                }
            }
        }
        if moved.is_empty() {
            return Err(not_found());
        }
        if let Some(why) = wiki.push_rules().too_many(paths_after, paths_before) {
            return Err(Error::ChangeTooLarge { detail: format!("the wiki then {why}") });
        }
        refuse_collisions(way, &moved, &staying)?;
        if !update_links {
            staying.clear();
        }
        Ok(Self { moved, before, pages, staying })
    }

    fn fill(
        &self,
        wiki: &Wiki,
        unit: &mut Unit<'_>,
        way: Way<'_>,
        update_links: bool,
    ) -> Result<(), Error> {
        let taken: HashSet<&str> = self.moved.values().map(|(to, _)| to.as_str()).collect();
        for from in self.moved.keys().filter(|from| !taken.contains(from.as_str())) {
            unit.edits.push(Edit { path: from.clone().into_bytes(), new: None, content: None });
        }
        let rewritten = if update_links { self.rewritten(wiki, unit)? } else { BTreeMap::new() };
        for (from, (to, entry)) in &self.moved {
            if !rewritten.contains_key(from) {
                let path = to.clone().into_bytes();
                unit.edits.push(Edit { path, new: Some(*entry), content: None });
            }
        }
        for (from, (text, mode)) in rewritten {
            let to = self.moved.get(&from).map_or(from.as_str(), |(to, _)| to.as_str());
            if let Some(page) = ExistingPath::of_file(to) {
                unit.put(&page, text.as_bytes(), mode)?;
            }
        }
        let pages = self.with_drafts(wiki, way)?;
        unit.also(move |transaction| drafts::move_pages(transaction, &pages));
        Ok(())
    }

    /// The pages that have drafts: paths before and after the move.
    fn with_drafts(&self, wiki: &Wiki, way: Way<'_>) -> Result<Vec<(String, String)>, Error> {
        let pages =
            wiki.database()?.read(|c| Ok::<_, Error>(drafts::pages_at(c, way.from.as_str())?))?;
        let moved = |page: String| {
            let (to, _) = self.moved.get(&ExistingPath::new(&page).ok()?.file())?;
            Some((page, ExistingPath::of_file(to)?.as_str().to_owned()))
        };
        Ok(pages.into_iter().filter_map(moved).collect())
    }

    /// The pages whose links have to change, by their old files: their new texts and modes.
    fn rewritten(
        &self,
        wiki: &Wiki,
        unit: &Unit<'_>,
    ) -> Result<BTreeMap<String, (String, u16)>, Error> {
        let style: LinkStyle = unit.preferences.link_style();
        let concerned = self.concerned(wiki)?;
        let now_at = |path: &str| self.now_at(path);
        let names = match unit.preferences.links_by_name() {
            true => self.names(),
            false => MovedNames::default(),
        };
        let (mut rewritten, mut made) = (BTreeMap::new(), MadeTexts::default());
        for (page, entry) in &self.pages {
            deadline::check()?;
            let file = page.file();
            let to = match self.moved.get(&file) {
                Some((to, _)) => ExistingPath::of_file(to),
                None if concerned.as_ref().is_none_or(|pages| pages.contains(page.as_str())) => {
                    Some(page.clone())
                }
                None => None,
            };
            let Some(to) = to else { continue };
            let Ok(text) = String::from_utf8(unit.view.blob(entry.id)?) else { continue };
            let limit = wiki.page_limit();
            let new = rewrite(&text, (page, &to), style, &now_at, &names, limit as usize);
            let new = new.map_err(|TooLong { size }| Error::TooLarge {
                path: to.as_str().to_owned(),
                size: size as u64,
                limit,
            })?;
            if let Some(text) = new {
                made.add(text.len())?;
                rewritten.insert(file, (text, entry.mode));
            }
        }
        Ok(rewritten)
    }

    /// The pages with links to moved paths, from the index; `None` if the index isn't complete, so that all pages
    /// have to be searched.
    fn concerned(&self, wiki: &Wiki) -> Result<Option<HashSet<String>>, Error> {
        let database = wiki.database()?;
        if !wiki.catch_up_a_little(database)? {
            return Ok(None);
        }
        // Other pages may have the same name as a new path.
        let files = self.moved.iter().flat_map(|(from, (to, _))| [from, to]);
        let paths: Vec<String> = files.map(|file| named(file).0).collect();
        database.read(|connection| Ok(Some(index::mentioning(connection, &paths)?)))
    }

    /// The paths that wiki links lead to by name, before and after the move.
    fn names(&self) -> MovedNames {
        let (mut before, mut after) = (Names::default(), Names::default());
        let files: BTreeSet<&String> = self.moved.keys().chain(&self.staying).collect();
        for file in files {
            let (path, is_page) = named(file);
            before.add(&path, is_page);
            let (path, is_page) = named(self.moved.get(file).map_or(file, |(to, _)| to));
            after.add(&path, is_page);
        }
        MovedNames::new(before, after)
    }

    /// The path after the move of the page or attachment at `path`; `None` if there is none.
    fn now_at(&self, path: &str) -> Option<String> {
        let was = self.before.get(&fold(path))?;
        let file = ExistingPath::new(was).map_or_else(|_| was.clone(), |page| page.file());
        let moved = self.moved.get(&file).or_else(|| self.moved.get(was));
        // An unmoved path keeps the link's spelling.
        let Some((to, _)) = moved else { return Some(path.to_owned()) };
        Some(match ExistingPath::of_file(to) {
            Some(page) => page.as_str().to_owned(),
            None => to.clone(),
        })
    }
}

/// The path of the page or attachment of a file, and `true` for a page.
fn named(file: &str) -> (String, bool) {
    match ExistingPath::of_file(file) {
        Some(page) => (page.as_str().to_owned(), true),
        None => (file.to_owned(), false),
    }
}

/// The new path of a file, if it belongs to the page that moves: the page's own file, or one below it.
fn moved_file(way: Way<'_>, file: &str) -> Option<String> {
    if file == way.from.file() {
        return Some(way.to.file());
    }
    let below = file.strip_prefix(way.from.as_str())?.strip_prefix('/')?;
    Some(format!("{}/{below}", way.to.as_str()))
}

/// Checks that a valid old name has a valid new name. Invalid names of an adopted wiki move unchecked.
fn check_name(from: &str, to: &str) -> Result<(), Error> {
    let page = |file: &str| {
        let path = ExistingPath::of_file(file);
        PagePath::new(path.as_ref().map_or(file, ExistingPath::as_str))
    };
    match (page(from), page(to)) {
        (Ok(_), Err(error)) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Refuses a move whose paths would differ from existing ones only in case or composition, which some file systems
/// ignore.
fn refuse_collisions(
    way: Way<'_>,
    moved: &BTreeMap<String, (String, Entry)>,
    staying: &[String],
) -> Result<(), Error> {
    let mut files = HashMap::new();
    let mut directories: HashMap<String, HashSet<&str>> = HashMap::new();
    for file in staying {
        files.insert(fold(file), file.as_str());
        for directory in directories_of(file) {
            directories.entry(fold(directory)).or_default().insert(directory);
        }
    }
    let collision = |existing: &str| Error::Collision {
        path: way.to.as_str().to_owned(),
        existing: existing.to_owned(),
    };
    for (to, _) in moved.values() {
        let key = fold(to);
        if let Some(existing) = files.get(&key) {
            return Err(collision(existing));
        }
        if let Some(existing) = directories.get(&key).and_then(|spelt| spelt.iter().next()) {
            return Err(collision(existing));
        }
        for directory in directories_of(to) {
            let key = fold(directory);
            if let Some(existing) = files.get(&key) {
                return Err(collision(existing));
            }
            let spelt = directories.get(&key).filter(|spelt| !spelt.contains(directory));
            if let Some(existing) = spelt.and_then(|spelt| spelt.iter().next()) {
                return Err(collision(existing));
            }
        }
    }
    Ok(())
}

/// The directories above a file.
fn directories_of(file: &str) -> impl Iterator<Item = &str> {
    file.match_indices('/').map(|(end, _)| &file[..end])
}

#[cfg(test)]
mod tests;
