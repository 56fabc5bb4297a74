//! The audit log.

use crate::{AuditEntry, AuditFilter, AuditId, Error, NewAuditEntry, Platform};

impl Platform {
    /// Writes down what is about to be done; it is durable when this returns.
    ///
    /// # Errors
    /// The catalog can't be written. Then it should not be done.
    pub async fn record(&self, entry: NewAuditEntry) -> Result<AuditId, Error> {
        self.catalog(move |catalog| catalog.record(&entry)).await
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
