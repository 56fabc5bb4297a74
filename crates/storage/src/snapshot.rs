//! Consistent snapshots of a wiki's data while saves go on.

use std::fs::File;

use crate::db::{self, DbError};
use crate::error::Error;
use crate::files::{self, At as _};
use crate::index;
use crate::otterwiki::{SOURCES, TableRow, Unread, each_row};
use crate::revision::Revision;
use crate::wiki::Wiki;

/// The state of a wiki at one moment, besides the rows passed to the callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The newest revision; `None` if nothing was ever saved.
    pub head: Option<Revision>,
    /// The full name of the branch, such as `refs/heads/main`.
    pub branch: String,
    /// Rows that can't be read.
    pub unread: Vec<Unread>,
}

impl Wiki {
    /// Passes the preferences, drafts and users to `take`, one by one and in this order, as of the moment when the
    /// branch was at the returned head: each draft is either passed or saved in that head.
    ///
    /// The writer lock isn't held while the rows are passed.
    ///
    /// # Errors
    /// The branch or wiki.db can't be read; the error that `take` returns.
    pub fn snapshot(
        &self,
        mut take: impl FnMut(TableRow) -> Result<(), Error>,
    ) -> Result<Snapshot, Error> {
        let mut writer = self.lock_writer()?;
        if writer.unapplied {
            // The snapshot includes all acknowledged changes.
            self.replay(&mut writer)?;
            self.head_moved(false);
        }
        let branch = self.repo().branch();
        let Some(database) = self.existing_database()? else {
            let head = self.repo().head()?;
            drop(writer);
            for (name, value) in self.born_with() {
                take(TableRow::Preference(name.clone(), Some(value.clone())))?;
            }
            return Ok(Snapshot { head, branch, unread: Vec::new() });
        };
        database.read(|connection| {
            let transaction = connection.unchecked_transaction().map_err(DbError::from)?;
            // SQLite fixes the transaction's state at its first read.
            index::indexed(&transaction)?;
            let head = self.repo().head()?;
            drop(writer);
            let mut unread = Vec::new();
            for table in SOURCES {
                unread.extend(each_row(&transaction, table, &mut take)?);
            }
            Ok(Snapshot { head, branch, unread })
        })
    }

    /// Makes a consistent copy of `app.db`, the embedding app's own database. The copy is an unnamed file, which
    /// disappears when it is closed. `None`: there is no `app.db`.
    ///
    /// # Errors
    /// `app.db` is a link or not a database; another program keeps it locked; the disk is full.
    pub fn copy_app_db(&self) -> Result<Option<File>, Error> {
        self.check_open()?;
        let path = self.dir().join("app.db");
        match std::fs::symlink_metadata(&path) {
            Ok(kind) if kind.is_file() => {}
            Ok(_) => {
                let detail =
                    format!("`{}` is not a file but a link or a directory", path.display());
                return Err(Error::Damaged { detail });
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).at("read", &path)?,
        }
        let of = |error: DbError| error.of(&path);
        let source = db::connect_plainly(&path).map_err(|error| of(error.into()))?;
        let copy = files::temporary_beside(&path);
        let made = match db::copy_into(&source, &copy) {
            Ok(()) => File::open(&copy).at("open", &copy).map_err(Error::from),
            Err(error) => Err(of(error).into()),
        };
        files::remove_if_there(&copy)?;
        made.map(Some)
    }

    /// Creates an unnamed file on the wiki's disk, which exists as long as it is open.
    ///
    /// # Errors
    /// The disk is full.
    pub fn scratch_file(&self) -> Result<File, Error> {
        self.check_open()?;
        Ok(tempfile::tempfile_in(self.dir()).at("create a file in", self.dir())?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use rusqlite::Connection;

    use super::*;
    use crate::otterwiki::Tables;
    use crate::testing::Scratch;
    use crate::{Cursor, DraftBase, NewDraft, PagePath};

    fn rows(wiki: &Wiki) -> (Snapshot, Tables) {
        let mut tables = Tables::default();
        let snapshot = wiki.snapshot(|row| {
            tables.add(row);
            Ok(())
        });
        (snapshot.unwrap(), tables)
    }

    #[test]
    fn what_is_restored_is_what_was_read() {
        let scratch = Scratch::new();
        let wiki = scratch.wiki();
        let path = PagePath::new("roses").unwrap();
        let cursor = Some(Cursor { line: 3, column: 4 });
        let base = DraftBase::Kept;
        for owner in ["ann", "bob"] {
            let draft =
                NewDraft { owner, path: &path, content: "red\u{1}", base, cursor, is_guest: false };
            wiki.put_draft(&draft).unwrap();
        }
        let empty = [("EMPTY".to_owned(), None), ("SITE_NAME".to_owned(), Some(String::new()))];
        wiki.put_rows(&Tables { preferences: empty.to_vec(), ..Tables::default() }).unwrap();
        let (snapshot, tables) = rows(wiki);
        assert_eq!((snapshot.head, snapshot.branch.as_str()), (None, "refs/heads/main"));
        assert_eq!((tables.preferences.len(), tables.drafts.len()), (2, 2));

        let other = Scratch::new();
        let again = other.wiki();
        again.put_rows(&tables).unwrap();
        assert_eq!(rows(again), (snapshot, tables));
    }

    #[test]
    fn looking_creates_no_database() {
        let scratch = Scratch::new();
        let wiki = scratch.wiki();
        assert_eq!(rows(wiki).1, Tables::default());
        assert!(wiki.copy_app_db().unwrap().is_none());
        assert!(!wiki.dir().join("wiki.db").exists());
    }

    #[test]
    fn the_apps_database_is_copied_whole_with_what_is_in_its_log() {
        let scratch = Scratch::new();
        let wiki = scratch.wiki();
        let path = wiki.dir().join("app.db");
        let app = Connection::open(&path).unwrap();
        let wal = "pragma journal_mode = wal; pragma wal_autocheckpoint = 0;";
        app.execute_batch(wal).unwrap();
        app.execute_batch("create table a (b); insert into a values ('red');").unwrap();
        // An uncommitted transaction is neither waited for nor copied.
        app.execute_batch("begin immediate; insert into a values ('blue');").unwrap();
        let before = std::fs::read_dir(wiki.dir()).unwrap().count();
        let mut bytes = Vec::new();
        wiki.copy_app_db().unwrap().unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(std::fs::read_dir(wiki.dir()).unwrap().count(), before);
        let copy = scratch.dir().with_file_name("copy.db");
        std::fs::write(&copy, bytes).unwrap();
        let copy = Connection::open(copy).unwrap();
        let all: String =
            copy.query_row("select group_concat(b) from a", [], |row| row.get(0)).unwrap();
        assert_eq!(all, "red");
    }

    #[test]
    fn what_is_no_database_of_the_app_is_refused_and_leaves_nothing() {
        let scratch = Scratch::new();
        let wiki = scratch.wiki();
        let path = wiki.dir().join("app.db");
        let count = || std::fs::read_dir(wiki.dir()).unwrap().count();
        std::fs::write(&path, "a shopping list, which is long enough").unwrap();
        let before = count();
        wiki.copy_app_db().unwrap_err();
        assert_eq!(count(), before);
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(matches!(wiki.copy_app_db(), Err(Error::Damaged { .. })));
    }
}
