//! What the operator learns of a push, whoever its commits name.

use std::net::IpAddr;

use axum::extract::Request;
use http::StatusCode;
use wikigrove_tenant::{AuditId, Error, Revision, Wiki};

use super::verdict::Branch;
use crate::auth::ClientAddress;
use crate::middleware::RequestId;

/// Where a push comes from.
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

    /// Writes down that it is about to be taken over: nothing is that isn't written down.
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

    /// Writes down what became of it, as the status that a save would be answered with.
    pub(super) async fn end(&self, wiki: &Wiki, entry: AuditId, error: Option<&Error>) {
        let status = error.map_or(StatusCode::OK, Error::status);
        if let Err(error) = wiki.record_result(entry, status.as_u16()).await {
            tracing::error!(%error, "the result of a push can't be written down");
        }
    }
}
