//! Imports rows into a wiki's own tables, and refreshes them when the source has changed.
//!
//! The table `cache` remembers the hash of each imported item. If the table is emptied, no item counts as unchanged any
//! more, and a later refresh leaves the wiki's rows as they are.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::database::{count_all, insert_draft, insert_preferences, insert_users, read_tables};
use super::tables::{Draft, Tables};
use crate::db::DbError;
use crate::error::Error;
use crate::page_path::ExistingPath;
use crate::repo::blob_id;
use crate::revision::Revision;
use crate::wiki::Wiki;

/// Prefix of the keys that remember an import.
const MARK: &str = "imported:";

/// The outcome of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Pages with a draft whose commit isn't in the history, or is ambiguous.
    pub unresolved: Vec<String>,
}

/// The outcome of a refresh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refresh {
    /// Items that changed at the source and were taken over: `preference NAME`, `draft PAGE of SUBJECT`.
    pub taken: Vec<String>,
    /// Items that changed at the source and here: the wiki's version stays.
    pub kept: Vec<String>,
}

impl Wiki {
    /// Returns the wiki's own rows. Drafts and users have subjects and page paths.
    ///
    /// # Errors
    /// wiki.db can't be read.
    pub fn source_tables(&self) -> Result<Tables, Error> {
        let tables = self.database()?.read(|connection| {
            read_tables(connection, |table| count_all(connection, table), |_| Ok(()))
        })?;
        Ok(tables.unwrap_or_default())
    }

    /// Imports rows into the tables of a new wiki. The drafts' pages and subjects must be named as in this wiki; the
    /// commits that they are based on are looked up by their abbreviated ids.
    ///
    /// # Errors
    /// wiki.db can't be written; two users have the same address.
    pub fn adopt(&self, tables: &Tables) -> Result<Adopted, Error> {
        let (drafts, adopted) = self.resolve_drafts(&tables.drafts)?;
        self.insert(tables, &drafts)?;
        Ok(adopted)
    }

    /// Copies the rows of another wikigrove wiki into the tables of a new one, unchanged. May be called again with
    /// further rows.
    ///
    /// # Errors
    /// wiki.db can't be written; two users have the same address.
    pub fn put_rows(&self, tables: &Tables) -> Result<(), Error> {
        self.insert(tables, &tables.drafts)
    }

    fn insert(&self, tables: &Tables, drafts: &[Draft]) -> Result<(), Error> {
        let found = items(tables)?;
        self.write(|unit| {
            unit.also(|transaction| {
                insert_preferences(transaction, &tables.preferences)?;
                insert_users(transaction, &tables.users)?;
                for draft in drafts {
                    insert_draft(transaction, draft, true)?;
                }
                for (item, hash) in &found {
                    remember(transaction, item, Some(hash))?;
                }
                Ok(())
            });
            Ok(())
        })?;
        self.remembered_preferences().forget();
        self.outdate_index()
    }

    /// Takes over the preferences and drafts that have changed at the source since their import, except those that have
    /// changed here, too.
    ///
    /// # Errors
    /// wiki.db can't be read or written.
    pub fn refresh(&self, tables: &Tables) -> Result<Refresh, Error> {
        let (drafts, _) = self.resolve_drafts(&tables.drafts)?;
        let theirs = items(tables)?;
        let (refresh, _) = self.write(|unit| {
            let ours = items(&self.source_tables()?)?;
            let brought = self.database()?.read(brought)?;
            let (changes, refresh) = compare(&theirs, &ours, &brought);
            let (drafts, theirs) = (&drafts, &theirs);
            unit.also(move |transaction| {
                for item in &changes.agreed {
                    remember(transaction, item, theirs.get(item))?;
                }
                for (name, value) in &tables.preferences {
                    if changes.take.contains(&Item::Preference(name.clone())) {
                        insert_preferences(transaction, &[(name.clone(), value.clone())])?;
                    }
                }
                for item in &changes.take {
                    replace_draft(transaction, item, drafts)?;
                }
                Ok(())
            });
            Ok(refresh)
        })?;
        self.remembered_preferences().forget();
        self.outdate_index()?;
        Ok(refresh)
    }

    fn resolve_drafts(&self, drafts: &[Draft]) -> Result<(Vec<Draft>, Adopted), Error> {
        let history = match self.head()? {
            Some(head) if !drafts.is_empty() => self.repo().commits_since(None, head)?,
            _ => Vec::new(),
        };
        let history: Vec<_> = history.into_iter().map(|id| (id.to_string(), id)).collect();
        let mut adopted = Adopted::default();
        let mut resolved = drafts.to_vec();
        for draft in &mut resolved {
            let Some(short) = draft.revision.as_deref().filter(|short| !short.is_empty()) else {
                continue;
            };
            match unique(&history, short) {
                Some(revision) => {
                    draft.revision = Some(revision.to_string());
                    draft.base = self.version_at(&draft.page, revision)?;
                }
                None => adopted.unresolved.push(draft.page.clone()),
            }
        }
        Ok((resolved, adopted))
    }

    fn version_at(&self, page: &str, at: Revision) -> Result<Option<crate::revision::Etag>, Error> {
        let Ok(path) = ExistingPath::new(page) else { return Ok(None) };
        let entry = self.repo().entry(at, &path.file())?;
        Ok(entry.filter(|entry| entry.is_file()).map(|entry| entry.id))
    }
}

/// Returns the only commit whose id has this prefix. Fewer than four digits are too ambiguous.
fn unique(history: &[(String, Revision)], short: &str) -> Option<Revision> {
    let mut found = history.iter().filter(|(id, _)| short.len() >= 4 && id.starts_with(short));
    let first = found.next()?;
    found.next().is_none().then_some(first.1)
}

/// A compared item: one preference, or one draft.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    Preference(String),
    Draft { page: String, author: String },
}

impl Item {
    fn key(&self) -> String {
        match self {
            Self::Preference(name) => format!("{MARK}preference:{name}"),
            Self::Draft { page, author } => format!("{MARK}draft:{author}\n{page}"),
        }
    }

    fn of_key(key: &str) -> Option<Self> {
        let rest = key.strip_prefix(MARK)?;
        if let Some(name) = rest.strip_prefix("preference:") {
            return Some(Self::Preference(name.to_owned()));
        }
        let (author, page) = rest.strip_prefix("draft:")?.split_once('\n')?;
        Some(Self::Draft { page: page.to_owned(), author: author.to_owned() })
    }

    fn of_draft(draft: &Draft) -> Self {
        let author = draft.author.clone().unwrap_or_default();
        Self::Draft { page: draft.page.clone(), author }
    }
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Preference(name) => write!(f, "preference {name}"),
            Self::Draft { page, author } => write!(f, "draft {page} of {author}"),
        }
    }
}

type Hashes = BTreeMap<Item, String>;

fn items(tables: &Tables) -> Result<Hashes, Error> {
    let mut items = Hashes::new();
    for (name, value) in &tables.preferences {
        let hash = match value {
            Some(value) => blob_id(value.as_bytes())?.to_string(),
            None => String::new(),
        };
        items.insert(Item::Preference(name.clone()), hash);
    }
    for draft in &tables.drafts {
        let content = draft.content.as_deref().unwrap_or_default();
        items.insert(Item::of_draft(draft), blob_id(content.as_bytes())?.to_string());
    }
    Ok(items)
}

/// The changes that a refresh makes.
#[derive(Default)]
struct Changes {
    /// Items to write here, or to remove.
    take: Vec<Item>,
    /// Items to remember: they are equal on both sides from now on.
    agreed: Vec<Item>,
}

fn compare(theirs: &Hashes, ours: &Hashes, brought: &Hashes) -> (Changes, Refresh) {
    let (mut changes, mut refresh) = (Changes::default(), Refresh::default());
    // A preference is never deleted at the source; a draft is, when it is saved.
    let gone = brought
        .keys()
        .filter(|item| matches!(item, Item::Draft { .. }) && !theirs.contains_key(*item));
    for item in theirs.keys().chain(gone) {
        let (new, here, before) = (theirs.get(item), ours.get(item), brought.get(item));
        if new == before {
            continue;
        }
        if here == before {
            changes.take.push(item.clone());
            refresh.taken.push(item.to_string());
        } else if here != new {
            refresh.kept.push(item.to_string());
            continue;
        }
        changes.agreed.push(item.clone());
    }
    (changes, refresh)
}

fn brought(connection: &Connection) -> Result<Hashes, Error> {
    let sql = "select \"key\", value from cache where \"key\" like ?1 and value is not null";
    let mut select = connection.prepare(sql).map_err(DbError::from)?;
    let rows = select
        .query_map([format!("{MARK}%")], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(DbError::from)?;
    let rows: Vec<(String, String)> = rows.collect::<Result<_, _>>().map_err(DbError::from)?;
    Ok(rows.into_iter().filter_map(|(key, hash)| Some((Item::of_key(&key)?, hash))).collect())
}

fn remember(connection: &Connection, item: &Item, hash: Option<&String>) -> rusqlite::Result<()> {
    let key = item.key();
    match hash {
        Some(hash) => {
            let sql = "insert into cache (\"key\", value) values (?1, ?2)
                       on conflict (\"key\") do update set value = excluded.value";
            connection.prepare_cached(sql)?.execute(params![key, hash]).map(drop)
        }
        None => connection.execute("delete from cache where \"key\" = ?1", [key]).map(drop),
    }
}

fn replace_draft(connection: &Connection, item: &Item, drafts: &[Draft]) -> rusqlite::Result<()> {
    let Item::Draft { page, author } = item else { return Ok(()) };
    connection.execute(
        "delete from drafts where pagepath = ?1 and coalesce(author_email, '') = ?2",
        params![page, author],
    )?;
    match drafts.iter().find(|draft| Item::of_draft(draft) == *item) {
        Some(draft) => insert_draft(connection, draft, true),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
