//! The audit log. Rows are added and never changed, but for the result that comes later, once: the
//! file itself refuses anything else.

use rusqlite::types::Value;
use rusqlite::{Row, params, params_from_iter};

use super::{Catalog, CatalogError, now, row};
use crate::TenantId;
use crate::audit::{AuditEntry, AuditFilter, AuditId, NewAuditEntry};

impl Catalog {
    /// Adds a row; it is durable when this returns.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn record(&self, new: &NewAuditEntry) -> Result<AuditId, CatalogError> {
        self.db.write(|transaction| {
            transaction
                .prepare_cached(
                    "insert into audit (at, subject, action, wiki, slug, peer, request_id, detail)
                     values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
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
                ])?;
            Ok(AuditId(transaction.last_insert_rowid()))
        })
    }

    /// Says how it ended; `false` if that was said before, or there is no such row.
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
    Ok(AuditEntry { id: AuditId(id), at, what, result })
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
        ] {
            let changed: Result<_, CatalogError> =
                catalog.db.write(|transaction| Ok(transaction.execute(sql, [])?));
            assert!(changed.is_err(), "{sql}");
        }
        // Nor is an id given a second time.
        assert!(catalog.record(&entry("ann", "x", "garden")).unwrap() > id);
    }
}
