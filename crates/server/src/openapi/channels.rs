//! The shapes of answers about who is told of what links can't do by themselves.

use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Somebody who is told.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// 16 hexadecimal digits.
    pub id: String,
    /// `webhook` or `mail`.
    pub kind: String,
    /// A mail address, or the host of a webhook.
    pub target: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// What calls of a webhook are signed with. Only in the answer that makes it.
    pub secret: Option<String>,
}

/// Channels, and where to go on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelList {
    /// In the order of their ids.
    pub items: Vec<Channel>,
    /// For `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// What came of telling somebody.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelTest {
    /// Whether the receiver, or the mail relay, took it.
    pub ok: bool,
    /// Why not.
    pub error: Option<String>,
}
