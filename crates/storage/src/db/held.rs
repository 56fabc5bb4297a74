//! Identifies the files that a connection pool has open, by device and inode. SQLite opens files by name and never
//! checks the name again: it goes on writing into a file that was removed or replaced, and these writes are lost.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::files::{At as _, FileError};

/// The identity of a file, independent of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// Returns the file that has this name now; `None` if there is none.
    pub(super) fn of(path: &Path) -> Result<Option<Self>, FileError> {
        match std::fs::symlink_metadata(path) {
            Ok(metadata) => Ok(Some(Self::from(&metadata))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).at("read", path),
        }
    }

    #[cfg(unix)]
    fn from(metadata: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    #[cfg(not(unix))]
    fn from(_: &std::fs::Metadata) -> Self {
        Self { device: 0, inode: 0 }
    }
}

/// The files of one database.
#[derive(Debug)]
pub(super) struct Held {
    path: PathBuf,
    database: FileId,
    /// The write-ahead log, from the first transaction on.
    log: OnceLock<FileId>,
}

/// The state of the open files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// They still have their names.
    Held,
    /// The database or its log was removed or renamed. All of it can be read as long as it is open.
    Lost,
    /// Another database has the name.
    Replaced,
}

impl Held {
    pub(super) fn new(path: &Path) -> Result<Self, FileError> {
        let database = FileId::of(path)?
            .ok_or_else(|| std::io::Error::from(ErrorKind::NotFound))
            .at("open", path)?;
        Ok(Self { path: path.to_owned(), database, log: OnceLock::new() })
    }

    /// Checks the name of the database.
    pub(super) fn fate(&self) -> Result<Fate, FileError> {
        Ok(match FileId::of(&self.path)? {
            Some(id) if id == self.database => Fate::Held,
            Some(_) => Fate::Replaced,
            None => Fate::Lost,
        })
    }

    /// Checks the names of the database and its log. To be called after a transaction: then a log exists.
    pub(super) fn fate_with_log(&self) -> Result<Fate, FileError> {
        let fate = self.fate()?;
        if fate != Fate::Held {
            return Ok(fate);
        }
        match FileId::of(&log_of(&self.path))? {
            Some(id) if id == *self.log.get_or_init(|| id) => Ok(Fate::Held),
            _ => Ok(Fate::Lost),
        }
    }
}

/// Path of a database's write-ahead log.
pub(super) fn log_of(path: &Path) -> PathBuf {
    with_suffix(path, "-wal")
}

/// Appends a suffix to the file name, as SQLite names a database's companion files.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
