//! Notices about links that need attention, and their channels.

use time::OffsetDateTime;

use crate::catalog::SealedChannel;
use crate::channel::{DueNotice, NewNoticeChannel, NoticeChannel};
use crate::context::blocking;
use crate::link::NewNotice;
use crate::secrets::channel_name;
use crate::{Error, Platform, Secret, TenantId, token};

impl Platform {
    /// Creates a channel for notices about a wiki's links, unless the wiki has `most` channels already.
    ///
    /// # Errors
    /// The wiki doesn't exist or has too many channels; the platform's key can't be used.
    pub async fn create_notice_channel(
        &self,
        new: NewNoticeChannel,
        most: u32,
    ) -> Result<NoticeChannel, Error> {
        let platform = self.clone();
        blocking(move || {
            let NewNoticeChannel { wiki, kind, target, secret } = new;
            let id = token::random_id();
            let seal = |secret| platform.0.vault.seal(wiki, &channel_name(&id), &secret);
            let sealed = secret.map(seal).transpose()?;
            let sealed = SealedChannel { id, wiki, kind, target, sealed };
            Ok(platform.0.catalog.create_channel(&sealed, most)?)
        })
        .await
    }

    /// The wiki's channel with this id.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn notice_channel(&self, id: &str) -> Result<Option<NoticeChannel>, Error> {
        let id = id.to_owned();
        self.catalog(move |catalog| catalog.channel(&id)).await
    }

    /// The channels of a wiki by id: at most `limit` after `after`.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn notice_channels(
        &self,
        wiki: TenantId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<NoticeChannel>, Error> {
        let after = after.map(str::to_owned);
        self.catalog(move |catalog| catalog.channels(wiki, after.as_deref(), limit)).await
    }

    /// The secret of a channel, in the caller's own format; `None` if the channel has none.
    ///
    /// # Errors
    /// [`Error::SecretKey`]: the platform's key isn't the one that the secret was sealed with.
    pub async fn notice_channel_secret(
        &self,
        channel: &NoticeChannel,
    ) -> Result<Option<Secret>, Error> {
        let (platform, channel) = (self.clone(), channel.clone());
        blocking(move || {
            let sealed = platform.0.catalog.channel_secret(&channel.id)?;
            let open =
                |sealed| platform.0.vault.open(channel.wiki, &channel_name(&channel.id), &sealed);
            sealed.map(open).transpose()
        })
        .await
    }

    /// Removes a wiki's channel with its waiting notices. Returns `false` if the channel didn't exist.
    ///
    /// # Errors
    /// The catalog can't be written.
    pub async fn remove_notice_channel(&self, id: &str) -> Result<bool, Error> {
        let id = id.to_owned();
        self.catalog(move |catalog| catalog.remove_channel(&id)).await
    }

    /// Replaces the channels that get the notices of all wikis. The catalog stores only their ids and waiting notices;
    /// the caller knows their settings.
    ///
    /// # Errors
    /// The catalog can't be written.
    pub async fn set_platform_channels(&self, ids: Vec<String>) -> Result<(), Error> {
        self.catalog(move |catalog| catalog.set_platform_channels(&ids)).await
    }

    /// Queues a notice about a wiki's link. Returns `false` if it is a duplicate.
    ///
    /// # Errors
    /// The wiki doesn't exist.
    pub async fn add_notice(
        &self,
        wiki: TenantId,
        link: &str,
        notice: NewNotice,
    ) -> Result<bool, Error> {
        let link = link.to_owned();
        self.catalog(move |catalog| catalog.add_notice(wiki, &link, &notice)).await
    }

    /// The next notice of each channel, the longest waiting channel first and channels that are not due yet last.
    /// Excludes these channels, and all channels of these wikis.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn next_notices(
        &self,
        without: Vec<String>,
        without_wikis: Vec<TenantId>,
        limit: u32,
    ) -> Result<Vec<DueNotice>, Error> {
        self.catalog(move |catalog| {
            let without: Vec<_> = without.iter().map(String::as_str).collect();
            catalog.next_notices(&without, &without_wikis, limit)
        })
        .await
    }

    /// Removes a notice from a channel's queue after it was delivered or refused for good.
    ///
    /// # Errors
    /// The catalog can't be written.
    pub async fn notice_settled(&self, channel: &str, notice: i64) -> Result<(), Error> {
        let channel = channel.to_owned();
        self.catalog(move |catalog| catalog.notice_settled(&channel, notice)).await
    }

    /// Postpones a channel's queue until a time (milliseconds since 1970) after a failed delivery.
    ///
    /// # Errors
    /// The catalog can't be written.
    pub async fn notice_postponed(&self, channel: &str, until: i64) -> Result<(), Error> {
        let channel = channel.to_owned();
        self.catalog(move |catalog| catalog.notice_postponed(&channel, until)).await
    }

    /// Drops undelivered notices from before a time. Channels that would wait for longer than `longest` milliseconds,
    /// because the clock was put back, become due now. Returns the number of dropped deliveries.
    ///
    /// # Errors
    /// The catalog can't be written.
    pub async fn give_up_notices(
        &self,
        before: OffsetDateTime,
        longest: i64,
    ) -> Result<usize, Error> {
        self.catalog(move |catalog| catalog.give_up_notices(before, longest)).await
    }
}
