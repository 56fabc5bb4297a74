//! Who did what to which wiki, from where, and how it ended.

use std::net::IpAddr;

use time::OffsetDateTime;

use crate::TenantId;

/// The place of a row in the audit log. Later rows have greater ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AuditId(pub i64);

/// Something that is about to be done. Never put a secret into it: it is kept for long.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAuditEntry {
    /// Who; `None` is an anonymous caller.
    pub subject: Option<String>,
    /// What, in a word such as `token.create`.
    pub action: String,
    /// The wiki's id.
    pub wiki: Option<TenantId>,
    /// The wiki's name at this moment.
    pub slug: Option<String>,
    /// The address of whoever asked; `None` for what is done on the machine itself.
    pub peer: Option<IpAddr>,
    /// The request's id.
    pub request_id: Option<String>,
    /// What it is done to, as a JSON object.
    pub detail: serde_json::Value,
}

/// A row of the audit log.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// Its place.
    pub id: AuditId,
    /// When it was written, to the second.
    pub at: OffsetDateTime,
    /// What it says.
    pub what: NewAuditEntry,
    /// The HTTP status it was answered with. `None` while it is being done, and for ever if the
    /// process died meanwhile.
    pub result: Option<u16>,
    /// The number of calls: refusals of one caller and kind within a minute are one row.
    pub count: u32,
}

/// Which rows of the audit log to show; what isn't said holds for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// A wiki's id, or the name it had at that moment.
    pub wiki: Option<String>,
    /// Who.
    pub subject: Option<String>,
    /// What.
    pub action: Option<String>,
}
