//! The rows of links, and what is at the paths they name.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::db::DbError;
use crate::links::{Link, LinkKind};
use crate::page_path::fold;
use crate::resolve::Found;

/// A link of a page: how it is written, and the paths it may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) kind: LinkKind,
    pub(crate) candidates: Vec<String>,
    pub(crate) fragment: Option<String>,
}

/// Replaces the links of a page.
pub(super) fn put(transaction: &Transaction<'_>, page: i64, links: &[Link]) -> Result<(), DbError> {
    remove(transaction, page)?;
    let mut insert = transaction.prepare_cached(
        "insert into link (page, position, candidate, kind, target, key, fragment)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for (position, link) in links.iter().enumerate() {
        for (candidate, target) in link.target.candidates.iter().enumerate() {
            insert.execute(params![
                page,
                position as i64,
                candidate as i64,
                link.kind.as_str(),
                target,
                fold(target),
                link.target.fragment,
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
pub(crate) fn outgoing(connection: &Connection, path: &str) -> Result<Vec<Placed>, DbError> {
    match super::pages::id(connection, path)? {
        Some(page) => of_page(connection, page, None),
        None => Ok(Vec::new()),
    }
}

/// Up to `limit` pages whose paths come after `after` and that have a link which leads to this path (or
/// would, if something were there), in byte order.
pub(crate) fn incoming(
    connection: &Connection,
    path: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(String, String)>, DbError> {
    let key = fold(path);
    let mut select = connection.prepare_cached(
        "select l.page, l.position, p.path, p.title from link l join page p on p.id = l.page
         where l.key = ?1 and p.path > ?2 order by p.path, l.position",
    )?;
    let mut rows = select.query(params![key, after.unwrap_or("")])?;
    let mut pages: Vec<(String, String)> = Vec::new();
    while let Some(row) = rows.next()? {
        let source: String = row.get(2)?;
        if pages.last().is_some_and(|(last, _)| *last == source) {
            continue;
        }
        if pages.len() == limit {
            break;
        }
        let links = of_page(connection, row.get(0)?, Some(row.get(1)?))?;
        for link in links {
            if leads_to(connection, &link, path, &key)? {
                pages.push((source, row.get(3)?));
                break;
            }
        }
    }
    Ok(pages)
}

/// The pages with a link that may mean one of these paths.
pub(crate) fn mentioning(
    connection: &Connection,
    paths: &[String],
) -> Result<HashSet<String>, DbError> {
    let mut select = connection.prepare_cached(
        "select distinct p.path from link l join page p on p.id = l.page where l.key = ?1",
    )?;
    let mut pages = HashSet::new();
    for path in paths {
        for page in select.query_map([fold(path)], |row| row.get(0))? {
            pages.insert(page?);
        }
    }
    Ok(pages)
}

fn leads_to(
    connection: &Connection,
    link: &Placed,
    path: &str,
    key: &str,
) -> Result<bool, DbError> {
    for candidate in &link.candidates {
        if let Some(found) = existing(connection, candidate)? {
            return Ok(found.path == path);
        }
    }
    Ok(link.candidates.first().is_some_and(|first| fold(first) == key))
}

fn of_page(
    connection: &Connection,
    page: i64,
    position: Option<i64>,
) -> Result<Vec<Placed>, DbError> {
    let mut select = connection.prepare_cached(
        "select position, kind, target, fragment from link
         where page = ?1 and (?2 is null or position = ?2) order by position, candidate",
    )?;
    let mut rows = select.query(params![page, position])?;
    let mut links: Vec<(i64, Placed)> = Vec::new();
    while let Some(row) = rows.next()? {
        let (position, target): (i64, String) = (row.get(0)?, row.get(2)?);
        match links.last_mut() {
            Some((last, link)) if *last == position => link.candidates.push(target),
            _ => {
                let kind = LinkKind::named(&row.get::<_, String>(1)?);
                let link = Placed { kind, candidates: vec![target], fragment: row.get(3)? };
                links.push((position, link));
            }
        }
    }
    Ok(links.into_iter().map(|(_, link)| link).collect())
}

/// What is at a path. A page goes before an attachment of the same name, and the spelling that was asked
/// for before one that differs in case or composition only.
pub(crate) fn existing(connection: &Connection, path: &str) -> Result<Option<Found>, DbError> {
    let key = fold(path);
    let page: Option<String> = connection
        .prepare_cached("select path from page where key = ?1 order by path <> ?2, path limit 1")?
        .query_row([key.as_str(), path], |row| row.get(0))
        .optional()?;
    if let Some(path) = page {
        return Ok(Some(Found { path, is_page: true }));
    }
    let attachment: Option<String> = connection
        .prepare_cached(
            "select case page when '' then name else page || '/' || name end as path from attachment
             where key = ?1 order by path <> ?2, path limit 1",
        )?
        .query_row([key.as_str(), path], |row| row.get(0))
        .optional()?;
    Ok(attachment.map(|path| Found { path, is_page: false }))
}
