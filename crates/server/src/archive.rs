//! A whole wiki as one file that stock tools can read.
//!
//! The file is a tar archive without compression. Its members, in this order:
//!
//! | member | what it is |
//! |---|---|
//! | `manifest.json` | the identity and settings of the wiki: [`Manifest`] |
//! | `history.bundle` | the branch with its whole history, for `git clone history.bundle`; absent if the wiki has no
//! commits |
//! | `preferences.json` | one object: names and values, as they are stored |
//! | `drafts.jsonl` | one draft per line |
//! | `users.jsonl` | one account per line, without passwords |
//! | `app.db` | the embedding app's SQLite database, if there is one |
//! | `SHA256SUMS` | the checksums of all other members, for `sha256sum -c SHA256SUMS` |
//!
//! The version of the format is raised by any change that a reader must understand. Optional fields are added without
//! raising it.

mod bundle;
mod manifest;
mod read;
mod rows;
mod write;

pub use manifest::Manifest;
pub(crate) use read::Incoming;
pub use write::Outgoing;

/// A member of the tar archive.
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

    /// The member's name in the archive.
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

/// An error of reading or writing an exported wiki.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// A newer program wrote the file.
    #[error(
        "it has version {found} of the format, and this program knows version {known}: use a newer one"
    )]
    Newer {
        /// The version that the file states.
        found: u64,
        /// The newest version that this program reads.
        known: u64,
    },
    /// The content differs from what was written, or is malformed.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// The file can't be read, or its members can't be written.
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
