//! Who is what in which wiki.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{Catalog, CatalogError, now, require_wiki, row};
use crate::{Member, Role, TenantId};

impl Catalog {
    /// Makes somebody a member, or changes what they are.
    ///
    /// # Errors
    /// There is no such wiki; the subject is empty; the file can't be written.
    pub(crate) fn set_member(
        &self,
        id: TenantId,
        subject: &str,
        role: Role,
    ) -> Result<(), CatalogError> {
        self.db.write(|transaction| {
            require_wiki(transaction, id)?;
            set(transaction, id, subject, role)
        })
    }

    /// Ends a membership; `false` if there was none.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn remove_member(&self, id: TenantId, subject: &str) -> Result<bool, CatalogError> {
        self.db.write(|transaction| {
            let removed = transaction.execute(
                "delete from acls where wiki = ?1 and subject = ?2",
                params![id.to_string(), subject],
            )?;
            Ok(removed == 1)
        })
    }

    /// What somebody is in a wiki.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn role_of(
        &self,
        id: TenantId,
        subject: &str,
    ) -> Result<Option<Role>, CatalogError> {
        self.db.read(|connection| {
            let mut statement = connection
                .prepare_cached("select role from acls where wiki = ?1 and subject = ?2")?;
            let role = statement
                .query_row(params![id.to_string(), subject], |found| row::parsed(found, "role"));
            Ok(role.optional()?)
        })
    }

    /// The members whose subjects come after `after`, in the order of their subjects.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn members(
        &self,
        id: TenantId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Member>, CatalogError> {
        self.db.read(|connection| {
            let mut statement = connection.prepare_cached(
                "select subject, role from acls where wiki = ?1 and subject > ?2 order by subject limit ?3",
            )?;
            let rows = statement.query_map(params![id.to_string(), after.unwrap_or(""), limit], |found| {
                Ok(Member { subject: found.get("subject")?, role: row::parsed(found, "role")? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

/// Makes somebody a member within a transaction, and a user if they are new to the platform.
pub(super) fn set(
    transaction: &Transaction<'_>,
    id: TenantId,
    subject: &str,
    role: Role,
) -> Result<(), CatalogError> {
    transaction
        .prepare_cached(
            "insert into users (subject, created) values (?1, ?2) on conflict do nothing",
        )?
        .execute(params![subject, now().unix_timestamp()])?;
    transaction
        .prepare_cached(
            "insert into acls (wiki, subject, role) values (?1, ?2, ?3)
             on conflict do update set role = excluded.role",
        )?
        .execute(params![id.to_string(), subject, role.as_str()])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::{garden, scratch};

    #[test]
    fn a_member_has_one_role_until_removed() {
        let (_dir, catalog) = scratch();
        let id = garden(&catalog).id;
        assert_eq!(catalog.role_of(id, "ann").unwrap(), None);
        catalog.set_member(id, "ann", Role::Reader).unwrap();
        catalog.set_member(id, "ann", Role::Admin).unwrap();
        assert_eq!(catalog.role_of(id, "ann").unwrap(), Some(Role::Admin));
        assert!(catalog.remove_member(id, "ann").unwrap());
        assert!(!catalog.remove_member(id, "ann").unwrap());
        assert_eq!(catalog.role_of(id, "ann").unwrap(), None);
    }

    #[test]
    fn members_are_listed_by_page() {
        let (_dir, catalog) = scratch();
        let id = garden(&catalog).id;
        for subject in ["cid", "ann", "bob"] {
            catalog.set_member(id, subject, Role::Editor).unwrap();
        }
        let subjects = |after, limit| -> Vec<String> {
            catalog
                .members(id, after, limit)
                .unwrap()
                .into_iter()
                .map(|member| member.subject)
                .collect()
        };
        assert_eq!(subjects(None, 2), ["ann", "bob"]);
        assert_eq!(subjects(Some("bob"), 2), ["cid"]);
    }

    #[test]
    fn a_wiki_that_does_not_exist_has_no_members() {
        let (_dir, catalog) = scratch();
        let error = catalog.set_member(TenantId::random(), "ann", Role::Reader).unwrap_err();
        assert!(error.is_not_found(), "{error}");
    }
}
