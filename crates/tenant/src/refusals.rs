//! Counts refused calls, so that the audit log gets one row per caller, kind of call and minute, however many calls are
//! refused.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{AuditId, NewAuditEntry, TenantId};

/// The time for which one row counts refusals of a kind.
const COUNTED_FOR: Duration = Duration::from_secs(60);
/// Maximal number of rows per principal in that time. Further kinds of refusals are only logged.
const ROWS: usize = 10;
/// Maximal number of principals counted at once. Refusals of further principals are only logged.
const PRINCIPALS: usize = 10_000;

/// The refusals of the last minute.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<HashMap<String, Minute>>);

#[derive(Debug)]
struct Minute {
    began: Instant,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    kind: Kind,
    /// The row in the audit log; `None` while it is being written.
    id: Option<AuditId>,
    /// Number of refusals since the count was last written.
    more: u32,
}

/// The kind of a refused call. Each wiki has its own kinds, and so its own rows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    action: String,
    wiki: Option<TenantId>,
    slug: Option<String>,
}

impl Kind {
    fn of(entry: &NewAuditEntry) -> Self {
        let NewAuditEntry { action, wiki, slug, .. } = entry.clone();
        Self { action, wiki, slug }
    }
}

impl Refusals {
    /// Counts a refusal. Returns `true` for the first of its kind: the caller must write a row and report
    /// [`written`](Self::written).
    pub(crate) fn count(&self, entry: &NewAuditEntry, now: Instant) -> bool {
        let principal = entry.subject.clone().unwrap_or_default();
        let mut principals = self.principals();
        if principals.len() >= PRINCIPALS && !principals.contains_key(&principal) {
            tracing::warn!(principal, action = entry.action, "refused, and not written down");
            return false;
        }
        let minute =
            principals.entry(principal).or_insert_with(|| Minute { began: now, rows: Vec::new() });
        let kind = Kind::of(entry);
        if let Some(row) = minute.rows.iter_mut().find(|row| row.kind == kind) {
            row.more = row.more.saturating_add(1);
            return false;
        }
        if minute.rows.len() >= ROWS {
            tracing::info!(action = entry.action, "refused, after many other refusals");
            return false;
        }
        minute.rows.push(Row { kind, id: None, more: 0 });
        true
    }

    /// Records the row that counts refusals of this kind. `None` means that writing it failed; then the next refusal
    /// tries again.
    pub(crate) fn written(&self, entry: &NewAuditEntry, id: Option<AuditId>) {
        let mut principals = self.principals();
        let principal = entry.subject.as_deref().unwrap_or_default();
        let Some(minute) = principals.get_mut(principal) else { return };
        let kind = Kind::of(entry);
        match id {
            Some(id) => {
                let row = minute.rows.iter_mut().find(|row| row.kind == kind);
                row.into_iter().for_each(|row| row.id = Some(id));
            }
            None => minute.rows.retain(|row| row.kind != kind || row.id.is_some()),
        }
    }

    /// Takes the counts that aren't written yet, and drops minutes that have passed.
    pub(crate) fn take(&self, now: Instant) -> Vec<(AuditId, u32)> {
        let mut principals = self.principals();
        let rows = principals.values_mut().flat_map(|minute| &mut minute.rows);
        let more = rows
            .filter(|row| row.more > 0)
            .filter_map(|row| row.id.map(|id| (id, std::mem::take(&mut row.more))))
            .collect();
        principals.retain(|_, minute| {
            now.saturating_duration_since(minute.began) < COUNTED_FOR
                || minute.rows.iter().any(|row| row.id.is_none())
        });
        more
    }

    fn principals(&self) -> MutexGuard<'_, HashMap<String, Minute>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(subject: &str, action: &str, slug: &str) -> NewAuditEntry {
        NewAuditEntry {
            subject: Some(subject.to_owned()),
            action: action.to_owned(),
            wiki: None,
            slug: Some(slug.to_owned()),
            peer: None,
            request_id: None,
            detail: serde_json::json!({}),
        }
    }

    #[test]
    fn a_kind_of_refusal_is_written_once_a_minute_and_counted() {
        let (refusals, began) = (Refusals::default(), Instant::now());
        let change = entry("ann", "preferences.change", "garden");
        assert!(refusals.count(&change, began));
        // Counted even while the row is being written.
        assert!(!refusals.count(&change, began));
        assert_eq!(refusals.take(began), []);
        refusals.written(&change, Some(AuditId(7)));
        assert!((0..10).all(|_| !refusals.count(&change, began)));
        assert_eq!(refusals.take(began), [(AuditId(7), 11)]);
        assert_eq!(refusals.take(began + COUNTED_FOR), []);
        assert!(refusals.count(&change, began + COUNTED_FOR));
    }

    #[test]
    fn a_principal_has_few_rows_and_takes_none_from_another() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let first = (0..100).filter(|wiki| {
            let entry = entry("ann", "preferences.change", &format!("wiki-{wiki}"));
            refusals.count(&entry, now)
        });
        assert_eq!(first.count(), ROWS);
        assert!(refusals.count(&entry("bob", "preferences.change", "garden"), now));
        for stranger in 0..2 * PRINCIPALS {
            refusals.count(&entry(&format!("stranger-{stranger}"), "x", "garden"), now);
        }
        assert_eq!(refusals.principals().len(), PRINCIPALS);
    }

    #[test]
    fn what_could_not_be_written_is_tried_again() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let change = entry("ann", "preferences.change", "garden");
        assert!(refusals.count(&change, now));
        refusals.written(&change, None);
        assert!(refusals.count(&change, now));
    }
}
