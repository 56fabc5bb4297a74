//! The table of wikis. Each step of a wiki's life cycle is one transaction, so that after a crash the row's state tells
//! the last completed step.

use rusqlite::{OptionalExtension as _, Params, Row, Transaction, params};

use super::{Catalog, CatalogError, links, members, now, row};
use crate::{Domain, NewTenant, Quota, Role, Slug, State, Tenant, TenantId, TenantUpdate};

/// The columns for [`read`]. The owner is looked up among the members, because a second copy could become inconsistent.
const SELECT: &str = "
    select id, coalesce(slug, former_slug) as name, title, visibility, state, reason, preferences, created,
        max_bytes, max_pages, max_disk_bytes,
        (select min(subject) from acls where wiki = id and role = 'owner') as owner
    from wikis ";

impl Catalog {
    /// Reserves the name and makes the row of a wiki whose files don't exist yet.
    ///
    /// # Errors
    /// [`SlugTaken`](CatalogError::SlugTaken); the file can't be written.
    pub(crate) fn begin_create(&self, new: &NewTenant) -> Result<Tenant, CatalogError> {
        let tenant = Tenant {
            id: TenantId::random(),
            slug: new.slug.clone(),
            title: new.title.clone(),
            owner: new.owner.clone(),
            visibility: new.visibility,
            state: State::Creating,
            preferences: new.preferences.clone(),
            created: now(),
            quota: new.quota,
        };
        self.db.write(|transaction| {
            insert(transaction, &tenant)?;
            if let Some(owner) = &tenant.owner {
                members::set(transaction, tenant.id, owner, Role::Owner)?;
            }
            Ok(tenant)
        })
    }

    /// Opens a wiki to its users once its files are complete.
    ///
    /// # Errors
    /// The wiki doesn't exist, or is being deleted; the file can't be written.
    pub(crate) fn activate(&self, id: TenantId) -> Result<Tenant, CatalogError> {
        self.db.write(|transaction| put_into(transaction, id, &State::Active))
    }

    /// Changes title, visibility, quota and state in one transaction.
    ///
    /// # Errors
    /// The wiki doesn't exist, or is being created or deleted; the file can't be written.
    pub(crate) fn update(
        &self,
        id: TenantId,
        update: &TenantUpdate,
    ) -> Result<Tenant, CatalogError> {
        self.db.write(|transaction| {
            let before = required(transaction, id)?;
            let state = update.state.as_ref().unwrap_or(&before.state);
            if !before.state.is_settled() || !state.is_settled() {
                let (from, to) = (before.state.clone(), state.clone());
                return Err(CatalogError::Transition { from, to });
            }
            let title = update.title.as_ref().unwrap_or(&before.title);
            let visibility = update.visibility.unwrap_or(before.visibility);
            let bytes = update.max_bytes.unwrap_or(before.quota.bytes);
            let pages = update.max_pages.unwrap_or(before.quota.pages);
            let disk_bytes = update.max_disk_bytes.unwrap_or(before.quota.disk_bytes);
            transaction
                .prepare_cached(
                    "update wikis set title = ?2, visibility = ?3, max_bytes = ?4, max_pages = ?5,
                         max_disk_bytes = ?6
                     where id = ?1",
                )?
                .execute(params![
                    id.to_string(),
                    title,
                    visibility.as_str(),
                    stored(bytes),
                    stored(pages),
                    stored(disk_bytes)
                ])?;
            put_into(transaction, id, state)
        })
    }

    /// Closes a wiki to its users for good. Afterwards its files may be removed.
    ///
    /// # Errors
    /// The wiki doesn't exist, or is still being created; the file can't be written.
    pub(crate) fn begin_delete(&self, id: TenantId) -> Result<Tenant, CatalogError> {
        self.db.write(|transaction| put_into(transaction, id, &State::Deleting))
    }

    /// Frees the name and the domains of a wiki whose files were removed, and removes its members, tokens, secrets,
    /// links and invitations.
    ///
    /// # Errors
    /// The wiki doesn't exist, or its deletion hasn't begun; the file can't be written.
    pub(crate) fn finish_delete(&self, id: TenantId) -> Result<(), CatalogError> {
        self.db.write(|transaction| {
            let from = required(transaction, id)?.state;
            if !from.may_become(&State::Deleted) {
                return Err(CatalogError::Transition { from, to: State::Deleted });
            }
            let id = id.to_string();
            transaction.execute("delete from acls where wiki = ?1", [&id])?;
            transaction.execute("delete from tokens where wiki = ?1", [&id])?;
            transaction.execute("delete from domains where wiki = ?1", [&id])?;
            transaction.execute("delete from secrets where wiki = ?1", [&id])?;
            links::forget(transaction, &id)?;
            transaction.execute("delete from invitations where wiki = ?1", [&id])?;
            transaction.execute(
                "update wikis set state = 'deleted', former_slug = slug, slug = null, deleted = ?2
                 where id = ?1 and state = 'deleting'",
                params![id, now().unix_timestamp()],
            )?;
            Ok(())
        })
    }

    /// Removes the row of a wiki whose creation wasn't completed.
    ///
    /// # Errors
    /// No such wiki is being created; the file can't be written.
    pub(crate) fn forget(&self, id: TenantId) -> Result<(), CatalogError> {
        self.db.write(|transaction| {
            let removed = transaction.execute(
                "delete from wikis where id = ?1 and state = 'creating'",
                [id.to_string()],
            )?;
            if removed == 1 { Ok(()) } else { Err(CatalogError::UnknownWiki(id)) }
        })
    }

    /// The wiki with this name, in any state.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn by_slug(&self, slug: &Slug) -> Result<Option<Tenant>, CatalogError> {
        self.one("where slug = ?1", [slug.as_str()])
    }

    /// Looks up an invalid name, which costs as much as looking up the name of a wiki that doesn't exist.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn look_for_no_wiki(&self) -> Result<(), CatalogError> {
        self.one("where slug = ?1", [""]).map(drop)
    }

    /// The wiki with this id, even a deleted one.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn by_id(&self, id: TenantId) -> Result<Option<Tenant>, CatalogError> {
        self.one("where id = ?1", [id.to_string()])
    }

    /// The wiki that owns this domain, in any state.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn by_domain(&self, domain: &Domain) -> Result<Option<Tenant>, CatalogError> {
        self.one("where id = (select wiki from domains where domain = ?1)", [domain.as_str()])
    }

    /// The settled wikis with names after `after`, in the order of their names.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn list(
        &self,
        after: Option<&Slug>,
        limit: u32,
    ) -> Result<Vec<Tenant>, CatalogError> {
        let rest = "where slug > ?1 and state in ('active', 'read_only', 'suspended') order by slug limit ?2";
        self.many(rest, params![after.map_or("", Slug::as_str), limit])
    }

    /// The wikis whose creation or deletion was begun and not completed, the oldest first.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn unfinished(&self) -> Result<Vec<Tenant>, CatalogError> {
        self.many(UNFINISHED, [])
    }

    fn one(&self, rest: &str, params: impl Params) -> Result<Option<Tenant>, CatalogError> {
        Ok(self.many(rest, params)?.pop())
    }

    fn many(&self, rest: &str, params: impl Params) -> Result<Vec<Tenant>, CatalogError> {
        self.db.read(|connection| {
            let mut statement = connection.prepare_cached(&format!("{SELECT}{rest}"))?;
            let rows = statement.query_map(params, read)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

/// Must repeat the condition of the partial index literally, or SQLite doesn't use it.
const UNFINISHED: &str = "where state in ('creating', 'deleting') order by created";

fn insert(transaction: &Transaction<'_>, tenant: &Tenant) -> Result<(), CatalogError> {
    let preferences = serde_json::to_string(&tenant.preferences).expect("texts are JSON");
    let inserted = transaction
        .prepare_cached(
            "insert into wikis (id, slug, title, visibility, state, preferences, created, max_bytes, max_pages,
                max_disk_bytes)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) on conflict (slug) do nothing",
        )?
        .execute(params![
            tenant.id.to_string(),
            tenant.slug.as_str(),
            tenant.title,
            tenant.visibility.as_str(),
            tenant.state.as_str(),
            preferences,
            tenant.created.unix_timestamp(),
            stored(tenant.quota.bytes),
            stored(tenant.quota.pages),
            stored(tenant.quota.disk_bytes),
        ])?;
    if inserted == 1 { Ok(()) } else { Err(CatalogError::SlugTaken(tenant.slug.clone())) }
}

/// A limit as stored. A limit that exceeds SQLite's integers is stored as the greatest one, which no wiki reaches.
fn stored(limit: Option<u64>) -> Option<i64> {
    limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX))
}

fn limit(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<u64>> {
    let limit: Option<i64> = row.get(column)?;
    limit
        .map(|limit| u64::try_from(limit).map_err(|error| row::unreadable(row, column, error)))
        .transpose()
}

fn required(transaction: &Transaction<'_>, id: TenantId) -> Result<Tenant, CatalogError> {
    let mut statement = transaction.prepare_cached(&format!("{SELECT}where id = ?1"))?;
    let found = statement.query_row([id.to_string()], read).optional()?;
    found.ok_or(CatalogError::UnknownWiki(id))
}

/// Puts a wiki into any state but deleted, if the transition is allowed.
fn put_into(
    transaction: &Transaction<'_>,
    id: TenantId,
    next: &State,
) -> Result<Tenant, CatalogError> {
    let mut tenant = required(transaction, id)?;
    if !tenant.state.may_become(next) {
        return Err(CatalogError::Transition { from: tenant.state, to: next.clone() });
    }
    transaction
        .prepare_cached("update wikis set state = ?2, reason = ?3 where id = ?1")?
        .execute(params![id.to_string(), next.as_str(), next.reason()])?;
    tenant.state = next.clone();
    Ok(tenant)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Tenant> {
    let (name, state, preferences): (String, String, String) =
        (row.get("name")?, row.get("state")?, row.get("preferences")?);
    let state = State::from_parts(&state, row.get("reason")?);
    Ok(Tenant {
        id: row::parsed(row, "id")?,
        slug: Slug::stored(&name).map_err(|error| row::unreadable(row, "name", error))?,
        title: row.get("title")?,
        owner: row.get("owner")?,
        visibility: row::parsed(row, "visibility")?,
        state: state.ok_or_else(|| row::unreadable(row, "state", "there is no such state"))?,
        preferences: serde_json::from_str(&preferences)
            .map_err(|error| row::unreadable(row, "preferences", error))?,
        created: row::time(row, "created")?,
        quota: Quota {
            bytes: limit(row, "max_bytes")?,
            pages: limit(row, "max_pages")?,
            disk_bytes: limit(row, "max_disk_bytes")?,
        },
    })
}

#[cfg(test)]
mod tests;
