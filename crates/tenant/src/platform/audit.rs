//! The audit log.

use std::time::Instant;

use crate::{AuditEntry, AuditFilter, AuditId, Error, NewAuditEntry, Platform, Slug};

/// The audit log for those who may add to it and not read it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AuditLog(Platform);

impl AuditLog {
    /// As [`Platform::record`]; a wiki that is only named is looked up.
    ///
    /// # Errors
    /// The catalog can't be read or written. Then what was to be done should not be.
    pub async fn record(&self, mut entry: NewAuditEntry) -> Result<AuditId, Error> {
        let slug = entry.slug.as_deref().and_then(|slug| slug.parse::<Slug>().ok());
        if let (None, Some(slug)) = (entry.wiki, slug) {
            entry.wiki = self.0.tenant(&slug).await?.map(|tenant| tenant.id);
        }
        self.0.record(entry).await
    }

    /// As [`Platform::record_refusal`].
    pub async fn record_refusal(&self, entry: NewAuditEntry, status: u16) {
        self.0.record_refusal(entry, status).await;
    }

    /// As [`Platform::record_result`].
    ///
    /// # Errors
    /// The catalog can't be written.
    pub async fn record_result(&self, id: AuditId, status: u16) -> Result<(), Error> {
        self.0.record_result(id, status).await
    }
}

impl Platform {
    /// What may be added to the audit log by those who may not read it.
    pub fn audit(&self) -> AuditLog {
        AuditLog(self.clone())
    }

    /// Writes down what is about to be done; it is durable when this returns.
    ///
    /// # Errors
    /// The catalog can't be written. Then it should not be done.
    pub async fn record(&self, entry: NewAuditEntry) -> Result<AuditId, Error> {
        self.catalog(move |catalog| catalog.record(&entry)).await
    }

    /// Records that a call was refused. Refusals of one caller and kind are one row a minute, with a count. A
    /// row that can't be written is only logged: the call is refused anyway.
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

    /// Writes down how it ended, once: a second result changes nothing.
    ///
    /// # Errors
    /// The catalog can't be written.
    pub async fn record_result(&self, id: AuditId, status: u16) -> Result<(), Error> {
        self.catalog(move |catalog| catalog.record_result(id, status)).await.map(drop)
    }

    /// What was done, newest first: at most `limit` rows before `before`.
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
