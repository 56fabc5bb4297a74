//! The rows of pages.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use super::key::{BaseName, Key};
use crate::author::Author;
use crate::db::DbError;
use crate::page::{PageSummary, from_seconds};
use crate::revision::{Etag, Revision};

/// The columns that [`summary`] reads.
pub(super) fn columns(table: &str) -> String {
    ["path", "title", "etag", "size", "revision", "author_name", "author_email", "modified"]
        .map(|column| format!("{table}{column}"))
        .join(", ")
}

/// Adds or replaces a page; returns the id of its row.
pub(super) fn put(
    transaction: &Transaction<'_>,
    page: &PageSummary,
    is_searched: bool,
) -> Result<i64, DbError> {
    Ok(transaction
        .prepare_cached(
            "insert into page (path, key, title, etag, size, revision, author_name, author_email, modified,
                               searched, base, composed)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             on conflict (path) do update set title = excluded.title, etag = excluded.etag, size = excluded.size,
             base = excluded.base, revision = excluded.revision, author_name = excluded.author_name,
             author_email = excluded.author_email, modified = excluded.modified,
             searched = excluded.searched
             returning id",
        )?
        .query_row(
            params![
                page.path,
                Key::of(&page.path).number,
                page.title,
                page.etag.as_bytes(),
                page.size as i64,
                page.revision.as_bytes(),
                page.author.name(),
                page.author.email(),
                page.modified.unix_timestamp(),
                is_searched,
                BaseName::of(&page.path).number(),
                composed(&page.path),
            ],
            |row| row.get(0),
        )?)
}

/// Removes a page; returns the id that its row had.
pub(super) fn remove(transaction: &Transaction<'_>, path: &str) -> Result<Option<i64>, DbError> {
    let Some(id) = id(transaction, path)? else { return Ok(None) };
    transaction.prepare_cached("delete from page where id = ?1")?.execute([id])?;
    Ok(Some(id))
}

/// The id of a page's row.
pub(super) fn id(connection: &Connection, path: &str) -> Result<Option<i64>, DbError> {
    Ok(connection
        .prepare_cached("select id from page where path = ?1")?
        .query_row([path], |row| row.get(0))
        .optional()?)
}

/// Returns `true` if there are pages that aren't indexed for search because enough others have one of these
/// texts.
pub(super) fn have_unsearched(connection: &Connection, texts: &[Etag]) -> Result<bool, DbError> {
    let any = "select exists (select 1 from page where searched = 0)";
    if !connection.prepare_cached(any)?.query_row([], |row| row.get(0))? {
        return Ok(false);
    }
    let one = "select exists (select 1 from page where searched = 0 and etag = ?1)";
    let mut one = connection.prepare_cached(one)?;
    for text in texts {
        if one.query_row([text.as_bytes()], |row| row.get(0))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The pages that aren't indexed for search.
pub(super) fn unsearched(connection: &Connection) -> Result<Vec<String>, DbError> {
    let mut select = connection.prepare_cached("select path from page where searched = 0")?;
    let rows = select.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns `true` if a page is indexed for search.
pub(crate) fn is_searched(connection: &Connection, path: &str) -> Result<bool, DbError> {
    let sql = "select searched from page where path = ?1";
    let found = connection.prepare_cached(sql)?.query_row([path], |row| row.get(0)).optional()?;
    Ok(found.unwrap_or(true))
}

/// One page.
pub(crate) fn get(connection: &Connection, path: &str) -> Result<Option<PageSummary>, DbError> {
    let sql = format!("select {} from page where path = ?1", columns(""));
    Ok(connection.prepare_cached(&sql)?.query_row([path], summary).optional()?)
}

/// The path of a page that has exactly this content; `None` if there is none.
pub(crate) fn with_content(connection: &Connection, etag: Etag) -> Result<Option<String>, DbError> {
    Ok(connection
        .prepare_cached("select path from page where etag = ?1 order by path limit 1")?
        .query_row([etag.as_bytes()], |row| row.get(0))
        .optional()?)
}

/// Up to `limit` pages below `prefix` that come after `after`, in byte order of their paths. A prefix
/// matches in either composition, as a path does.
pub(crate) fn list(
    connection: &Connection,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<PageSummary>, DbError> {
    let mut pages = list_exactly(connection, prefix, after, limit)?;
    if prefix.is_ascii() {
        return Ok(pages);
    }
    let composed = composed(prefix);
    if let Some(composed) = &composed {
        pages.extend(list_exactly(connection, composed, after, limit)?);
    }
    let composed = composed.as_deref().unwrap_or(prefix);
    let mut select = connection.prepare_cached(&format!(
        "select {} from page
         where composed is not null and composed >= ?1 and (?2 is null or composed < ?2)
           and (?3 is null or path > ?3)
         order by path limit ?4",
        columns("")
    ))?;
    let others = params![composed, prefix_end(composed), after, limit as i64];
    for page in select.query_map(others, summary)? {
        pages.push(page?);
    }
    pages.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    pages.dedup_by(|one, other| one.path == other.path);
    pages.truncate(limit);
    Ok(pages)
}

fn list_exactly(
    connection: &Connection,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<PageSummary>, DbError> {
    // A range in the order of paths: its exclusive end is the prefix with its last character incremented. A
    // final U+10FFFF can't be incremented, and nothing sorts after it, so it is dropped.
    let above = prefix_end(prefix);
    let mut select = connection.prepare_cached(&format!(
        "select {} from page
         where path >= ?1 and (?2 is null or path > ?2) and (?3 is null or path < ?3)
         order by path limit ?4",
        columns("")
    ))?;
    let rows = select
        .query_map(params![prefix.max(after.unwrap_or("")), after, above, limit as i64], summary)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The NFC of a path or of the beginning of one; `None` if it is in NFC already.
pub(super) fn composed(path: &str) -> Option<String> {
    match is_nfc_quick(path.chars()) {
        IsNormalized::Yes => None,
        _ => Some(path.nfc().collect()).filter(|composed: &String| composed != path),
    }
}

/// The first text that sorts after all texts that begin with `prefix`; `None` if there is none.
pub(crate) fn prefix_end(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // Skips the surrogates, which no string contains.
        if let Some(next) = (last..=char::MAX).nth(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

/// Reads a row of [`columns`].
pub(super) fn summary(row: &Row<'_>) -> rusqlite::Result<PageSummary> {
    Ok(PageSummary {
        path: row.get(0)?,
        title: row.get(1)?,
        etag: Etag::from_bytes(row.get(2)?),
        size: row.get::<_, i64>(3)?.unsigned_abs(),
        revision: Revision::from_bytes(row.get(4)?),
        author: Author::recorded(row.get(5)?, row.get(6)?),
        modified: from_seconds(row.get(7)?),
    })
}
