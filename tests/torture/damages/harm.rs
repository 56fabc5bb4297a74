//! What can be done to a file.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use super::files::Kind;

/// What is damaged at once by a failing disk (bytes).
const PAGE: usize = 4096;

/// A damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Harm {
    /// Truncated to nothing.
    Emptied,
    /// Its second half is gone.
    Halved,
    /// Its first page is zeros.
    ZerosFirst,
    /// A page in its middle is zeros.
    ZerosMiddle,
    /// Its last page is zeros.
    ZerosLast,
    /// One bit in its middle is another.
    BitFlipped,
    /// It is gone.
    Removed,
    /// An empty directory is there instead; for a directory, a file.
    OtherKind,
    /// It is a symbolic link to a copy elsewhere.
    Linked,
    /// It is a symbolic link to nowhere.
    LinkedToNothing,
}

impl Harm {
    pub(super) const ALL: [Self; 10] = [
        Self::Emptied,
        Self::Halved,
        Self::ZerosFirst,
        Self::ZerosMiddle,
        Self::ZerosLast,
        Self::BitFlipped,
        Self::Removed,
        Self::OtherKind,
        Self::Linked,
        Self::LinkedToNothing,
    ];

    /// Whether what had the name doesn't have it any more.
    pub(super) fn takes_the_name(self) -> bool {
        matches!(self, Self::Removed | Self::OtherKind | Self::Linked | Self::LinkedToNothing)
    }

    pub(super) fn can_be_done_to(self, kind: Kind) -> bool {
        let to_names = self.takes_the_name();
        match kind {
            // A repository of ours has none: that it appears is the harm.
            Kind::Alternates => self == Self::OtherKind || self == Self::LinkedToNothing,
            // It is empty anyway.
            Kind::Lock => to_names,
            _ => to_names || !kind.is_dir(),
        }
    }

    /// Does it, after what it was was copied to `aside`.
    pub(super) fn harm(self, path: &Path, aside: &Path) {
        if path.exists() {
            super::copy(path, aside);
            if self.takes_the_name() {
                super::trial::remove(path);
            } else {
                fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
            }
        }
        let writable = || OpenOptions::new().write(true).open(path).unwrap();
        let length = path.metadata().map_or(0, |metadata| metadata.len());
        match self {
            Self::Emptied => writable().set_len(0).unwrap(),
            Self::Halved => writable().set_len(length / 2).unwrap(),
            Self::ZerosFirst => zero(&writable(), 0, length),
            Self::ZerosMiddle => zero(&writable(), length / 2 / PAGE as u64 * PAGE as u64, length),
            Self::ZerosLast => zero(&writable(), length.saturating_sub(PAGE as u64), length),
            Self::BitFlipped => flip(path, length / 2),
            Self::Removed => {}
            Self::OtherKind if aside.is_dir() => fs::write(path, "not a directory").unwrap(),
            Self::OtherKind => fs::create_dir_all(path).unwrap(),
            Self::Linked => symlink(aside, path).unwrap(),
            Self::LinkedToNothing => {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                symlink("/nonexistent/somewhere", path).unwrap();
            }
        }
    }
}

fn zero(file: &File, at: u64, length: u64) {
    let count = PAGE.min((length - at) as usize);
    file.write_all_at(&vec![0; count], at).unwrap();
}

fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    if file.read_exact_at(&mut byte, at).is_ok() {
        byte[0] ^= 0x10;
        file.write_all_at(&byte, at).unwrap();
    }
}
