//! The members of wikis and their roles.

use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::{Catalog, CatalogError, require_wiki, row, users};
use crate::{Member, Membership, Role, TenantId};

const SELECT: &str = "
    select acls.subject, role, name, email, suspended is not null as suspended
    from acls join users on users.subject = acls.subject where wiki = ?1 ";

impl Catalog {
    /// Makes a user a member, or changes a member's role.
    ///
    /// # Errors
    /// The wiki doesn't exist; the subject is invalid; the wiki would lose its last owner; the file can't be written.
    pub(crate) fn set_member(
        &self,
        id: TenantId,
        subject: &str,
        role: Role,
    ) -> Result<(), CatalogError> {
        self.db.write(|transaction| {
            require_wiki(transaction, id)?;
            if role != Role::Owner {
                keep_an_owner(transaction, id, subject)?;
            }
            set(transaction, id, subject, role)
        })
    }

    /// Ends a membership. Returns `false` if there was none.
    ///
    /// # Errors
    /// The wiki would lose its last owner; the file can't be written.
    pub(crate) fn remove_member(&self, id: TenantId, subject: &str) -> Result<bool, CatalogError> {
        self.db.write(|transaction| {
            keep_an_owner(transaction, id, subject)?;
            let removed = transaction.execute(
                "delete from acls where wiki = ?1 and subject = ?2",
                params![id.to_string(), subject],
            )?;
            Ok(removed == 1)
        })
    }

    /// The membership of a subject in a wiki. An unknown subject is no member.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn membership(
        &self,
        id: TenantId,
        subject: &str,
    ) -> Result<Membership, CatalogError> {
        self.db.read(|connection| {
            let mut statement = connection.prepare_cached(
                "select role, suspended, reason from users
                 left join acls on acls.subject = users.subject and acls.wiki = ?1
                 where users.subject = ?2",
            )?;
            let found = statement.query_row(params![id.to_string(), subject], |found| {
                let suspended = users::suspension(found)?.map(Into::into);
                Ok(Membership { role: row::optional_parsed(found, "role")?, suspended })
            });
            Ok(found.optional()?.unwrap_or_default())
        })
    }

    /// The member of a wiki with this subject.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn member(
        &self,
        id: TenantId,
        subject: &str,
    ) -> Result<Option<Member>, CatalogError> {
        self.db.read(|connection| {
            let mut statement =
                connection.prepare_cached(&format!("{SELECT}and acls.subject = ?2"))?;
            Ok(statement.query_row(params![id.to_string(), subject], read).optional()?)
        })
    }

    /// The members of a wiki with subjects after `after`, in the order of their subjects.
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
            let mut statement = connection.prepare_cached(&format!(
                "{SELECT}and acls.subject > ?2 order by acls.subject limit ?3"
            ))?;
            let rows =
                statement.query_map(params![id.to_string(), after.unwrap_or(""), limit], read)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

/// Makes a subject a member within a transaction, and a user if the subject is new to the platform.
pub(super) fn set(
    transaction: &Transaction<'_>,
    id: TenantId,
    subject: &str,
    role: Role,
) -> Result<(), CatalogError> {
    users::ensure(transaction, subject)?;
    transaction
        .prepare_cached(
            "insert into acls (wiki, subject, role) values (?1, ?2, ?3)
             on conflict do update set role = excluded.role",
        )?
        .execute(params![id.to_string(), subject, role.as_str()])?;
    Ok(())
}

/// The role of a subject in a wiki, within a transaction.
pub(super) fn role(
    transaction: &Transaction<'_>,
    id: TenantId,
    subject: &str,
) -> Result<Option<Role>, CatalogError> {
    let mut statement =
        transaction.prepare_cached("select role from acls where wiki = ?1 and subject = ?2")?;
    let role =
        statement.query_row(params![id.to_string(), subject], |found| row::parsed(found, "role"));
    Ok(role.optional()?)
}

/// Returns an error if the subject is the only owner, within the transaction that would end the ownership.
fn keep_an_owner(
    transaction: &Transaction<'_>,
    id: TenantId,
    subject: &str,
) -> Result<(), CatalogError> {
    let mut statement = transaction.prepare_cached(
        "select count(*) = 1 and max(subject) = ?2 from acls where wiki = ?1 and role = 'owner'",
    )?;
    let is_last: Option<bool> =
        statement.query_row(params![id.to_string(), subject], |found| found.get(0))?;
    if is_last == Some(true) { Err(CatalogError::LastOwner) } else { Ok(()) }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Member> {
    Ok(Member {
        subject: row.get("subject")?,
        role: row::parsed(row, "role")?,
        name: row.get("name")?,
        email: row.get("email")?,
        suspended: row.get("suspended")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::{garden, scratch};

    impl Catalog {
        pub(crate) fn role_of(
            &self,
            id: TenantId,
            subject: &str,
        ) -> Result<Option<Role>, CatalogError> {
            Ok(self.membership(id, subject)?.role)
        }
    }

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
    fn the_last_owner_stays() {
        let (_dir, catalog) = scratch();
        let id = garden(&catalog).id;
        let is_kept =
            |result: Result<(), CatalogError>| matches!(result, Err(CatalogError::LastOwner));
        catalog.set_member(id, "ann", Role::Owner).unwrap();
        assert!(is_kept(catalog.set_member(id, "ann", Role::Admin)));
        assert!(is_kept(catalog.remove_member(id, "ann").map(drop)));
        catalog.set_member(id, "ann", Role::Owner).unwrap();
        // Another member comes and goes all the same.
        catalog.set_member(id, "bob", Role::Reader).unwrap();
        assert!(catalog.remove_member(id, "bob").unwrap());
        assert!(!catalog.remove_member(id, "bob").unwrap());
        catalog.set_member(id, "bob", Role::Owner).unwrap();
        catalog.set_member(id, "ann", Role::Reader).unwrap();
        assert!(is_kept(catalog.remove_member(id, "bob").map(drop)));
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
