//! Who is told, between the row and the one who calls.

use wikigrove_tenant::{Error, NewNoticeChannel, NoticeChannel, Platform, TenantId};

use super::Remotes;
use super::notices::trial;
use crate::remote::notice::{Channel, NotDelivered};

/// A wiki's channel as it is kept.
pub(crate) fn kept_channel(wiki: TenantId, channel: &Channel) -> NewNoticeChannel {
    NewNoticeChannel {
        wiki,
        kind: channel.kind().to_owned(),
        target: channel.shown(),
        secret: channel.to_be_sealed(),
    }
}

/// A wiki's channel, opened. `None`: there is none with this id, or it is of a newer version.
pub(super) async fn opened(platform: &Platform, id: &str) -> Result<Option<Channel>, Error> {
    let Some(row) = platform.notice_channel(id).await? else { return Ok(None) };
    let secret = platform.notice_channel_secret(&row).await?;
    Ok(Channel::unsealed(&row.target, secret.as_ref()))
}

impl Remotes {
    /// Tells a wiki's channel something that is only a test, once and now.
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
