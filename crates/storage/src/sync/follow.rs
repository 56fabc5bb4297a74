//! Open conflicts follow their pages through every rename, whether a save, a push or a link makes it. A conflict is
//! closed when the file with the losing text is deleted: its reader has settled it.

use std::collections::HashMap;

use rusqlite::{Row, params};
use time::OffsetDateTime;

use crate::db::DbError;
use crate::error::Error;
use crate::index;
use crate::merge::files::ConflictKind;
use crate::repo::{Edit, FileChange, RepoError, View};
use crate::revision::Revision;
use crate::unit::Statement;
use crate::wiki::Wiki;

/// The files that a change removes from their paths, and their new paths; `None` if the file is deleted.
pub(crate) type Left = HashMap<Vec<u8>, Option<Vec<u8>>>;

/// Finds the files that edits of `head` remove from their paths. `moves` are the renames that the caller knows; if it
/// is empty, renames are detected.
pub(crate) fn left_by_edits(
    view: &View,
    head: Option<Revision>,
    edits: &[Edit],
    moves: &[(String, String)],
) -> Result<Left, RepoError> {
    if moves.is_empty() && edits.iter().any(|edit| edit.new.is_some()) {
        return left_by_changes(view, &view.changes_by(head, edits)?);
    }
    let removed = edits.iter().filter(|edit| edit.new.is_none()).map(|edit| &edit.path);
    Ok(left(removed, moves))
}

/// Finds the files that changes remove from their paths.
pub(crate) fn left_by_changes(view: &View, changes: &[FileChange]) -> Result<Left, RepoError> {
    let removed = changes.iter().filter(|change| change.new.is_none()).map(|change| &change.path);
    Ok(left(removed, &index::moves_of(view, changes)?))
}

fn left<'a>(removed: impl Iterator<Item = &'a Vec<u8>>, moves: &[(String, String)]) -> Left {
    let bytes = |path: &String| path.clone().into_bytes();
    let removed = removed.map(|path| (path.clone(), None));
    // The renames come last, so that they override the removals. Their old paths may be occupied by new files.
    removed.chain(moves.iter().map(|(from, to)| (bytes(from), Some(bytes(to))))).collect()
}

/// An open conflict with the paths of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    id: i64,
    path: Vec<u8>,
    beside: Option<Vec<u8>>,
    kind: String,
    is_closed: bool,
}

impl Place {
    /// Returns the conflict as it is after a change.
    fn after(&self, left: &Left) -> Self {
        let mut after = self.clone();
        let beside = self.beside.as_ref().and_then(|beside| Some((beside, left.get(beside)?)));
        match beside {
            Some((_, None)) => after.is_closed = true,
            Some((_, moved)) => after.beside.clone_from(moved),
            None => {}
        }
        if self.is_of_a_lost_name() {
            // The lost name belongs to no file, so it moves only with its directory.
            if let Some((from, Some(to))) = beside {
                let ((from, name), (to, same)) = (split(from), split(to));
                if let Some(rest) = self.path.strip_prefix(from).filter(|_| name == same) {
                    after.path = [to, rest].concat();
                }
            }
        } else if let Some(Some(to)) = left.get(&self.path) {
            after.path.clone_from(to);
        }
        after
    }

    /// Returns `true` if `path` is a name that the page couldn't keep.
    fn is_of_a_lost_name(&self) -> bool {
        use ConflictKind::{FileAndDirectory, SameName};
        [FileAndDirectory.code(), SameName.code()].contains(&&*self.kind)
    }
}

/// Splits a path into the directory, with its slash, and the file name.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    path.split_at(path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1))
}

impl Wiki {
    /// Prepares the update that moves the open conflicts along with a change of the current head, for the transaction
    /// of that change. `left` is called only if there are open conflicts.
    pub(crate) fn follow_conflicts(
        &self,
        left: impl FnOnce() -> Result<Left, Error>,
    ) -> Result<Statement<'static>, Error> {
        let places = self.open_places()?;
        let mut moved = Vec::new();
        if !places.is_empty() {
            let left = left()?;
            let after = places.iter().map(|place| (place, place.after(&left)));
            moved.extend(after.filter(|(place, after)| *place != after).map(|(_, after)| after));
        }
        Ok(Box::new(move |transaction| {
            let now = OffsetDateTime::now_utc().unix_timestamp();
            let mut update = transaction.prepare_cached(
                "update sync_conflict set path = ?2, conflict_path = ?3, closed = ?4
                 where id = ?1 and closed is null",
            )?;
            for Place { id, path, beside, is_closed, .. } in &moved {
                update.execute(params![id, path, beside, is_closed.then_some(now)])?;
            }
            Ok(())
        }))
    }

    fn open_places(&self) -> Result<Vec<Place>, Error> {
        let Some(database) = self.existing_database()? else { return Ok(Vec::new()) };
        database.read(|connection| {
            let places = || {
                let mut select = connection.prepare_cached(
                    "select id, path, conflict_path, kind from sync_conflict where closed is null",
                )?;
                let place = |row: &Row<'_>| {
                    let (id, path, beside) = (row.get(0)?, row.get(1)?, row.get(2)?);
                    Ok(Place { id, path, beside, kind: row.get(3)?, is_closed: false })
                };
                let rows = select.query_map([], place)?;
                rows.collect::<Result<_, _>>()
            };
            Ok(places().map_err(DbError::from)?)
        })
    }
}

#[cfg(test)]
mod tests;
