//! Users: subjects that logged in or were named as members.

use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::{Catalog, CatalogError, now, row};
use crate::{NewUser, Suspension, User, UserUpdate, check_subject};

const SELECT: &str = "select subject, name, email, created, suspended, reason from users ";

impl Catalog {
    /// Creates a user before their first login.
    ///
    /// # Errors
    /// The subject is invalid or taken; the file can't be written.
    pub(crate) fn create_user(&self, new: &NewUser) -> Result<User, CatalogError> {
        check_subject(&new.subject)?;
        self.db.write(|transaction| {
            let inserted = transaction.execute(
                "insert into users (subject, name, email, created) values (?1, ?2, ?3, ?4) on conflict do nothing",
                params![new.subject, new.name, new.email, now().unix_timestamp()],
            )?;
            if inserted == 0 {
                return Err(CatalogError::UserExists);
            }
            required(transaction, &new.subject)
        })
    }

    /// Records a user's login with name and address. A login without an address keeps the known one. Returns `true` if
    /// a known user changed.
    ///
    /// # Errors
    /// The subject is invalid; the file can't be written.
    pub(crate) fn see_user(
        &self,
        subject: &str,
        name: &str,
        email: Option<&str>,
    ) -> Result<bool, CatalogError> {
        check_subject(subject)?;
        let is_same = |user: &User| {
            user.name.as_deref() == Some(name)
                && (email.is_none() || user.email.as_deref() == email)
        };
        let found = self.user(subject)?;
        if found.as_ref().is_some_and(is_same) {
            return Ok(false);
        }
        self.db.write(|transaction| {
            transaction.execute(
                "insert into users (subject, name, email, created) values (?1, ?2, ?3, ?4)
                 on conflict do update set name = excluded.name, email = coalesce(excluded.email, email)",
                params![subject, name, email, now().unix_timestamp()],
            )?;
            Ok(found.is_some())
        })
    }

    /// The user with this subject.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn user(&self, subject: &str) -> Result<Option<User>, CatalogError> {
        self.db.read(|connection| {
            let mut statement =
                connection.prepare_cached(&format!("{SELECT}where subject = ?1"))?;
            Ok(statement.query_row([subject], read).optional()?)
        })
    }

    /// The users with subjects after `after`, in the order of their subjects.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn users(&self, after: Option<&str>, limit: u32) -> Result<Vec<User>, CatalogError> {
        self.db.read(|connection| {
            let mut statement = connection
                .prepare_cached(&format!("{SELECT}where subject > ?1 order by subject limit ?2"))?;
            let rows = statement.query_map(params![after.unwrap_or(""), limit], read)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Changes a user in one transaction.
    ///
    /// # Errors
    /// The user doesn't exist; the file can't be written.
    pub(crate) fn update_user(
        &self,
        subject: &str,
        update: &UserUpdate,
    ) -> Result<User, CatalogError> {
        self.db.write(|transaction| {
            let before = required(transaction, subject)?;
            let name = update.name.as_ref().unwrap_or(&before.name);
            let email = update.email.as_ref().unwrap_or(&before.email);
            let suspended = match &update.suspended {
                None => before.suspended.clone(),
                Some(None) => None,
                Some(Some(reason)) => {
                    let since = before.suspended.as_ref().map_or_else(now, |known| known.since);
                    Some(Suspension { since, reason: reason.clone() })
                }
            };
            transaction.execute(
                "update users set name = ?2, email = ?3, suspended = ?4, reason = ?5 where subject = ?1",
                params![
                    subject,
                    name,
                    email,
                    suspended.as_ref().map(|suspension| suspension.since.unix_timestamp()),
                    suspended.as_ref().map(|suspension| &suspension.reason),
                ],
            )?;
            required(transaction, subject)
        })
    }
}

/// Makes a subject a user if it is new to the platform, within a transaction. Called for every subject that gets a role
/// or a token.
pub(super) fn ensure(transaction: &Transaction<'_>, subject: &str) -> Result<(), CatalogError> {
    check_subject(subject)?;
    transaction
        .prepare_cached(
            "insert into users (subject, created) values (?1, ?2) on conflict do nothing",
        )?
        .execute(params![subject, now().unix_timestamp()])?;
    Ok(())
}

pub(super) fn required(transaction: &Transaction<'_>, subject: &str) -> Result<User, CatalogError> {
    let mut statement = transaction.prepare_cached(&format!("{SELECT}where subject = ?1"))?;
    statement.query_row([subject], read).optional()?.ok_or(CatalogError::UnknownUser)
}

fn read(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        subject: row.get("subject")?,
        name: row.get("name")?,
        email: row.get("email")?,
        created: row::time(row, "created")?,
        suspended: suspension(row)?,
    })
}

/// Reads the columns `suspended` and `reason`, which are both null or neither.
pub(super) fn suspension(row: &Row<'_>) -> rusqlite::Result<Option<Suspension>> {
    let since = row::optional_time(row, "suspended")?;
    since.map(|since| Ok(Suspension { since, reason: row.get("reason")? })).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::scratch;

    fn ann() -> NewUser {
        NewUser { subject: "did:x:ann".to_owned(), name: Some("Ann".to_owned()), email: None }
    }

    #[test]
    fn a_user_is_made_once_and_changed_field_by_field() {
        let (_dir, catalog) = scratch();
        let made = catalog.create_user(&ann()).unwrap();
        assert!(matches!(catalog.create_user(&ann()), Err(CatalogError::UserExists)));
        let email = Some("ann@example.org".to_owned());
        let update = UserUpdate { email: Some(email.clone()), ..UserUpdate::default() };
        let changed = catalog.update_user("did:x:ann", &update).unwrap();
        assert_eq!(changed, User { email, ..made });
        assert_eq!(catalog.user("did:x:ann").unwrap(), Some(changed));
        let unknown = catalog.update_user("did:x:bob", &UserUpdate::default());
        assert!(matches!(unknown, Err(CatalogError::UnknownUser)));
    }

    #[test]
    fn a_suspension_lasts_since_it_began() {
        let (_dir, catalog) = scratch();
        catalog.create_user(&ann()).unwrap();
        let suspend = |reason: Option<&str>| {
            let suspended = Some(reason.map(str::to_owned));
            let update = UserUpdate { suspended, ..UserUpdate::default() };
            catalog.update_user("did:x:ann", &update).unwrap().suspended
        };
        let first = suspend(Some("spam")).unwrap();
        let again = suspend(Some("more spam")).unwrap();
        assert_eq!((again.since, again.reason.as_str()), (first.since, "more spam"));
        assert_eq!(suspend(None), None);
    }

    #[test]
    fn a_login_is_noted_when_it_says_something_new() {
        let (_dir, catalog) = scratch();
        assert!(!catalog.see_user("ann", "Ann", Some("ann@example.org")).unwrap());
        assert!(!catalog.see_user("ann", "Ann", None).unwrap());
        assert!(catalog.see_user("ann", "Ann B.", None).unwrap());
        let user = catalog.user("ann").unwrap().unwrap();
        assert_eq!(user.name.as_deref(), Some("Ann B."));
        assert_eq!(user.email.as_deref(), Some("ann@example.org"));
    }

    #[test]
    fn users_are_listed_by_page() {
        let (_dir, catalog) = scratch();
        for subject in ["cid", "ann", "bob"] {
            catalog.see_user(subject, "x", None).unwrap();
        }
        let subjects = |after, limit| -> Vec<String> {
            let users = catalog.users(after, limit).unwrap();
            users.into_iter().map(|user| user.subject).collect()
        };
        assert_eq!(subjects(None, 2), ["ann", "bob"]);
        assert_eq!(subjects(Some("bob"), 2), ["cid"]);
    }

    #[test]
    fn nobody_gets_the_name_of_another_principal() {
        let (_dir, catalog) = scratch();
        for subject in ["operator", "token:1", " x", ""] {
            let new = NewUser { subject: subject.to_owned(), ..NewUser::default() };
            assert!(matches!(catalog.create_user(&new), Err(CatalogError::InvalidSubject(_))));
            let seen = catalog.see_user(subject, "x", None);
            assert!(matches!(seen, Err(CatalogError::InvalidSubject(_))), "{subject}");
        }
    }
}
