//! The queues of notices about links, one per channel.

use rusqlite::{Row, Transaction, named_params, params};
use time::OffsetDateTime;

use super::{Catalog, CatalogError, now, require_wiki, row};
use crate::TenantId;
use crate::channel::DueNotice;
use crate::link::{NewNotice, Notice};

/// Number of delivered notices kept per wiki.
const KEPT: u32 = 200;
/// Maximal number of notices per wiki. Older ones are dropped even if they weren't delivered.
const MOST: u32 = 1000;

impl Catalog {
    /// Queues a notice. Returns `false` if it is a duplicate.
    ///
    /// # Errors
    /// The wiki doesn't exist; the file can't be written.
    pub(crate) fn add_notice(
        &self,
        wiki: TenantId,
        link: &str,
        notice: &NewNotice,
    ) -> Result<bool, CatalogError> {
        self.db.write(|transaction| {
            require_wiki(transaction, wiki)?;
            insert(transaction, link, &wiki.to_string(), notice)
        })
    }

    /// The next notice of each channel, the longest waiting channel first and channels that are not due yet last.
    /// Excludes these channels, and all channels of these wikis.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn next_notices(
        &self,
        channels: &[&str],
        wikis: &[TenantId],
        limit: u32,
    ) -> Result<Vec<DueNotice>, CatalogError> {
        let wikis: Vec<_> = wikis.iter().map(ToString::to_string).collect();
        self.db.read(|connection| {
            let mut statement = connection.prepare_cached(NEXT)?;
            let json = |names: &[_]| serde_json::json!(names).to_string();
            let params = params![serde_json::json!(channels).to_string(), json(&wikis), limit];
            let rows = statement.query_map(params, read)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Removes a notice from a channel's queue after it was delivered or refused for good.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn notice_settled(&self, channel: &str, notice: i64) -> Result<(), CatalogError> {
        self.db.write(|transaction| {
            transaction.execute(
                "delete from deliveries where channel = ?1 and notice = ?2",
                params![channel, notice],
            )?;
            transaction.execute(
                "update channels set attempts = 0, next_at =
                     case when exists (select 1 from deliveries where channel = id) then ?2 end
                 where id = ?1",
                params![channel, milliseconds()],
            )?;
            Ok(())
        })
    }

    /// Postpones a channel's queue after a failed delivery.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn notice_postponed(&self, channel: &str, until: i64) -> Result<(), CatalogError> {
        self.db.write(|transaction| {
            transaction.execute(
                "update channels set attempts = attempts + 1, next_at = ?2 where id = ?1",
                params![channel, until],
            )?;
            Ok(())
        })
    }

    /// Drops undelivered notices from before a time. Channels that would wait for longer than `longest` milliseconds,
    /// because the clock was put back, become due now. Returns the number of dropped deliveries.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn give_up_notices(
        &self,
        before: OffsetDateTime,
        longest: i64,
    ) -> Result<usize, CatalogError> {
        let waits = self.db.read(|connection| {
            let sql = "select 1 from channels where next_at is not null";
            Ok::<_, CatalogError>(connection.prepare_cached(sql)?.exists([])?)
        })?;
        if !waits {
            return Ok(0);
        }
        let now = milliseconds();
        self.db.write(|transaction| {
            let given_up = transaction.execute(
                "delete from deliveries where notice in (select notices.id from deliveries
                     join notices on notices.id = deliveries.notice where notices.created < ?1)",
                [before.unix_timestamp()],
            )?;
            transaction.execute(
                "update channels set attempts = 0, next_at = null where next_at is not null
                     and not exists (select 1 from deliveries where channel = id)",
                [],
            )?;
            transaction.execute(
                "update channels set next_at = ?1 where next_at > ?2",
                params![now, now.saturating_add(longest)],
            )?;
            Ok(given_up)
        })
    }
}

/// The query of [`Catalog::next_notices`].
const NEXT: &str = "
    select channels.id as channel, channels.wiki as channel_of, attempts, next_at,
        notices.id, notices.link, notices.wiki, notices.kind, notices.detail, notices.created
    from channels join notices
        on notices.id = (select min(notice) from deliveries where channel = channels.id)
    where next_at is not null
        and channels.id not in (select value from json_each(?1))
        and (channels.wiki is null or channels.wiki not in (select value from json_each(?2)))
    order by next_at, channels.id limit ?3";

/// Writes a notice and queues it for the platform's channels and those of its wiki. Returns `false` for a duplicate.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    link: &str,
    wiki: &str,
    notice: &NewNotice,
) -> Result<bool, CatalogError> {
    let NewNotice { kind, once, detail } = notice;
    let created = now().unix_timestamp();
    let is_new = transaction
        .prepare_cached(
            "insert into notices (link, wiki, kind, once, detail, created)
             values (?1, ?2, ?3, ?4, ?5, ?6) on conflict do nothing",
        )?
        .execute(params![link, wiki, kind, once, detail.to_string(), created])?;
    if is_new == 0 {
        return Ok(false);
    }
    let id = transaction.last_insert_rowid();
    transaction
        .prepare_cached(
            "insert into deliveries (channel, notice)
             select id, :id from channels where wiki is null or wiki = :wiki",
        )?
        .execute(named_params! { ":id": id, ":wiki": wiki })?;
    // A channel that waits after a failed delivery keeps its time.
    transaction
        .prepare_cached(
            "update channels set next_at = coalesce(next_at, :now) where wiki is null or wiki = :wiki",
        )?
        .execute(named_params! { ":now": milliseconds(), ":wiki": wiki })?;
    transaction
        .prepare_cached(
            "delete from notices where id in
                 (select id from notices where wiki = ?1 order by id desc limit -1 offset ?2)
                 and not exists (select 1 from deliveries where notice = notices.id)",
        )?
        .execute(params![wiki, KEPT])?;
    transaction
        .prepare_cached(
            "delete from notices where id in
                 (select id from notices where wiki = ?1 order by id desc limit -1 offset ?2)",
        )?
        .execute(params![wiki, MOST])?;
    Ok(true)
}

fn read(row: &Row<'_>) -> rusqlite::Result<DueNotice> {
    let detail: String = row.get("detail")?;
    Ok(DueNotice {
        channel: row.get("channel")?,
        of: row::optional_parsed(row, "channel_of")?,
        attempts: row.get("attempts")?,
        at: row.get("next_at")?,
        notice: Notice {
            id: row.get("id")?,
            link: row.get("link")?,
            wiki: row::parsed(row, "wiki")?,
            kind: row.get("kind")?,
            detail: serde_json::from_str(&detail)
                .map_err(|error| row::unreadable(row, "detail", error))?,
            created: row::time(row, "created")?,
        },
    })
}

/// The present time in milliseconds since 1970, as `next_at` stores it.
fn milliseconds() -> i64 {
    let milliseconds = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    i64::try_from(milliseconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
