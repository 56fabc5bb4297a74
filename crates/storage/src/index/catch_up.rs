//! Catch-up of the index with the branch, whichever process moved the branch and however far.
//!
//! First the log is filled, parents before children; then the commit that last changed each differing file
//! is found; then the files' own rows are written. Each step is many small transactions, so that concurrent
//! saves don't wait long, and memory holds one batch. Only the last transaction stores the commit that the
//! index describes. After a crash the next catch-up goes on where the log ended. Saves during a catch-up
//! leave the index alone; their commits are caught up with next.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use rusqlite::{Connection, Transaction};

use super::commit::{changes_of, changes_with};
use super::file::{self, FileState, Signature};
use super::log::{self, Change};
use super::same_text;
use crate::db::{Database, DbError};
use crate::error::Error;
use crate::links::LinkStyle;
use crate::repo::{Commit, Entry, Repo, RepoError, View, Want};
use crate::revision::Revision;

/// Maximum number of commits that one transaction adds to the log, and the number of changes that ends a
/// transaction.
const COMMITS: usize = 256;
const CHANGES: usize = 20_000;
/// Maximum number of files that one transaction updates, and the number of bytes that ends a transaction:
/// indexing the full text takes most of the time.
const FILES: usize = 128;
const BYTES: usize = 8 << 20;

/// The progress of a catch-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct IndexProgress {
    /// Number of completed steps.
    pub done: usize,
    /// Total number of steps: two per commit and one per file.
    pub total: usize,
}

/// A callback that gets the progress and decides if the catch-up continues.
pub(crate) type Report<'a> = &'a mut dyn FnMut(IndexProgress) -> ControlFlow<()>;

/// One catch-up with the branch.
pub(crate) struct CatchUp<'a> {
    pub(crate) repo: &'a Repo,
    pub(crate) database: &'a Database,
    /// The syntax of links.
    pub(crate) style: LinkStyle,
    /// The commit that a save is publishing at this moment.
    pub(crate) coming: &'a dyn Fn() -> Option<Revision>,
}

/// Runs the catch-up. Returns `true` if it was completed, `false` if `report` stopped it.
pub(crate) fn catch_up(way: &CatchUp<'_>, report: Report<'_>) -> Result<bool, Error> {
    let Some((known, head)) = way.begin()? else { return Ok(true) };
    let commits = way.repo.commits_since(known, head)?;
    let files = way.repo.files(head)?;
    let mut steps = Steps { done: 0, total: 2 * commits.len() + files.len(), report };
    if way.fill_log(&commits, &mut steps)?.is_break() {
        return Ok(false);
    }
    drop(commits);
    let rows = way.database.read(|connection| Ok::<_, Error>(rows(connection)?))?;
    let want: Want =
        files.keys().filter(|path| std::str::from_utf8(path).is_ok()).cloned().collect();
    let mut stopped = false;
    let changed = way.repo.attribute(head, want, known, |_| stopped |= steps.add(1).is_break())?;
    if stopped || way.bring_files(&files, &changed, &rows, &mut steps)?.is_break() {
        return Ok(false);
    }
    // If the index was marked as outdated meanwhile, the next round rewrites the rows.
    way.database.write(|transaction| Ok::<_, Error>(finish(transaction, head)?))?;
    Ok(true)
}

struct Steps<'a> {
    done: usize,
    total: usize,
    report: Report<'a>,
}

impl Steps<'_> {
    fn add(&mut self, steps: usize) -> ControlFlow<()> {
        self.done = (self.done + steps).min(self.total);
        (self.report)(IndexProgress { done: self.done, total: self.total })
    }
}

impl CatchUp<'_> {
    /// Starts the catch-up, unless the index describes the branch already. Returns the commit to continue
    /// from, an ancestor of the head, and the head. If the history was replaced (a restored backup, a
    /// forced push), the index is rebuilt.
    ///
    /// All in one transaction: until it ends no save updates the index, and afterwards saves leave it
    /// alone.
    fn begin(&self) -> Result<Option<(Option<Revision>, Revision)>, Error> {
        self.database.write(|transaction| {
            let (indexed, building) = (super::indexed(transaction)?, building(transaction)?);
            // In this order: a save that ends meanwhile has moved the branch by the time it is read.
            let coming = (self.coming)();
            let Some(head) = self.repo.head()? else { return Ok(None) };
            let is_current = indexed == Some(head) || (indexed.is_some() && indexed == coming);
            if is_current && building.is_none() {
                return Ok(None);
            }
            // An interrupted catch-up may have left rows of that commit, too.
            let mut goes_on = true;
            for commit in [indexed, building].into_iter().flatten() {
                goes_on &= self.repo.is_commit(commit)? && self.repo.is_ancestor(commit, head)?;
            }
            if !goes_on {
                log::clear(transaction)?;
            }
            set_building(transaction, head)?;
            Ok::<_, Error>(Some((indexed.filter(|_| goes_on), head)))
        })
    }

    fn fill_log(
        &self,
        commits: &[Revision],
        steps: &mut Steps<'_>,
    ) -> Result<ControlFlow<()>, Error> {
        let view = self.repo.view();
        let told = self.database.read(|connection| Ok::<_, Error>(log::told(connection)?))?;
        for batch in commits.chunks(COMMITS) {
            let missing = self.database.read(|connection| {
                let missing = batch.iter().filter_map(|id| match log::has(connection, *id) {
                    Ok(true) => None,
                    Ok(false) => Some(Ok(*id)),
                    Err(error) => Some(Err(error)),
                });
                Ok::<Vec<Revision>, Error>(missing.collect::<Result<_, _>>()?)
            })?;
            let mut entries = Entries::default();
            for id in missing {
                let commit = view.commit(id)?;
                let changes = if told.contains(&id) {
                    let moves = self.database.read(|c| Ok::<_, Error>(log::told_moves(c, id)?))?;
                    changes_with(&view, id, &commit.parents, &moves)?
                } else {
                    changes_of(&view, id, &commit.parents)?
                };
                entries.push(id, commit, changes);
                if entries.changes >= CHANGES {
                    entries.append(self.database)?;
                }
            }
            entries.append(self.database)?;
            if steps.add(batch.len()).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Writes the rows of files that changed, and removes the rows of deleted files.
    fn bring_files(
        &self,
        files: &BTreeMap<Vec<u8>, Entry>,
        changed: &HashMap<Vec<u8>, Revision>,
        rows: &HashMap<String, bool>,
        steps: &mut Steps<'_>,
    ) -> Result<ControlFlow<()>, Error> {
        self.remove_gone(files, rows)?;
        let view = self.repo.view();
        let unsearched = same_text::unsearched(files, |id| view.blob_size(id))?;
        // In the order of their paths, which is the order of listings: adjacent rows are stored together.
        let mut changed: Vec<(&[u8], By)> =
            changed.iter().map(|(path, by)| (path.as_slice(), By::Commit(*by))).collect();
        changed.sort_unstable_by_key(|(path, _)| *path);
        let is_changed =
            |path: &[u8]| changed.binary_search_by_key(&path, |(path, _)| path).is_ok();
        let others: Vec<(&[u8], By)> = rows
            .iter()
            .map(|(path, is_searched)| (path.as_bytes(), *is_searched))
            .filter(|(path, is_searched)| *is_searched == unsearched.contains(path))
            .filter(|(path, _)| files.contains_key(*path) && !is_changed(path))
            .map(|(path, _)| (path, By::Row))
            .collect();
        let mut batch = Batch::new(self.database);
        let mut done = 0;
        for (path, by) in changed.into_iter().chain(others) {
            let entry = files.get(path).copied();
            let (read, size) = (|id| view.blob(id), |id| view.blob_size(id));
            let is_searched = !unsearched.contains(path);
            let state = FileState::of(path, entry, self.style, is_searched, read, size)?;
            batch.add(&view, state, by)?;
            done += 1;
            if batch.is_full() {
                batch.write()?;
                if steps.add(std::mem::take(&mut done)).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        batch.write()?;
        Ok(steps.add(done))
    }

    fn remove_gone(
        &self,
        files: &BTreeMap<Vec<u8>, Entry>,
        rows: &HashMap<String, bool>,
    ) -> Result<(), Error> {
        let is_there = |path: &str| files.get(path.as_bytes()).is_some_and(|entry| entry.is_file());
        let gone: Vec<&String> = rows.keys().filter(|path| !is_there(path)).collect();
        for batch in gone.chunks(FILES) {
            self.database.write(|transaction| {
                batch.iter().try_for_each(|path| file::remove(transaction, path))?;
                Ok::<_, Error>(())
            })?;
        }
        Ok(())
    }
}

/// Commits to be added to the log.
#[derive(Default)]
struct Entries {
    commits: Vec<(Revision, Commit, Vec<Change>)>,
    changes: usize,
}

impl Entries {
    fn push(&mut self, id: Revision, commit: Commit, changes: Vec<Change>) {
        self.changes += changes.len();
        self.commits.push((id, commit, changes));
    }

    fn append(&mut self, database: &Database) -> Result<(), Error> {
        let Self { commits, .. } = std::mem::take(self);
        database.write(|transaction| {
            for (id, commit, changes) in &commits {
                log::append(transaction, *id, commit, changes)?;
            }
            Ok(())
        })
    }
}

/// The source of a file's last change.
#[derive(Clone, Copy)]
enum By {
    Commit(Revision),
    /// The file's existing row.
    Row,
}

/// Files to be added to the index.
struct Batch<'a> {
    database: &'a Database,
    states: Vec<(FileState, By)>,
    commits: HashMap<Revision, Commit>,
    bytes: usize,
}

impl<'a> Batch<'a> {
    fn new(database: &'a Database) -> Self {
        Self { database, states: Vec::new(), commits: HashMap::new(), bytes: 0 }
    }

    fn add(&mut self, view: &View, state: Option<FileState>, by: By) -> Result<(), RepoError> {
        let Some(state) = state else { return Ok(()) };
        if let By::Commit(id) = by
            && !self.commits.contains_key(&id)
        {
            self.commits.insert(id, view.commit(id)?);
        }
        self.bytes += state.size();
        self.states.push((state, by));
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.states.len() >= FILES || self.bytes >= BYTES
    }

    fn write(&mut self) -> Result<(), Error> {
        let states = std::mem::take(&mut self.states);
        self.bytes = 0;
        self.database.write(|transaction| {
            for (state, by) in &states {
                match by {
                    By::Commit(revision) => {
                        let Commit { author, time, .. } = &self.commits[revision];
                        let by = Signature { revision: *revision, author, time: *time };
                        state.apply(transaction, &by)?;
                    }
                    By::Row => state.apply_again(transaction)?,
                }
            }
            Ok(())
        })
    }
}

/// The files that have rows in the index, each with `true` if all of its searchable text is indexed.
fn rows(connection: &Connection) -> Result<HashMap<String, bool>, DbError> {
    let mut select = connection.prepare(
        "select path || '.md', searched from page
         union all
         select case page when '' then name else page || '/' || name end, 1 from attachment",
    )?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn building(connection: &Connection) -> Result<Option<Revision>, DbError> {
    let id: Option<[u8; 20]> =
        connection.query_row("select building from wiki", [], |row| row.get(0))?;
    Ok(id.map(Revision::from_bytes))
}

fn finish(transaction: &Transaction<'_>, head: Revision) -> Result<(), DbError> {
    let sql = "update wiki set indexed = ?1, building = null where building = ?1";
    transaction.execute(sql, [head.as_bytes()])?;
    Ok(())
}

fn set_building(transaction: &Transaction<'_>, head: Revision) -> Result<(), DbError> {
    transaction.execute("update wiki set building = ?1", [head.as_bytes()])?;
    Ok(())
}
