//! Invitations, stored with the hash of their secret.

use rusqlite::{OptionalExtension as _, Row, params};

use super::{Catalog, CatalogError, members, now, require_wiki, row, users};
use crate::invitation::{Acceptance, Invitation, NewInvitation, VALID_FOR};
use crate::token::{self, Secret};
use crate::{Role, TenantId};

const SELECT: &str =
    "select id, wiki, role, email, created, expires, accepted, accepted_by from invitations ";

impl Catalog {
    /// Creates an invitation. Its secret is returned here and not stored.
    ///
    /// # Errors
    /// The wiki doesn't exist; the file can't be written.
    pub(crate) fn create_invitation(
        &self,
        wiki: TenantId,
        new: &NewInvitation,
    ) -> Result<(Invitation, Secret), CatalogError> {
        let secret = Secret::with_prefix("wgi_");
        let created = now();
        let expires = new.expires.map_or(created + VALID_FOR, |time| time.truncate_to_second());
        let invitation = Invitation {
            id: token::random_id(),
            wiki,
            role: new.role,
            email: new.email.clone(),
            created,
            expires,
            accepted: None,
        };
        self.db.write::<_, CatalogError>(|transaction| {
            require_wiki(transaction, wiki)?;
            transaction.execute(
                "insert into invitations (id, wiki, role, email, hash, created, expires)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    invitation.id,
                    wiki.to_string(),
                    invitation.role.as_str(),
                    invitation.email,
                    token::hash(secret.expose()),
                    created.unix_timestamp(),
                    expires.unix_timestamp(),
                ],
            )?;
            Ok(())
        })?;
        Ok((invitation, secret))
    }

    /// The invitations to a wiki with ids after `after`, in the order of their ids, including accepted and expired
    /// ones.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn invitations(
        &self,
        wiki: TenantId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Invitation>, CatalogError> {
        self.db.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "{SELECT}where wiki = ?1 and id > ?2 order by id limit ?3"
            ))?;
            let rows =
                statement.query_map(params![wiki.to_string(), after.unwrap_or(""), limit], read)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Removes an invitation, valid or not. Returns `false` if none has this id.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn revoke_invitation(&self, wiki: TenantId, id: &str) -> Result<bool, CatalogError> {
        self.db.write(|transaction| {
            let removed = transaction.execute(
                "delete from invitations where wiki = ?1 and id = ?2",
                params![wiki.to_string(), id],
            )?;
            Ok(removed == 1)
        })
    }

    /// Returns `true` if the wiki has an invitation with this secret, even a used or expired one.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn has_invitation(
        &self,
        wiki: TenantId,
        secret: &str,
    ) -> Result<bool, CatalogError> {
        self.db.read(|connection| {
            let mut statement = connection
                .prepare_cached("select 1 from invitations where hash = ?1 and wiki = ?2")?;
            Ok(statement.exists(params![token::hash(secret), wiki.to_string()])?)
        })
    }

    /// Makes `subject` a member by an invitation, and returns the role: the greater one of the offered role and the
    /// present one. Of two simultaneous callers one gets an error that the invitation was used; a repeated call of the
    /// same subject returns the role from the first call.
    ///
    /// # Errors
    /// The wiki has no such invitation; the invitation was used or has expired; the subject is invalid, or the user is
    /// suspended; the file can't be written.
    pub(crate) fn accept_invitation(
        &self,
        wiki: TenantId,
        secret: &str,
        subject: &str,
    ) -> Result<Role, CatalogError> {
        self.db.write(|transaction| {
            let invitation = {
                let mut statement = transaction
                    .prepare_cached(&format!("{SELECT}where hash = ?1 and wiki = ?2"))?;
                let found = statement
                    .query_row(params![token::hash(secret), wiki.to_string()], read)
                    .optional()?;
                found.ok_or(CatalogError::UnknownInvitation)?
            };
            let before = members::role(transaction, wiki, subject)?;
            match (&invitation.accepted, before) {
                (Some(accepted), Some(role)) if accepted.by == subject => return Ok(role),
                (Some(_), _) => return Err(CatalogError::SpentInvitation { expired: false }),
                (None, _) => {}
            }
            if invitation.expires <= now() {
                return Err(CatalogError::SpentInvitation { expired: true });
            }
            users::ensure(transaction, subject)?;
            if let Some(suspension) = users::required(transaction, subject)?.suspended {
                return Err(CatalogError::SuspendedUser { reason: suspension.reason });
            }
            let role = before.map_or(invitation.role, |before| before.max(invitation.role));
            members::set(transaction, wiki, subject, role)?;
            transaction.execute(
                "update invitations set accepted = ?2, accepted_by = ?3 where id = ?1",
                params![invitation.id, now().unix_timestamp(), subject],
            )?;
            Ok(role)
        })
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Invitation> {
    let accepted = row::optional_time(row, "accepted")?;
    Ok(Invitation {
        id: row.get("id")?,
        wiki: row::parsed(row, "wiki")?,
        role: row::parsed(row, "role")?,
        email: row.get("email")?,
        created: row::time(row, "created")?,
        expires: row::time(row, "expires")?,
        accepted: accepted
            .map(|at| Ok::<_, rusqlite::Error>(Acceptance { at, by: row.get("accepted_by")? }))
            .transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UserUpdate;
    use crate::catalog::tests::{garden, scratch, settled};

    fn new(role: Role) -> NewInvitation {
        NewInvitation { role, email: None, expires: None }
    }

    fn is_spent(result: Result<Role, CatalogError>, expired: bool) -> bool {
        matches!(result, Err(CatalogError::SpentInvitation { expired: e }) if e == expired)
    }

    #[test]
    fn an_invitation_is_good_for_one() {
        let (_dir, catalog) = scratch();
        let id = garden(&catalog).id;
        let (made, secret) = catalog.create_invitation(id, &new(Role::Editor)).unwrap();
        assert_eq!(made.expires, made.created + VALID_FOR);
        let accept = |subject| catalog.accept_invitation(id, secret.expose(), subject);
        assert!(matches!(accept("operator"), Err(CatalogError::InvalidSubject(_))));
        assert_eq!(accept("ann").unwrap(), Role::Editor);
        assert_eq!(catalog.role_of(id, "ann").unwrap(), Some(Role::Editor));
        assert!(is_spent(accept("bob"), false));
        // A repeated call gets the same answer, as long as it is still true.
        assert_eq!(accept("ann").unwrap(), Role::Editor);
        catalog.remove_member(id, "ann").unwrap();
        assert!(is_spent(accept("ann"), false));
        let listed = catalog.invitations(id, None, 9).unwrap();
        assert_eq!(listed[0].accepted.as_ref().unwrap().by, "ann");
    }

    #[test]
    fn a_role_is_never_lowered() {
        let (_dir, catalog) = scratch();
        let id = garden(&catalog).id;
        catalog.set_member(id, "ann", Role::Owner).unwrap();
        let (_, secret) = catalog.create_invitation(id, &new(Role::Reader)).unwrap();
        let role = catalog.accept_invitation(id, secret.expose(), "ann").unwrap();
        assert_eq!((role, catalog.role_of(id, "ann").unwrap()), (Role::Owner, Some(Role::Owner)));
    }

    #[test]
    fn what_was_revoked_or_is_of_another_wiki_is_unknown() {
        let (_dir, catalog) = scratch();
        let (garden, kitchen) = (garden(&catalog).id, settled(&catalog, "kitchen").id);
        let (made, secret) = catalog.create_invitation(garden, &new(Role::Reader)).unwrap();
        let accept = |wiki| catalog.accept_invitation(wiki, secret.expose(), "ann");
        assert!(matches!(accept(kitchen), Err(CatalogError::UnknownInvitation)));
        assert!(catalog.has_invitation(garden, secret.expose()).unwrap());
        assert!(!catalog.has_invitation(kitchen, secret.expose()).unwrap());
        assert!(!catalog.has_invitation(garden, &made.id).unwrap());
        assert!(!catalog.revoke_invitation(kitchen, &made.id).unwrap());
        assert!(catalog.revoke_invitation(garden, &made.id).unwrap());
        assert!(matches!(accept(garden), Err(CatalogError::UnknownInvitation)));
        catalog.create_invitation(TenantId::random(), &new(Role::Reader)).unwrap_err();
    }

    #[test]
    fn an_invitation_expires_and_is_not_for_the_suspended() {
        let (_dir, catalog) = scratch();
        let id = garden(&catalog).id;
        let late = NewInvitation { expires: Some(now()), ..new(Role::Reader) };
        let (_, secret) = catalog.create_invitation(id, &late).unwrap();
        assert!(is_spent(catalog.accept_invitation(id, secret.expose(), "ann"), true));

        catalog.see_user("ann", "Ann", None).unwrap();
        let suspended = Some(Some("spam".to_owned()));
        let update = UserUpdate { suspended, ..UserUpdate::default() };
        catalog.update_user("ann", &update).unwrap();
        let (_, secret) = catalog.create_invitation(id, &new(Role::Reader)).unwrap();
        let refused = catalog.accept_invitation(id, secret.expose(), "ann");
        assert!(matches!(refused, Err(CatalogError::SuspendedUser { .. })));
        assert_eq!(catalog.role_of(id, "ann").unwrap(), None);
    }
}
