//! The audit log.

use std::time::Instant;

use crate::{AuditEntry, AuditFilter, AuditId, Error, NewAuditEntry, Platform, Slug};

/// Access to the audit log that can add rows but not read them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AuditLog(Platform);

impl AuditLog {
    /// Like [`Platform::record`]; the id of a wiki that is given by name only is looked up.
    ///
    /// # Errors
    /// The catalog can't be read or written. Then the action must not be done.
    pub async fn record(&self, mut entry: NewAuditEntry) -> Result<AuditId, Error> {
        let slug = entry.slug.as_deref().and_then(|slug| slug.parse::<Slug>().ok());
        if let (None, Some(slug)) = (entry.wiki, slug) {
            entry.wiki = self.0.tenant(&slug).await?.map(|tenant| tenant.id);
        }
        self.0.record(entry).await
    }

    /// Like [`Platform::record_refusal`].
    pub async fn record_refusal(&self, entry: NewAuditEntry, status: u16) {
        self.0.record_refusal(entry, status).await;
    }

    /// Like [`Platform::record_result`].
    ///
    /// # Errors
    /// The catalog can't be written.
    pub async fn record_result(&self, id: AuditId, status: u16) -> Result<(), Error> {
        self.0.record_result(id, status).await
    }
}

impl Platform {
    /// Access to the audit log that can add rows but not read them.
    pub fn audit(&self) -> AuditLog {
        AuditLog(self.clone())
    }

    /// Records an action that is about to be done. The row is durable when this returns.
    ///
    /// # Errors
    /// The catalog can't be written. Then the action must not be done.
    pub async fn record(&self, entry: NewAuditEntry) -> Result<AuditId, Error> {
        self.catalog(move |catalog| catalog.record(&entry)).await
    }

    /// Records that a call was refused. One row counts the refusals of one caller and kind within a minute. A row that
    /// can't be written is only logged, because the call is refused anyway.
    pub async fn record_refusal(&self, entry: NewAuditEntry, status: u16) {
        if !self.0.refusals.count(&entry, Instant::now()) {
            return;
        }
        let new = entry.clone();
        let written = self.catalog(move |catalog| catalog.record_refusal(&new, status)).await;
        self.0.refusals.written(&entry, written.as_ref().ok().copied());
        if let Err(error) = written {
            tracing::error!(%error, action = entry.action, "a refusal can't be written down");
        }
    }

    /// Writes the counts of refused calls to their rows.
    pub(super) async fn write_refusals(&self) {
        let more = self.0.refusals.take(Instant::now());
        if more.is_empty() {
            return;
        }
        if let Err(error) = self.catalog(move |catalog| catalog.count_refusals(&more)).await {
            tracing::warn!(%error, "how often things were refused can't be written down");
        }
    }

    /// Records the result of an action, once: a second result changes nothing.
    ///
    /// # Errors
    /// The catalog can't be written.
    pub async fn record_result(&self, id: AuditId, status: u16) -> Result<(), Error> {
        self.catalog(move |catalog| catalog.record_result(id, status)).await.map(drop)
    }

    /// The rows of the audit log, newest first: at most `limit` before `before`.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn audit_log(
        &self,
        filter: AuditFilter,
        before: Option<AuditId>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, Error> {
        self.catalog(move |catalog| catalog.audit_log(&filter, before, limit)).await
    }
}
