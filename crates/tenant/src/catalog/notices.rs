//! What people have yet to be told of links.

use rusqlite::{Row, params};

use super::links::insert_notice;
use super::{Catalog, CatalogError, require_wiki, row};
use crate::TenantId;
use crate::link::{NewNotice, Notice};

/// How many notices of one wiki are kept once they were sent, or given up.
const KEPT: u32 = 200;

impl Catalog {
    /// Has people told something; `false` if they were told before.
    ///
    /// # Errors
    /// There is no such wiki; the file can't be written.
    pub(crate) fn add_notice(
        &self,
        wiki: TenantId,
        link: &str,
        notice: &NewNotice,
    ) -> Result<bool, CatalogError> {
        self.db.write(|transaction| {
            require_wiki(transaction, wiki)?;
            insert_notice(transaction, link, &wiki.to_string(), notice)
        })
    }

    /// What is to be sent by now, the oldest first.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn due_notices(&self, now: i64, limit: u32) -> Result<Vec<Notice>, CatalogError> {
        self.db.read(|connection| {
            let mut statement = connection.prepare_cached(
                "select id, link, wiki, kind, detail, created, attempts from notices
                 where next_at <= ?1 order by next_at, id limit ?2",
            )?;
            let rows = statement.query_map(params![now, limit], read)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// When the next notice is to be sent.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn next_notice_at(&self) -> Result<Option<i64>, CatalogError> {
        self.db.read(|connection| {
            let mut statement = connection
                .prepare_cached("select min(next_at) from notices where next_at is not null")?;
            Ok(statement.query_row([], |found| found.get(0))?)
        })
    }

    /// A notice was sent, or is given up; or is to be tried again then.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn settle_notice(&self, id: i64, again: Option<i64>) -> Result<(), CatalogError> {
        self.db.write(|transaction| {
            transaction.execute(
                "update notices set attempts = attempts + 1, next_at = ?2 where id = ?1",
                params![id, again],
            )?;
            if again.is_none() {
                transaction.execute(
                    "delete from notices where next_at is null
                         and wiki = (select wiki from notices where id = ?1)
                         and id not in (select id from notices
                             where wiki = (select wiki from notices where id = ?1) and next_at is null
                             order by id desc limit ?2)",
                    params![id, KEPT],
                )?;
            }
            Ok(())
        })
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Notice> {
    let detail: String = row.get("detail")?;
    Ok(Notice {
        id: row.get("id")?,
        link: row.get("link")?,
        wiki: row::parsed(row, "wiki")?,
        kind: row.get("kind")?,
        detail: serde_json::from_str(&detail)
            .map_err(|error| row::unreadable(row, "detail", error))?,
        created: row::time(row, "created")?,
        attempts: row.get("attempts")?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::tests::{garden, scratch};

    fn notice(kind: &str) -> NewNotice {
        NewNotice { kind: kind.to_owned(), once: None, detail: json!({ "a": 1 }) }
    }

    #[test]
    fn a_notice_waits_until_it_was_sent_or_given_up() {
        let (_dir, catalog) = scratch();
        let wiki = garden(&catalog).id;
        assert_eq!(catalog.next_notice_at().unwrap(), None);
        catalog.add_notice(wiki, "a", &notice("paused")).unwrap();
        let [due] = &catalog.due_notices(1000, 9).unwrap()[..] else { panic!("one is due") };
        assert_eq!((due.kind.as_str(), due.attempts), ("paused", 0));
        catalog.settle_notice(due.id, Some(5000)).unwrap();
        assert_eq!(catalog.due_notices(4999, 9).unwrap(), []);
        assert_eq!(catalog.next_notice_at().unwrap(), Some(5000));
        assert_eq!(catalog.due_notices(5000, 9).unwrap()[0].attempts, 1);
        catalog.settle_notice(due.id, None).unwrap();
        assert_eq!(catalog.due_notices(i64::MAX, 9).unwrap(), []);
    }

    #[test]
    fn what_is_told_once_is_told_once() {
        let (_dir, catalog) = scratch();
        let wiki = garden(&catalog).id;
        for (once, is_new) in [("a", true), ("a", false), ("b", true)] {
            let notice = NewNotice { once: Some(once.to_owned()), ..notice("conflicts") };
            assert_eq!(catalog.add_notice(wiki, "a", &notice).unwrap(), is_new);
        }
        assert_eq!(catalog.due_notices(0, 9).unwrap().len(), 2);
    }

    #[test]
    fn old_notices_do_not_pile_up() {
        let (_dir, catalog) = scratch();
        let wiki = garden(&catalog).id;
        for _ in 0..KEPT + 20 {
            catalog.add_notice(wiki, "a", &notice("paused")).unwrap();
        }
        for notice in catalog.due_notices(0, 1000).unwrap() {
            catalog.settle_notice(notice.id, None).unwrap();
        }
        let rows: u32 = catalog
            .db
            .read(|connection| {
                let count =
                    connection.query_row("select count(*) from notices", [], |row| row.get(0));
                Ok::<_, CatalogError>(count?)
            })
            .unwrap();
        assert_eq!(rows, KEPT);
    }
}
