//! Conflicts of merges, from the merge until a person has settled them.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde::Serialize;
use time::OffsetDateTime;

use super::{LinkId, SyncError};
use crate::author::Author;
use crate::db::DbError;
use crate::error::Error;
use crate::index::shown_path;
use crate::merge::files::{ConflictKind, MergeConflict};
use crate::message::Message;
use crate::page::from_seconds;
use crate::page_path::ExistingPath;
use crate::repo::{Edit, Header};
use crate::revision::{Etag, Revision};
use crate::unit::Unit;
use crate::wiki::Wiki;

/// A conflict that a person should look at. Nothing is lost: both texts are in the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SyncConflict {
    /// The conflict's number.
    pub id: i64,
    /// The link that brought the other text; `None` if the branch was moved directly during a save.
    pub link: Option<LinkId>,
    /// The page or attachment.
    pub path: String,
    /// The kind of conflict.
    pub kind: ConflictKind,
    /// The version at the merge base.
    pub base: Option<Etag>,
    /// The wiki's version; `None` if the wiki had deleted the page.
    pub ours: Option<Etag>,
    /// The remote's version; `None` if the remote had deleted the page.
    pub theirs: Option<Etag>,
    /// The page or attachment that holds the losing text; the new name of a page that couldn't keep its own; or the
    /// second name of a page that both sides renamed.
    pub conflict_path: Option<String>,
    /// The merge commit.
    pub revision: Revision,
    /// Time of the merge.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// Time at which the conflict was settled.
    #[serde(with = "time::serde::rfc3339::option")]
    pub closed: Option<OffsetDateTime>,
}

/// A person's resolution of a conflict.
#[derive(Clone, Debug)]
pub struct Resolve<'a> {
    /// The conflict's number.
    pub id: i64,
    /// The new text of the page, and the version that the author saw; `None` leaves the page or attachment unchanged.
    /// The page is the one at `path`, or at `conflict_path` if it couldn't keep its name.
    pub content: Option<(&'a [u8], Etag)>,
    /// The person who resolves it.
    pub author: &'a Author,
    /// The commit message; one is generated if it is absent.
    pub message: Option<&'a str>,
}

/// The conflicts of a merge that is about to be published.
pub(crate) struct NewConflicts {
    pub(crate) link: Option<LinkId>,
    pub(crate) conflicts: Vec<MergeConflict>,
}

impl NewConflicts {
    /// Inserts the rows, in the transaction of the merge `revision`.
    pub(crate) fn record(
        &self,
        transaction: &Transaction<'_>,
        revision: Revision,
    ) -> Result<(), DbError> {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let mut insert = transaction.prepare_cached(
            "insert into sync_conflict
                 (link, path, conflict_path, kind, base, ours, theirs, revision, created)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        let id = |id: Option<Etag>| id.map(|id| *id.as_bytes());
        for conflict in &self.conflicts {
            insert.execute(params![
                self.link.map(|link| link.0),
                conflict.path,
                conflict.beside,
                conflict.kind.code(),
                id(conflict.base),
                id(conflict.ours),
                id(conflict.theirs),
                revision.as_bytes(),
                now,
            ])?;
        }
        Ok(())
    }
}

impl Wiki {
    /// Lists up to `limit` open conflicts whose numbers are above `after`.
    ///
    /// # Errors
    /// wiki.db can't be read.
    pub fn sync_conflicts(&self, after: i64, limit: usize) -> Result<Vec<SyncConflict>, Error> {
        self.check_open()?;
        let Some(database) = self.existing_database()? else { return Ok(Vec::new()) };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        database.read(|connection| {
            let list = || {
                let mut select = connection.prepare_cached(&format!(
                    "select {COLUMNS} from sync_conflict
                     where closed is null and id > ?1 order by id limit ?2"
                ))?;
                let rows = select.query_map([after, limit], conflict)?;
                rows.collect::<Result<_, _>>()
            };
            Ok(list().map_err(DbError::from)?)
        })
    }

    /// Returns a conflict, open or closed.
    ///
    /// # Errors
    /// No conflict has this number.
    pub fn sync_conflict(&self, id: i64) -> Result<SyncConflict, Error> {
        self.check_open()?;
        let missing = || Error::Sync(SyncError::NoConflict { id });
        let database = self.existing_database()?.ok_or_else(missing)?;
        let found = database.read(|connection| Ok::<_, Error>(find(connection, id)?))?;
        found.ok_or_else(missing)
    }

    /// Returns the three texts of a conflict: at the merge base, the wiki's and the remote's. Invalid UTF-8 is
    /// replaced; a submodule has no text.
    ///
    /// # Errors
    /// No conflict has this number; a text exceeds the page limit ([`Error::TooLarge`]).
    pub fn sync_conflict_texts(&self, id: i64) -> Result<[Option<String>; 3], Error> {
        let conflict = self.sync_conflict(id)?;
        let view = self.repo().view();
        let text = |id: Option<Etag>| {
            let Some(id) = id else { return Ok(None) };
            let header = view.header(id.as_bytes())?.filter(|header| header.is_blob);
            let Some(Header { size, .. }) = header else { return Ok(None) };
            if size > self.page_limit() {
                let (path, limit) = (conflict.path.clone(), self.page_limit());
                return Err(Error::TooLarge { path, size, limit });
            }
            Ok(Some(String::from_utf8_lossy(&self.blob(id)?).into_owned()))
        };
        Ok([text(conflict.base)?, text(conflict.ours)?, text(conflict.theirs)?])
    }

    /// Closes a conflict. One commit saves the page, if there is a new text, and removes the file with the losing text.
    /// A page that only lost its name, or was renamed on both sides, is never removed. Returns the commit; `None` if
    /// there was nothing to change.
    ///
    /// # Errors
    /// No open conflict has this number; the page is too large; the page or the file with the losing text has changed
    /// ([`Error::Stale`], which names it). A changed file must be read, and then deleted explicitly.
    pub fn resolve_sync_conflict(&self, resolve: &Resolve<'_>) -> Result<Option<Revision>, Error> {
        let id = resolve.id;
        let ((), published) = self.write(|unit| {
            let open =
                self.database()?.read(|connection| Ok::<_, Error>(find_open(connection, id)?))?;
            let Some(open) = open else { return Err(SyncError::NoConflict { id }.into()) };
            if let Some((content, base)) = resolve.content {
                self.put_resolved(unit, open.page(), content, base)?;
            }
            open.remove_loser(unit)?;
            if !unit.edits.is_empty() {
                let subject = shown_path(open.page());
                let (given, verb) = (resolve.message, "Resolve the conflict of");
                unit.sign(
                    resolve.author,
                    Message { given, verb, subject: &subject, detail: None },
                )?;
            }
            unit.also(move |transaction| {
                let sql = "update sync_conflict set closed = ?2 where id = ?1 and closed is null";
                transaction.execute(sql, [id, OffsetDateTime::now_utc().unix_timestamp()])?;
                Ok(())
            });
            Ok(())
        })?;
        Ok(published.map(|published| published.revision))
    }

    /// Saves the person's new text of the page, whose version must still be `base`.
    fn put_resolved(
        &self,
        unit: &mut Unit<'_>,
        file: &[u8],
        content: &[u8],
        base: Etag,
    ) -> Result<(), Error> {
        let path = page(file)?;
        let size = content.len() as u64;
        if size > self.page_limit() {
            let (path, limit) = (path.as_str().to_owned(), self.page_limit());
            return Err(Error::TooLarge { path, size, limit });
        }
        match unit.entry(&path.file())?.filter(|entry| entry.is_file()) {
            Some(entry) if entry.id == base => {
                if crate::repo::blob_id(content)? != base {
                    unit.put(&path, content, entry.mode)?;
                }
                Ok(())
            }
            current => {
                let path = path.as_str().to_owned();
                Err(Error::Stale { path, current: current.map(|entry| entry.id) })
            }
        }
    }
}

/// A conflict that is about to be closed.
struct Open {
    path: Vec<u8>,
    beside: Option<Vec<u8>>,
    kind: ConflictKind,
    /// The wiki's text and the remote's.
    texts: [Option<Etag>; 2],
}

impl Open {
    /// Returns the file that holds the resolved text.
    fn page(&self) -> &[u8] {
        match (self.kind, &self.beside) {
            // The page at `path` is another one, which has taken the name.
            (ConflictKind::FileAndDirectory | ConflictKind::SameName, Some(beside)) => beside,
            _ => &self.path,
        }
    }

    /// Removes the file with the losing text. An edited one is refused as stale, because it has to be read first.
    fn remove_loser(&self, unit: &mut Unit<'_>) -> Result<(), Error> {
        use ConflictKind::{BothAdded, BothChanged, Deleted, FileAndDirectory, Renamed, SameName};
        let beside = match (self.kind, &self.beside) {
            (BothChanged | BothAdded, Some(beside)) => beside,
            (BothChanged | BothAdded | Deleted | Renamed | FileAndDirectory | SameName, _) => {
                return Ok(());
            }
        };
        // A path that isn't UTF-8 can't be looked up; git made it, and only git can remove it.
        let there = match std::str::from_utf8(beside) {
            Ok(path) => unit.entry(path)?.filter(|entry| !entry.is_directory()),
            Err(_) => None,
        };
        match there {
            None => Ok(()),
            Some(entry) if self.texts.contains(&Some(entry.id)) => {
                unit.edits.push(Edit { path: beside.clone(), new: None, content: None });
                Ok(())
            }
            Some(entry) => Err(Error::Stale { path: shown_path(beside), current: Some(entry.id) }),
        }
    }
}

fn page(file: &[u8]) -> Result<ExistingPath, Error> {
    let shown = String::from_utf8_lossy(file);
    let missing = || Error::NotFound { path: shown.clone().into_owned() };
    ExistingPath::of_file(&shown).ok_or_else(missing)
}

const COLUMNS: &str =
    "id, link, path, kind, base, ours, theirs, conflict_path, revision, created, closed";

fn conflict(row: &Row<'_>) -> rusqlite::Result<SyncConflict> {
    let path: Vec<u8> = row.get(2)?;
    Ok(SyncConflict {
        id: row.get(0)?,
        link: row.get::<_, Option<i64>>(1)?.map(LinkId),
        path: shown_path(&path),
        kind: kind_of(&row.get::<_, String>(3)?),
        base: text_id(row, 4)?,
        ours: text_id(row, 5)?,
        theirs: text_id(row, 6)?,
        conflict_path: row.get::<_, Option<Vec<u8>>>(7)?.map(|path| shown_path(&path)),
        revision: Revision::from_bytes(row.get(8)?),
        created: from_seconds(row.get(9)?),
        closed: row.get::<_, Option<i64>>(10)?.map(from_seconds),
    })
}

fn find(connection: &Connection, id: i64) -> Result<Option<SyncConflict>, DbError> {
    let select = format!("select {COLUMNS} from sync_conflict where id = ?1");
    Ok(connection.prepare_cached(&select)?.query_row([id], conflict).optional()?)
}

fn find_open(connection: &Connection, id: i64) -> Result<Option<Open>, DbError> {
    let sql = "select path, conflict_path, kind, ours, theirs from sync_conflict
               where id = ?1 and closed is null";
    let open = |row: &Row<'_>| {
        Ok(Open {
            path: row.get(0)?,
            beside: row.get(1)?,
            kind: kind_of(&row.get::<_, String>(2)?),
            texts: [text_id(row, 3)?, text_id(row, 4)?],
        })
    };
    Ok(connection.prepare_cached(sql)?.query_row([id], open).optional()?)
}

/// Maps a kind's code. A kind that a later version wrote is shown as the most general one.
fn kind_of(code: &str) -> ConflictKind {
    ConflictKind::of_code(code).unwrap_or(ConflictKind::BothChanged)
}

fn text_id(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Etag>> {
    Ok(row.get::<_, Option<[u8; 20]>>(at)?.map(Etag::from_bytes))
}
