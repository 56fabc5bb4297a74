//! Many wikis in one process. Each request reaches its wiki through a task-local context, so no global state is ever
//! swapped.
//!
//! In a test, or in any code without a request:
//!
//! ```
//! use wikigrove_tenant::{Base, Platform};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), wikigrove_tenant::Error> {
//! let wikis = Platform::in_memory().await?;
//! let garden = wikis.create("garden").await?;
//! garden.save("roses", "# Roses\n", Base::New).await?;
//! assert_eq!(garden.read("roses").await?.title, "Roses");
//! # Ok(())
//! # }
//! ```
//!
//! In a web app, [`Platform::layer`] finds the wiki of each request; code below the layer gets it from [`current`] (or,
//! with the feature `axum`, from the extractor [`Wiki`]). `examples/embed.rs` is a complete example.

mod access;
mod audit;
mod background;
mod base;
mod body;
mod catalog;
mod changes;
mod channel;
pub mod context;
mod domain;
mod error;
#[cfg(feature = "axum")]
mod extract;
mod figures;
mod heavy;
mod id;
mod invitation;
mod layer;
mod link;
mod live;
mod memory;
mod outside;
mod platform;
pub mod problem;
mod random;
mod refusals;
mod registry;
mod resolver;
mod secrets;
mod shown;
mod slug;
mod subject;
mod tenant;
mod token;
mod turns;
mod user;
mod wiki;
mod words;

pub use access::{
    Action, Caller, Decision, Grant, Membership, Permission, Permissions, Role, Source, Visibility,
    decide, effective,
};
pub use audit::{AuditEntry, AuditFilter, AuditId, NewAuditEntry};
pub use base::{Base, not_modified};
pub use body::{Detached, ScopedBody};
pub use changes::{Change, Changes, Lagged, Moves, Origin};
pub use channel::{DueNotice, NewNoticeChannel, NoticeChannel};
pub use context::{current, spawn, spawn_blocking};
pub use domain::{Domain, InvalidDomain};
pub use error::Error;
pub use figures::{Census, Comings, Figures, LinkCount};
pub use id::{InvalidTenantId, TenantId};
pub use invitation::{Acceptance, Invitation, NewInvitation};
pub use layer::{ContextLayer, ContextService};
pub use link::{
    Link, LinkCredential, LinkProgress, LinkSettings, LinkStep, LinkUpdate, NewLink, NewNotice,
    Notice,
};
pub use outside::Outside;
pub use platform::{Answers, AuditLog, Platform, Settings};
pub use resolver::{Resolution, Resolver};
pub use slug::{Slug, SlugError};
pub use subject::{InvalidSubject, check_subject};
pub use tenant::{Member, NewTenant, State, Tenant, TenantUpdate};
pub use token::{NewToken, Secret, Token, TokenRole};
pub use turns::Turn;
pub use user::{NewUser, Suspension, User, UserUpdate};
pub use wiki::{
    Download, Incoming, Page, Presentation, Quarantine, Reference, Repository, SaveOptions,
    Storage, SyncOrder, UndoOptions, Upload, Wiki,
};
pub use words::UnknownWord;

pub use wikigrove_storage as storage;
pub use wikigrove_storage::{
    Answer, AttachmentError, AttachmentPath, AttachmentSummary, Author, CacheUse, Commit, Conflict,
    Cursor, Draft, DraftBase, DraftSummary, Etag, ExistingAttachment, ExistingPath, Found, Hunk,
    IdempotentRequest, InvalidAuthor, InvalidId, InvalidPath, PagePath, PageSummary, PoolUse,
    PreferenceChanges, PreferenceValue, Preferences, PushRefusal, Quota, RawPreferences, Recall,
    Received, Revision, Saved, SavedAttachment, Usage,
};
