//! A whole wiki as one file that stock tools can read.
//!
//! The file is a tar archive without compression. Its members, in this order:
//!
//! | member | what it is |
//! |---|---|
//! | `manifest.json` | what this is, and of which wiki: [`Manifest`] |
//! | `history.bundle` | the branch with its whole history, for `git clone history.bundle`; absent while nothing was ever saved |
//! | `preferences.json` | one object: names and values, as they are stored |
//! | `drafts.jsonl` | one draft a line |
//! | `users.jsonl` | one account a line, without passwords |
//! | `app.db` | the embedding app's SQLite database, if there is one |
//! | `SHA256SUMS` | the sums of all others, for `sha256sum -c SHA256SUMS` |
//!
//! The format's version is raised by whatever a reader must know of. Fields may be added without.

mod bundle;
mod manifest;
mod read;
mod rows;
mod write;

pub use manifest::Manifest;
pub(crate) use read::Incoming;
pub use write::Outgoing;

/// A part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Member {
    Manifest,
    History,
    Preferences,
    Drafts,
    Users,
    AppDb,
    Sums,
}

impl Member {
    const ALL: [Self; 7] = [
        Self::Manifest,
        Self::History,
        Self::Preferences,
        Self::Drafts,
        Self::Users,
        Self::AppDb,
        Self::Sums,
    ];

    /// Its name in the archive.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest.json",
            Self::History => "history.bundle",
            Self::Preferences => "preferences.json",
            Self::Drafts => "drafts.jsonl",
            Self::Users => "users.jsonl",
            Self::AppDb => "app.db",
            Self::Sums => "SHA256SUMS",
        }
    }

    fn of(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|member| member.name().as_bytes() == name)
    }
}

/// Why a file isn't a wiki that can be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// A newer program wrote it.
    #[error(
        "it has version {found} of the format, and this program knows version {known}: use a newer one"
    )]
    Newer {
        /// What it says.
        found: u64,
        /// The newest version that is known here.
        known: u64,
    },
    /// It isn't as it was written.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// It can't be read, or what is in it can't be written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl ArchiveError {
    fn damaged(why: impl Into<String>) -> Self {
        Self::Damaged(why.into())
    }

    fn of_member(member: Member, why: &str) -> Self {
        Self::Damaged(format!("`{}` {why}", member.name()))
    }
}
