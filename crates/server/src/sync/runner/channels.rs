//! The channels of a wiki, between their rows and the notifier.

use wikigrove_tenant::{Error, NewNoticeChannel, NoticeChannel, Platform, TenantId};

use super::Remotes;
use super::notices::trial;
use crate::remote::notice::{Channel, NotDelivered};

/// Converts a wiki's channel to its stored form.
pub(crate) fn kept_channel(wiki: TenantId, channel: &Channel) -> NewNoticeChannel {
    NewNoticeChannel {
        wiki,
        kind: channel.kind().to_owned(),
        target: channel.shown(),
        secret: channel.to_be_sealed(),
    }
}

/// Opens a wiki's channel. `None` if the id is unknown, or the channel is of a newer version.
pub(super) async fn opened(platform: &Platform, id: &str) -> Result<Option<Channel>, Error> {
    let Some(row) = platform.notice_channel(id).await? else { return Ok(None) };
    let secret = platform.notice_channel_secret(&row).await?;
    Ok(Channel::unsealed(&row.target, secret.as_ref()))
}

impl Remotes {
    /// Sends a test notice to a wiki's channel, once and immediately.
    ///
    /// # Errors
    /// The channel is gone, or can't be opened.
    pub(crate) async fn try_channel(
        &self,
        channel: &NoticeChannel,
        slug: &str,
    ) -> Result<Result<(), NotDelivered>, Error> {
        let shared = &self.0.shared;
        let to = opened(&shared.platform, &channel.id).await?.ok_or(Error::UnknownChannel)?;
        Ok(shared.notifier.deliver(&trial(slug), &to).await)
    }
}
