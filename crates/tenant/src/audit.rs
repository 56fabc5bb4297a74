//! The audit log: subject, action, wiki, network address and result of calls.

use std::net::IpAddr;

use time::OffsetDateTime;

use crate::TenantId;

/// The position of a row in the audit log. Later rows have greater ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AuditId(pub i64);

/// An action about to be done. Must not contain secrets: rows are kept for long.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAuditEntry {
    /// The caller's subject; `None` for an anonymous caller.
    pub subject: Option<String>,
    /// The action in a word such as `token.create`.
    pub action: String,
    /// The wiki's id.
    pub wiki: Option<TenantId>,
    /// The wiki's name at this moment.
    pub slug: Option<String>,
    /// The caller's network address; `None` for actions on the machine itself.
    pub peer: Option<IpAddr>,
    /// The request's id.
    pub request_id: Option<String>,
    /// The parameters of the action, as a JSON object.
    pub detail: serde_json::Value,
}

/// A row of the audit log.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// The row's position.
    pub id: AuditId,
    /// The time of writing, to the second.
    pub at: OffsetDateTime,
    /// The action.
    pub what: NewAuditEntry,
    /// The HTTP status of the answer. `None` while the action runs, and for ever if the process died meanwhile.
    pub result: Option<u16>,
    /// The number of calls: one row counts the refusals of one caller and kind within a minute.
    pub count: u32,
}

/// A filter for rows of the audit log; fields that are `None` don't filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// A wiki's id, or its name at the time of the action.
    pub wiki: Option<String>,
    /// The caller's subject.
    pub subject: Option<String>,
    /// The action.
    pub action: Option<String>,
}
