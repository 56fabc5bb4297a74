//! Redo rows: what makes a save durable before git's files are.
//!
//! gix never syncs, and syncing every object, directory and ref of a save would cost eight waits
//! for the disk. One row, committed with everything else the save changes, costs one. It remembers
//! the commit and the contents it brought; trees are rebuilt by applying the same edits to the same
//! parent, so a save into a directory of ten thousand pages needs no more room than any other.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::db::DbError;
use crate::repo::{Edit, Entry};
use crate::revision::{Etag, Revision};

/// One acknowledged change of the branch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Redo {
    pub(crate) branch: String,
    pub(crate) old: Option<Revision>,
    pub(crate) new: Revision,
    /// The commit object's bytes.
    pub(crate) commit: Vec<u8>,
    /// What the commit changes against its first parent.
    pub(crate) edits: Vec<Edit>,
}

/// Adds a row. It counts once the transaction is committed.
pub(crate) fn record(transaction: &Transaction<'_>, redo: &Redo) -> Result<(), DbError> {
    let seq: i64 = transaction
        .prepare_cached(
            "insert into redo (ref, old, new, commit_data) values (?1, ?2, ?3, ?4) returning seq",
        )?
        .query_row(
            params![
                redo.branch,
                redo.old.map(|id| *id.as_bytes()),
                redo.new.as_bytes(),
                redo.commit
            ],
            |row| row.get(0),
        )?;
    let mut insert = transaction.prepare_cached(
        "insert into redo_edit (seq, path, mode, blob_id, content) values (?1, ?2, ?3, ?4, ?5)",
    )?;
    for edit in &redo.edits {
        let id = edit.new.map(|entry| *entry.id.as_bytes());
        insert.execute(params![
            seq,
            edit.path,
            edit.new.map(|entry| entry.mode),
            id,
            edit.content
        ])?;
    }
    Ok(())
}

/// All rows, oldest first.
pub(crate) fn pending(connection: &Connection) -> Result<Vec<Redo>, DbError> {
    let mut rows = connection
        .prepare_cached("select seq, ref, old, new, commit_data from redo order by seq")?;
    let mut pending = Vec::new();
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        pending.push(Redo {
            branch: row.get(1)?,
            old: row.get::<_, Option<[u8; 20]>>(2)?.map(Revision::from_bytes),
            new: Revision::from_bytes(row.get(3)?),
            commit: row.get(4)?,
            edits: edits(connection, row.get(0)?)?,
        });
    }
    Ok(pending)
}

fn edits(connection: &Connection, seq: i64) -> Result<Vec<Edit>, DbError> {
    let mut select = connection.prepare_cached(
        "select path, mode, blob_id, content from redo_edit where seq = ?1 order by path",
    )?;
    let edits = select.query_map([seq], |row| {
        let mode: Option<u16> = row.get(1)?;
        let id: Option<[u8; 20]> = row.get(2)?;
        let new = mode.zip(id).map(|(mode, id)| Entry { mode, id: Etag::from_bytes(id) });
        Ok(Edit { path: row.get(0)?, new, content: row.get(3)? })
    })?;
    Ok(edits.collect::<Result<_, _>>()?)
}

/// The number of the newest row, if there is any.
pub(crate) fn newest(connection: &Connection) -> Result<Option<i64>, DbError> {
    Ok(connection
        .prepare_cached("select max(seq) from redo")?
        .query_row([], |row| row.get(0))
        .optional()?
        .flatten())
}

/// Removes the rows up to `seq`, whose objects and ref are on the disk now.
pub(crate) fn forget(transaction: &Transaction<'_>, seq: i64) -> Result<(), DbError> {
    transaction.prepare_cached("delete from redo where seq <= ?1")?.execute([seq])?;
    Ok(())
}
