//! The index: what lists, histories and searches need and git is slow to say.
//!
//! Everything in it can be rebuilt from git. `wiki.indexed` names the commit it describes; a save
//! moves both in its own transaction, and anything else that moves the branch is caught up with
//! by walking the commits in between, see [`catch_up`].

mod attachments;
mod catch_up;
mod commit;
mod file;
mod key;
mod links;
mod log;
mod pages;
mod renames;
mod same_text;
mod search;
mod snippet;
#[cfg(test)]
mod tests;
mod weight;
mod words;

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension as _, Transaction};

use crate::db::DbError;
use crate::revision::Revision;
use crate::usage::Count;

pub(crate) use attachments::list as attachments;
pub use catch_up::IndexProgress;
pub(crate) use catch_up::{CatchUp, Report, catch_up};
pub(crate) use commit::{Described, changes_by, changes_of, moves_of, shown_path};
pub(crate) use links::{WrittenLink, existing, incoming, mentioning, named, outgoing, unstored};
pub(crate) use log::{
    Change, Position, former_names, moved_to, moves_in, newest, of_file, one, since, tell_moves,
};
pub(crate) use pages::{get, is_searched, list, with_content};
pub(crate) use renames::{Candidate, MAX_SIZE as MAX_RENAMED, pair as pair_renamed};
pub(crate) use search::Query;
pub use search::{SearchResult, SnippetPart};
pub(crate) use weight::{NewCommits, NewFiles};

/// The commit that every row describes; `None` while they are being brought to another one.
pub(crate) fn current(connection: &Connection) -> Result<Option<Revision>, DbError> {
    let id: Option<[u8; 20]> = connection
        .prepare_cached("select case when building is null then indexed end from wiki")?
        .query_row([], |row| row.get(0))?;
    Ok(id.map(Revision::from_bytes))
}

/// The commit that the index described when it was last complete.
pub(crate) fn indexed(connection: &Connection) -> Result<Option<Revision>, DbError> {
    let id: Option<[u8; 20]> =
        connection.prepare_cached("select indexed from wiki")?.query_row([], |row| row.get(0))?;
    Ok(id.map(Revision::from_bytes))
}

/// Those of some commits that are part of the history of `head`, if the index describes that.
pub(crate) fn in_log(
    connection: &Connection,
    head: Revision,
    ids: &HashSet<Revision>,
) -> Result<Option<HashSet<Revision>>, DbError> {
    if current(connection)? != Some(head) {
        return Ok(None);
    }
    let mut known = HashSet::new();
    for id in ids {
        if log::has(connection, *id)? {
            known.insert(*id);
        }
    }
    Ok(Some(known))
}

/// How much `head` holds, if the index describes it.
pub(crate) fn counted(connection: &Connection, head: Revision) -> Result<Option<Count>, DbError> {
    let sql = "select pages, attachments, bytes from wiki where building is null and indexed = ?1";
    let count = |row: &rusqlite::Row<'_>| {
        let number = |column| row.get::<_, i64>(column).map(|number| number.max(0).unsigned_abs());
        Ok(Count { pages: number(0)?, attachments: number(1)?, bytes: number(2)? })
    };
    Ok(connection.prepare_cached(sql)?.query_row([head.as_bytes()], count).optional()?)
}

/// How many commits the log has had since it was begun.
pub(crate) fn commits(connection: &Connection) -> Result<u64, DbError> {
    let newest: Option<i64> = connection
        .prepare_cached("select max(seq) from revision")?
        .query_row([], |row| row.get(0))?;
    Ok(newest.unwrap_or(0).unsigned_abs())
}

/// Says which commit the index describes now.
fn set_indexed(transaction: &Transaction<'_>, head: Option<Revision>) -> Result<(), DbError> {
    let id = head.map(|id| *id.as_bytes());
    transaction.prepare_cached("update wiki set indexed = ?1, building = null")?.execute([id])?;
    Ok(())
}

/// Has everything written down anew.
pub(crate) fn forget(transaction: &Transaction<'_>) -> Result<(), DbError> {
    set_indexed(transaction, None)
}
