//! The shapes of answers about people: users, members, invitations, permissions, the audit log.

use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Somebody who was here, or was named as a member.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// What the identity provider calls them. Stable.
    pub subject: String,
    /// For showing.
    pub name: Option<String>,
    /// For showing, and for the author of commits.
    pub email: Option<String>,
    /// `active` or `suspended`.
    pub state: String,
    /// Why they are suspended.
    pub reason: Option<String>,
    /// Since when they are.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub suspended_at: Option<OffsetDateTime>,
    /// When the platform first heard of them.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
}

/// Users, and where to go on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserList {
    /// In the order of their subjects.
    pub items: Vec<User>,
    /// For `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// Somebody's place in a wiki.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Who.
    pub subject: String,
    /// `reader`, `editor`, `admin` or `owner`.
    pub role: String,
    /// What they are called.
    pub name: Option<String>,
    /// Their e-mail address.
    pub email: Option<String>,
    /// Whether they may do nothing at present, here and everywhere.
    pub suspended: bool,
}

/// Members, and where to go on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberList {
    /// In the order of their subjects.
    pub items: Vec<Member>,
    /// For `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// What somebody may do in a wiki, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Permissions {
    /// Who.
    pub subject: String,
    /// Their effective role; null is none.
    pub role: Option<String>,
    /// Where it comes from: `visibility`, `member`, `token`, `application` or `operator`.
    pub source: Option<String>,
    /// All that matters, in a sentence or two.
    pub why: String,
    /// Why the user may do nothing anywhere, if that is so.
    pub suspended: Option<String>,
    /// Every action.
    pub actions: Vec<Permission>,
}

/// Whether somebody may do one thing.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// `read`, `write`, `inspect` or `administer`.
    pub action: String,
    /// Whether they may.
    pub allowed: bool,
    /// Why, or why not.
    pub why: String,
}

/// An invitation; its secret is only in the answer that makes it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Invitation {
    /// Names it without giving it away.
    pub id: String,
    /// What whoever accepts it becomes.
    pub role: String,
    /// To whom it was sent.
    pub email: Option<String>,
    /// `open`, `accepted` or `expired`.
    pub state: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// From when on it is refused.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// Who accepted it.
    pub accepted_by: Option<String>,
    /// When.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub accepted_at: Option<OffsetDateTime>,
    /// Where to accept it, with a POST.
    pub url: String,
    /// The secret.
    pub token: Option<String>,
}

/// Invitations, and where to go on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitationList {
    /// In the order of their ids.
    pub items: Vec<Invitation>,
    /// For `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// What somebody became by an invitation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// The wiki's name.
    pub slug: String,
    /// Their role there.
    pub role: String,
}

/// Something that was done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditEntry {
    /// Its place in the log.
    pub id: i64,
    /// The number of calls: refusals of one caller and kind within a minute are one row.
    pub count: u32,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Who; null is an anonymous caller.
    pub subject: Option<String>,
    /// What, such as `token.create`.
    pub action: String,
    /// The wiki's id.
    pub wiki: Option<String>,
    /// The wiki's name at that moment.
    pub slug: Option<String>,
    /// The address of whoever asked; null for what was done on the machine itself.
    pub peer: Option<String>,
    /// As in `X-Request-Id`.
    pub request_id: Option<String>,
    /// What it was done to.
    #[schema(value_type = Object)]
    pub detail: serde_json::Value,
    /// The status it was answered with; null if it wasn't.
    pub result: Option<u16>,
}

/// Rows of the audit log, and where to go on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditLog {
    /// Newest first.
    pub items: Vec<AuditEntry>,
    /// For `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// How much a wiki holds, and may hold.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Pages now.
    pub pages: u64,
    /// Attachments now.
    pub attachments: u64,
    /// Bytes of content of both.
    pub bytes: u64,
    /// Bytes of the repository on the disk, with the whole history.
    pub repository_bytes: u64,
    /// Bytes of its database: the index, the drafts and the settings.
    pub database_bytes: u64,
    /// Bytes of all drafts in it.
    pub draft_bytes: u64,
    /// Bytes of the embedding app's database.
    pub app_bytes: u64,
    /// Bytes on the disk: of the repository and the databases.
    pub disk_bytes: u64,
    /// What it may hold.
    pub quota: Quota,
}

/// How much a wiki may hold; null is as much as there is room for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Pages.
    pub max_pages: Option<u64>,
    /// Bytes of content.
    pub max_bytes: Option<u64>,
    /// Bytes on the disk.
    pub max_disk_bytes: Option<u64>,
}
