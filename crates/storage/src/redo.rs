//! Redo rows make a save durable before git's files are.
//!
//! gix never syncs, and syncing every object, directory and ref of a save would cost eight waits for the disk. One row,
//! committed with everything else the save changes, costs one. It holds the commit and the contents that it adds. Trees
//! are rebuilt by applying the same edits to the same parent, so a save into a directory of ten thousand pages needs no
//! more room than any other.
//!
//! A pushed commit can't be rebuilt from edits. Its objects are synced before the row, and the row records only the
//! branch's new commit.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use crate::db::DbError;
use crate::repo::{Edit, Entry};
use crate::revision::{Etag, Revision};

/// One acknowledged change of the branch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Redo {
    pub(crate) branch: String,
    pub(crate) old: Option<Revision>,
    pub(crate) new: Revision,
    /// The commit object's bytes; `None` if the commit and all its objects were on the disk before the row.
    pub(crate) commit: Option<Vec<u8>>,
    /// The changes against the first parent, if the commit has to be rebuilt.
    pub(crate) edits: Vec<Edit>,
}

/// Adds the rows. They count once the transaction is committed.
pub(crate) fn record(transaction: &Transaction<'_>, redo: &Redo) -> Result<(), DbError> {
    let mut insert = transaction.prepare_cached(
        "insert into redo (ref, old, new, commit_data, path, mode, blob_id, content)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let mut first = Some(redo);
    // A merge may change no file, but its commit still needs a row.
    let none = redo.edits.is_empty().then_some(None);
    for edit in redo.edits.iter().map(Some).chain(none) {
        let new = edit.and_then(|edit| edit.new);
        let head = first.take();
        insert.execute(params![
            head.map(|redo| &redo.branch),
            head.and_then(|redo| redo.old).map(|id| *id.as_bytes()),
            redo.new.as_bytes(),
            head.and_then(|redo| redo.commit.as_ref()),
            edit.map(|edit| &edit.path),
            new.map(|entry| entry.mode),
            new.map(|entry| *entry.id.as_bytes()),
            edit.and_then(|edit| edit.content.as_ref()),
        ])?;
    }
    Ok(())
}

/// Returns the pending saves, oldest first.
pub(crate) fn pending(connection: &Connection) -> Result<Vec<Redo>, DbError> {
    let mut select = connection.prepare_cached(
        "select ref, old, new, commit_data, path, mode, blob_id, content from redo order by seq",
    )?;
    let mut rows = select.query([])?;
    let mut pending: Vec<Redo> = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(branch) = row.get(0)? {
            pending.push(Redo {
                branch,
                old: row.get::<_, Option<[u8; 20]>>(1)?.map(Revision::from_bytes),
                new: Revision::from_bytes(row.get(2)?),
                commit: row.get(3)?,
                edits: Vec::new(),
            });
        }
        let new = Revision::from_bytes(row.get(2)?);
        // In a salvaged file the first row of a save may be missing: its edits must not be added to another save.
        if let Some(save) = pending.last_mut().filter(|save| save.new == new) {
            save.edits.extend(edit(row)?);
        }
    }
    Ok(pending)
}

/// Returns the commits of the pending saves, oldest first.
pub(crate) fn commits(connection: &Connection) -> Result<Vec<Revision>, DbError> {
    let mut select =
        connection.prepare_cached("select new from redo where ref is not null order by seq")?;
    let commits = select.query_map([], |row| Ok(Revision::from_bytes(row.get(0)?)))?;
    Ok(commits.collect::<Result<_, _>>()?)
}

fn edit(row: &Row<'_>) -> rusqlite::Result<Option<Edit>> {
    let Some(path) = row.get(4)? else { return Ok(None) };
    let mode: Option<u16> = row.get(5)?;
    let id: Option<[u8; 20]> = row.get(6)?;
    let new = mode.zip(id).map(|(mode, id)| Entry { mode, id: Etag::from_bytes(id) });
    Ok(Some(Edit { path, new, content: row.get(7)? }))
}

/// Returns the number of the newest row; `None` if there are no rows.
pub(crate) fn newest(connection: &Connection) -> Result<Option<i64>, DbError> {
    Ok(connection
        .prepare_cached("select max(seq) from redo")?
        .query_row([], |row| row.get(0))
        .optional()?
        .flatten())
}

/// Removes the rows up to `seq`, whose objects and ref are on the disk now. Records `head`, which is on the disk, too,
/// and the size of the repository.
pub(crate) fn forget(
    transaction: &Transaction<'_>,
    seq: i64,
    head: Option<Revision>,
    repository_bytes: Option<u64>,
) -> Result<(), DbError> {
    transaction.prepare_cached("delete from redo where seq <= ?1")?.execute([seq])?;
    let head = head.map(|id| *id.as_bytes());
    let bytes = repository_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    let sql = "update wiki set durable = ?1, repository_bytes = ?2";
    transaction.prepare_cached(sql)?.execute(params![head, bytes])?;
    Ok(())
}

/// Returns the newest commit that is known to survive a power cut.
pub(crate) fn durable(connection: &Connection) -> Result<Option<Revision>, DbError> {
    let id: Option<[u8; 20]> =
        connection.prepare_cached("select durable from wiki")?.query_row([], |row| row.get(0))?;
    Ok(id.map(Revision::from_bytes))
}
