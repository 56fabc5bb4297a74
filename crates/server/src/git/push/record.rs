//! Audit log entries of pushes, which are independent of the commits' authors.

use std::net::IpAddr;

use axum::extract::Request;
use http::StatusCode;
use wikigrove_tenant::{AuditId, Error, Revision, Wiki};

use super::verdict::Branch;
use crate::auth::ClientAddress;
use crate::middleware::RequestId;

/// The origin of a push.
pub(super) struct Record {
    peer: Option<IpAddr>,
    request_id: Option<String>,
}

impl Record {
    pub(super) fn of(request: &Request) -> Self {
        let extensions = request.extensions();
        let peer = ClientAddress::of(extensions);
        let request_id = extensions.get::<RequestId>().map(|id| id.as_str().to_owned());
        Self { peer, request_id }
    }

    /// Records a push before it is taken over; without a record it isn't taken over.
    pub(super) async fn begin(
        &self,
        wiki: &Wiki,
        branch: &Branch,
        new: Revision,
    ) -> Result<AuditId, Error> {
        let old = branch.head.map(|head| head.to_string());
        let detail =
            serde_json::json!({ "branch": branch.name, "old": old, "new": new.to_string() });
        wiki.record("git.push", self.peer, self.request_id.clone(), detail).await
    }

    /// Records the result, as the HTTP status that a save with this result would have.
    pub(super) async fn end(&self, wiki: &Wiki, entry: AuditId, error: Option<&Error>) {
        let status = error.map_or(StatusCode::OK, Error::status);
        if let Err(error) = wiki.record_result(entry, status.as_u16()).await {
            tracing::error!(%error, "the result of a push can't be written down");
        }
    }
}
