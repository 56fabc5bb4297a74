//! Open conflicts go with their pages, wherever those go and by whichever door. One is closed when the
//! file with the text that lost is gone: then somebody has looked at it.

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

/// Files that a change takes from their paths, and where they go on. `None`: they are gone.
pub(crate) type Left = HashMap<Vec<u8>, Option<Vec<u8>>>;

/// What edits of `head` take from its path. `moves` are files that are known to be the same before and
/// after; if there are none, it is found out.
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

/// What changes take from its path.
pub(crate) fn left_by_changes(view: &View, changes: &[FileChange]) -> Result<Left, RepoError> {
    let removed = changes.iter().filter(|change| change.new.is_none()).map(|change| &change.path);
    Ok(left(removed, &index::moves_of(view, changes)?))
}

fn left<'a>(removed: impl Iterator<Item = &'a Vec<u8>>, moves: &[(String, String)]) -> Left {
    let bytes = |path: &String| path.clone().into_bytes();
    let removed = removed.map(|path| (path.clone(), None));
    // Where a file left, another may stand now.
    removed.chain(moves.iter().map(|(from, to)| (bytes(from), Some(bytes(to))))).collect()
}

/// An open conflict, and where its files are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    id: i64,
    path: Vec<u8>,
    beside: Option<Vec<u8>>,
    kind: String,
    is_closed: bool,
}

impl Place {
    /// Where it is after a change.
    fn after(&self, left: &Left) -> Self {
        let mut after = self.clone();
        let beside = self.beside.as_ref().and_then(|beside| Some((beside, left.get(beside)?)));
        match beside {
            Some((_, None)) => after.is_closed = true,
            Some((_, moved)) => after.beside.clone_from(moved),
            None => {}
        }
        if self.is_of_a_lost_name() {
            // Of no file, so it goes where its directory goes.
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

    /// Whether its path is a name that its page couldn't keep.
    fn is_of_a_lost_name(&self) -> bool {
        use ConflictKind::{FileAndDirectory, SameName};
        [FileAndDirectory.code(), SameName.code()].contains(&&*self.kind)
    }
}

/// The directory with its slash, and the name.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    path.split_at(path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1))
}

impl Wiki {
    /// Has open conflicts follow a change of the head as it is now, in the transaction of that change.
    /// What leaves its path is asked for only if there are any.
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
