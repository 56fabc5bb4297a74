//! The audit log. Rows are added and never changed, except for the result, which is written once, and the count of
//! refusals, which only grows. Only the oldest rows are removed, by the retention. Triggers refuse any other change.

use rusqlite::types::Value;
use rusqlite::{Row, Transaction, params, params_from_iter};
use time::OffsetDateTime;

use super::{Catalog, CatalogError, now, row};
use crate::TenantId;
use crate::audit::{AuditEntry, AuditFilter, AuditId, NewAuditEntry};

/// Maximal number of rows removed in one transaction. Other writers run in between.
pub(crate) const FORGOTTEN_AT_ONCE: usize = 1000;

impl Catalog {
    /// Adds a row, which is durable when this returns.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn record(&self, new: &NewAuditEntry) -> Result<AuditId, CatalogError> {
        self.db.write(|transaction| insert(transaction, new, None))
    }

    /// Adds a row for a call that was refused with this status.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn record_refusal(
        &self,
        new: &NewAuditEntry,
        result: u16,
    ) -> Result<AuditId, CatalogError> {
        self.db.write(|transaction| insert(transaction, new, Some(result)))
    }

    /// Adds to the counts of refusals.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn count_refusals(&self, more: &[(AuditId, u32)]) -> Result<(), CatalogError> {
        self.db.write(|transaction| {
            let sql = "update audit set count = count + ?2 where id = ?1 and result is not null";
            let mut statement = transaction.prepare_cached(sql)?;
            for (id, more) in more {
                statement.execute(params![id.0, more])?;
            }
            Ok(())
        })
    }

    /// Removes the oldest rows that are from before a time, or that exceed `most` rows. Returns the number of removed
    /// rows, at most [`FORGOTTEN_AT_ONCE`].
    ///
    /// # Errors
    /// The file can't be read or written.
    pub(crate) fn forget_audit(
        &self,
        before: OffsetDateTime,
        most: u64,
    ) -> Result<usize, CatalogError> {
        let (before, most) = (before.unix_timestamp(), i64::try_from(most).unwrap_or(i64::MAX));
        // Rows are removed from the front only, so the difference of the ids is the number of rows.
        let through: Option<i64> = self.db.read::<_, CatalogError>(|connection| {
            let sql = format!(
                "select max(id) from (select id, at from audit order by id limit {FORGOTTEN_AT_ONCE})
                 where at < ?1 or id <= (select max(id) from audit) - ?2"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            Ok(statement.query_row(params![before, most], |row| row.get(0))?)
        })?;
        let Some(through) = through else { return Ok(0) };
        self.db.write(|transaction| {
            let sql = "update audit_retention set through = max(through, ?1)";
            transaction.execute(sql, [through])?;
            Ok(transaction.execute("delete from audit where id <= ?1", [through])?)
        })
    }

    /// Records the result of a call. Returns `false` if a result was recorded before, or if the row doesn't exist.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn record_result(&self, id: AuditId, result: u16) -> Result<bool, CatalogError> {
        self.db.write(|transaction| {
            let changed = transaction
                .prepare_cached("update audit set result = ?2 where id = ?1 and result is null")?
                .execute(params![id.0, result])?;
            Ok(changed == 1)
        })
    }

    /// The rows before `before`, newest first.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn audit_log(
        &self,
        filter: &AuditFilter,
        before: Option<AuditId>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, CatalogError> {
        let mut sql = "select * from audit where id < ?".to_owned();
        let mut values: Vec<Value> = vec![before.map_or(i64::MAX, |id| id.0).into()];
        let wiki = filter.wiki.as_ref().map(|wiki| match wiki.parse::<TenantId>() {
            Ok(_) => (" and wiki = ?", wiki),
            Err(_) => (" and slug = ?", wiki),
        });
        let subject = filter.subject.as_ref().map(|subject| (" and subject = ?", subject));
        let action = filter.action.as_ref().map(|action| (" and action = ?", action));
        for (condition, value) in [wiki, subject, action].into_iter().flatten() {
            sql.push_str(condition);
            values.push(value.clone().into());
        }
        sql.push_str(" order by id desc limit ?");
        values.push(i64::from(limit).into());
        self.db.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params_from_iter(values), read)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

fn insert(
    transaction: &Transaction<'_>,
    new: &NewAuditEntry,
    result: Option<u16>,
) -> Result<AuditId, CatalogError> {
    transaction
        .prepare_cached(
            "insert into audit (at, subject, action, wiki, slug, peer, request_id, detail, result)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            now().unix_timestamp(),
            new.subject,
            new.action,
            new.wiki.map(|id| id.to_string()),
            new.slug,
            new.peer.map(|peer| peer.to_string()),
            new.request_id,
            new.detail.to_string(),
            result,
        ])?;
    Ok(AuditId(transaction.last_insert_rowid()))
}

fn read(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    let detail: String = row.get("detail")?;
    let what = NewAuditEntry {
        subject: row.get("subject")?,
        action: row.get("action")?,
        wiki: row::optional_parsed(row, "wiki")?,
        slug: row.get("slug")?,
        peer: row::optional_parsed(row, "peer")?,
        request_id: row.get("request_id")?,
        detail: serde_json::from_str(&detail)
            .map_err(|error| row::unreadable(row, "detail", error))?,
    };
    let (id, at, result) = (row.get("id")?, row::time(row, "at")?, row.get("result")?);
    Ok(AuditEntry { id: AuditId(id), at, what, result, count: row.get("count")? })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::tests::scratch;

    fn entry(subject: &str, action: &str, slug: &str) -> NewAuditEntry {
        NewAuditEntry {
            subject: Some(subject.to_owned()),
            action: action.to_owned(),
            wiki: Some("00112233445566778899aabbccddeeff".parse().unwrap()),
            slug: Some(slug.to_owned()),
            peer: Some([127, 0, 0, 1].into()),
            request_id: Some("r1".to_owned()),
            detail: json!({ "name": "ci" }),
        }
    }

    #[test]
    fn what_was_recorded_is_listed_newest_first_and_filtered() {
        let (_dir, catalog) = scratch();
        let first = catalog.record(&entry("ann", "token.create", "garden")).unwrap();
        let second = catalog.record(&entry("bob", "token.create", "kitchen")).unwrap();
        let third = catalog.record(&entry("ann", "wiki.change", "garden")).unwrap();
        assert!(catalog.record_result(first, 201).unwrap());
        let ids = |filter: AuditFilter, before, limit| -> Vec<AuditId> {
            let rows = catalog.audit_log(&filter, before, limit).unwrap();
            rows.iter().map(|row| row.id).collect()
        };
        let all = AuditFilter::default;
        assert_eq!(ids(all(), None, 9), [third, second, first]);
        assert_eq!(ids(all(), Some(third), 1), [second]);
        let wiki = |name: &str| AuditFilter { wiki: Some(name.to_owned()), ..all() };
        assert_eq!(ids(wiki("garden"), None, 9), [third, first]);
        assert_eq!(ids(wiki("00112233445566778899aabbccddeeff"), None, 2), [third, second]);
        assert_eq!(ids(wiki("garden' or 1=1 --"), None, 9), []);
        let ann = AuditFilter { subject: Some("ann".to_owned()), ..all() };
        assert_eq!(ids(ann.clone(), None, 9), [third, first]);
        let both = AuditFilter { action: Some("token.create".to_owned()), ..ann };
        assert_eq!(ids(both, None, 9), [first]);
        let row = catalog.audit_log(&all(), Some(second), 1).unwrap().remove(0);
        assert_eq!((row.what, row.result), (entry("ann", "token.create", "garden"), Some(201)));
    }

    #[test]
    fn nothing_is_changed_or_removed() {
        let (_dir, catalog) = scratch();
        let id = catalog.record(&entry("ann", "token.create", "garden")).unwrap();
        assert!(catalog.record_result(id, 201).unwrap());
        assert!(!catalog.record_result(id, 500).unwrap());
        assert!(!catalog.record_result(AuditId(99), 500).unwrap());
        for sql in [
            "delete from audit",
            "update audit set subject = 'bob'",
            "update audit set result = 500",
            "update audit set detail = '{}'",
            "update audit set at = 0",
            "update audit set count = 2, action = 'x'",
            "update audit set count = count - 1",
            "insert or replace into audit_retention values (1, -1)",
            "delete from audit_retention",
        ] {
            let changed: Result<_, CatalogError> =
                catalog.db.write(|transaction| Ok(transaction.execute(sql, [])?));
            assert!(changed.is_err(), "{sql}");
        }
        // An id isn't given a second time either.
        assert!(catalog.record(&entry("ann", "x", "garden")).unwrap() > id);
    }

    #[test]
    fn what_is_refused_again_is_counted_and_what_is_open_is_not() {
        let (_dir, catalog) = scratch();
        let open = catalog.record(&entry("ann", "wiki.export", "garden")).unwrap();
        let refused = catalog.record_refusal(&entry("bob", "x", "garden"), 403).unwrap();
        catalog.count_refusals(&[(refused, 41), (open, 1), (AuditId(99), 1)]).unwrap();
        let rows = catalog.audit_log(&AuditFilter::default(), None, 9).unwrap();
        let seen: Vec<_> = rows.iter().map(|row| (row.id, row.result, row.count)).collect();
        assert_eq!(seen, [(refused, Some(403), 42), (open, None, 1)]);
    }

    #[test]
    fn the_oldest_rows_go_by_their_age_and_by_their_number_and_no_others() {
        let (_dir, catalog) = scratch();
        let ids: Vec<AuditId> =
            (0..10).map(|_| catalog.record(&entry("ann", "x", "garden")).unwrap()).collect();
        let listed = || -> Vec<AuditId> {
            let rows = catalog.audit_log(&AuditFilter::default(), None, 99).unwrap();
            rows.iter().rev().map(|row| row.id).collect()
        };
        let (past, future) = (now() - time::Duration::DAY, now() + time::Duration::DAY);
        assert_eq!(catalog.forget_audit(past, 10).unwrap(), 0);
        assert_eq!(catalog.forget_audit(past, 7).unwrap(), 3);
        assert_eq!(listed(), ids[3..]);
        let remove = |id: AuditId| {
            catalog.db.write::<_, CatalogError>(|transaction| {
                Ok(transaction.execute("delete from audit where id = ?1", [id.0])?)
            })
        };
        remove(ids[5]).unwrap_err();
        // All rows are old.
        assert_eq!(catalog.forget_audit(future, 99).unwrap(), 7);
        assert_eq!(listed(), []);
        let next = catalog.record(&entry("ann", "x", "garden")).unwrap();
        assert!(next > ids[9], "no id is given twice");
        remove(next).unwrap_err();
    }

    #[test]
    fn a_long_log_is_forgotten_a_part_at_a_time() {
        let (_dir, catalog) = scratch();
        let sql =
            "insert into audit (at, action, detail) select value, 'x', '{}' from json_each(?1)";
        let rows = i64::try_from(FORGOTTEN_AT_ONCE).unwrap() + 500;
        let values = serde_json::json!((0..rows).collect::<Vec<_>>()).to_string();
        let filled = catalog
            .db
            .write::<_, CatalogError>(|transaction| Ok(transaction.execute(sql, [&values])?));
        assert_eq!(i64::try_from(filled.unwrap()).unwrap(), rows);
        let forget = || catalog.forget_audit(now(), 99_999).unwrap();
        assert_eq!([forget(), forget(), forget()], [FORGOTTEN_AT_ONCE, 500, 0]);
    }
}
