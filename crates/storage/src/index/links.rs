//! The rows of links, and lookups of the paths that they may mean.
//!
//! A link is stored as it is written, and its target is computed again from the link and its page: a few
//! bytes may mean several paths of a thousand bytes. Each of these paths has a row with its number, by
//! which the link is found from its target.

use std::collections::HashSet;

use rusqlite::{Connection, Transaction, params};

use super::file::{MAX_LINKS, beginning};
use super::key::{BaseName, Key};
use crate::db::DbError;
use crate::deadline;
use crate::links::{Link, LinkKind, LinkStyle, MarkdownSource, Target, distinct_links, resolve};
use crate::page_path::ExistingPath;
use crate::resolve::{Found, MAX_NAMESAKES, Resolved, choose};

/// A link of a page, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WrittenLink {
    pub(crate) kind: LinkKind,
    pub(crate) destination: String,
}

impl WrittenLink {
    fn of(link: Link) -> Self {
        Self { kind: link.kind, destination: link.destination }
    }

    /// The target of the link on `page`.
    pub(crate) fn target(&self, page: &ExistingPath) -> Option<Target> {
        resolve(page, self.kind, &self.destination)
    }
}

/// A link to be stored.
pub(super) struct LinkRows {
    link: WrittenLink,
    /// The numbers of the candidate paths, then of the base names, in the link's order.
    keys: Vec<i64>,
}

impl LinkRows {
    pub(super) fn of(link: Link) -> Self {
        let paths = link.target.candidates.iter().map(|path| Key::of(path).number);
        let names = link.target.names.iter().map(|name| BaseName::of(name).number());
        let keys = paths.chain(names).collect();
        Self { link: WrittenLink::of(link), keys }
    }
}

/// Replaces the links of a page.
pub(super) fn put(
    transaction: &Transaction<'_>,
    page: i64,
    links: &[LinkRows],
) -> Result<(), DbError> {
    remove(transaction, page)?;
    let mut insert = transaction.prepare_cached(
        "insert into link (page, position, candidate, key, kind, destination)
         values (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for (position, LinkRows { link, keys }) in links.iter().enumerate() {
        for (candidate, key) in keys.iter().enumerate() {
            let written = (candidate == 0).then_some(link);
            insert.execute(params![
                page,
                position as i64,
                candidate as i64,
                key,
                written.map(|link| link.kind.as_str()),
                written.map(|link| link.destination.as_str()),
            ])?;
        }
    }
    Ok(())
}

pub(super) fn remove(transaction: &Transaction<'_>, page: i64) -> Result<(), DbError> {
    transaction.prepare_cached("delete from link where page = ?1")?.execute([page])?;
    Ok(())
}

/// The links of a page, in their order.
pub(crate) fn outgoing(connection: &Connection, path: &str) -> Result<Vec<WrittenLink>, DbError> {
    let Some(page) = super::pages::id(connection, path)? else { return Ok(Vec::new()) };
    let mut select = connection.prepare_cached(
        "select kind, destination from link where page = ?1 and candidate = 0 order by position",
    )?;
    let links = select.query_map([page], written)?;
    Ok(links.collect::<Result<_, _>>()?)
}

/// As [`outgoing`], for a page that isn't indexed.
pub(crate) fn unstored(page: &ExistingPath, content: &[u8], style: LinkStyle) -> Vec<WrittenLink> {
    let text = beginning(content);
    let source = MarkdownSource::of(&text);
    distinct_links(page, &source, style).take(MAX_LINKS).map(WrittenLink::of).collect()
}

/// Up to `limit` pages whose paths come after `after` and that have a link to this path, which need not
/// exist: their paths and titles, in byte order.
pub(crate) fn incoming(
    connection: &Connection,
    path: &str,
    by_name: bool,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(String, String)>, DbError> {
    let key = Key::of(path);
    let name = if by_name { BaseName::of(path).number() } else { key.number };
    // Duplicates are removed before sorting: a page may have ten thousand links that mean the same path.
    let mut pages = connection.prepare_cached(
        "select p.id, p.path, p.title
         from (select distinct page from link where key in (?1, ?3)) l join page p on p.id = l.page
         where p.path > ?2 order by p.path",
    )?;
    let mut links = connection.prepare_cached(
        "select d.kind, d.destination from link l
         join link d on d.page = l.page and d.position = l.position and d.candidate = 0
         where l.key in (?1, ?3) and l.page = ?2 order by l.position",
    )?;
    let mut found = Vec::new();
    let mut rows = pages.query(params![key.number, after.unwrap_or(""), name])?;
    while found.len() < limit
        && let Some(row) = rows.next()?
    {
        let (id, source): (i64, String) = (row.get(0)?, row.get(1)?);
        let Ok(page) = ExistingPath::new(&source) else { continue };
        for link in links.query_map([key.number, id, name], written)? {
            deadline::check()?;
            if let Some(target) = link?.target(&page)
                && leads_to(connection, &target, (path, &key), by_name)?
            {
                found.push((source, row.get(2)?));
                break;
            }
        }
    }
    Ok(found)
}

fn written(row: &rusqlite::Row<'_>) -> rusqlite::Result<WrittenLink> {
    let kind = LinkKind::named(row.get_ref(0)?.as_str()?);
    Ok(WrittenLink { kind, destination: row.get(1)? })
}

/// The pages with a link that may mean one of these paths, or one of their base names. Includes pages whose
/// links aren't indexed.
pub(crate) fn mentioning(
    connection: &Connection,
    paths: &[String],
) -> Result<HashSet<String>, DbError> {
    let mut select = connection.prepare_cached(
        "select p.path from (select distinct page from link where key in (?1, ?2)) l
         join page p on p.id = l.page",
    )?;
    // The links of unindexed pages aren't known.
    let mut pages: HashSet<String> = super::pages::unsearched(connection)?.into_iter().collect();
    for path in paths {
        deadline::check()?;
        let keys = [Key::of(path).number, BaseName::of(path).number()];
        for page in select.query_map(keys, |row| row.get(0))? {
            pages.insert(page?);
        }
    }
    Ok(pages)
}

fn leads_to(
    connection: &Connection,
    target: &Target,
    (path, key): (&str, &Key),
    by_name: bool,
) -> Result<bool, DbError> {
    for candidate in &target.candidates {
        if let Some(found) = existing(connection, candidate)? {
            return Ok(found.path == path);
        }
    }
    if by_name && let Resolved::Found { found, .. } = named(connection, &target.names)? {
        return Ok(found.path == path);
    }
    Ok(key.is_of(target.wished()))
}

/// Resolves the first of a link's names that has a match.
pub(crate) fn named(connection: &Connection, names: &[String]) -> Result<Resolved, DbError> {
    let pages = "select path from page where base = ?1 order by path limit ?2";
    let attachments =
        "select case page when '' then name else page || '/' || name end from attachment
         where base = ?1 order by page, name limit ?2";
    for name in names {
        deadline::check()?;
        for (sql, is_page) in [(pages, true), (attachments, false)] {
            let mut select = connection.prepare_cached(sql)?;
            let most = MAX_NAMESAKES as i64 + 1;
            let rows = select.query_map([BaseName::of(name).number(), most], |row| row.get(0))?;
            let resolved = choose(name, &rows.collect::<Result<Vec<String>, _>>()?, is_page);
            if resolved != Resolved::Nothing {
                return Ok(resolved);
            }
        }
    }
    Ok(Resolved::Nothing)
}

/// Finds the page or attachment at a path. A page goes before an attachment of the same name, and the
/// requested spelling before one that differs in case or composition only.
pub(crate) fn existing(connection: &Connection, path: &str) -> Result<Option<Found>, DbError> {
    let key = Key::of(path);
    let page = "select path from page where key = ?1 order by path <> ?2, path";
    if let Some(path) = first_spelt(connection, page, path, &key)? {
        return Ok(Some(Found { path, is_page: true }));
    }
    let attachment =
        "select case page when '' then name else page || '/' || name end as path from attachment
         where key = ?1 order by path <> ?2, path";
    let found = first_spelt(connection, attachment, path, &key)?;
    Ok(found.map(|path| Found { path, is_page: false }))
}

/// The first path from a query that equals `path` except for case and composition.
fn first_spelt(
    connection: &Connection,
    sql: &str,
    path: &str,
    key: &Key,
) -> Result<Option<String>, DbError> {
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query(params![key.number, path])?;
    while let Some(row) = rows.next()? {
        let found: String = row.get(0)?;
        if key.is_of(&found) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
