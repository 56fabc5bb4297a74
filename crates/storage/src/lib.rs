//! One wiki: a bare git repository for its content, a SQLite file for what git can't hold, and
//! saves that survive a crash and a power cut.
//!
//! This crate is synchronous and knows nothing of other wikis, of users or of HTTP; see
//! `wikigrove-tenant` for those.
//!
//! ```
//! use wikigrove_storage::{Author, Base, ExistingPath, Options, PagePath, Resources, Save, Wiki};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let scratch = tempfile::tempdir()?;
//! let dir = scratch.path().join("garden");
//! Wiki::create(&dir)?;
//! let wiki = Wiki::open(&dir, Options::new("garden-1"), &Resources::default())?;
//!
//! let author = Author::new("Ada", "ada@example.org");
//! let path = PagePath::new("roses")?;
//! let save = Save { path: &path, content: b"# Roses\n", base: Base::New, author: &author, message: None, merge: true };
//! let saved = wiki.save(&save)?;
//!
//! let page = wiki.read(&ExistingPath::new("roses")?)?;
//! assert_eq!(page.summary.title, "Roses");
//! assert_eq!(page.summary.revision, saved.revision);
//! # Ok(())
//! # }
//! ```

mod allowance;
mod attachment_path;
mod attachments;
mod author;
mod blame;
mod cache;
mod changes;
#[cfg(feature = "rusqlite")]
pub mod db;
#[cfg(not(feature = "rusqlite"))]
#[expect(unreachable_pub, reason = "public with the feature `rusqlite`")]
mod db;
pub mod deadline;
mod decode;
mod diff;
mod drafts;
mod error;
mod fast_forward;
pub mod files;
mod front_matter;
pub mod fsck;
pub mod git_program;
mod history;
mod idempotency;
mod index;
mod layout;
mod lines;
pub mod links;
mod maintain;
mod measure;
mod merge;
mod message;
mod most;
mod moves;
pub mod otterwiki;
mod page;
mod page_links;
mod page_path;
mod preferences;
mod publish;
mod receive;
mod recent;
mod recover;
mod redo;
mod repeat;
mod repo;
mod resolve;
mod revision;
mod salvage;
mod save;
mod search;
mod snapshot;
mod spelling;
mod survey;
mod sync;
#[cfg(test)]
mod testing;
mod tree;
mod undo;
mod unit;
mod usage;
mod whole;
mod wiki;

pub use allowance::{fitting, json_size};
pub use attachment_path::{AttachmentPath, ExistingAttachment};
pub use attachments::{
    Attachment, AttachmentError, AttachmentSummary, DeleteAttachment, SaveAttachment,
    SavedAttachment, StagedBlob, Upload,
};
pub use author::{Author, InvalidAuthor};
pub use blame::{Blame, BlameCommit, BlameRange};
pub use cache::{CacheUse, PageCache};
pub use changes::{ChangeKind, Commit, FileType, MAX_CHANGES, PathChange};
pub use decode::{Decoded, decode};
pub use diff::{Diff, DiffHunk, DiffLine, DiffSide, LineKind};
pub use drafts::{Cursor, Draft, DraftBase, DraftSummary, NewDraft};
pub use error::{Conflict, Error};
pub use files::FileError;
pub use front_matter::{FrontMatter, FrontMatterSyntax};
pub use history::{History, HistoryPosition, Log};
pub use idempotency::{ANSWER_BYTES, Answer, Recall, Request as IdempotentRequest};
pub use index::IndexProgress;
pub use maintain::Maintenance;
pub use merge::Hunk;
pub use merge::files::{ConflictKind, Winner};
pub use most::Most;
pub use moves::{Move, Moved};
pub use page::{Page, PageSummary};
pub use page_links::{BrokenLink, IncomingLink, OutgoingLink, PageLinks};
pub use page_path::{ExistingPath, InvalidPath, PagePath, fold};
pub use preferences::{
    CommitMessage, InvalidPreference, InvalidPreferences, LegacyUrls, PreferenceChanges,
    PreferenceValue, Preferences, RawPreferences, WikilinkStyle, check_preferences,
    preference_rows,
};
pub use receive::{PushRefusal, PushRules, Received};
pub use resolve::{Found, Resolved};
pub use revision::{Etag, InvalidId, Revision};
pub use save::{Base, Delete, Deleted, Save, Saved};
pub use search::{SearchResult, SnippetPart};
pub use snapshot::Snapshot;
pub use survey::Survey;
pub use sync::{
    Comparison, Integrate, Integrated, LinkId, Mapping, Outgoing, PartComparison, Preview, Queue,
    Relation, Resolve, SyncConflict, SyncError,
};
pub use undo::{Undo, Undone};
pub use usage::{Quota, Usage};
pub use wiki::{Options, Resources, Wiki};

pub use db::{DbError, PoolUse};
