//! Why something on the platform failed, and what a program can decide on.

use std::path::PathBuf;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};
use wikigrove_storage as storage;
use wikigrove_storage::{AttachmentError, Conflict, DbError, FileError};

use crate::catalog::CatalogError;
use crate::problem::{self, Problem};
use crate::{Action, InvalidSubject, Role, Slug, SlugError};

/// Why an operation failed. Ask it (`is_not_found`, `conflict`, `code`, …) rather than matching.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no current wiki here.
    #[error(
        "no wiki is current here: call this below the layer made by `Platform::layer`, or start the \
         task with `wikigrove_tenant::spawn` or `spawn_blocking`, which keep the current wiki"
    )]
    NoContext,
    /// A future of ours was polled outside of a tokio runtime.
    #[error(
        "wikigrove needs a tokio runtime, and there is none here: await this in a task of one, or with \
         `Runtime::block_on`"
    )]
    NoRuntime,
    /// One wiki is current and another one was to be entered.
    #[error("the wiki `{current}` is current here; `{wanted}` can't be entered inside it")]
    OtherContext {
        /// The wiki that is current.
        current: Slug,
        /// The one that was to be entered.
        wanted: Slug,
    },
    /// The text can't be a wiki's name.
    #[error(transparent)]
    InvalidSlug(#[from] SlugError),
    /// There is no such wiki; or the caller may not know that there is.
    #[error("there is no such wiki")]
    UnknownWiki,
    /// There is no such link to a git repository elsewhere.
    #[error("there is no such remote")]
    UnknownLink,
    /// There is no such channel for notices.
    #[error("there is no such channel")]
    UnknownChannel,
    /// The wiki tells as many as it may.
    #[error("a wiki has at most {most} channels")]
    TooManyChannels {
        /// How many it may tell.
        most: u32,
    },
    /// The request contradicts itself about which wiki it is for.
    #[error("the request doesn't say clearly which host it is for: {0}")]
    BadHost(&'static str),
    /// Another wiki has this name.
    #[error("the slug `{0}` is taken")]
    SlugTaken(Slug),
    /// Another wiki owns this domain.
    #[error("the domain `{0}` belongs to another wiki")]
    DomainTaken(String),
    /// The wiki's life doesn't go that way, such as from deleted to suspended.
    #[error("{0}")]
    WrongState(String),
    /// The caller sees the wiki but may not do this.
    #[error("this needs the role {needs} in the wiki `{wiki}`; you have {has}")]
    Denied {
        /// The wiki.
        wiki: Slug,
        /// The caller's role.
        has: Role,
        /// The role it takes.
        needs: Role,
    },
    /// What was asked for is kept for each caller by itself, and nobody knows who this one is.
    #[error("this is only for users who show who they are")]
    IdentityRequired,
    /// The token that the caller showed was revoked since, or has expired.
    #[error("the token was revoked or has expired")]
    TokenEnded,
    /// The caller's user may do nothing at present, here and everywhere.
    #[error("you are suspended: {reason}")]
    UserSuspended {
        /// Why.
        reason: String,
    },
    /// The text can't be a user's subject.
    #[error(transparent)]
    InvalidSubject(#[from] InvalidSubject),
    /// There is no user with this subject.
    #[error("there is no such user")]
    UnknownUser,
    /// There is a user with this subject.
    #[error("there is a user with this subject")]
    UserExists,
    /// There is no token with this id.
    #[error("there is no such token")]
    UnknownToken,
    /// Somebody must own the wiki: its last owner can't be removed, or be made anything less.
    #[error("this is the wiki's last owner; make somebody else an owner first")]
    LastOwner,
    /// The wiki can't be reached with git.
    #[error("the wiki `{wiki}` can't be reached with git: `git_enabled` is off")]
    GitDisabled {
        /// The wiki.
        wiki: Slug,
    },
    /// The invitation was good, once.
    #[error("this invitation {}", if *expired { "has expired" } else { "was used" })]
    InvitationSpent {
        /// Whether nobody accepted it in time.
        expired: bool,
    },
    /// The wiki doesn't take changes at present.
    #[error("the wiki `{wiki}` is read-only")]
    ReadOnly {
        /// The wiki.
        wiki: Slug,
    },
    /// The wiki was suspended by the operator.
    #[error("the wiki `{wiki}` is suspended: {reason}")]
    Suspended {
        /// The wiki.
        wiki: Slug,
        /// Why.
        reason: String,
    },
    /// A page, its repository or its wiki.db.
    #[error("wiki `{wiki}`: {source}")]
    Wiki {
        /// The wiki.
        wiki: Slug,
        /// What happened.
        source: storage::Error,
    },
    /// Another process owns the data directory.
    #[error("the data directory `{}` is in use by another process", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// This process owns the data directory: it has a [`Platform`](crate::Platform) of it, perhaps by
    /// another path to it.
    #[error(
        "this process has the data directory `{}` open already: clone that `Platform` instead of \
         opening it twice, or drop its clones, wikis and layers first",
        dir.display()
    )]
    AlreadyOpen {
        /// The directory, by the path that was given.
        dir: PathBuf,
    },
    /// As many wikis are open as may be, and all are in use; or something else is. Worth a retry.
    #[error("busy: {0}")]
    Busy(String),
    /// The key of the secrets is none, or not the one that a secret was sealed under.
    #[error("the key in `{}` can't be used: {why}", file.display())]
    SecretKey {
        /// The key's file.
        file: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The data directory has wikis, and the catalog beside them is missing, empty or another one's.
    #[error("{0}")]
    CatalogLost(String),
    /// The platform's own database.
    #[error("platform.db: {0}")]
    Catalog(DbError),
    /// A file or directory of the platform.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Error {
    /// Whether what was asked for doesn't exist, or may not be known by the caller.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::UnknownWiki
            | Self::UnknownLink
            | Self::UnknownChannel
            | Self::UnknownUser
            | Self::UnknownToken => true,
            Self::Wiki { source, .. } => source.is_not_found(),
            _ => false,
        }
    }

    /// Whether the caller may not do this.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { .. } | Self::UserSuspended { .. })
    }

    /// Whether the wiki is suspended.
    pub fn is_suspended(&self) -> bool {
        matches!(self, Self::Suspended { .. })
    }

    /// Whether trying again a little later may help.
    pub fn is_busy(&self) -> bool {
        self.status() == StatusCode::SERVICE_UNAVAILABLE
    }

    /// Why a push was refused, line by line, if that is what happened.
    pub fn push_refused(&self) -> Option<&[String]> {
        match self {
            Self::Wiki { source: storage::Error::PushRefused(refusal), .. } => Some(&refusal.lines),
            _ => None,
        }
    }

    /// The edit conflict, if that is what it is.
    pub fn conflict(&self) -> Option<&Conflict> {
        match self {
            Self::Wiki { source, .. } => source.conflict(),
            _ => None,
        }
    }

    /// The stable word for this failure, as the HTTP API uses it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidSlug(error) => error.code(),
            Self::UnknownWiki => "unknown_wiki",
            Self::UnknownLink => "unknown_remote",
            Self::UnknownChannel => "channel_not_found",
            Self::TooManyChannels { .. } => "too_many_channels",
            Self::BadHost(_) => "invalid_host",
            Self::SlugTaken(_) => "slug_taken",
            Self::DomainTaken(_) => "domain_taken",
            Self::WrongState(_) => "wrong_state",
            Self::Denied { .. } => "forbidden",
            Self::IdentityRequired => "identity_required",
            Self::TokenEnded => "unauthenticated",
            Self::UserSuspended { .. } => "user_suspended",
            Self::InvalidSubject(_) => "invalid_subject",
            Self::UnknownUser => "user_not_found",
            Self::UserExists => "user_exists",
            Self::UnknownToken => "token_not_found",
            Self::LastOwner => "last_owner",
            Self::GitDisabled { .. } => "git_disabled",
            Self::InvitationSpent { expired: true } => "invitation_expired",
            Self::InvitationSpent { expired: false } => "invitation_used",
            Self::ReadOnly { .. } => "wiki_read_only",
            Self::Suspended { .. } => "wiki_suspended",
            Self::Wiki { source, .. } => storage_code(source).1,
            Self::Busy(_) => "busy",
            Self::Catalog(error) if error.is_busy() => "busy",
            Self::Catalog(error) if error.is_disk_full() => "disk_full",
            Self::File(error) if error.is_disk_full() => "disk_full",
            Self::File(error) if error.is_busy() => "busy",
            Self::InUse { .. } => "data_in_use",
            Self::AlreadyOpen { .. } => "already_open",
            Self::NoContext | Self::NoRuntime | Self::OtherContext { .. } => "internal",
            Self::SecretKey { .. } | Self::CatalogLost(_) => "internal",
            Self::Catalog(_) | Self::File(_) => "internal",
        }
    }

    /// The HTTP status for this failure.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Wiki { source, .. } => storage_code(source).0,
            _ => match self.code() {
                "invalid_slug" | "reserved_slug" | "invalid_subject" => {
                    StatusCode::UNPROCESSABLE_ENTITY
                }
                "unauthenticated" => StatusCode::UNAUTHORIZED,
                "unknown_wiki" | "unknown_remote" | "user_not_found" | "token_not_found"
                | "channel_not_found" | "git_disabled" => StatusCode::NOT_FOUND,
                "invalid_host" => StatusCode::BAD_REQUEST,
                "slug_taken" | "domain_taken" | "wrong_state" | "user_exists" | "last_owner"
                | "too_many_channels" | "invitation_expired" | "invitation_used"
                | "data_in_use" | "already_open" => StatusCode::CONFLICT,
                "forbidden" | "identity_required" | "user_suspended" => StatusCode::FORBIDDEN,
                "wiki_read_only" | "wiki_suspended" => StatusCode::LOCKED,
                "busy" => StatusCode::SERVICE_UNAVAILABLE,
                "disk_full" => StatusCode::INSUFFICIENT_STORAGE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }

    /// The answer for a client. What is our fault is logged here and not told.
    pub fn problem(&self) -> Problem {
        let status = self.status();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            return Problem::internal(self);
        }
        let problem = Problem::new(status, self.code(), self.detail());
        match self {
            Self::Suspended { reason, .. } | Self::UserSuspended { reason } => {
                problem.field("reason", reason)
            }
            Self::TooManyChannels { most } => problem.field("limit", most),
            Self::TokenEnded => problem
                .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"wikigrove\"")),
            Self::Wiki { source, .. } => with_fields(problem, source),
            _ if status == StatusCode::SERVICE_UNAVAILABLE => problem.retry_after(1),
            _ => problem,
        }
    }

    /// The message for a client: without what only the operator should read.
    fn detail(&self) -> String {
        match self {
            _ if self.code() == "busy" => "the server is busy; try again".to_owned(),
            _ if self.code() == "disk_full" => {
                "the server's disk is full; nothing was changed".to_owned()
            }
            Self::InUse { .. } => "another process has the data directory open".to_owned(),
            Self::AlreadyOpen { .. } => "the data directory is open already".to_owned(),
            Self::Wiki { source: storage::Error::Closed, .. } => Self::UnknownWiki.to_string(),
            Self::Wiki { source, .. } => source.to_string(),
            _ => self.to_string(),
        }
    }

    pub(crate) fn denied(wiki: &Slug, has: Role, action: Action) -> Self {
        Self::Denied { wiki: wiki.clone(), has, needs: action.needs() }
    }
}

fn storage_code(error: &storage::Error) -> (StatusCode, &'static str) {
    use storage::Error as E;
    match error {
        E::InvalidPath(error) if error.code() == "is_a_page" => {
            (StatusCode::CONFLICT, error.code())
        }
        E::InvalidPath(error) => (StatusCode::UNPROCESSABLE_ENTITY, error.code()),
        E::Attachment(error) => attachment_code(error),
        E::InvalidAuthor(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_author"),
        E::InvalidMessage { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_message"),
        E::MessageRequired => (StatusCode::UNPROCESSABLE_ENTITY, "message_required"),
        E::InvalidPreferences(wrong) => {
            (StatusCode::UNPROCESSABLE_ENTITY, problem::preferences_code(wrong))
        }
        E::NotFound { .. } => (StatusCode::NOT_FOUND, "page_not_found"),
        E::NoDraft { .. } => (StatusCode::NOT_FOUND, "draft_not_found"),
        E::TooManyDrafts { .. } => (StatusCode::CONFLICT, "too_many_drafts"),
        E::UnknownRevision { .. } => (StatusCode::NOT_FOUND, "unknown_revision"),
        E::Exists { .. } => (StatusCode::PRECONDITION_FAILED, "page_exists"),
        E::Collision { .. } => (StatusCode::CONFLICT, "path_collision"),
        E::UnknownBase { .. } | E::Stale { .. } => {
            (StatusCode::PRECONDITION_FAILED, "precondition_failed")
        }
        E::Conflict(_) | E::RevertConflict { .. } => (StatusCode::CONFLICT, "edit_conflict"),
        E::RevertsMerge { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "reverts_merge"),
        E::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "page_too_large"),
        E::QuotaExceeded { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "quota_exceeded"),
        E::ChangeTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "change_too_large"),
        E::PushRefused(_) => (StatusCode::CONFLICT, "push_refused"),
        E::NotText { .. } => (StatusCode::NOT_ACCEPTABLE, "not_text"),
        E::DiskFull => (StatusCode::INSUFFICIENT_STORAGE, "disk_full"),
        E::Busy { .. } => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        E::Cancelled(_) => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
        E::TooLargeToCompare { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "too_large_to_compare"),
        // Whoever still held a handle when the wiki was deleted sees what everybody sees now.
        E::Closed => (StatusCode::NOT_FOUND, "unknown_wiki"),
        E::Sync(storage::SyncError::NoConflict { .. }) => {
            (StatusCode::NOT_FOUND, "conflict_not_found")
        }
        E::Sync(_) => (StatusCode::CONFLICT, "not_synchronisable"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

fn attachment_code(error: &AttachmentError) -> (StatusCode, &'static str) {
    use AttachmentError as E;
    match error {
        E::NotFound { .. } => (StatusCode::NOT_FOUND, "attachment_not_found"),
        E::Exists { .. } => (StatusCode::PRECONDITION_FAILED, "attachment_exists"),
        E::Stale { .. } => (StatusCode::PRECONDITION_FAILED, "precondition_failed"),
        E::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "attachment_too_large"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

fn with_fields(problem: Problem, error: &storage::Error) -> Problem {
    use storage::Error as E;
    match error {
        E::Attachment(AttachmentError::Exists { etag, .. }) => problem.field("etag", etag),
        E::Attachment(AttachmentError::Stale { current, .. }) => problem.field("etag", current),
        E::Attachment(AttachmentError::TooLarge { limit }) => problem.field("limit", limit),
        E::Exists { etag, .. } => problem.field("etag", etag),
        E::UnknownBase { current, .. } | E::Stale { current, .. } => problem.field("etag", current),
        E::Collision { existing, .. } => problem.field("existing", existing),
        E::TooLarge { limit, .. } => problem.field("limit", limit),
        E::QuotaExceeded { what, limit, would_be } => {
            problem.field("what", what).field("limit", limit).field("would_be", would_be)
        }
        E::PushRefused(refusal) => problem.field("lines", &refusal.lines),
        E::TooManyDrafts { limit } => problem.field("limit", limit),
        E::Busy { .. } => problem.retry_after(1),
        E::MessageRequired => problem.field(
            "errors",
            [serde_json::json!({ "pointer": "/message", "code": "message_required", "detail": error.to_string() })],
        ),
        E::InvalidPreferences(wrong) => problem::with_preferences(problem, "", wrong),
        E::RevertConflict { first, paths } => {
            let (first, shown) = (ConflictBody::from(&**first), paths.len().min(MAX_PATHS));
            let problem = problem.field("conflict", first).field("conflicts", &paths[..shown]);
            if shown < paths.len() { problem.field("truncated", true) } else { problem }
        }
        E::Conflict(conflict) => {
            let problem = problem.field("conflict", ConflictBody::from(&**conflict));
            match &conflict.moved_to {
                Some(path) => problem.field("moved_to", path),
                None => problem,
            }
        }
        _ => problem,
    }
}

/// The most bytes that the hunks of an answer take, and what one takes besides its texts.
const MAX_HUNKS: usize = 1 << 20;
const HUNK: usize = 64;
/// The most paths of conflicts that an answer names.
const MAX_PATHS: usize = 500;

/// The `conflict` member of an answer.
#[derive(serde::Serialize)]
struct ConflictBody<'a> {
    base: Option<&'a str>,
    ours: Option<&'a str>,
    theirs: Option<&'a str>,
    etag: Option<storage::Etag>,
    hunks: Vec<&'a storage::Hunk>,
    /// Whether texts or hunks are left out, because all together would be too large.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

impl<'a> From<&'a Conflict> for ConflictBody<'a> {
    fn from(conflict: &'a Conflict) -> Self {
        let Conflict { base, ours, theirs, current, hunks, .. } = conflict;
        // What was sent is known to the client, and what it was based on, too, most likely.
        let texts = [ours.as_deref(), base.as_deref(), theirs.as_deref()];
        let ([ours, base, theirs], lacks_texts) = storage::fitting(texts);
        let mut left = MAX_HUNKS;
        let fits = |hunk: &&storage::Hunk| {
            let texts = [&hunk.base, &hunk.ours, &hunk.theirs];
            let size = texts.map(|text| storage::json_size(text.as_bytes())).iter().sum::<usize>();
            left = left.saturating_sub(size + HUNK);
            left > 0
        };
        let shown: Vec<_> = hunks.iter().take_while(fits).collect();
        let truncated = lacks_texts || shown.len() < hunks.len();
        Self { base, ours, theirs, etag: *current, hunks: shown, truncated }
    }
}

impl From<CatalogError> for Error {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::SlugTaken(slug) => Self::SlugTaken(slug),
            CatalogError::UnknownWiki(_) => Self::UnknownWiki,
            CatalogError::UnknownLink => Self::UnknownLink,
            CatalogError::TooManyChannels { most } => Self::TooManyChannels { most },
            CatalogError::DomainTaken(domain) => Self::DomainTaken(domain.to_string()),
            CatalogError::InvalidSubject(error) => Self::InvalidSubject(error),
            CatalogError::UserExists => Self::UserExists,
            CatalogError::UnknownUser => Self::UnknownUser,
            CatalogError::SuspendedUser { reason } => Self::UserSuspended { reason },
            CatalogError::LastOwner => Self::LastOwner,
            // Who guesses secrets learns no more than who guesses names.
            CatalogError::UnknownInvitation => Self::UnknownWiki,
            CatalogError::SpentInvitation { expired } => Self::InvitationSpent { expired },
            CatalogError::Transition { .. } => Self::WrongState(error.to_string()),
            CatalogError::Lost(why) => Self::CatalogLost(why),
            CatalogError::Db(error) => Self::Catalog(error),
        }
    }
}

#[cfg(feature = "axum")]
impl axum::response::IntoResponse for Error {
    fn into_response(self) -> axum::response::Response {
        self.problem().to_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(kind: std::io::ErrorKind) -> FileError {
        FileError { action: "write", path: "/srv/data/wikis/garden".into(), source: kind.into() }
    }

    #[test]
    fn no_answer_tells_a_path_on_the_disk() {
        let wiki: Slug = "garden".parse().unwrap();
        let busy = storage::Error::Busy { detail: "`/srv/data/wikis/garden/wiki.db`".to_owned() };
        for error in [
            Error::from(file(std::io::ErrorKind::StorageFull)),
            Error::from(file(std::io::ErrorKind::PermissionDenied)),
            Error::Wiki { wiki, source: busy },
            Error::Busy("/srv/data".to_owned()),
            Error::InUse { dir: "/srv/data".into() },
            Error::AlreadyOpen { dir: "/srv/data".into() },
        ] {
            let body = String::from_utf8(error.problem().body(None)).unwrap();
            assert!(!body.contains("/srv"), "{body}");
        }
    }
}
