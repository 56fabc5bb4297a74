//! Files and directories that survive a power cut.
//!
//! A file is durable once both its content and the directory that names it are synced. The documentation of each
//! function here says which of the two it does. Everything is created with access for this user only, independent of
//! the umask.

mod secret;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};

pub use secret::{Keeper, read_secret};

/// An I/O error together with the path it concerns.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} `{}`: {source}", path.display())]
pub struct FileError {
    /// The attempted action, as a verb: "create", "sync", ….
    pub action: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// The system's error.
    #[source]
    pub source: io::Error,
}

impl FileError {
    /// Returns `true` if the disk, or the user's quota of it, is full.
    pub fn is_disk_full(&self) -> bool {
        is_disk_full(&self.source)
    }

    /// Returns `true` if a retry a little later may succeed, for example because the process ran out of descriptors.
    pub fn is_busy(&self) -> bool {
        is_passing(&self.source)
    }
}

/// Returns `true` if no bytes, blocks or inodes are left.
pub(crate) fn is_disk_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Returns `true` if the process or the system is temporarily short of a resource, such as descriptors. The file itself
/// isn't the cause.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let passing = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::AGAIN, Errno::INTR];
    os_error(error).is_some_and(|code| passing.iter().any(|errno| errno.raw_os_error() == code))
}

/// Returns `true` if the file couldn't be examined, as opposed to a problem with the file itself. Such an error must
/// never be taken as damage and repaired.
pub(crate) fn is_unavailable(error: &io::Error) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
    let about_the_file = matches!(error.kind(), NotFound | NotADirectory | IsADirectory);
    os_error(error).is_some() && !about_the_file
}

/// Returns the system's error number, even from an error that wraps it to name the file.
fn os_error(error: &io::Error) -> Option<i32> {
    let inner = || error.get_ref()?.source()?.downcast_ref::<io::Error>()?.raw_os_error();
    error.raw_os_error().or_else(inner)
}

/// Adds the action and the path to an I/O error.
pub(crate) trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, FileError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, FileError> {
        self.map_err(|source| FileError { action, path: path.to_owned(), source })
    }
}

/// Creates a directory (not its parents) that only this user can enter.
pub fn create_private_dir(path: &Path) -> Result<(), FileError> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(path).at("create directory", path)
}

/// Creates a file that only this user can read; it must not exist.
pub(crate) fn create_private_file(path: &Path) -> Result<File, FileError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    options.open(path).at("create", path)
}

/// Writes a new file and syncs its content. The caller syncs the directory.
pub fn write_new(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let mut file = create_private_file(path)?;
    file.write_all(content).at("write", path)?;
    file.sync_all().at("sync", path)
}

/// Replaces a file, or creates it, and syncs file and directory. After a power cut the content is either the old or the
/// new one.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let new = temporary_beside(path);
    let renamed = write_new(&new, content)
        .and_then(|()| std::fs::rename(&new, path).at("rename into place", path));
    if renamed.is_err() {
        // The file may not exist; leftovers are swept later.
        let _ = std::fs::remove_file(&new);
    }
    renamed?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// Removes a file, if it exists. Doesn't sync the directory.
pub(crate) fn remove_if_there(path: &Path) -> Result<(), FileError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.at("remove", path),
    }
}

/// Makes the names in a directory durable.
pub fn sync_dir(path: &Path) -> Result<(), FileError> {
    File::open(path).and_then(|dir| dir.sync_all()).at("sync directory", path)
}

/// Makes everything written so far to the file system that holds `path` durable.
///
/// # Errors
/// The path can't be opened, or the disk fails.
pub fn sync_filesystem(path: &Path) -> Result<(), FileError> {
    FileSystem::watch(path)?.sync()
}

/// A file system, opened before the first write that is to be synced.
///
/// The kernel reports a failed write once to every descriptor that was open at the time. A descriptor opened only for
/// the sync may miss an error that another one got, and then the sync wrongly succeeds.
#[derive(Debug)]
pub(crate) struct FileSystem {
    dir: File,
    path: PathBuf,
}

impl FileSystem {
    pub(crate) fn watch(path: &Path) -> Result<Self, FileError> {
        Ok(Self { dir: File::open(path).at("open", path)?, path: path.to_owned() })
    }

    /// One call covers any number of objects and refs, so a checkpoint costs the same for one save as for a thousand.
    /// See `syncfs(2)`: it returns when the data has reached the disk.
    #[cfg(target_os = "linux")]
    pub(crate) fn sync(&self) -> Result<(), FileError> {
        #[cfg(test)]
        if failing::NEXT_SYNC.take() {
            return Err(io::Error::from_raw_os_error(5)).at("sync the file system of", &self.path);
        }
        let synced = rustix::fs::syncfs(&self.dir).map_err(io::Error::from);
        synced.at("sync the file system of", &self.path)
    }

    /// Syncs every file and directory below, one by one, for systems without `syncfs`.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn sync(&self) -> Result<(), FileError> {
        sync_tree(&self.path)?;
        self.dir.sync_all().at("sync directory", &self.path)
    }
}

#[cfg(not(target_os = "linux"))]
fn sync_tree(path: &Path) -> Result<(), FileError> {
    for entry in std::fs::read_dir(path).at("read directory", path)? {
        let entry = entry.at("read directory", path)?.path();
        if entry.is_dir() {
            sync_tree(&entry)?;
        } else {
            File::open(&entry).and_then(|file| file.sync_all()).at("sync", &entry)?;
        }
    }
    sync_dir(path)
}

/// Makes a name for a private temporary file beside `path`, on the same file system. Opening the wiki later recognises
/// it as a leftover (see [`is_leftover`]).
pub(crate) fn temporary_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Without randomness a fixed name still works: creating the file fails if it exists.
    let random = getrandom::u64().unwrap_or(0);
    path.with_file_name(format!(".{name}.{random:016x}.tmp"))
}

/// Returns `true` for a file name made by [`temporary_beside`], or by SQLite beside such a file.
pub(crate) fn is_leftover(name: &str) -> bool {
    name.starts_with('.') && name.contains(".tmp")
}

/// Simulated disk failures, for tests.
#[cfg(test)]
pub(crate) mod failing {
    use std::cell::Cell;

    thread_local! {
        /// True if this thread's next sync of a file system fails.
        pub(crate) static NEXT_SYNC: Cell<bool> = const { Cell::new(false) };
        /// Number of this thread's next branch locks that fail with a full disk.
        pub(crate) static NEXT_LOCKS: Cell<u32> = const { Cell::new(0) };
    }
}

/// Returns the size of a file in bytes; 0 if there is no such file.
pub(crate) fn size_of(file: &Path) -> Result<u64, FileError> {
    match std::fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        found => Ok(found.at("read", file)?.len()),
    }
}

/// Returns the bytes of all files below a directory. Files may appear and disappear meanwhile.
pub(crate) fn size_below(dir: &Path) -> Result<u64, FileError> {
    let gone = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    let entries = match std::fs::read_dir(dir) {
        Err(error) if gone(&error) => return Ok(0),
        entries => entries.at("read directory", dir)?,
    };
    let mut bytes = 0;
    for entry in entries {
        let entry = entry.at("read directory", dir)?;
        match entry.metadata() {
            Ok(kind) if kind.is_dir() => bytes += size_below(&entry.path())?,
            Ok(kind) => bytes += kind.len(),
            Err(error) if gone(&error) => {}
            Err(error) => return Err(error).at("read", &entry.path()),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_files_and_directories_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("inner");
        create_private_dir(&inner).unwrap();
        write_new(&inner.join("file"), b"text").unwrap();
        assert_eq!(inner.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(inner.join("file").metadata().unwrap().permissions().mode() & 0o777, 0o600);
        sync_dir(&inner).unwrap();
        sync_filesystem(&inner).unwrap();
    }

    #[test]
    fn an_error_names_the_path_and_the_action() {
        let error = write_new(Path::new("/nowhere/at/all"), b"").unwrap_err();
        assert!(error.to_string().starts_with("cannot create `/nowhere/at/all`"), "{error}");
        assert!(!error.is_disk_full());
    }

    #[test]
    fn a_temporary_name_is_recognised_as_a_leftover() {
        let name = temporary_beside(Path::new("/x/wiki.db"));
        assert_eq!(name.parent(), Some(Path::new("/x")));
        assert!(is_leftover(&name.file_name().unwrap().to_string_lossy()));
        assert!(!is_leftover("wiki.db"));
    }
}
