//! The errors of the platform, with codes that programs can rely on.

use std::path::PathBuf;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};
use wikigrove_storage as storage;
use wikigrove_storage::{AttachmentError, Conflict, DbError, FileError};

use crate::catalog::CatalogError;
use crate::problem::{self, Problem};
use crate::{Action, InvalidSubject, Role, Slug, SlugError};

/// The reason why an operation failed. Prefer its methods (`is_not_found`, `conflict`, `code`, …) to matching.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Code that needs a current wiki was called outside a context.
    #[error(
        "no wiki is current here: call this below the layer made by `Platform::layer`, or start the \
         task with `wikigrove_tenant::spawn` or `spawn_blocking`, which keep the current wiki"
    )]
    NoContext,
    /// A future was polled outside of a tokio runtime.
    #[error(
        "wikigrove needs a tokio runtime, and there is none here: await this in a task of one, or with \
         `Runtime::block_on`"
    )]
    NoRuntime,
    /// Another wiki is current already.
    #[error("the wiki `{current}` is current here; `{wanted}` can't be entered inside it")]
    OtherContext {
        /// The wiki that is current.
        current: Slug,
        /// The wiki that was to be entered.
        wanted: Slug,
    },
    /// The text isn't a valid name of a wiki.
    #[error(transparent)]
    InvalidSlug(#[from] SlugError),
    /// The wiki doesn't exist, or the caller may not know that it does.
    #[error("there is no such wiki")]
    UnknownWiki,
    /// The link to a remote git repository doesn't exist.
    #[error("there is no such remote")]
    UnknownLink,
    /// The notice channel doesn't exist.
    #[error("there is no such channel")]
    UnknownChannel,
    /// The wiki has the maximum number of channels already.
    #[error("a wiki has at most {most} channels")]
    TooManyChannels {
        /// The maximum.
        most: u32,
    },
    /// The request is ambiguous about its host, and so about its wiki.
    #[error("the request doesn't say clearly which host it is for: {0}")]
    BadHost(&'static str),
    /// Another wiki has this name.
    #[error("the slug `{0}` is taken")]
    SlugTaken(Slug),
    /// Another wiki owns this domain.
    #[error("the domain `{0}` belongs to another wiki")]
    DomainTaken(String),
    /// A forbidden state transition, such as from deleted to suspended.
    #[error("{0}")]
    WrongState(String),
    /// The caller sees the wiki but may not do this.
    #[error("this needs the role {needs} in the wiki `{wiki}`; you have {has}")]
    Denied {
        /// The wiki.
        wiki: Slug,
        /// The caller's role.
        has: Role,
        /// The role that the action needs.
        needs: Role,
    },
    /// The operation needs a user's identity, and this caller has none that counts here.
    #[error("this is only for users who show who they are")]
    IdentityRequired,
    /// The caller's token was revoked meanwhile, or has expired.
    #[error("the token was revoked or has expired")]
    TokenEnded,
    /// The caller's user is suspended in all wikis.
    #[error("you are suspended: {reason}")]
    UserSuspended {
        /// The reason.
        reason: String,
    },
    /// The text isn't a valid subject of a user.
    #[error(transparent)]
    InvalidSubject(#[from] InvalidSubject),
    /// No user has this subject.
    #[error("there is no such user")]
    UnknownUser,
    /// A user with this subject exists already.
    #[error("there is a user with this subject")]
    UserExists,
    /// No token has this id.
    #[error("there is no such token")]
    UnknownToken,
    /// A wiki needs an owner: the last one can't be removed or given a smaller role.
    #[error("this is the wiki's last owner; make somebody else an owner first")]
    LastOwner,
    /// Access with git is disabled for the wiki.
    #[error("the wiki `{wiki}` can't be reached with git: `git_enabled` is off")]
    GitDisabled {
        /// The wiki.
        wiki: Slug,
    },
    /// The invitation was used or has expired.
    #[error("this invitation {}", if *expired { "has expired" } else { "was used" })]
    InvitationSpent {
        /// `true` if it expired before it was accepted.
        expired: bool,
    },
    /// The wiki is read-only at present.
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
        /// The reason.
        reason: String,
    },
    /// An error from storage: a page, the git repository or wiki.db.
    #[error("wiki `{wiki}`: {source}")]
    Wiki {
        /// The wiki.
        wiki: Slug,
        /// The cause.
        source: storage::Error,
    },
    /// Another process owns the data directory.
    #[error("the data directory `{}` is in use by another process", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// This process owns the data directory: it has an open [`Platform`](crate::Platform) of it, perhaps under another
    /// path.
    #[error(
        "this process has the data directory `{}` open already: clone that `Platform` instead of \
         opening it twice, or drop its clones, wikis and layers first",
        dir.display()
    )]
    AlreadyOpen {
        /// The directory, under the path that was given.
        dir: PathBuf,
    },
    /// The limit of open wikis is reached and all are in use, or another resource is busy. Worth a retry.
    #[error("busy: {0}")]
    Busy(String),
    /// The key of the secrets is invalid, or isn't the one that a secret was sealed with.
    #[error("the key in `{}` can't be used: {why}", file.display())]
    SecretKey {
        /// The key's file.
        file: PathBuf,
        /// The reason.
        why: &'static str,
    },
    /// The data directory has wikis, but its catalog is missing, empty or from another platform.
    #[error("{0}")]
    CatalogLost(String),
    /// An error from the platform's own database.
    #[error("platform.db: {0}")]
    Catalog(DbError),
    /// An error from a file or directory of the platform.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Error {
    /// Returns `true` if the object doesn't exist, or if the caller may not know that it does.
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

    /// Returns `true` if the caller isn't authorised.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { .. } | Self::UserSuspended { .. })
    }

    /// Returns `true` if the wiki is suspended.
    pub fn is_suspended(&self) -> bool {
        matches!(self, Self::Suspended { .. })
    }

    /// Returns `true` if a retry a little later may succeed.
    pub fn is_busy(&self) -> bool {
        self.status() == StatusCode::SERVICE_UNAVAILABLE
    }

    /// The lines that explain a refused push, if this error is one.
    pub fn push_refused(&self) -> Option<&[String]> {
        match self {
            Self::Wiki { source: storage::Error::PushRefused(refusal), .. } => Some(&refusal.lines),
            _ => None,
        }
    }

    /// The edit conflict, if this error is one.
    pub fn conflict(&self) -> Option<&Conflict> {
        match self {
            Self::Wiki { source, .. } => source.conflict(),
            _ => None,
        }
    }

    /// The stable code of this error in the HTTP API.
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

    /// The HTTP status of this error.
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

    /// The answer for a client. The cause of an internal error is logged here and not sent.
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

    /// The message for a client, without details meant for the operator.
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
        // A handle that outlives the deletion of its wiki reports the same as a request for a deleted wiki.
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

/// The maximal size of an answer's hunks in bytes, and the overhead of a hunk besides its texts.
const MAX_HUNKS: usize = 1 << 20;
const HUNK: usize = 64;
/// The maximal number of conflicting paths in an answer.
const MAX_PATHS: usize = 500;

/// The `conflict` member of an answer.
#[derive(serde::Serialize)]
struct ConflictBody<'a> {
    base: Option<&'a str>,
    ours: Option<&'a str>,
    theirs: Option<&'a str>,
    etag: Option<storage::Etag>,
    hunks: Vec<&'a storage::Hunk>,
    /// `true` if texts or hunks are left out because of their size.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

impl<'a> From<&'a Conflict> for ConflictBody<'a> {
    fn from(conflict: &'a Conflict) -> Self {
        let Conflict { base, ours, theirs, current, hunks, .. } = conflict;
        // In order of need: the client knows the text that it sent (`theirs`), and most likely its base.
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
            // The same answer as for an unknown wiki, so that guessing secrets reveals no more than guessing names.
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
