//! The sealed secrets of wikis.

use rusqlite::{OptionalExtension as _, params};

use super::row::parsed;
use super::{Catalog, CatalogError, now, require_wiki};
use crate::TenantId;
use crate::secrets::{Sealed, channel_name, credential_name, webhook_name};

impl Catalog {
    /// Stores a sealed value, replacing the previous one of this name.
    ///
    /// # Errors
    /// The wiki doesn't exist; the name is empty; the file can't be written.
    pub(crate) fn put_secret(
        &self,
        wiki: TenantId,
        name: &str,
        value: &Sealed,
    ) -> Result<(), CatalogError> {
        self.db.write(|transaction| {
            require_wiki(transaction, wiki)?;
            transaction.execute(
                "insert into secrets (wiki, name, nonce, sealed, created) values (?1, ?2, ?3, ?4, ?5)
                 on conflict do update set nonce = excluded.nonce, sealed = excluded.sealed, created = excluded.created",
                params![wiki.to_string(), name, value.nonce, value.sealed, now().unix_timestamp()],
            )?;
            Ok(())
        })
    }

    /// The sealed value of this name.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn secret(
        &self,
        wiki: TenantId,
        name: &str,
    ) -> Result<Option<Sealed>, CatalogError> {
        self.db.read(|connection| {
            let sql = "select nonce, sealed from secrets where wiki = ?1 and name = ?2";
            let read = |row: &rusqlite::Row<'_>| {
                Ok(Sealed { nonce: row.get("nonce")?, sealed: row.get("sealed")? })
            };
            let mut statement = connection.prepare_cached(sql)?;
            Ok(statement.query_row(params![wiki.to_string(), name], read).optional()?)
        })
    }

    /// Passes each sealed value of all wikis, with the name it was sealed under, to `is_found` until that returns
    /// `true`. Returns `false` if it never does.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn any_sealed(
        &self,
        mut is_found: impl FnMut(TenantId, &str, &Sealed) -> bool,
    ) -> Result<bool, CatalogError> {
        self.db.read(|connection| {
            let mut statement = connection.prepare(
                "select 'secret' as kind, wiki, name, nonce, sealed from secrets
                 union all
                 select 'credential', wiki, id, credential_nonce, credential_sealed from links
                     where credential_sealed is not null
                 union all
                 select 'webhook', wiki, id, webhook_nonce, webhook_sealed from links
                 union all
                 select 'channel', wiki, id, nonce, sealed from channels where sealed is not null",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (kind, id): (String, String) = (row.get("kind")?, row.get("name")?);
                let name = match kind.as_str() {
                    "credential" => credential_name(&id),
                    "webhook" => webhook_name(&id),
                    "channel" => channel_name(&id),
                    _ => id,
                };
                let sealed = Sealed { nonce: row.get("nonce")?, sealed: row.get("sealed")? };
                if is_found(parsed(row, "wiki")?, &name, &sealed) {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// Removes a secret. Returns `false` if it didn't exist.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn remove_secret(&self, wiki: TenantId, name: &str) -> Result<bool, CatalogError> {
        self.db.write(|transaction| {
            let removed = transaction.execute(
                "delete from secrets where wiki = ?1 and name = ?2",
                params![wiki.to_string(), name],
            )?;
            Ok(removed == 1)
        })
    }

    /// The names of a wiki's secrets in alphabetical order.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn secret_names(&self, wiki: TenantId) -> Result<Vec<String>, CatalogError> {
        self.db.read(|connection| {
            let sql = "select name from secrets where wiki = ?1 order by name";
            let mut statement = connection.prepare_cached(sql)?;
            let names = statement.query_map([wiki.to_string()], |row| row.get(0))?;
            Ok(names.collect::<Result<_, _>>()?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::{garden, scratch, settled};

    fn sealed(byte: u8) -> Sealed {
        Sealed { nonce: vec![byte; 24], sealed: vec![byte] }
    }

    #[test]
    fn each_wiki_has_its_own_secrets_by_name() {
        let (_dir, catalog) = scratch();
        let (garden, kitchen) = (garden(&catalog).id, settled(&catalog, "kitchen").id);
        catalog.put_secret(garden, "B", &sealed(1)).unwrap();
        catalog.put_secret(garden, "A", &sealed(2)).unwrap();
        catalog.put_secret(garden, "B", &sealed(3)).unwrap();
        assert_eq!(catalog.secret_names(garden).unwrap(), ["A", "B"]);
        assert_eq!(catalog.secret(garden, "B").unwrap(), Some(sealed(3)));
        assert_eq!(catalog.secret(kitchen, "B").unwrap(), None);
        assert!(catalog.remove_secret(garden, "A").unwrap());
        assert!(!catalog.remove_secret(garden, "A").unwrap());
        catalog.put_secret(TenantId::random(), "A", &sealed(1)).unwrap_err();
    }

    #[test]
    fn a_wiki_that_goes_takes_its_secrets_along() {
        let (_dir, catalog) = scratch();
        let id = garden(&catalog).id;
        catalog.put_secret(id, "A", &sealed(1)).unwrap();
        catalog.begin_delete(id).unwrap();
        catalog.finish_delete(id).unwrap();
        assert_eq!(catalog.secret_names(id).unwrap(), [""; 0]);
    }
}
