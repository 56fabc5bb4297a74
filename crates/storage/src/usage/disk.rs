//! The disk space that a wiki takes: history, drafts and index, besides the content.
//!
//! Not every save counts. After everything was counted, half of the remaining space may be used up by estimates before
//! the next count; and the repository, which has many files, is measured by what is added to it.

use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;

use crate::db::DbError;
use crate::error::Error;
use crate::files::size_of;
use crate::repo::{Edit, FileChange, View};
use crate::revision::Revision;
use crate::wiki::Wiki;

/// Estimated bytes per byte of a new text: in the repository, in the redo row, and four times in the index.
const TEXT: u64 = 6;
/// Estimated bytes per changed file, besides its text and path, and per byte of its path: rows of the index and of the
/// log.
const FILE: u64 = 520;
const FILE_PATH: u64 = 7;

/// Bytes that a push may add for each file it removes, if it does nothing else: commits and trees.
const REMOVAL: u64 = 512 << 10;

/// The bytes that may be added before everything is counted again.
#[derive(Debug, Default)]
pub(crate) struct Room(AtomicU64);

impl Room {
    /// Reserves `bytes`. Returns `false` if less is left.
    fn take(&self, bytes: u64) -> bool {
        let order = Ordering::Relaxed;
        self.0.fetch_update(order, order, |left| left.checked_sub(bytes)).is_ok()
    }

    /// Uses up room for data that is written already; stops at zero.
    pub(crate) fn spend(&self, bytes: u64) {
        let order = Ordering::Relaxed;
        let _ = self.0.fetch_update(order, order, |left| Some(left.saturating_sub(bytes)));
    }

    /// Makes the next check count everything.
    pub(crate) fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// The bytes that a wiki takes on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DiskUse {
    pub(crate) repository: u64,
    /// wiki.db, without its free pages.
    pub(crate) database: u64,
    /// Part of `database`.
    pub(crate) drafts: u64,
    pub(crate) app: u64,
}

impl DiskUse {
    pub(crate) fn total(self) -> u64 {
        self.repository.saturating_add(self.database).saturating_add(self.app)
    }
}

impl Wiki {
    /// Measures the bytes that the wiki takes on the disk.
    pub(crate) fn disk_use(&self) -> Result<DiskUse, Error> {
        let app = size_of(&self.dir().join("app.db"))?;
        let (remembered, database, drafts) = match self.existing_database()? {
            Some(database) => database.read(|c| Ok::<_, Error>(in_database(c)?))?,
            None => (None, 0, 0),
        };
        let repository = match (self.repo().known_size(), remembered) {
            (Some(known), _) => known,
            (None, Some(remembered)) => {
                self.repo().set_size(remembered);
                remembered
            }
            (None, None) => self.repo().count_size()?,
        };
        Ok(DiskUse { repository, database, drafts, app })
    }

    /// The bytes that may be added; `None`: any number.
    ///
    /// # Errors
    /// The wiki's files can't be read.
    pub fn disk_left(&self) -> Result<Option<u64>, Error> {
        let Some(limit) = self.disk_limit() else { return Ok(None) };
        Ok(Some(limit.saturating_sub(self.disk_use()?.total())))
    }

    /// Refuses a change that adds `added` bytes, if that would exceed the limit.
    pub(crate) fn check_disk(&self, added: u64) -> Result<(), Error> {
        let Some(limit) = self.disk_limit() else { return Ok(()) };
        if self.room().take(added) {
            return Ok(());
        }
        let would_be = self.disk_use()?.total().saturating_add(added);
        if would_be > limit {
            return Err(Error::QuotaExceeded { what: "disk_bytes", limit, would_be });
        }
        self.room().0.store((limit - would_be) / 2, Ordering::Relaxed);
        Ok(())
    }

    /// As [`check_disk`](Self::check_disk), for fetched or pushed commits of `added` bytes with these `changes`.
    /// Commits that only remove files are accepted even above the limit, up to [`REMOVAL`] bytes per removed file.
    pub(crate) fn check_disk_of_push(
        &self,
        added: u64,
        has_files: bool,
        changes: &[FileChange],
    ) -> Result<(), Error> {
        let removed = changes.iter().filter(|change| change.new.is_none()).count() as u64;
        match self.check_disk(added) {
            Err(Error::QuotaExceeded { .. }) if !has_files && added <= removed * REMOVAL => Ok(()),
            checked => checked,
        }
    }

    /// As [`check_disk`](Self::check_disk), for edits on top of `head`. Edits are never refused if they only remove
    /// files, or replace texts by texts of at most half their size: a series of these takes no more space than the
    /// original texts.
    pub(crate) fn check_disk_for(
        &self,
        view: &View,
        head: Option<Revision>,
        edits: &[Edit],
    ) -> Result<(), Error> {
        let weight = edits.iter().map(|Edit { path, new, content }| {
            let text = content.as_ref().map_or(0, |content| content.len() as u64 * TEXT);
            let row = if new.is_some() { FILE } else { 0 };
            text + row + path.len() as u64 * FILE_PATH
        });
        match self.check_disk(weight.sum()) {
            Err(Error::QuotaExceeded { .. }) if shrinks(view, head, edits)? => Ok(()),
            checked => checked,
        }
    }
}

/// Returns `true` if edits only remove files, or replace texts by ones of at most half their size.
fn shrinks(view: &View, head: Option<Revision>, edits: &[Edit]) -> Result<bool, Error> {
    let (mut before, mut after) = (0, 0);
    for Edit { path, new, content } in edits {
        let (Some(_), Ok(path)) = (new, std::str::from_utf8(path)) else { continue };
        let Some(content) = content else { return Ok(false) };
        let old = match head {
            Some(head) => view.entry(head, path)?.filter(|entry| entry.is_file()),
            None => None,
        };
        let Some(old) = old else { return Ok(false) };
        before += view.blob_size(old.id)?;
        after += content.len() as u64;
    }
    Ok(after <= before / 2)
}

/// Returns the bytes of the repository as last counted (`None` if something was added since), of wiki.db, and of the
/// drafts in it.
fn in_database(connection: &Connection) -> Result<(Option<u64>, u64, u64), DbError> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = number("page_count")? - number("freelist_count")?;
    let database = pages * number("page_size")?;
    let sql = "select case when exists (select 1 from redo) then null else repository_bytes end, draft_bytes
        from wiki";
    let (repository, drafts): (Option<i64>, i64) =
        connection.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let unsigned = |number: i64| number.max(0).unsigned_abs();
    Ok((repository.map(unsigned), unsigned(database), unsigned(drafts)))
}
