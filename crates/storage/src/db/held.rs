//! Which files a pool of connections has open, by device and inode. SQLite opens files by name and never looks
//! again: it goes on writing into one that was removed or replaced, and so into nothing.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::files::{At as _, FileError};

/// A file, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file that has this name now; `None` if there is none.
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
    /// The log, from the first transaction on.
    log: OnceLock<FileId>,
}

/// What became of the files that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// They have their names.
    Held,
    /// The database or its log has lost its name. All of it can be read as long as it is open.
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

    /// Looks where the database is.
    pub(super) fn fate(&self) -> Result<Fate, FileError> {
        Ok(match FileId::of(&self.path)? {
            Some(id) if id == self.database => Fate::Held,
            Some(_) => Fate::Replaced,
            None => Fate::Lost,
        })
    }

    /// Looks where the database and its log are. After a transaction there is a log.
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

/// The log of a database.
pub(super) fn log_of(path: &Path) -> PathBuf {
    with_suffix(path, "-wal")
}

/// The name with something behind it, as SQLite names what belongs to a file.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
