//! Bringing the index to the branch, whoever moved it and however far.
//!
//! First the log is filled, parents before children; then it is found out which commit last changed
//! each file that differs; then the files' own rows are written. Each step is many small
//! transactions, so that nobody who saves meanwhile waits for long, and memory holds one batch.
//! Only the last transaction says that the index describes the commit. Who dies before it goes on
//! where the log ended; saves that come before it leave the index alone and are caught up with next.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;

use rusqlite::{Connection, Transaction};

use super::commit::changes_of;
use super::file::{self, FileState, Signature};
use super::log;
use crate::db::{Database, DbError};
use crate::error::Error;
use crate::links::LinkStyle;
use crate::repo::{Commit, Entry, Repo, Want};
use crate::revision::Revision;

/// How many commits one transaction adds to the log.
const COMMITS: usize = 256;
/// How many files one transaction brings up to date: their full text is what takes the time.
const FILES: usize = 128;

/// How far the index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct IndexProgress {
    /// Steps that are done.
    pub done: usize,
    /// Steps there are: two a commit and one a file.
    pub total: usize,
}

/// Tells how far it is, and hears whether to go on.
pub(crate) type Report<'a> = &'a mut dyn FnMut(IndexProgress) -> ControlFlow<()>;

/// The way to the branch.
pub(crate) struct CatchUp<'a> {
    pub(crate) repo: &'a Repo,
    pub(crate) database: &'a Database,
    /// How links are read.
    pub(crate) style: LinkStyle,
    /// The commit that a save is just publishing.
    pub(crate) coming: &'a dyn Fn() -> Option<Revision>,
}

/// Goes the way. Returns whether it was gone to its end.
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
    // Unless the rows were called outdated meanwhile: then the next round writes them anew.
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
    /// Begins, unless the index is at the branch already: the commit to go on from, which the head is
    /// built on, and the head. A history that was replaced (a restored backup, a forced push) is begun
    /// again.
    ///
    /// All in one transaction: until it ends no save moves the index, and then saves leave it alone.
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
            // What was begun before and not ended may have left rows of that commit, too.
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
        for batch in commits.chunks(COMMITS) {
            let missing = self.database.read(|connection| {
                let missing = batch.iter().filter_map(|id| match log::has(connection, *id) {
                    Ok(true) => None,
                    Ok(false) => Some(Ok(*id)),
                    Err(error) => Some(Err(error)),
                });
                Ok::<Vec<Revision>, Error>(missing.collect::<Result<_, _>>()?)
            })?;
            let mut entries = Vec::with_capacity(missing.len());
            for id in missing {
                let commit = view.commit(id)?;
                let changes = changes_of(&view, id, &commit.parents)?;
                entries.push((id, commit, changes));
            }
            self.database.write(|transaction| {
                for (id, commit, changes) in &entries {
                    log::append(transaction, *id, commit, changes)?;
                }
                Ok::<_, Error>(())
            })?;
            if steps.add(batch.len()).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Writes the rows of files that changed, and removes those of files that are gone.
    fn bring_files(
        &self,
        files: &BTreeMap<Vec<u8>, Entry>,
        changed: &HashMap<Vec<u8>, Revision>,
        rows: &HashSet<String>,
        steps: &mut Steps<'_>,
    ) -> Result<ControlFlow<()>, Error> {
        let is_there = |path: &str| files.get(path.as_bytes()).is_some_and(|entry| entry.is_file());
        let gone: Vec<&String> = rows.iter().filter(|path| !is_there(path)).collect();
        if !gone.is_empty() {
            self.database.write(|transaction| {
                for path in &gone {
                    file::remove(transaction, path)?;
                }
                Ok::<_, Error>(())
            })?;
        }
        let view = self.repo.view();
        let mut commits: HashMap<Revision, Commit> = HashMap::new();
        // In the order of their paths, so that the rows lie as they are listed.
        let mut changed: Vec<(&Vec<u8>, &Revision)> = changed.iter().collect();
        changed.sort_unstable();
        for batch in changed.chunks(FILES) {
            let mut states = Vec::with_capacity(batch.len());
            for (path, revision) in batch {
                let entry = files.get(*path).copied();
                let read = |id| view.blob(id);
                if let Some(state) =
                    FileState::of(path, entry, self.style, read, |id| view.blob_size(id))?
                {
                    states.push((state, **revision));
                }
                if !commits.contains_key(revision) {
                    commits.insert(**revision, view.commit(**revision)?);
                }
            }
            self.database.write(|transaction| {
                for (state, revision) in &states {
                    let Commit { author, time, .. } = &commits[revision];
                    let by = Signature { revision: *revision, author, time: *time };
                    state.apply(transaction, &by)?;
                }
                Ok::<_, Error>(())
            })?;
            if steps.add(batch.len()).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// The files the index has rows of.
fn rows(connection: &Connection) -> Result<HashSet<String>, DbError> {
    let mut select = connection.prepare(
        "select path || '.md' from page
         union all select case page when '' then name else page || '/' || name end from attachment",
    )?;
    let rows = select.query_map([], |row| row.get(0))?;
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
