//! Bearer tokens, stored with the hash of their secret.

use rusqlite::{OptionalExtension as _, Row, params};

use super::{Catalog, CatalogError, now, require_wiki, row, users};
use crate::access::author_of;
use crate::token::{self, NewToken, Secret, Token, TokenRole};
use crate::{InvalidSubject, TenantId};

const SELECT: &str = "
    select id, wiki, tokens.name as name, role, act_as, tokens.created as created, expires, used,
        tokens.subject as subject, users.name as user_name, users.email as user_email
    from tokens left join users on users.subject = tokens.subject ";

impl Catalog {
    /// Creates a token. Its secret is returned here and not stored.
    ///
    /// # Errors
    /// The wiki doesn't exist; the subject is invalid, or given for an operator's token; the file can't be written.
    pub(crate) fn create_token(&self, new: &NewToken) -> Result<(Token, Secret), CatalogError> {
        let secret = Secret::random();
        if new.role == TokenRole::Operator && new.subject.is_some() {
            return Err(InvalidSubject::NOT_HERE.into());
        }
        let mut token = Token {
            id: token::random_id(),
            name: new.name.clone(),
            role: new.role,
            act_as: new.act_as,
            created: now(),
            expires: new.expires.map(|time| time.truncate_to_second()),
            subject: new.subject.clone(),
            author: None,
            used: None,
        };
        let wiki = token.role.wiki();
        self.db.write::<_, CatalogError>(|transaction| {
            wiki.map_or(Ok(()), |id| require_wiki(transaction, id))?;
            if let Some(subject) = &token.subject {
                users::ensure(transaction, subject)?;
                let user = users::required(transaction, subject)?;
                token.author =
                    Some(author_of(subject, user.name.as_deref(), user.email.as_deref()));
            }
            transaction.execute(
                "insert into tokens (id, wiki, name, role, act_as, created, expires, hash, subject)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    token.id,
                    wiki.map(|id| id.to_string()),
                    token.name,
                    token.role.as_str(),
                    token.act_as,
                    token.created.unix_timestamp(),
                    token.expires.map(|time| time.unix_timestamp()),
                    token::hash(secret.expose()),
                    token.subject,
                ],
            )?;
            Ok(())
        })?;
        Ok((token, secret))
    }

    /// The token with this secret, unless it has expired, was revoked, or belongs to a user who is suspended.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn find_token(&self, secret: &str) -> Result<Option<Token>, CatalogError> {
        self.db.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "{SELECT}where hash = ?1 and (expires is null or expires > ?2) and suspended is null"
            ))?;
            let found =
                statement.query_row(params![token::hash(secret), now().unix_timestamp()], read);
            Ok(found.optional()?)
        })
    }

    /// Returns `true` if a token with this id exists and hasn't expired.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn has_token(&self, id: &str) -> Result<bool, CatalogError> {
        self.db.read(|connection| {
            let mut statement = connection.prepare_cached(
                "select 1 from tokens where id = ?1 and (expires is null or expires > ?2)",
            )?;
            Ok(statement.exists(params![id, now().unix_timestamp()])?)
        })
    }

    /// The token with this id for this wiki, unless it has expired.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn token_by_id(
        &self,
        wiki: TenantId,
        id: &str,
    ) -> Result<Option<Token>, CatalogError> {
        self.db.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "{SELECT}where wiki = ?1 and id = ?2 and (expires is null or expires > ?3)"
            ))?;
            let found =
                statement.query_row(params![wiki.to_string(), id, now().unix_timestamp()], read);
            Ok(found.optional()?)
        })
    }

    /// Records the times when tokens were last used, in seconds since 1970, by their ids.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn note_uses(&self, uses: &[(String, i64)]) -> Result<(), CatalogError> {
        self.db.write(|transaction| {
            let mut statement = transaction.prepare_cached(
                "update tokens set used = ?2 where id = ?1 and (used is null or used < ?2)",
            )?;
            for (id, used) in uses {
                statement.execute(params![id, used])?;
            }
            Ok(())
        })
    }

    /// The tokens of one wiki, or (`None`) of the platform, with ids after `after`, in the order of their ids,
    /// including expired ones.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn tokens(
        &self,
        wiki: Option<TenantId>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Token>, CatalogError> {
        self.db.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "{SELECT}where wiki is ?1 and id > ?2 order by id limit ?3"
            ))?;
            let wiki = wiki.map(|id| id.to_string());
            let rows = statement.query_map(params![wiki, after.unwrap_or(""), limit], read)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Revokes a token of one wiki, or (`None`) of the platform. Returns `false` if none has this id.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn revoke_token(
        &self,
        wiki: Option<TenantId>,
        id: &str,
    ) -> Result<bool, CatalogError> {
        self.db.write(|transaction| {
            let wiki = wiki.map(|id| id.to_string());
            let removed = transaction
                .execute("delete from tokens where wiki is ?1 and id = ?2", params![wiki, id])?;
            Ok(removed == 1)
        })
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Token> {
    let wiki: Option<String> = row.get("wiki")?;
    let role = match wiki {
        None => TokenRole::Operator,
        Some(_) => {
            TokenRole::Wiki { wiki: row::parsed(row, "wiki")?, role: row::parsed(row, "role")? }
        }
    };
    let subject: Option<String> = row.get("subject")?;
    let (name, email): (Option<String>, Option<String>) =
        (row.get("user_name")?, row.get("user_email")?);
    let author =
        subject.as_deref().map(|subject| author_of(subject, name.as_deref(), email.as_deref()));
    Ok(Token {
        id: row.get("id")?,
        name: row.get("name")?,
        role,
        act_as: row.get("act_as")?,
        created: row::time(row, "created")?,
        expires: row::optional_time(row, "expires")?,
        subject,
        author,
        used: row::optional_time(row, "used")?,
    })
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::catalog::tests::{garden, scratch};
    use crate::{Author, Role, UserUpdate};

    fn new(role: TokenRole) -> NewToken {
        NewToken { name: "CI".to_owned(), role, act_as: false, expires: None, subject: None }
    }

    fn editor(wiki: TenantId) -> TokenRole {
        TokenRole::Wiki { wiki, role: Role::Editor }
    }

    #[test]
    fn a_token_is_found_by_its_secret_until_revoked() {
        let (_dir, catalog) = scratch();
        let id = garden(&catalog).id;
        let (token, secret) =
            catalog.create_token(&NewToken { act_as: true, ..new(editor(id)) }).unwrap();
        assert_eq!(catalog.find_token(secret.expose()).unwrap(), Some(token.clone()));
        assert_eq!(catalog.find_token("wg_other").unwrap(), None);
        assert_eq!(catalog.find_token(&token.id).unwrap(), None);
        assert!(catalog.revoke_token(Some(id), &token.id).unwrap());
        assert!(!catalog.revoke_token(Some(id), &token.id).unwrap());
        assert_eq!(catalog.find_token(secret.expose()).unwrap(), None);
    }

    #[test]
    fn the_secret_is_in_no_file() {
        let (dir, catalog) = scratch();
        let (_, secret) = catalog.create_token(&new(TokenRole::Operator)).unwrap();
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(
                !bytes
                    .windows(secret.expose().len())
                    .any(|window| window == secret.expose().as_bytes())
            );
        }
    }

    #[test]
    fn an_expired_token_is_listed_but_not_found() {
        let (_dir, catalog) = scratch();
        let make = |after| {
            let new = NewToken { expires: Some(now() + after), ..new(TokenRole::Operator) };
            catalog.create_token(&new).unwrap().1
        };
        let (past, future) = (make(Duration::ZERO), make(Duration::HOUR));
        assert_eq!(catalog.find_token(past.expose()).unwrap(), None);
        assert!(catalog.find_token(future.expose()).unwrap().unwrap().expires.is_some());
        assert_eq!(catalog.tokens(None, None, 9).unwrap().len(), 2);
    }

    #[test]
    fn tokens_of_one_scope_are_not_seen_or_revoked_in_another() {
        let (_dir, catalog) = scratch();
        let id = garden(&catalog).id;
        let (platform, _) = catalog.create_token(&new(TokenRole::Operator)).unwrap();
        let (wiki, _) = catalog.create_token(&new(editor(id))).unwrap();
        assert_eq!(catalog.tokens(None, None, 9).unwrap(), std::slice::from_ref(&platform));
        assert_eq!(catalog.tokens(Some(id), None, 9).unwrap(), std::slice::from_ref(&wiki));
        assert_eq!(catalog.tokens(Some(id), Some(&wiki.id), 9).unwrap(), []);
        assert!(!catalog.revoke_token(None, &wiki.id).unwrap());
        assert!(!catalog.revoke_token(Some(id), &platform.id).unwrap());
    }

    #[test]
    fn a_wiki_that_does_not_exist_has_no_tokens() {
        let (_dir, catalog) = scratch();
        assert!(catalog.create_token(&new(editor(TenantId::random()))).unwrap_err().is_not_found());
    }

    #[test]
    fn a_users_token_names_the_user_and_counts_unless_they_are_suspended() {
        let (_dir, catalog) = scratch();
        let id = garden(&catalog).id;
        catalog.see_user("ann", "Ann", Some("ann@example.org")).unwrap();
        let owned = NewToken { subject: Some("ann".to_owned()), ..new(editor(id)) };
        let (token, secret) = catalog.create_token(&owned).unwrap();
        assert_eq!(token.author, Some(Author::new("Ann", "ann@example.org")));
        assert_eq!(catalog.find_token(secret.expose()).unwrap(), Some(token.clone()));
        let suspend = |reason: Option<&str>| {
            let suspended = Some(reason.map(str::to_owned));
            catalog.update_user("ann", &UserUpdate { suspended, ..UserUpdate::default() }).unwrap()
        };
        suspend(Some("spam"));
        assert_eq!(catalog.find_token(secret.expose()).unwrap(), None);
        // The token still exists and is listed.
        assert_eq!(catalog.tokens(Some(id), None, 9).unwrap()[0], token);
        assert!(catalog.has_token(&token.id).unwrap());
        suspend(None);
        assert_eq!(catalog.find_token(secret.expose()).unwrap(), Some(token));
        // An unknown subject becomes a user; the operator's tokens belong to no user.
        let of_new = NewToken { subject: Some("bob".to_owned()), ..new(editor(id)) };
        catalog.create_token(&of_new).unwrap();
        assert!(catalog.user("bob").unwrap().is_some());
        let of_all = NewToken { role: TokenRole::Operator, ..of_new };
        let refused = catalog.create_token(&of_all);
        assert!(matches!(refused, Err(CatalogError::InvalidSubject(_))));
    }

    #[test]
    fn the_last_use_only_goes_forward() {
        let (_dir, catalog) = scratch();
        let id = garden(&catalog).id;
        let (token, _) = catalog.create_token(&new(editor(id))).unwrap();
        let used = || catalog.tokens(Some(id), None, 1).unwrap()[0].used;
        assert_eq!(used(), None);
        catalog.note_uses(&[(token.id.clone(), 100), ("gone".to_owned(), 1)]).unwrap();
        catalog.note_uses(&[(token.id, 90)]).unwrap();
        assert_eq!(used().map(|used| used.unix_timestamp()), Some(100));
    }
}
