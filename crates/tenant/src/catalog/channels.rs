//! Channels for notices about links that need attention.

use rusqlite::{OptionalExtension as _, Row, params};

use super::{Catalog, CatalogError, now, require_wiki, row};
use crate::TenantId;
use crate::channel::NoticeChannel;
use crate::secrets::Sealed;

const SELECT: &str = "select id, wiki, kind, target, created from channels ";

/// A wiki's channel with a sealed secret.
#[derive(Clone, Debug)]
pub(crate) struct SealedChannel {
    pub(crate) id: String,
    pub(crate) wiki: TenantId,
    pub(crate) kind: String,
    pub(crate) target: String,
    pub(crate) sealed: Option<Sealed>,
}

impl Catalog {
    /// Creates a channel, unless the wiki has `most` channels already.
    ///
    /// # Errors
    /// The wiki doesn't exist or has too many channels; the file can't be written.
    pub(crate) fn create_channel(
        &self,
        new: &SealedChannel,
        most: u32,
    ) -> Result<NoticeChannel, CatalogError> {
        let SealedChannel { id, wiki, kind, target, sealed } = new;
        let created = now();
        self.db.write(|transaction| {
            require_wiki(transaction, *wiki)?;
            let made = transaction.execute(
                "insert into channels (id, wiki, kind, target, nonce, sealed, created)
                 select ?1, ?2, ?3, ?4, ?5, ?6, ?7
                 where (select count(*) from channels where wiki = ?2) < ?8",
                params![
                    id,
                    wiki.to_string(),
                    kind,
                    target,
                    sealed.as_ref().map(|sealed| &sealed.nonce),
                    sealed.as_ref().map(|sealed| &sealed.sealed),
                    created.unix_timestamp(),
                    most,
                ],
            )?;
            if made == 0 { Err(CatalogError::TooManyChannels { most }) } else { Ok(()) }
        })?;
        let (id, kind, target) = (id.clone(), kind.clone(), target.clone());
        Ok(NoticeChannel { id, wiki: *wiki, kind, target, created })
    }

    /// A wiki's channel with this id.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn channel(&self, id: &str) -> Result<Option<NoticeChannel>, CatalogError> {
        self.db.read(|connection| {
            let sql = format!("{SELECT} where id = ?1 and wiki is not null");
            let mut statement = connection.prepare_cached(&sql)?;
            Ok(statement.query_row([id], read).optional()?)
        })
    }

    /// The channels of a wiki whose ids come after `after`, in the order of their ids.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn channels(
        &self,
        wiki: TenantId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<NoticeChannel>, CatalogError> {
        self.db.read(|connection| {
            let sql = format!("{SELECT} where wiki = ?1 and id > ?2 order by id limit ?3");
            let mut statement = connection.prepare_cached(&sql)?;
            let params = params![wiki.to_string(), after.unwrap_or(""), limit];
            let rows = statement.query_map(params, read)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The sealed secret of a channel; `None` if the channel has none or doesn't exist.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn channel_secret(&self, id: &str) -> Result<Option<Sealed>, CatalogError> {
        self.db.read(|connection| {
            let mut statement = connection.prepare_cached(
                "select nonce, sealed from channels where id = ?1 and sealed is not null",
            )?;
            let read = |row: &Row<'_>| Ok(Sealed { nonce: row.get(0)?, sealed: row.get(1)? });
            Ok(statement.query_row([id], read).optional()?)
        })
    }

    /// Removes a wiki's channel with its secret and its waiting notices. Returns `false` if the channel didn't exist.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn remove_channel(&self, id: &str) -> Result<bool, CatalogError> {
        self.db.write(|transaction| {
            let sql = "delete from channels where id = ?1 and wiki is not null";
            Ok(transaction.execute(sql, [id])? == 1)
        })
    }

    /// Replaces the platform's channels. Channels that stay keep their waiting notices.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn set_platform_channels(&self, ids: &[String]) -> Result<(), CatalogError> {
        let json = serde_json::json!(ids).to_string();
        self.db.write(|transaction| {
            transaction.execute(
                "delete from channels
                 where wiki is null and id not in (select value from json_each(?1))",
                [&json],
            )?;
            transaction.execute(
                "insert into channels (id, created) select value, ?2 from json_each(?1)
                 where true on conflict do nothing",
                params![json, now().unix_timestamp()],
            )?;
            Ok(())
        })
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<NoticeChannel> {
    Ok(NoticeChannel {
        id: row.get("id")?,
        wiki: row::parsed(row, "wiki")?,
        kind: row.get("kind")?,
        target: row.get("target")?,
        created: row::time(row, "created")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::{garden, scratch, settled};

    fn sealed() -> Sealed {
        Sealed { nonce: vec![1; 24], sealed: vec![2] }
    }

    fn webhook(id: &str, wiki: TenantId) -> SealedChannel {
        SealedChannel {
            id: id.to_owned(),
            wiki,
            kind: "webhook".to_owned(),
            target: "https://hook.example.org".to_owned(),
            sealed: Some(sealed()),
        }
    }

    #[test]
    fn each_wiki_has_its_own_channels_up_to_a_number() {
        let (_dir, catalog) = scratch();
        let (garden, kitchen) = (garden(&catalog).id, settled(&catalog, "kitchen").id);
        let made = catalog.create_channel(&webhook("a", garden), 2).unwrap();
        let mail = SealedChannel {
            kind: "mail".to_owned(),
            target: "ann@example.org".to_owned(),
            sealed: None,
            ..webhook("b", garden)
        };
        catalog.create_channel(&mail, 2).unwrap();
        catalog.create_channel(&webhook("c", kitchen), 2).unwrap();
        let full = catalog.create_channel(&webhook("d", garden), 2).unwrap_err();
        assert!(matches!(full, CatalogError::TooManyChannels { most: 2 }), "{full}");
        assert_eq!(catalog.channel("a").unwrap(), Some(made));
        let listed = |after| catalog.channels(garden, after, 9).unwrap().len();
        assert_eq!((listed(None), listed(Some("a")), listed(Some("b"))), (2, 1, 0));
        assert_eq!(catalog.channel_secret("a").unwrap(), Some(sealed()));
        assert_eq!(catalog.channel_secret("b").unwrap(), None);
        assert!(catalog.remove_channel("a").unwrap());
        assert!(!catalog.remove_channel("a").unwrap());
        assert!(catalog.create_channel(&webhook("e", TenantId::random()), 2).is_err());
    }

    #[test]
    fn the_platforms_channels_are_no_wikis() {
        let (_dir, catalog) = scratch();
        catalog.set_platform_channels(&["p".to_owned(), "p".to_owned()]).unwrap();
        assert_eq!(catalog.channel("p").unwrap(), None);
        assert!(!catalog.remove_channel("p").unwrap());
    }

    #[test]
    fn a_wiki_that_goes_takes_its_channels_along() {
        let (_dir, catalog) = scratch();
        let id = garden(&catalog).id;
        catalog.create_channel(&webhook("a", id), 2).unwrap();
        catalog.begin_delete(id).unwrap();
        catalog.finish_delete(id).unwrap();
        assert_eq!(catalog.channel("a").unwrap(), None);
        assert_eq!(catalog.channel_secret("a").unwrap(), None);
    }
}
