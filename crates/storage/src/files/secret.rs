//! Files with secrets, which only their owner should read.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use super::{At as _, FileError};

/// Maximum length of a secret, in bytes.
const LONGEST: u64 = 64 * 1024;
/// Permission bits of group and others.
const GROUP_OR_OTHERS_READ: u32 = 0o044;
const OTHERS_READ: u32 = 0o004;
const GROUP_OR_OTHERS_WRITE: u32 = 0o022;
const OTHERS_WRITE: u32 = 0o002;

/// The creator of a secret file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// This program, in its data directory. Links are refused, and only the owner may have access.
    Program,
    /// The operator, in any directory. Links are followed and the group may read, because orchestrators mount secrets
    /// like this.
    Operator,
}

/// Reads a secret. A file that others can write is refused, because they could replace the secret. A file that others
/// can read is used with a warning; one of this program's own is made private first.
///
/// # Errors
/// The file is missing or isn't a regular file, may be written by others, or is longer than 64 KiB.
pub fn read_secret(path: &Path, keeper: Keeper) -> Result<Vec<u8>, FileError> {
    let file = open(path, keeper).at("open", path)?;
    check(&file, path, keeper).at("use", path)?;
    let mut secret = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut secret).at("read", path)?;
    if secret.len() as u64 > LONGEST {
        let source = io::Error::new(ErrorKind::InvalidData, "it is too long for a secret");
        return Err(source).at("use", path);
    }
    Ok(secret)
}

fn open(path: &Path, keeper: Keeper) -> io::Result<File> {
    // Opening a pipe must not block.
    let mut flags = OFlags::NONBLOCK;
    if keeper == Keeper::Program {
        flags |= OFlags::NOFOLLOW;
    }
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| {
        let is_link = path.symlink_metadata().is_ok_and(|found| found.is_symlink());
        if is_link && keeper == Keeper::Program {
            return io::Error::other("it is a link, and has to be the file itself");
        }
        error
    })
}

fn check(file: &File, path: &Path, keeper: Keeper) -> io::Result<()> {
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mode = found.permissions().mode();
    let (writable, readable) = match keeper {
        Keeper::Program => (GROUP_OR_OTHERS_WRITE, GROUP_OR_OTHERS_READ),
        Keeper::Operator => (OTHERS_WRITE, OTHERS_READ),
    };
    if mode & writable != 0 {
        let advice =
            "other users may write to it: make sure that its content is yours, then chmod 600";
        return Err(io::Error::other(advice));
    }
    if mode & readable != 0 {
        let is_private = keeper == Keeper::Program
            && file.set_permissions(Permissions::from_mode(mode & 0o700)).is_ok();
        let file = path.display();
        if is_private {
            tracing::warn!(%file, "other users could read this secret; now they can't: replace it if they may have");
        } else {
            tracing::warn!(%file, "other users can read this secret: chmod 600, and replace it");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "hush").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn our_secrets_become_private_and_the_operators_are_left_alone() {
        for found in [0o600, 0o400, 0o644, 0o640, 0o604] {
            let (_dir, path) = secret(found);
            assert_eq!(read_secret(&path, Keeper::Operator).unwrap(), b"hush");
            assert_eq!(mode(&path), found);
            assert_eq!(read_secret(&path, Keeper::Program).unwrap(), b"hush");
            assert_eq!(mode(&path), found & 0o700);
        }
    }

    #[test]
    fn what_others_may_have_written_is_refused() {
        for (found, is_the_operators_fine) in [(0o620, true), (0o602, false), (0o666, false)] {
            let (_dir, path) = secret(found);
            let error = read_secret(&path, Keeper::Program).unwrap_err().to_string();
            assert!(error.contains("chmod 600") && error.contains("/secret"), "{error}");
            assert_eq!(read_secret(&path, Keeper::Operator).is_ok(), is_the_operators_fine);
        }
    }

    #[test]
    fn a_link_is_followed_for_the_operator_only_and_nothing_but_a_file_is_read() {
        let (dir, path) = secret(0o600);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(read_secret(&link, Keeper::Operator).unwrap(), b"hush");
        let error = read_secret(&link, Keeper::Program).unwrap_err().to_string();
        assert!(error.contains("a link"), "{error}");
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        for other in [&pipe, &dir.path().to_owned()] {
            read_secret(other, Keeper::Program).unwrap_err();
            read_secret(other, Keeper::Operator).unwrap_err();
        }
        let missing = read_secret(&dir.path().join("none"), Keeper::Program).unwrap_err();
        assert_eq!(missing.source.kind(), ErrorKind::NotFound);
    }
}
