//! Drafts: unsaved texts, one per page and owner, visible only to the owner.
//!
//! They are rows of wiki.db, in the table format of OtterWiki. A draft records the version of the page that it is based
//! on. A save from a draft deletes it in the same transaction.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde::Serialize;
use time::{Duration, OffsetDateTime};

use crate::db::DbError;
use crate::error::Error;
use crate::page_path::ExistingPath;
use crate::revision::{Etag, Revision};
use crate::spelling::{stored_page, written_page};
use crate::wiki::Wiki;

/// Maximum number of drafts per owner in a wiki.
const MAX_DRAFTS: i64 = 1000;
/// Maximum bytes of an owner's drafts: six pages of maximum size, or thousands of others.
const OWN_BYTES: u64 = 32 << 20;
/// Maximum bytes of all drafts of a wiki.
const ALL_BYTES: u64 = 256 << 20;
/// Like `OWN_BYTES` and `ALL_BYTES`, for people who aren't members of the wiki: their number is unlimited, and they
/// must not use up the members' room.
const GUEST_BYTES: u64 = 8 << 20;
const ALL_BYTES_FOR_GUESTS: u64 = 64 << 20;

/// A place in a text. The editor decides whether lines are counted from 0 or from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cursor {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// A draft in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftSummary {
    /// The path of the page, which need not exist.
    pub path: String,
    /// The version of the page that the draft is based on; `None` if there was no page.
    pub base: Option<Etag>,
    /// The page's present version; `None` if there is no page.
    pub current: Option<Etag>,
    /// Time of the last change, to the millisecond.
    pub updated: OffsetDateTime,
    /// Bytes of content.
    pub size: u64,
}

impl DraftSummary {
    /// Returns `true` if the page has changed since the version that the draft is based on.
    pub fn is_stale(&self) -> bool {
        self.base != self.current
    }
}

/// A draft with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Everything but the text.
    pub summary: DraftSummary,
    /// The text.
    pub content: String,
    /// The author's cursor.
    pub cursor: Option<Cursor>,
}

/// The version that a draft is based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DraftBase {
    /// The base that the draft has already; for a new one, the page's present version.
    Kept,
    /// This version of the page; `None` if there was no page.
    Version(Option<Etag>),
}

/// A draft to be stored.
#[derive(Clone, Debug)]
pub struct NewDraft<'a> {
    /// The permanent identifier of its owner.
    pub owner: &'a str,
    /// The page. One that isn't there must have a name that may be created, see [`PagePath`](crate::PagePath).
    pub path: &'a ExistingPath,
    /// The text, whole.
    pub content: &'a str,
    /// The version that the draft is based on.
    pub base: DraftBase,
    /// The author's cursor.
    pub cursor: Option<Cursor>,
    /// True if the owner isn't a member of the wiki.
    pub is_guest: bool,
}

impl Wiki {
    /// Lists up to `limit` drafts of an owner, after the path `after`, in byte order of their paths.
    ///
    /// # Errors
    /// wiki.db or the repository can't be read.
    pub fn drafts(
        &self,
        owner: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DraftSummary>, Error> {
        self.check_open()?;
        let Some(database) = self.existing_database()? else { return Ok(Vec::new()) };
        let stored = database.read(|connection| list(connection, owner, after, limit))?;
        let head = self.head()?;
        stored.into_iter().map(|stored| self.summary_of_draft(stored, head)).collect()
    }

    /// Returns an owner's draft of a page.
    ///
    /// # Errors
    /// There is no such draft.
    pub fn draft(&self, owner: &str, path: &ExistingPath) -> Result<Draft, Error> {
        self.check_open()?;
        let none = || Error::NoDraft { path: path.as_str().to_owned() };
        let database = self.existing_database()?.ok_or_else(none)?;
        let stored = match self.head()? {
            Some(head) => stored_page(&self.repo().view(), head, path)?.map(|(path, _)| path),
            None => None,
        };
        let found = database.read(|connection| {
            for spelling in [stored].into_iter().flatten().chain(path.spellings()) {
                if let Some(draft) = read(connection, owner, spelling.as_str())? {
                    return Ok::<_, Error>(Some(draft));
                }
            }
            Ok(None)
        });
        let (stored, content, cursor) = found?.ok_or_else(none)?;
        let summary = self.summary_of_draft(stored, self.head()?)?;
        Ok(Draft { summary, content, cursor })
    }

    /// Stores a draft, replacing the owner's previous one of the page. Returns its summary, and whether it is the
    /// first. On return the draft is durable: it survives a crash and a power cut.
    ///
    /// # Errors
    /// The text exceeds the page limit; the owner has too many drafts; their drafts, all drafts or the wiki would be
    /// too large ([`Error::QuotaExceeded`]); the disk is full.
    pub fn put_draft(&self, new: &NewDraft<'_>) -> Result<(DraftSummary, bool), Error> {
        let size = new.content.len() as u64;
        let (path, _) = written_page(&self.repo().view(), self.current()?, new.path)?;
        let new = &NewDraft { path: &path, ..new.clone() };
        let path = path.as_str();
        if size > self.page_limit() {
            let limit = self.page_limit();
            return Err(Error::TooLarge { path: path.to_owned(), size, limit });
        }
        let (kept, _) = self.write(|unit| {
            // No other change can happen between this and the transaction: drafts change only under the writer lock.
            let (before, count) = self.database()?.read(|connection| {
                let before = find(connection, new.owner, path)?;
                Ok::<_, Error>((before, count(connection, new.owner)?))
            })?;
            if before.is_none() && count >= MAX_DRAFTS {
                return Err(Error::TooManyDrafts { limit: MAX_DRAFTS });
            }
            self.check_draft_bytes(new, before.as_ref().map(|before| before.size))?;
            let entry = unit.entry(&new.path.file())?.filter(|entry| entry.is_file());
            let current = entry.map(|entry| entry.id);
            let base = match (new.base, &before) {
                (DraftBase::Version(base), _) => base,
                (DraftBase::Kept, Some(before)) => before.base,
                (DraftBase::Kept, None) => current,
            };
            let updated = now();
            unit.also(move |transaction| {
                remove(transaction, new.owner, path)?;
                insert(transaction, new, base, updated)
            });
            let summary = DraftSummary { path: path.to_owned(), base, current, updated, size };
            Ok((summary, before.is_none()))
        })?;
        Ok(kept)
    }

    /// Refuses a draft that exceeds the limits. A draft that isn't longer than its predecessor is never refused.
    fn check_draft_bytes(&self, new: &NewDraft<'_>, before: Option<u64>) -> Result<(), Error> {
        let size = new.content.len() as u64;
        let added = match before {
            Some(before) if size <= before => return Ok(()),
            Some(before) => size - before,
            None => size + 3 * new.path.as_str().len() as u64 + 200,
        };
        let (own, all) =
            self.database()?.read(|connection| Ok::<_, Error>(bytes(connection, new.owner)?))?;
        let (most_own, most_all) = match new.is_guest {
            false => (OWN_BYTES, ALL_BYTES),
            true => (GUEST_BYTES, ALL_BYTES_FOR_GUESTS),
        };
        let most_own = most_own.max(2 * self.page_limit());
        for (what, bytes, limit) in
            [("draft_bytes", own, most_own), ("draft_bytes_of_all", all, most_all)]
        {
            let would_be = bytes + added;
            if would_be > limit {
                return Err(Error::QuotaExceeded { what, limit, would_be });
            }
        }
        self.check_disk(added)
    }

    /// Deletes an owner's draft of a page.
    ///
    /// # Errors
    /// There is no such draft.
    pub fn delete_draft(&self, owner: &str, path: &ExistingPath) -> Result<(), Error> {
        // Without a draft, no wiki.db must be created.
        let path = self.draft(owner, path)?.summary.path;
        self.write(|unit| {
            unit.also(|transaction| remove(transaction, owner, &path));
            Ok(())
        })
        .map(drop)
    }

    fn summary_of_draft(
        &self,
        stored: Stored,
        head: Option<Revision>,
    ) -> Result<DraftSummary, Error> {
        let Stored { path, base, updated, size } = stored;
        // Other software may have stored paths that no page can have.
        let current = match (head, ExistingPath::new(&path)) {
            (Some(head), Ok(path)) => self.repo().entry(head, &path.file())?,
            _ => None,
        };
        let current = current.filter(|entry| entry.is_file()).map(|entry| entry.id);
        Ok(DraftSummary { path, base, current, updated, size })
    }
}

/// A row without its text.
struct Stored {
    path: String,
    base: Option<Etag>,
    updated: OffsetDateTime,
    size: u64,
}

/// The columns of [`Stored`]. An invalid time becomes 1970.
const COLUMNS: &str = "pagepath, base, \
    coalesce(cast(round(unixepoch(datetime, 'subsec') * 1000) as integer), 0), \
    coalesce(octet_length(content), 0)";

impl Stored {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let base: Option<String> = row.get(1)?;
        Ok(Self {
            path: row.get(0)?,
            base: base.and_then(|etag| etag.parse().ok()),
            updated: from_milliseconds(row.get(2)?),
            size: row.get(3).map(i64::unsigned_abs)?,
        })
    }
}

/// Other software may store several rows per page and author: the last one counts.
fn list(
    connection: &Connection,
    owner: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Stored>, Error> {
    let sql = format!(
        "select {COLUMNS}, max(id) from drafts where author_email = ?1 and pagepath > ?2
         group by pagepath order by pagepath limit ?3"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut select = connection.prepare_cached(&sql).map_err(DbError::from)?;
    let rows = select
        .query_map(params![owner, after.unwrap_or_default(), limit], Stored::of)
        .map_err(DbError::from)?;
    Ok(rows.collect::<Result<_, _>>().map_err(DbError::from)?)
}

fn find(connection: &Connection, owner: &str, path: &str) -> Result<Option<Stored>, DbError> {
    let sql = format!(
        "select {COLUMNS} from drafts where author_email = ?1 and pagepath = ?2
         order by id desc limit 1"
    );
    let mut select = connection.prepare_cached(&sql)?;
    Ok(select.query_row([owner, path], Stored::of).optional()?)
}

type WithText = (Stored, String, Option<Cursor>);

fn read(connection: &Connection, owner: &str, path: &str) -> Result<Option<WithText>, DbError> {
    let sql = format!(
        "select {COLUMNS}, coalesce(content, ''), cursor_line, cursor_ch from drafts
         where author_email = ?1 and pagepath = ?2 order by id desc limit 1"
    );
    let mut select = connection.prepare_cached(&sql)?;
    let with_text = |row: &Row<'_>| {
        let (line, column): (Option<i64>, Option<i64>) = (row.get(5)?, row.get(6)?);
        let place = |at: Option<i64>| at.and_then(|at| u32::try_from(at).ok());
        let cursor = place(line).zip(place(column)).map(|(line, column)| Cursor { line, column });
        Ok((Stored::of(row)?, row.get(4)?, cursor))
    };
    Ok(select.query_row([owner, path], with_text).optional()?)
}

fn count(connection: &Connection, owner: &str) -> Result<i64, DbError> {
    let sql = "select count(distinct pagepath) from drafts where author_email = ?1";
    Ok(connection.prepare_cached(sql)?.query_row([owner], |row| row.get(0))?)
}

/// Returns the bytes of an owner's drafts and of all drafts, including an estimate for their rows.
fn bytes(connection: &Connection, owner: &str) -> Result<(u64, u64), DbError> {
    let sql = "select
        (select coalesce(sum(octet_length(content) + 3 * octet_length(pagepath) + 200), 0)
         from drafts where author_email = ?1),
        draft_bytes from wiki";
    let number =
        |row: &Row<'_>, column| row.get(column).map(|bytes: i64| bytes.max(0).unsigned_abs());
    let mut select = connection.prepare_cached(sql)?;
    Ok(select.query_row([owner], |row| Ok((number(row, 0)?, number(row, 1)?)))?)
}

fn insert(
    transaction: &Transaction<'_>,
    new: &NewDraft<'_>,
    base: Option<Etag>,
    updated: OffsetDateTime,
) -> Result<(), DbError> {
    // In the time format of other software, with six decimals.
    let sql = "insert into drafts
        (pagepath, author_email, content, cursor_line, cursor_ch, base, datetime)
        values (?1, ?2, ?3, ?4, ?5, ?6,
                strftime('%Y-%m-%d %H:%M:%f', ?7 / 1000.0, 'unixepoch') || '000')";
    transaction.prepare_cached(sql)?.execute(params![
        new.path.as_str(),
        new.owner,
        new.content,
        new.cursor.map(|cursor| cursor.line),
        new.cursor.map(|cursor| cursor.column),
        base.map(|base| base.to_string()),
        milliseconds(updated),
    ])?;
    Ok(())
}

/// Deletes an owner's draft of a page, if there is one.
pub(crate) fn remove(
    transaction: &Transaction<'_>,
    owner: &str,
    path: &str,
) -> Result<(), DbError> {
    let sql = "delete from drafts where author_email = ?1 and pagepath = ?2";
    transaction.prepare_cached(sql)?.execute([owner, path])?;
    Ok(())
}

/// Returns the pages with drafts at a path and below it.
pub(crate) fn pages_at(connection: &Connection, path: &str) -> Result<Vec<String>, DbError> {
    // The paths below a page start with its path and a slash; `0` is the character after the slash.
    let sql = "select distinct pagepath from drafts
        where pagepath = ?1 or (pagepath > ?1 || '/' and pagepath < ?1 || '0')";
    let mut select = connection.prepare_cached(sql)?;
    let pages = select.query_map([path], |row| row.get(0))?;
    Ok(pages.collect::<Result<_, _>>()?)
}

/// Moves drafts with their pages: from the first path of each pair to the second. If an owner has a draft at the new
/// path already, both drafts stay where they are.
pub(crate) fn move_pages(
    transaction: &Transaction<'_>,
    moves: &[(String, String)],
) -> Result<(), DbError> {
    // First all drafts move to temporary paths, since a page may move to another moving page's old path. No page's path
    // begins with this character.
    let mut lift = transaction
        .prepare_cached("update drafts set pagepath = char(1) || ?2 where pagepath = ?1")?;
    for (from, to) in moves {
        lift.execute([from, to])?;
    }
    let mut settle = transaction.prepare_cached(
        "update drafts set pagepath = ?1 where pagepath = char(1) || ?1 and not exists (
             select 1 from drafts other where other.author_email = drafts.author_email and other.pagepath = ?1)",
    )?;
    let mut put_back = transaction
        .prepare_cached("update drafts set pagepath = ?1 where pagepath = char(1) || ?2")?;
    for (from, to) in moves {
        settle.execute([to])?;
        put_back.execute([from, to])?;
    }
    Ok(())
}

/// The present time, in the precision of the table.
fn now() -> OffsetDateTime {
    from_milliseconds(milliseconds(OffsetDateTime::now_utc()))
}

fn milliseconds(time: OffsetDateTime) -> i64 {
    let since = time - OffsetDateTime::UNIX_EPOCH;
    i64::try_from(since.whole_milliseconds()).unwrap_or(i64::MAX)
}

fn from_milliseconds(milliseconds: i64) -> OffsetDateTime {
    let since = Duration::milliseconds(milliseconds);
    OffsetDateTime::UNIX_EPOCH.checked_add(since).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests;
