//! Who is told of what links can't do by themselves, and what.

use time::OffsetDateTime;

use crate::catalog::SealedChannel;
use crate::channel::{DueNotice, NewNoticeChannel, NoticeChannel};
use crate::context::blocking;
use crate::link::NewNotice;
use crate::secrets::channel_name;
use crate::{Error, Platform, Secret, TenantId, token};

impl Platform {
    /// Has somebody told of a wiki's links from now on, unless the wiki tells `most` already.
    ///
    /// # Errors
    /// There is no such wiki; it has too many channels; the platform's key can't be used.
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

    /// What is secret of a channel, as it was given; `None`: nothing is.
    ///
    /// # Errors
    /// [`Error::SecretKey`]: the platform's key isn't the one it was sealed under.
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

    /// Forgets a wiki's channel, with what it was to be told. `false`: there was none.
    ///
    /// # Errors
    /// The catalog can't be written.
    pub async fn remove_notice_channel(&self, id: &str) -> Result<bool, Error> {
        let id = id.to_owned();
        self.catalog(move |catalog| catalog.remove_channel(&id)).await
    }

    /// Has these told of the links of all wikis, and nobody else of all. Who they are is for the caller to
    /// know; what they have yet to be told is kept under their ids.
    ///
    /// # Errors
    /// The catalog can't be written.
    pub async fn set_platform_channels(&self, ids: Vec<String>) -> Result<(), Error> {
        self.catalog(move |catalog| catalog.set_platform_channels(&ids)).await
    }

    /// Has people told something of a wiki's link. `false`: they were told already.
    ///
    /// # Errors
    /// There is no such wiki.
    pub async fn add_notice(
        &self,
        wiki: TenantId,
        link: &str,
        notice: NewNotice,
    ) -> Result<bool, Error> {
        let link = link.to_owned();
        self.catalog(move |catalog| catalog.add_notice(wiki, &link, &notice)).await
    }

    /// What channels are to be told next, one thing each: whoever waits longest first, and those whose time
    /// is yet to come last. Without these channels, and without all that are of these wikis.
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

    /// A channel was told something, or refused it for good.
    ///
    /// # Errors
    /// The catalog can't be written.
    pub async fn notice_settled(&self, channel: &str, notice: i64) -> Result<(), Error> {
        let channel = channel.to_owned();
        self.catalog(move |catalog| catalog.notice_settled(&channel, notice)).await
    }

    /// A channel couldn't be told; all that it is to be told waits until then (milliseconds since 1970).
    ///
    /// # Errors
    /// The catalog can't be written.
    pub async fn notice_postponed(&self, channel: &str, until: i64) -> Result<(), Error> {
        let channel = channel.to_owned();
        self.catalog(move |catalog| catalog.notice_postponed(&channel, until)).await
    }

    /// Gives up telling what happened before a time. Channels that would wait for longer than `longest`
    /// milliseconds, since the clock was put back, wait no more. Returns how much was given up.
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
