//! Who is told of what links can't do by themselves, as the catalog keeps it.

use time::OffsetDateTime;

use crate::{Notice, Secret, TenantId};

/// Somebody who is told of a wiki's links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeChannel {
    /// 16 hexadecimal digits.
    pub id: String,
    /// The wiki.
    pub wiki: TenantId,
    /// `webhook` or `mail`.
    pub kind: String,
    /// A mail address, or of a webhook what isn't secret.
    pub target: String,
    /// When it was made, to the second.
    pub created: OffsetDateTime,
}

/// A channel to be made.
#[derive(Clone, Debug)]
pub struct NewNoticeChannel {
    /// The wiki.
    pub wiki: TenantId,
    /// `webhook` or `mail`.
    pub kind: String,
    /// A mail address, or of a webhook what isn't secret.
    pub target: String,
    /// All of a webhook, in the form of whoever made it. Sealed where it is kept.
    pub secret: Option<Secret>,
}

/// What a channel is to be told next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueNotice {
    /// The channel's id.
    pub channel: String,
    /// The wiki that the channel is of; `None` is the platform.
    pub of: Option<TenantId>,
    /// How often in a row it couldn't be told.
    pub attempts: u32,
    /// When to tell it, in milliseconds since 1970.
    pub at: i64,
    /// What.
    pub notice: Notice,
}
