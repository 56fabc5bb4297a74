//! Links to remote git repositories: their settings and states.

use std::time::Duration;

use rusqlite::{OptionalExtension as _, Params, Row, Transaction, named_params, params};

use super::{Catalog, CatalogError, notices, now, require_wiki, row};
use crate::TenantId;
use crate::link::{Link, LinkProgress, LinkSettings, LinkStep};
use crate::secrets::Sealed;

const COLUMNS: &str = "id, wiki, url, branch, subdirectory, filter, mode, winner, first_run, on_rewrite,
    interval, cooldown, offline, credential, public_key, known_hosts, state, word, reason, next_at, created";

/// The credential of a link as stored.
#[derive(Clone, Debug)]
pub(crate) struct StoredCredential {
    pub(crate) kind: String,
    pub(crate) public_key: Option<String>,
    pub(crate) sealed: Sealed,
}

/// A link with sealed secrets.
#[derive(Clone, Debug)]
pub(crate) struct SealedLink {
    pub(crate) id: String,
    pub(crate) wiki: TenantId,
    pub(crate) settings: LinkSettings,
    pub(crate) credential: Option<StoredCredential>,
    pub(crate) known_hosts: String,
    pub(crate) webhook: Sealed,
    pub(crate) progress: LinkProgress,
}

/// A change of a link with sealed secrets.
#[derive(Clone, Debug, Default)]
pub(crate) struct SealedUpdate {
    pub(crate) settings: Option<LinkSettings>,
    pub(crate) credential: Option<Option<StoredCredential>>,
    pub(crate) known_hosts: Option<String>,
    pub(crate) progress: Option<LinkProgress>,
    pub(crate) webhook: Option<Sealed>,
}

impl Catalog {
    /// Creates a link.
    ///
    /// # Errors
    /// The wiki doesn't exist; the file can't be written.
    pub(crate) fn create_link(&self, new: &SealedLink) -> Result<Link, CatalogError> {
        self.db.write(|transaction| {
            require_wiki(transaction, new.wiki)?;
            let SealedLink { progress, credential, .. } = new;
            transaction.execute(
                "insert into links (id, wiki, url, branch, mode, winner, first_run, on_rewrite, interval,
                     cooldown, offline, credential, public_key, credential_nonce,
                     credential_sealed, known_hosts, webhook_nonce, webhook_sealed, state, word, reason,
                     next_at, created)
                 values (:id, :wiki, '', '', 'off', '', '', '', 1, 0, 0, 'none', null, null,
                     null, :hosts, :webhook_nonce, :webhook_sealed, :state, :word, :reason, :next_at,
                     :created)",
                named_params! {
                    ":id": new.id,
                    ":wiki": new.wiki.to_string(),
                    ":hosts": new.known_hosts,
                    ":webhook_nonce": new.webhook.nonce,
                    ":webhook_sealed": new.webhook.sealed,
                    ":state": progress.state,
                    ":word": progress.word,
                    ":reason": progress.reason,
                    ":next_at": progress.next_at,
                    ":created": now().unix_timestamp(),
                },
            )?;
            set(transaction, &new.id, &new.settings)?;
            set_credential(transaction, &new.id, credential.as_ref())?;
            required(transaction, &new.id)
        })
    }

    /// The link with this id.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn link(&self, id: &str) -> Result<Option<Link>, CatalogError> {
        Ok(self.some_links("where id = ?1", [id])?.pop())
    }

    /// The links of a wiki with ids after `after`, in the order of their ids.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn links(
        &self,
        wiki: TenantId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Link>, CatalogError> {
        let rest = "where wiki = ?1 and id > ?2 order by id limit ?3";
        self.some_links(rest, params![wiki.to_string(), after.unwrap_or(""), limit])
    }

    /// The ids of a wiki's links that push the wiki's saves.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn pushing_links(&self, wiki: TenantId) -> Result<Vec<String>, CatalogError> {
        self.db.read(|connection| {
            let mut statement = connection.prepare_cached(
                "select id from links where wiki = ?1 and mode in ('both', 'push') order by id",
            )?;
            let ids = statement.query_map([wiki.to_string()], |row| row.get(0))?;
            Ok(ids.collect::<Result<_, _>>()?)
        })
    }

    /// The links of all wikis, or those in a state, with ids after `after`, in the order of their ids.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn all_links(
        &self,
        word: Option<&str>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Link>, CatalogError> {
        let after = after.unwrap_or("");
        match word {
            Some(word) => self.some_links(
                "where word = ?1 and id > ?2 order by id limit ?3",
                params![word, after, limit],
            ),
            None => self.some_links("where id > ?1 order by id limit ?2", params![after, limit]),
        }
    }

    /// The links that are due, the longest due first.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn due_links(&self, now: i64, limit: u32) -> Result<Vec<Link>, CatalogError> {
        self.some_links("where next_at <= ?1 order by next_at limit ?2", params![now, limit])
    }

    /// The time when the next link is due.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn next_link_at(&self) -> Result<Option<i64>, CatalogError> {
        self.db.read(|connection| {
            let mut statement = connection
                .prepare_cached("select min(next_at) from links where next_at is not null")?;
            Ok(statement.query_row([], |found| found.get(0))?)
        })
    }

    /// Changes a link in one transaction.
    ///
    /// # Errors
    /// The link doesn't exist; the file can't be written.
    pub(crate) fn update_link(
        &self,
        id: &str,
        update: &SealedUpdate,
    ) -> Result<Link, CatalogError> {
        self.db.write(|transaction| {
            required(transaction, id)?;
            if let Some(settings) = &update.settings {
                set(transaction, id, settings)?;
            }
            if let Some(credential) = &update.credential {
                set_credential(transaction, id, credential.as_ref())?;
            }
            if let Some(hosts) = &update.known_hosts {
                transaction.execute(
                    "update links set known_hosts = ?2 where id = ?1",
                    params![id, hosts],
                )?;
            }
            if let Some(progress) = &update.progress {
                set_progress(transaction, id, progress)?;
            }
            if let Some(webhook) = &update.webhook {
                transaction.execute(
                    "update links set webhook_nonce = ?2, webhook_sealed = ?3 where id = ?1",
                    params![id, webhook.nonce, webhook.sealed],
                )?;
            }
            required(transaction, id)
        })
    }

    /// Names the branch of a link, unless it names one by now.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn name_branch(&self, id: &str, branch: &str) -> Result<(), CatalogError> {
        self.db.write(|transaction| {
            let sql = "update links set branch = ?2 where id = ?1 and branch = ?3";
            transaction.execute(sql, params![id, branch, LinkSettings::UNNAMED])?;
            Ok(())
        })
    }

    /// Stores what links are doing, with what is to be told. Links that are gone are left out.
    ///
    /// # Errors
    /// The file can't be written; then no state is stored.
    pub(crate) fn save_links(&self, steps: &[LinkStep]) -> Result<(), CatalogError> {
        self.db.write(|transaction| {
            for LinkStep { link, progress, notices } in steps {
                let Some(wiki) = set_progress(transaction, link, progress)? else { continue };
                for notice in notices {
                    notices::insert(transaction, link, &wiki, notice)?;
                }
            }
            Ok(())
        })
    }

    /// Removes a link and its secrets. Returns `false` if the link didn't exist.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn remove_link(&self, id: &str) -> Result<bool, CatalogError> {
        self.db.write(|transaction| {
            Ok(transaction.execute("delete from links where id = ?1", [id])? == 1)
        })
    }

    /// The credential of a link.
    ///
    /// # Errors
    /// The link doesn't exist; the file can't be read.
    pub(crate) fn link_credential(
        &self,
        id: &str,
    ) -> Result<Option<StoredCredential>, CatalogError> {
        let found = self.db.read(|connection| {
            let mut statement = connection.prepare_cached(
                "select credential, public_key, credential_nonce, credential_sealed from links where id = ?1",
            )?;
            let read = |row: &Row<'_>| {
                let sealed: (Option<Vec<u8>>, Option<Vec<u8>>) = (row.get(2)?, row.get(3)?);
                let (kind, public_key) = (row.get(0)?, row.get(1)?);
                Ok(match sealed {
                    (Some(nonce), Some(sealed)) => {
                        let sealed = Sealed { nonce, sealed };
                        Some(StoredCredential { kind, public_key, sealed })
                    }
                    _ => None,
                })
            };
            Ok::<_, CatalogError>(statement.query_row([id], read).optional()?)
        })?;
        found.ok_or(CatalogError::UnknownLink)
    }

    /// The secret with which a link's host signs its webhook messages.
    ///
    /// # Errors
    /// The link doesn't exist; the file can't be read.
    pub(crate) fn link_webhook(&self, id: &str) -> Result<Sealed, CatalogError> {
        let found = self.db.read(|connection| {
            let mut statement = connection
                .prepare_cached("select webhook_nonce, webhook_sealed from links where id = ?1")?;
            let read = |row: &Row<'_>| Ok(Sealed { nonce: row.get(0)?, sealed: row.get(1)? });
            Ok::<_, CatalogError>(statement.query_row([id], read).optional()?)
        })?;
        found.ok_or(CatalogError::UnknownLink)
    }

    fn some_links(&self, rest: &str, params: impl Params) -> Result<Vec<Link>, CatalogError> {
        self.db.read(|connection| {
            let mut statement =
                connection.prepare_cached(&format!("select {COLUMNS} from links {rest}"))?;
            let rows = statement.query_map(params, read)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

/// Removes the links, notices and channels of a wiki.
pub(super) fn forget(transaction: &Transaction<'_>, wiki: &str) -> Result<(), CatalogError> {
    transaction.execute("delete from links where wiki = ?1", [wiki])?;
    transaction.execute("delete from notices where wiki = ?1", [wiki])?;
    transaction.execute("delete from channels where wiki = ?1", [wiki])?;
    Ok(())
}

/// Stores a link's state and returns its wiki; `None` if the link was removed.
fn set_progress(
    transaction: &Transaction<'_>,
    id: &str,
    progress: &LinkProgress,
) -> Result<Option<String>, CatalogError> {
    let LinkProgress { state, word, reason, next_at } = progress;
    let mut save = transaction.prepare_cached(
        "update links set state = ?2, word = ?3, reason = ?4, next_at = ?5 where id = ?1
         returning wiki",
    )?;
    let saved = save.query_row(params![id, state, word, reason, next_at], |row| row.get(0));
    Ok(saved.optional()?)
}

fn set(
    transaction: &Transaction<'_>,
    id: &str,
    settings: &LinkSettings,
) -> Result<(), CatalogError> {
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    transaction.execute(
        "update links set url = ?2, branch = ?3, subdirectory = ?4, filter = ?5, mode = ?6, winner = ?7,
             first_run = ?8, on_rewrite = ?9, interval = ?10, cooldown = ?11, offline = ?12 where id = ?1",
        params![
            id,
            settings.url,
            settings.branch,
            settings.subdirectory,
            settings.filter,
            settings.mode,
            settings.winner,
            settings.first_run,
            settings.on_rewrite,
            seconds(settings.interval),
            seconds(settings.cooldown),
            settings.offline,
        ],
    )?;
    Ok(())
}

fn set_credential(
    transaction: &Transaction<'_>,
    id: &str,
    credential: Option<&StoredCredential>,
) -> Result<(), CatalogError> {
    transaction.execute(
        "update links set credential = ?2, public_key = ?3, credential_nonce = ?4, credential_sealed = ?5
         where id = ?1",
        params![
            id,
            credential.map_or("none", |credential| &credential.kind),
            credential.and_then(|credential| credential.public_key.as_ref()),
            credential.map(|credential| &credential.sealed.nonce),
            credential.map(|credential| &credential.sealed.sealed),
        ],
    )?;
    Ok(())
}

fn required(transaction: &Transaction<'_>, id: &str) -> Result<Link, CatalogError> {
    let mut statement =
        transaction.prepare_cached(&format!("select {COLUMNS} from links where id = ?1"))?;
    statement.query_row([id], read).optional()?.ok_or(CatalogError::UnknownLink)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Link> {
    let seconds = |column: &str| {
        row.get(column).map(|seconds: i64| Duration::from_secs(seconds.unsigned_abs()))
    };
    Ok(Link {
        id: row.get("id")?,
        wiki: row::parsed(row, "wiki")?,
        settings: LinkSettings {
            url: row.get("url")?,
            branch: row.get("branch")?,
            subdirectory: row.get("subdirectory")?,
            filter: row.get("filter")?,
            mode: row.get("mode")?,
            winner: row.get("winner")?,
            first_run: row.get("first_run")?,
            on_rewrite: row.get("on_rewrite")?,
            interval: seconds("interval")?,
            cooldown: seconds("cooldown")?,
            offline: row.get("offline")?,
        },
        credential: row.get("credential")?,
        public_key: row.get("public_key")?,
        known_hosts: row.get("known_hosts")?,
        progress: LinkProgress {
            state: row.get("state")?,
            word: row.get("word")?,
            reason: row.get("reason")?,
            next_at: row.get("next_at")?,
        },
        created: row::time(row, "created")?,
    })
}

#[cfg(test)]
pub(super) mod tests;
