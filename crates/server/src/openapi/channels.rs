//! Response bodies for notification channels.

use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A notification channel.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// 16 hexadecimal digits.
    pub id: String,
    /// `webhook` or `mail`.
    pub kind: String,
    /// An e-mail address, or the host of a webhook.
    pub target: String,
    /// Time of creation.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// The key that signs webhook calls. Only in the response that creates the channel.
    pub secret: Option<String>,
}

/// One part of a list of notification channels.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelList {
    /// Sorted by id.
    pub items: Vec<Channel>,
    /// Cursor of the next part, for `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// The outcome of a test notification.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelTest {
    /// True if the receiver or the mail relay accepted it.
    pub ok: bool,
    /// The reason if not.
    pub error: Option<String>,
}
