//! A directory with untrusted content.
//!
//! A symbolic link in it may lead to another wiki's files, which the importing process can read. So all paths below it
//! are opened component by component, without following links. Names that leave the directory in other ways, such as
//! git's alternates, are refused by the code that reads them.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use super::ImportError;

/// Maximum number of entries that are read of one directory.
const NAMES: usize = 1_000_000;

/// A directory below which no link is followed.
#[derive(Debug)]
pub(super) struct Folder {
    dir: OwnedFd,
    path: PathBuf,
}

/// The kind of a directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Link,
    /// A device, a pipe or a socket.
    Other,
}

impl Kind {
    fn of(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Folder,
            FileType::Symlink => Self::Link,
            _ => Self::Other,
        }
    }
}

impl Folder {
    /// Opens the directory itself.
    ///
    /// # Errors
    /// It is a link, isn't a directory, or can't be read.
    pub(super) fn open(path: &Path) -> Result<Self, ImportError> {
        let opened = openat(CWD, path, OFlags::DIRECTORY | flags(), Mode::empty());
        let dir = opened.map_err(|error| unreadable(path, error))?;
        Ok(Self { dir, path: path.to_owned() })
    }

    /// Duplicates the handle.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub(super) fn try_clone(&self) -> Result<Self, ImportError> {
        let cloned = self.dir.try_clone();
        let failed = |source| ImportError::Unreadable { path: self.path.clone(), source };
        Ok(Self { dir: cloned.map_err(failed)?, path: self.path.clone() })
    }

    /// The path of the directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the subdirectory of this name; `None` if there is none, or the entry isn't a directory.
    ///
    /// # Errors
    /// It is a link, or can't be read.
    pub(super) fn folder(&self, name: impl AsRef<OsStr>) -> Result<Option<Self>, ImportError> {
        let dir = self.open_as(name.as_ref(), Kind::Folder)?;
        Ok(dir.map(|dir| Self { dir, path: self.path.join(name.as_ref()) }))
    }

    /// Opens the current parent directory.
    ///
    /// # Errors
    /// It can't be opened.
    pub(super) fn parent(&self) -> Result<Self, ImportError> {
        let path = self.path.parent().unwrap_or(&self.path);
        let opened = openat(&self.dir, "..", OFlags::DIRECTORY | flags(), Mode::empty());
        let dir = opened.map_err(|error| unreadable(path, error))?;
        Ok(Self { dir, path: path.to_owned() })
    }

    /// Opens the file of this name; `None` if there is none, or the entry isn't a file.
    ///
    /// # Errors
    /// It is a link, or can't be read.
    pub(super) fn file(&self, name: impl AsRef<OsStr>) -> Result<Option<File>, ImportError> {
        Ok(self.open_as(name.as_ref(), Kind::File)?.map(File::from))
    }

    /// Reads the file of this name, up to `most` bytes.
    ///
    /// # Errors
    /// It is a link, is larger, or can't be read.
    pub(super) fn read(
        &self,
        name: impl AsRef<OsStr>,
        most: u64,
    ) -> Result<Option<Vec<u8>>, ImportError> {
        let Some(file) = self.file(name.as_ref())? else { return Ok(None) };
        let path = self.path.join(name.as_ref());
        let mut content = Vec::new();
        let read = file.take(most + 1).read_to_end(&mut content);
        read.map_err(|source| ImportError::Unreadable { path: path.clone(), source })?;
        if content.len() as u64 > most {
            return Err(ImportError::Foreign {
                path,
                why: format!("it is larger than {most} bytes"),
            });
        }
        Ok(Some(content))
    }

    /// The kind of this entry; `None` if it doesn't exist.
    ///
    /// # Errors
    /// The system can't tell.
    pub(super) fn kind(&self, name: impl AsRef<OsStr>) -> Result<Option<Kind>, ImportError> {
        match statat(&self.dir, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(Kind::of(FileType::from_raw_mode(found.st_mode)))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(unreadable(&self.path.join(name.as_ref()), error)),
        }
    }

    /// The entries of the directory with their kinds, sorted by name.
    ///
    /// # Errors
    /// It can't be read; there are too many.
    pub(super) fn entries(&self) -> Result<Vec<(OsString, Kind)>, ImportError> {
        let unreadable = |error| unreadable(&self.path, error);
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.dir).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            if entries.len() >= NAMES {
                let why = format!("it has more than {NAMES} names");
                return Err(ImportError::Foreign { path: self.path.clone(), why });
            }
            // Some file systems don't store the kind in the directory.
            let kind = match entry.file_type() {
                FileType::Unknown => self.kind(name)?,
                kind => Some(Kind::of(kind)),
            };
            entries.extend(kind.map(|kind| (name.to_owned(), kind)));
        }
        entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok(entries)
    }

    fn open_as(&self, name: &OsStr, wanted: Kind) -> Result<Option<OwnedFd>, ImportError> {
        let path = || self.path.join(name);
        // Checked before opening: opening a device may have effects.
        match self.kind(name)? {
            Some(kind) if kind == wanted => {}
            Some(Kind::Link) => return Err(link(&path())),
            _ => return Ok(None),
        }
        let opened = openat(&self.dir, name, flags(), Mode::empty());
        let opened = opened.map_err(|error| unreadable(&path(), error))?;
        // The entry may have been replaced in between, though not by a link, which isn't followed.
        let found = rustix::fs::fstat(&opened).map_err(|error| unreadable(&path(), error))?;
        let kind = Kind::of(FileType::from_raw_mode(found.st_mode));
        Ok((kind == wanted).then_some(opened))
    }
}

/// Never follows a link, and never waits for the other end of a pipe.
fn flags() -> OFlags {
    OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC
}

fn unreadable(path: &Path, error: Errno) -> ImportError {
    match error {
        Errno::LOOP | Errno::MLINK => link(path),
        error => ImportError::Unreadable { path: path.to_owned(), source: error.into() },
    }
}

/// The error for a link.
pub(super) fn link(path: &Path) -> ImportError {
    let why = "it is a link, which may lead to files of others; put there what it leads to";
    ImportError::Foreign { path: path.to_owned(), why: why.to_owned() }
}

/// Puts an open file at a path of our own: as a hard link, or as a copy where that is impossible.
///
/// # Errors
/// The path exists; the disk is full.
pub(super) fn put(file: &mut File, to: &Path) -> io::Result<()> {
    // The descriptor's path names the open file, even if the original path has been replaced.
    let open = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    if rustix::fs::linkat(CWD, open, CWD, to, AtFlags::SYMLINK_FOLLOW).is_ok() {
        return Ok(());
    }
    let mut options = File::options();
    options.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    io::copy(file, &mut options.open(to)?).map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_is_reached_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir(path("source")).unwrap();
        std::fs::create_dir(path("source/inner")).unwrap();
        std::fs::write(path("source/inner/file"), "text").unwrap();
        std::fs::write(path("secret"), "secret").unwrap();
        symlink("../secret", path("source/link")).unwrap();
        symlink("inner/file", path("source/near")).unwrap();
        symlink("inner", path("source/folder")).unwrap();
        symlink("source", path("elsewhere")).unwrap();
        rustix::fs::mkfifoat(CWD, path("source/pipe"), Mode::RUSR).unwrap();

        let folder = Folder::open(&path("source")).unwrap();
        let inner = folder.folder("inner").unwrap().unwrap();
        assert_eq!(inner.read("file", 4).unwrap().unwrap(), b"text");
        assert!(inner.read("file", 3).unwrap_err().to_string().contains("larger than 3 bytes"));
        for name in ["link", "near"] {
            assert!(folder.file(name).unwrap_err().to_string().contains("it is a link"), "{name}");
        }
        folder.folder("folder").unwrap_err();
        for name in ["pipe", "missing", "inner"] {
            assert!(folder.file(name).unwrap().is_none(), "{name}");
        }
        assert!(inner.folder("file").unwrap().is_none());
        Folder::open(&path("elsewhere")).unwrap_err();
        Folder::open(&path("secret")).unwrap_err();
        let kinds: Vec<_> = folder.entries().unwrap();
        let kinds: Vec<_> =
            kinds.iter().map(|(name, kind)| (name.to_str().unwrap(), *kind)).collect();
        assert_eq!(
            kinds,
            [
                ("folder", Kind::Link),
                ("inner", Kind::Folder),
                ("link", Kind::Link),
                ("near", Kind::Link),
                ("pipe", Kind::Other),
            ]
        );
    }

    #[test]
    fn a_file_is_put_elsewhere_by_its_content() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "text").unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let mut file = folder.file("file").unwrap().unwrap();
        std::fs::remove_file(dir.path().join("file")).unwrap();
        symlink("/etc/passwd", dir.path().join("file")).unwrap();
        let to = dir.path().join("copy");
        put(&mut file, &to).unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), b"text");
        put(&mut file, &to).unwrap_err();
    }
}
