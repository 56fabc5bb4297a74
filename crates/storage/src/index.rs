//! The page index: what lists need and git is slow to say.
//!
//! Everything in it can be rebuilt from git. `wiki.indexed` names the commit it describes; a save
//! moves both in its own transaction, and anything else that moves the branch is caught up with
//! by walking the commits in between.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use rusqlite::{Connection, Row, Transaction, params};

use crate::author::Author;
use crate::db::DbError;
use crate::page::{PageSummary, from_seconds, title};
use crate::page_path::ExistingPath;
use crate::repo::{Commit, Entry, Repo, RepoError, Want};
use crate::revision::{Etag, Revision};

const COLUMNS: &str = "path, title, etag, size, revision, author_name, author_email, modified";

/// The commit the index describes.
pub(crate) fn indexed(connection: &Connection) -> Result<Option<Revision>, DbError> {
    let id: Option<[u8; 20]> =
        connection.prepare_cached("select indexed from wiki")?.query_row([], |row| row.get(0))?;
    Ok(id.map(Revision::from_bytes))
}

/// Says which commit the index describes now.
pub(crate) fn set_indexed(
    transaction: &Transaction<'_>,
    head: Option<Revision>,
) -> Result<(), DbError> {
    let id = head.map(|id| *id.as_bytes());
    transaction.prepare_cached("update wiki set indexed = ?1")?.execute([id])?;
    Ok(())
}

/// Adds or replaces a page.
pub(crate) fn put(transaction: &Transaction<'_>, page: &PageSummary) -> Result<(), DbError> {
    transaction
        .prepare_cached(
            "insert or replace into page (path, title, etag, size, revision, author_name, author_email, modified)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            page.path,
            page.title,
            page.etag.as_bytes(),
            page.size as i64,
            page.revision.as_bytes(),
            page.author.name(),
            page.author.email(),
            page.modified.unix_timestamp(),
        ])?;
    Ok(())
}

/// Removes a page.
pub(crate) fn remove(transaction: &Transaction<'_>, path: &str) -> Result<(), DbError> {
    transaction.prepare_cached("delete from page where path = ?1")?.execute([path])?;
    Ok(())
}

/// One page.
pub(crate) fn get(connection: &Connection, path: &str) -> Result<Option<PageSummary>, DbError> {
    let mut select =
        connection.prepare_cached(&format!("select {COLUMNS} from page where path = ?1"))?;
    let mut rows = select.query([path])?;
    Ok(rows.next()?.map(summary).transpose()?)
}

/// A page that has exactly this content, if there is one.
pub(crate) fn with_content(connection: &Connection, etag: Etag) -> Result<Option<String>, DbError> {
    let mut select =
        connection.prepare_cached("select path from page where etag = ?1 order by path limit 1")?;
    let mut rows = select.query([etag.as_bytes()])?;
    Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
}

/// Up to `limit` pages below `prefix` that come after `after`, in byte order of their paths.
pub(crate) fn list(
    connection: &Connection,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<PageSummary>, DbError> {
    // A range on the primary key. Above every path that starts with the prefix stands the prefix
    // with its last character raised; U+10FFFF can't be raised, and nothing is above it.
    let above = prefix_end(prefix);
    let mut select = connection.prepare_cached(&format!(
        "select {COLUMNS} from page
         where path >= ?1 and (?2 is null or path > ?2) and (?3 is null or path < ?3)
         order by path limit ?4"
    ))?;
    let rows = select
        .query_map(params![prefix.max(after.unwrap_or("")), after, above, limit as i64], summary)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn prefix_end(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // Skips the surrogates, which no string holds.
        if let Some(next) = (last..=char::MAX).nth(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

fn summary(row: &Row<'_>) -> rusqlite::Result<PageSummary> {
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

/// What the index has to learn to describe `head`.
pub(crate) struct CatchUp {
    pub(crate) head: Revision,
    changed: Vec<PageSummary>,
    /// Every page of `head`: rows of other pages are removed.
    pages: BTreeMap<String, Entry>,
}

/// Finds out what changed between `known` and `head`. Reads git only, so saves go on meanwhile.
/// `progress` hears the number of commits visited so far.
pub(crate) fn catch_up(
    repo: &Repo,
    known: Option<Revision>,
    head: Revision,
    progress: impl FnMut(usize),
) -> Result<CatchUp, RepoError> {
    let known = match known {
        // History was replaced (a restored backup, a forced push): begin again.
        Some(known) if repo.is_commit(known)? && repo.is_ancestor(known, head)? => Some(known),
        _ => None,
    };
    let pages = pages(repo, head)?;
    let want: Want = pages.keys().map(|path| format!("{path}.md").into_bytes()).collect();
    let mut commits: BTreeMap<Revision, Commit> = BTreeMap::new();
    let mut changed = Vec::new();
    for (file, revision) in repo.attribute(head, want, known, progress)? {
        let Some(path) = std::str::from_utf8(&file).ok().and_then(ExistingPath::of_file) else {
            continue;
        };
        let Some(entry) = pages.get(path.as_str()) else { continue };
        let commit = match commits.entry(revision) {
            Slot::Occupied(known) => known.into_mut(),
            Slot::Vacant(new) => new.insert(repo.commit(revision)?),
        };
        changed.push(summarise(repo, &path, *entry, revision, commit)?);
    }
    Ok(CatchUp { head, changed, pages })
}

impl CatchUp {
    /// Writes what was found.
    pub(crate) fn apply(&self, transaction: &Transaction<'_>) -> Result<(), DbError> {
        let mut select = transaction.prepare("select path from page")?;
        let known =
            select.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        for gone in known.iter().filter(|path| !self.pages.contains_key(*path)) {
            remove(transaction, gone)?;
        }
        for page in &self.changed {
            put(transaction, page)?;
        }
        set_indexed(transaction, Some(self.head))
    }
}

/// The pages of a commit: ordinary files that end in `.md` and have a UTF-8 name.
fn pages(repo: &Repo, head: Revision) -> Result<BTreeMap<String, Entry>, RepoError> {
    let files = repo.files(head)?;
    let pages =
        files.into_iter().filter(|(_, entry)| entry.is_file()).filter_map(|(file, entry)| {
            let path = ExistingPath::of_file(std::str::from_utf8(&file).ok()?)?;
            Some((path.as_str().to_owned(), entry))
        });
    Ok(pages.collect())
}

fn summarise(
    repo: &Repo,
    path: &ExistingPath,
    entry: Entry,
    revision: Revision,
    commit: &Commit,
) -> Result<PageSummary, RepoError> {
    let content = repo.blob(entry.id)?;
    Ok(PageSummary {
        path: path.as_str().to_owned(),
        title: title(path, &content),
        etag: entry.id,
        size: content.len() as u64,
        revision,
        author: commit.author.clone(),
        modified: from_seconds(commit.time),
    })
}

#[cfg(test)]
mod tests;
