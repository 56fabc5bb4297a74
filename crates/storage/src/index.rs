//! The index: the tables for lists, histories, links and search, which git answers too slowly.
//!
//! Everything in it can be rebuilt from git. `wiki.indexed` names the commit that the index describes. A
//! save updates the index and this row in its own transaction; after any other move of the branch,
//! [`catch_up`] walks the commits in between.

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

/// The commit that every row describes; `None` during a catch-up.
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

/// The revisions that are part of the history of `head`; `None` if the index doesn't describe `head`.
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

/// The numbers of pages, attachments and bytes of `head`; `None` if the index doesn't describe `head`.
pub(crate) fn counted(connection: &Connection, head: Revision) -> Result<Option<Count>, DbError> {
    let sql = "select pages, attachments, bytes from wiki where building is null and indexed = ?1";
    let count = |row: &rusqlite::Row<'_>| {
        let number = |column| row.get::<_, i64>(column).map(|number| number.max(0).unsigned_abs());
        Ok(Count { pages: number(0)?, attachments: number(1)?, bytes: number(2)? })
    };
    Ok(connection.prepare_cached(sql)?.query_row([head.as_bytes()], count).optional()?)
}

/// Number of commits that were ever added to the log, since it was last rebuilt.
pub(crate) fn commits(connection: &Connection) -> Result<u64, DbError> {
    let newest: Option<i64> = connection
        .prepare_cached("select max(seq) from revision")?
        .query_row([], |row| row.get(0))?;
    Ok(newest.unwrap_or(0).unsigned_abs())
}

/// Stores the commit that the index now describes.
fn set_indexed(transaction: &Transaction<'_>, head: Option<Revision>) -> Result<(), DbError> {
    let id = head.map(|id| *id.as_bytes());
    transaction.prepare_cached("update wiki set indexed = ?1, building = null")?.execute([id])?;
    Ok(())
}

/// Marks the index as outdated, so that the next catch-up rebuilds it.
pub(crate) fn forget(transaction: &Transaction<'_>) -> Result<(), DbError> {
    set_indexed(transaction, None)
}
