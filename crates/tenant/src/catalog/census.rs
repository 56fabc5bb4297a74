//! Counts of the catalog's rows.

use rusqlite::params;

use super::{Catalog, CatalogError};
use crate::figures::{Census, LinkCount};

impl Catalog {
    /// Counts the wikis, the links and the waiting notices. Links are counted per reason only in the states of
    /// `with_reason`: for all other states an index suffices.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn census(&self, with_reason: &[&str]) -> Result<Census, CatalogError> {
        self.db.read(|connection| {
            let mut wikis =
                connection.prepare_cached("select state, count(*) from wikis group by state")?;
            let wikis = wikis.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let wikis = wikis.collect::<Result<_, _>>()?;
            let mut links = connection.prepare_cached(
                "select word, null, count(*) from links
                     where word not in (select value from json_each(?1)) group by word
                 union all
                 select word, reason, count(*) from links
                     where word in (select value from json_each(?1)) group by word, reason",
            )?;
            let links = links.query_map([serde_json::json!(with_reason).to_string()], |row| {
                Ok(LinkCount { word: row.get(0)?, reason: row.get(1)?, links: row.get(2)? })
            })?;
            let links = links.collect::<Result<_, _>>()?;
            let mut notices = connection.prepare_cached("select count(*) from deliveries")?;
            let notices = notices.query_row([], |row| row.get(0))?;
            Ok(Census { wikis, links, notices })
        })
    }

    /// The given links that still exist.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn links_left(&self, of: &[String]) -> Result<Vec<String>, CatalogError> {
        self.db.read(|connection| {
            let mut statement = connection.prepare_cached(
                "select id from links where id in (select value from json_each(?1))",
            )?;
            let ids = statement
                .query_map(params![serde_json::json!(of).to_string()], |row| row.get(0))?;
            Ok(ids.collect::<Result<_, _>>()?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::links::SealedLink;
    use crate::catalog::links::tests::new;
    use crate::catalog::tests::{garden, scratch};
    use crate::link::{LinkProgress, NewNotice};

    #[test]
    fn everything_is_counted_by_what_it_is() {
        let (_dir, catalog) = scratch();
        let wiki = garden(&catalog).id;
        for (id, word, reason) in [
            ("a", "idle", Some("left over")),
            ("b", "idle", None),
            ("c", "paused", Some("auth")),
            ("d", "paused", Some("auth")),
            ("e", "paused", Some("rejected")),
        ] {
            let progress = LinkProgress {
                state: "{}".to_owned(),
                word: word.to_owned(),
                reason: reason.map(str::to_owned),
                next_at: None,
            };
            catalog.create_link(&SealedLink { progress, ..new(id, wiki) }).unwrap();
        }
        catalog.set_platform_channels(&["platform".to_owned()]).unwrap();
        for kind in ["paused", "peer_down"] {
            let notice =
                NewNotice { kind: kind.to_owned(), once: None, detail: serde_json::json!({}) };
            catalog.add_notice(wiki, "c", &notice).unwrap();
        }
        let sent = catalog.next_notices(&[], &[], 1).unwrap();
        catalog.notice_settled("platform", sent[0].notice.id).unwrap();

        let Census { wikis, mut links, notices } = catalog.census(&["paused"]).unwrap();
        assert_eq!((&wikis[..], notices), (&[("active".to_owned(), 1)][..], 1));
        links.sort_by(|a, b| (&a.word, &a.reason).cmp(&(&b.word, &b.reason)));
        let links: Vec<_> = links
            .iter()
            .map(|LinkCount { word, reason, links }| (word.as_str(), reason.as_deref(), *links))
            .collect();
        let expected =
            [("idle", None, 2), ("paused", Some("auth"), 2), ("paused", Some("rejected"), 1)];
        assert_eq!(links, expected);
        let asked = ["b", "e", "f"].map(str::to_owned);
        assert_eq!(catalog.links_left(&asked).unwrap(), ["b", "e"]);
    }
}
