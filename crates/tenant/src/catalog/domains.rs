//! The host names of wikis.

use rusqlite::params;

use super::{Catalog, CatalogError, require_wiki, row};
use crate::{Domain, TenantId};

impl Catalog {
    /// Gives a wiki a domain. Idempotent.
    ///
    /// # Errors
    /// The wiki doesn't exist; another wiki owns the domain; the file can't be written.
    pub(crate) fn add_domain(&self, id: TenantId, domain: &Domain) -> Result<(), CatalogError> {
        self.db.write(|transaction| {
            require_wiki(transaction, id)?;
            let id = id.to_string();
            transaction.execute(
                "insert into domains (domain, wiki) values (?1, ?2) on conflict do nothing",
                params![domain.as_str(), id],
            )?;
            let mut statement =
                transaction.prepare("select 1 from domains where domain = ?1 and wiki = ?2")?;
            let ours = statement.exists(params![domain.as_str(), id])?;
            if ours { Ok(()) } else { Err(CatalogError::DomainTaken(domain.clone())) }
        })
    }

    /// Takes a domain from a wiki. Returns `false` if the wiki didn't own it.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn remove_domain(
        &self,
        id: TenantId,
        domain: &Domain,
    ) -> Result<bool, CatalogError> {
        self.db.write(|transaction| {
            let removed = transaction.execute(
                "delete from domains where domain = ?1 and wiki = ?2",
                params![domain.as_str(), id.to_string()],
            )?;
            Ok(removed == 1)
        })
    }

    /// The domains of a wiki in alphabetical order.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn domains(&self, id: TenantId) -> Result<Vec<Domain>, CatalogError> {
        self.db.read(|connection| {
            let mut statement = connection
                .prepare_cached("select domain from domains where wiki = ?1 order by domain")?;
            let rows =
                statement.query_map([id.to_string()], |found| row::parsed(found, "domain"))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::{garden, scratch, settled};

    #[test]
    fn a_domain_leads_to_one_wiki() {
        let (_dir, catalog) = scratch();
        let (garden, kitchen) = (garden(&catalog), settled(&catalog, "kitchen"));
        let domain: Domain = "Wiki.Ann.example".parse().unwrap();
        assert_eq!(catalog.by_domain(&domain).unwrap(), None);
        catalog.add_domain(garden.id, &domain).unwrap();
        catalog.add_domain(garden.id, &domain).unwrap();
        assert!(catalog.add_domain(kitchen.id, &domain).unwrap_err().is_conflict());
        assert_eq!(catalog.by_domain(&domain).unwrap().unwrap().id, garden.id);
        assert_eq!(catalog.domains(garden.id).unwrap(), std::slice::from_ref(&domain));
        assert!(!catalog.remove_domain(kitchen.id, &domain).unwrap());
        assert!(catalog.remove_domain(garden.id, &domain).unwrap());
        assert_eq!(catalog.by_domain(&domain).unwrap(), None);
    }

    #[test]
    fn a_wiki_that_does_not_exist_has_no_domains() {
        let (_dir, catalog) = scratch();
        let domain = "a.example".parse().unwrap();
        assert!(catalog.add_domain(TenantId::random(), &domain).unwrap_err().is_not_found());
    }
}
