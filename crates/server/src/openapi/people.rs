//! Response bodies for users, members, invitations, permissions, usage and the audit log.

use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A user who has logged in or was named as a member.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The identity provider's stable identifier.
    pub subject: String,
    /// For display.
    pub name: Option<String>,
    /// For display, and for the author of commits.
    pub email: Option<String>,
    /// `active` or `suspended`.
    pub state: String,
    /// Reason for the suspension.
    pub reason: Option<String>,
    /// Start of the suspension.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub suspended_at: Option<OffsetDateTime>,
    /// Time of creation, or of the first login.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
}

/// One part of the list of users.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserList {
    /// Sorted by subject.
    pub items: Vec<User>,
    /// Cursor of the next part, for `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// A member of a wiki.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The subject.
    pub subject: String,
    /// `reader`, `editor`, `admin` or `owner`.
    pub role: String,
    /// Display name.
    pub name: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// True if the user is suspended, and so has no rights in any wiki.
    pub suspended: bool,
}

/// One part of a list of members.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberList {
    /// Sorted by subject.
    pub items: Vec<Member>,
    /// Cursor of the next part, for `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// A subject's permissions in a wiki, explained.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Permissions {
    /// The subject.
    pub subject: String,
    /// Effective role; null for none.
    pub role: Option<String>,
    /// Source of the role: `visibility`, `member`, `token`, `application` or `operator`.
    pub source: Option<String>,
    /// Explanation in a sentence or two.
    pub why: String,
    /// Reason if the user is suspended.
    pub suspended: Option<String>,
    /// Permission for each action.
    pub actions: Vec<Permission>,
}

/// The permission for one action.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// `read`, `write`, `inspect` or `administer`.
    pub action: String,
    /// True if the action is allowed.
    pub allowed: bool,
    /// Explanation.
    pub why: String,
}

/// An invitation. Its secret is only in the response that creates it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Invitation {
    /// The public id; it reveals nothing about the secret.
    pub id: String,
    /// The new member's role.
    pub role: String,
    /// The invitee's e-mail address.
    pub email: Option<String>,
    /// `open`, `accepted` or `expired`.
    pub state: String,
    /// Time of creation.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// Expiry.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// Subject of the user who accepted it.
    pub accepted_by: Option<String>,
    /// Time of acceptance.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub accepted_at: Option<OffsetDateTime>,
    /// URL to accept it with a POST.
    pub url: String,
    /// The secret.
    pub token: Option<String>,
}

/// One part of a list of invitations.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitationList {
    /// Sorted by id.
    pub items: Vec<Invitation>,
    /// Cursor of the next part, for `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// The membership gained by accepting an invitation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// The wiki's slug.
    pub slug: String,
    /// The role in the wiki.
    pub role: String,
}

/// An entry of the audit log.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditEntry {
    /// The entry's position in the log.
    pub id: i64,
    /// Number of calls: refusals of one caller and kind within a minute share an entry.
    pub count: u32,
    /// Time of the action.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The caller's subject; null for an anonymous caller.
    pub subject: Option<String>,
    /// The action, such as `token.create`.
    pub action: String,
    /// The wiki's id.
    pub wiki: Option<String>,
    /// The wiki's slug at the time.
    pub slug: Option<String>,
    /// The client's address; null for actions on the server itself.
    pub peer: Option<String>,
    /// The id in `X-Request-Id`.
    pub request_id: Option<String>,
    /// Details, such as the object of the action.
    #[schema(value_type = Object)]
    pub detail: serde_json::Value,
    /// HTTP status of the response; null if there was none.
    pub result: Option<u16>,
}

/// One part of the audit log.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditLog {
    /// Newest first.
    pub items: Vec<AuditEntry>,
    /// Cursor of the next part, for `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// Usage and quotas of a wiki.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Number of pages.
    pub pages: u64,
    /// Number of attachments.
    pub attachments: u64,
    /// Size of pages and attachments, in bytes.
    pub bytes: u64,
    /// Size of the repository on disk with its history, in bytes.
    pub repository_bytes: u64,
    /// Size of the wiki's database (index, drafts and settings), in bytes.
    pub database_bytes: u64,
    /// Size of all drafts in the database, in bytes.
    pub draft_bytes: u64,
    /// Size of the embedding application's database, in bytes.
    pub app_bytes: u64,
    /// Size of the repository and the databases on disk, in bytes.
    pub disk_bytes: u64,
    /// The wiki's quotas.
    pub quota: Quota,
}

/// Quotas of a wiki; null for no limit but the disk.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Maximum number of pages.
    pub max_pages: Option<u64>,
    /// Maximum size of pages and attachments, in bytes.
    pub max_bytes: Option<u64>,
    /// Maximum size on disk, in bytes.
    pub max_disk_bytes: Option<u64>,
}
