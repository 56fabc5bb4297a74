//! Channels for notices about links that need attention, as the catalog stores them.

use time::OffsetDateTime;

use crate::{Notice, Secret, TenantId};

/// A recipient of notices about a wiki's links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeChannel {
    /// 16 hexadecimal digits.
    pub id: String,
    /// The wiki's id.
    pub wiki: TenantId,
    /// `webhook` or `mail`.
    pub kind: String,
    /// A mail address, or the public part of a webhook's settings.
    pub target: String,
    /// The time of creation, to the second.
    pub created: OffsetDateTime,
}

/// The settings of a new channel.
#[derive(Clone, Debug)]
pub struct NewNoticeChannel {
    /// The wiki's id.
    pub wiki: TenantId,
    /// `webhook` or `mail`.
    pub kind: String,
    /// A mail address, or the public part of a webhook's settings.
    pub target: String,
    /// The complete webhook settings, in the caller's own format. Stored sealed.
    pub secret: Option<Secret>,
}

/// The next notice to send to a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueNotice {
    /// The channel's id.
    pub channel: String,
    /// The wiki that the channel belongs to; `None` for a channel of the platform.
    pub of: Option<TenantId>,
    /// The number of failed attempts in a row.
    pub attempts: u32,
    /// The time of the next attempt, in milliseconds since 1970.
    pub at: i64,
    /// The notice to send.
    pub notice: Notice,
}
