//! The log: every commit once, with the files it changes.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use crate::author::Author;
use crate::changes::{ChangeKind, Commit, MAX_CHANGES, PathChange};
use crate::db::DbError;
use crate::history::Log;
use crate::most::{Collected, Most};
use crate::page::from_seconds;
use crate::repo;
use crate::revision::Revision;

/// A commit's change of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The path of the file, not of the page.
    pub(crate) path: String,
    pub(crate) kind: Kind,
}

/// The kind of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Added,
    Modified,
    Deleted,
    /// The file was renamed from this path.
    Renamed(String),
    /// The file was copied from the former content of this one, which the same commit changed.
    Copied(String),
    /// The file was renamed to this path.
    Moved(String),
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Modified => "modified",
            Self::Deleted => "deleted",
            Self::Renamed(_) => "renamed",
            Self::Copied(_) => "copied",
            Self::Moved(_) => "moved",
        }
    }

    fn other(&self) -> Option<&str> {
        match self {
            Self::Renamed(other) | Self::Copied(other) | Self::Moved(other) => Some(other),
            _ => None,
        }
    }
}

/// Adds a commit that the log hasn't, after all others.
pub(crate) fn append(
    transaction: &Transaction<'_>,
    id: Revision,
    commit: &repo::Commit,
    changes: &[Change],
) -> Result<(), DbError> {
    let inserted = transaction
        .prepare_cached(
            "insert or ignore into revision (id, author_name, author_email, time, message)
             values (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            id.as_bytes(),
            commit.author.name(),
            commit.author.email(),
            commit.time,
            commit.message,
        ])?;
    if inserted == 0 {
        return Ok(());
    }
    let seq = transaction.last_insert_rowid();
    transaction
        .prepare_cached("delete from told_move where revision = ?1")?
        .execute([id.as_bytes()])?;
    let mut insert = transaction.prepare_cached(
        "insert or ignore into parent (child, parent) select ?1, seq from revision where id = ?2",
    )?;
    for parent in &commit.parents {
        insert.execute(params![seq, parent.as_bytes()])?;
    }
    let mut insert = transaction.prepare_cached(
        "insert or replace into change (path, seq, kind, other) values (?1, ?2, ?3, ?4)",
    )?;
    for Change { path, kind } in changes {
        insert.execute(params![path, seq, kind.name(), kind.other()])?;
    }
    Ok(())
}

/// Stores the renames of a commit until it is in the log: a move knows renames that can't always be
/// detected from its commit.
pub(crate) fn tell_moves(
    transaction: &Transaction<'_>,
    id: Revision,
    moves: &[(String, String)],
) -> Result<(), DbError> {
    let mut insert = transaction.prepare_cached(
        "insert or replace into told_move (revision, old, new) values (?1, ?2, ?3)",
    )?;
    for (old, new) in moves {
        insert.execute(params![id.as_bytes(), old, new])?;
    }
    Ok(())
}

/// The commits with stored renames that the log hasn't.
pub(super) fn told(connection: &Connection) -> Result<HashSet<Revision>, DbError> {
    let mut select = connection.prepare_cached("select distinct revision from told_move")?;
    let ids = select.query_map([], |row| Ok(Revision::from_bytes(row.get(0)?)))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// The renames of a commit, as stored by [`tell_moves`].
pub(super) fn told_moves(
    connection: &Connection,
    id: Revision,
) -> Result<Vec<(String, String)>, DbError> {
    let mut select =
        connection.prepare_cached("select old, new from told_move where revision = ?1")?;
    let moves = select.query_map([id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(moves.collect::<Result<_, _>>()?)
}

/// Removes all commits.
pub(crate) fn clear(transaction: &Transaction<'_>) -> Result<(), DbError> {
    Ok(transaction.execute_batch("delete from change; delete from parent; delete from revision")?)
}

/// Returns `true` if the log has the commit.
pub(crate) fn has(connection: &Connection, id: Revision) -> Result<bool, DbError> {
    Ok(seq_of(connection, id)?.is_some())
}

fn seq_of(connection: &Connection, id: Revision) -> Result<Option<i64>, DbError> {
    Ok(connection
        .prepare_cached("select seq from revision where id = ?1")?
        .query_row([id.as_bytes()], |row| row.get(0))
        .optional()?)
}

/// Up to `most` commits that came before `before`, newest first, each with all its changes. `None` if the
/// log hasn't that commit.
pub(crate) fn newest(
    connection: &Connection,
    before: Option<Revision>,
    most: Most,
) -> Result<Option<Log>, DbError> {
    let Some(before) = bound(connection, before)? else { return Ok(None) };
    commits(connection, "seq < ?1 order by seq desc", before, most).map(Some)
}

/// One commit with all its changes.
pub(crate) fn one(connection: &Connection, id: Revision) -> Result<Option<crate::Commit>, DbError> {
    let Some(seq) = seq_of(connection, id)? else { return Ok(None) };
    Ok(commits(connection, "seq = ?1", seq, Most::items(1))?.commits.pop())
}

/// Up to `most` commits that come after `after`, oldest first, each with all its changes.
pub(crate) fn since(
    connection: &Connection,
    after: Option<Revision>,
    most: Most,
) -> Result<Option<Log>, DbError> {
    let after = match after {
        None => 0,
        Some(id) => match seq_of(connection, id)? {
            Some(seq) => seq,
            None => return Ok(None),
        },
    };
    commits(connection, "seq > ?1 order by seq", after, most).map(Some)
}

/// A position in the history of one file: the next step looks for changes of `path` older than `before`
/// (`None`: all) that aren't descendants of `left`, the commit that moved the file away from the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) path: String,
    pub(crate) before: Option<Revision>,
    pub(crate) left: Option<Revision>,
}

/// The commits that match a condition on `seq`, each with its changes.
fn commits(
    connection: &Connection,
    condition: &'static str,
    bound: i64,
    most: Most,
) -> Result<Log, DbError> {
    // Selects one commit more than the limit, to know if there are more.
    let sql = format!("select {COLUMNS}, seq from revision where {condition} limit ?2");
    let mut select = connection.prepare_cached(&sql)?;
    let mut rows = select.query(params![bound, most.items as i64 + 1])?;
    let mut collected = Collected::new(most);
    while let Some(row) = rows.next()? {
        let takes = !collected.is_full() && {
            let mut commit = commit(row)?;
            fill(connection, row.get(5)?, &mut commit)?;
            collected.takes(commit)
        };
        if !takes {
            return Ok(Log { commits: collected.commits, more: true });
        }
    }
    Ok(Log { commits: collected.commits, more: false })
}

/// Commits, and the position to continue from if there are more.
pub(crate) type Part = (Vec<Commit>, Option<Position>);

/// Up to `most` commits that changed a file, newest first, each with that change only, and where
/// the walk stands then. Where the file comes from another path the walk goes on there: with all
/// that was done to it before, or beside the move on another branch. `None` if the log hasn't the
/// commit to go on from.
///
/// The part may end early, after a commit that moves the file: for each of these commits rows are looked at that
/// tell what is built on it, and of all rows together only so many.
pub(crate) fn of_file(
    connection: &Connection,
    from: Position,
    most: Most,
) -> Result<Option<Part>, DbError> {
    of_file_within(MAX_ROWS, &mut Later::new(connection), from, most)
}

fn of_file_within(
    max_rows: usize,
    later: &mut Later<'_>,
    from: Position,
    most: Most,
) -> Result<Option<Part>, DbError> {
    let connection = later.connection;
    let Position { mut path, before: mut last, mut left } = from;
    let Some(mut before) = bound(connection, last)? else { return Ok(None) };
    let mut left_at = match left {
        Some(left) => seq_of(connection, left)?,
        None => None,
    };
    let mut excluded = later.built_on(left_at, &path)?;
    let mut select = connection.prepare_cached(&format!(
        "select {COLUMNS}, r.seq, kind, other from change c join revision r on r.seq = c.seq
         where path = ?1 and c.seq < ?2 order by c.seq desc"
    ))?;
    let mut collected = Collected::new(most);
    loop {
        let mut rows = select.query(params![path, before.min(excluded.from)])?;
        let mut origin = None;
        while let Some(row) = rows.next()? {
            let seq: i64 = row.get(5)?;
            later.rows += 1;
            if excluded.others.contains(&seq) {
                continue;
            }
            let kind: String = row.get(6)?;
            let other: Option<String> = row.get(7)?;
            let mut commit = commit(row)?;
            commit.changes = change(&path, &kind, other.clone()).into_iter().collect();
            let revision = commit.revision;
            if !collected.takes(commit) {
                let next = Position { path, before: last, left };
                return Ok(Some((collected.commits, Some(next))));
            }
            last = Some(revision);
            // Two branches may have renamed to and fro: walking only backwards guarantees an end.
            let is_older = left_at.is_none_or(|left| seq < left);
            if (kind == "renamed" || kind == "copied") && is_older {
                origin = other.map(|old| (old, revision));
                break;
            }
        }
        let Some((old, renamed_by)) = origin else {
            return Ok(Some((collected.commits, None)));
        };
        (path, before, last, left) = (old, i64::MAX, None, Some(renamed_by));
        if collected.is_full() || later.rows >= max_rows {
            return Ok(Some((collected.commits, Some(Position { path, before: None, left }))));
        }
        left_at = seq_of(connection, renamed_by)?;
        excluded = later.built_on(left_at, &path)?;
    }
}

/// So many rows are looked at for one part of a history, and then as many as one more move of the file needs:
/// tenths of a second.
const MAX_ROWS: usize = 200_000;

/// The commits that are built on a certain one.
struct BuiltOn {
    /// All from this number on.
    from: i64,
    others: HashSet<i64>,
}

/// What comes after the commits by which a file was moved, which are asked about from the newest to the oldest.
///
/// Mostly all that comes after a commit is built on it: no later one has only older parents, or none. That is
/// found in one pass through the later commits for all of a walk.
struct Later<'a> {
    connection: &'a Connection,
    /// Number of rows read.
    rows: usize,
    /// All commits from this number on were passed.
    passed: i64,
    /// The oldest parent of these; 0 if one has none.
    oldest: i64,
}

impl<'a> Later<'a> {
    fn new(connection: &'a Connection) -> Self {
        Self { connection, rows: 0, passed: i64::MAX, oldest: i64::MAX }
    }

    /// The changes of a path that are built on a commit, and that commit's own.
    fn built_on(&mut self, commit: Option<i64>, path: &str) -> Result<BuiltOn, DbError> {
        let nothing = || BuiltOn { from: i64::MAX, others: HashSet::new() };
        let Some(first) = commit else { return Ok(nothing()) };
        let last: Option<i64> = self
            .connection
            .prepare_cached("select max(seq) from change where path = ?1")?
            .query_row([path], |row| row.get(0))?;
        // Mostly the path was never used again, and there is nothing to look at.
        let Some(last) = last.filter(|last| *last > first) else {
            return Ok(BuiltOn { from: i64::MAX, others: HashSet::from([first]) });
        };
        if self.are_all_built_on(first)? {
            return Ok(BuiltOn { from: first, ..nothing() });
        }
        let mut others = HashSet::from([first]);
        let mut select = self.connection.prepare_cached(
            "select child, parent from parent where child > ?1 and child <= ?2 order by child",
        )?;
        let mut rows = select.query(params![first, last])?;
        while let Some(row) = rows.next()? {
            self.rows += 1;
            if others.contains(&row.get(1)?) {
                others.insert(row.get(0)?);
            }
        }
        Ok(BuiltOn { from: i64::MAX, others })
    }

    /// Returns `true` if all later commits are built on this one.
    fn are_all_built_on(&mut self, commit: i64) -> Result<bool, DbError> {
        if self.oldest >= commit {
            let mut select = self.connection.prepare_cached(
                "select seq, (select min(parent) from parent where child = seq) from revision
                 where seq > ?1 and seq < ?2 order by seq desc",
            )?;
            let mut rows = select.query(params![commit, self.passed])?;
            while self.oldest >= commit
                && let Some(row) = rows.next()?
            {
                self.rows += 1;
                self.passed = row.get(0)?;
                self.oldest = self.oldest.min(row.get::<_, Option<i64>>(1)?.unwrap_or(0));
            }
        }
        Ok(self.oldest >= commit)
    }
}

/// The files that a commit moved: paths before and after; `None` if the log hasn't that commit.
pub(crate) fn moves_in(
    connection: &Connection,
    id: Revision,
) -> Result<Option<Vec<(String, String)>>, DbError> {
    let Some(seq) = seq_of(connection, id)? else { return Ok(None) };
    let mut select = connection
        .prepare_cached("select path, other from change where seq = ?1 and kind = 'moved'")?;
    let moves = select.query_map([seq], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Some(moves.collect::<Result<_, _>>()?))
}

/// The present path of a file after any number of moves; `None` if it was deleted in the end.
pub(crate) fn moved_to(connection: &Connection, path: &str) -> Result<Option<String>, DbError> {
    let mut select = connection.prepare_cached(
        "select kind, other, seq from change where path = ?1 and seq > ?2 order by seq desc limit 1",
    )?;
    let (mut at, mut since) = (path.to_owned(), -1);
    loop {
        let newest: Option<(String, Option<String>, i64)> = select
            .query_row(params![at, since], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        match newest {
            Some((kind, Some(other), seq)) if kind == "moved" => (at, since) = (other, seq - 1),
            Some((kind, ..)) if kind == "deleted" => return Ok(None),
            _ => return Ok((at != path).then_some(at)),
        }
    }
}

/// The former paths of a file that was renamed to the present one.
pub(crate) fn former_names(connection: &Connection, path: &str) -> Result<Vec<String>, DbError> {
    let mut select = connection.prepare_cached(
        "select other, seq from change where path = ?1 and seq < ?2 and kind in ('renamed', 'copied')
         order by seq desc limit 1",
    )?;
    let (mut names, mut before) = (Vec::new(), i64::MAX);
    let mut at = path.to_owned();
    while let Some((old, seq)) =
        select.query_row(params![at, before], |row| Ok((row.get(0)?, row.get(1)?))).optional()?
    {
        names.push(std::mem::replace(&mut at, old));
        before = seq;
    }
    names.push(at);
    names.remove(0);
    Ok(names)
}

/// The exclusive upper limit of `seq`; `None` for a commit that the log hasn't.
fn bound(connection: &Connection, before: Option<Revision>) -> Result<Option<i64>, DbError> {
    match before {
        None => Ok(Some(i64::MAX)),
        Some(id) => seq_of(connection, id),
    }
}

const COLUMNS: &str = "id, author_name, author_email, time, message";

fn commit(row: &Row<'_>) -> rusqlite::Result<Commit> {
    Ok(Commit {
        revision: Revision::from_bytes(row.get(0)?),
        author: Author::recorded(row.get(1)?, row.get(2)?),
        date: from_seconds(row.get(3)?),
        message: row.get(4)?,
        changes: Vec::new(),
        truncated: false,
    })
}

/// Adds the changes that are shown to the commit.
fn fill(connection: &Connection, seq: i64, commit: &mut Commit) -> Result<(), DbError> {
    let mut select = connection.prepare_cached(
        "select path, kind, other from change where seq = ?1 and kind <> 'moved' order by path limit ?2",
    )?;
    let rows = select.query_map(params![seq, MAX_CHANGES as i64 + 1], |row| {
        let (path, kind): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(change(&path, &kind, row.get(2)?))
    })?;
    commit.changes = rows.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    commit.truncated = commit.changes.len() > MAX_CHANGES;
    commit.changes.truncate(MAX_CHANGES);
    Ok(())
}

fn change(path: &str, kind: &str, other: Option<String>) -> Option<PathChange> {
    let kind = match kind {
        "added" => ChangeKind::Added,
        "modified" => ChangeKind::Modified,
        "deleted" => ChangeKind::Deleted,
        "renamed" => ChangeKind::Renamed,
        "copied" => ChangeKind::Copied,
        "moved" => ChangeKind::Moved,
        _ => return None,
    };
    Some(PathChange::of_file(path, kind, other.as_deref()))
}

#[cfg(test)]
mod tests;
