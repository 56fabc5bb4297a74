//! The audit log.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::IntoParams;
use utoipa_axum::routes;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{AuditEntry, AuditFilter, AuditId, NewAuditEntry};

use super::Admin;
use crate::extract::{Listing, Paging, Query};
use crate::guard::{Needs, Routes};
use crate::openapi;

pub(super) fn router() -> Routes<Admin> {
    Routes::new().route(Needs::OPERATOR, routes!(list))
}

#[derive(Serialize)]
struct EntryBody {
    id: i64,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    subject: Option<String>,
    action: String,
    wiki: Option<String>,
    slug: Option<String>,
    peer: Option<String>,
    request_id: Option<String>,
    detail: serde_json::Value,
    result: Option<u16>,
    count: u32,
}

impl From<AuditEntry> for EntryBody {
    fn from(AuditEntry { id, at, what, result, count }: AuditEntry) -> Self {
        let NewAuditEntry { subject, action, wiki, slug, peer, request_id, detail } = what;
        let (wiki, peer) = (wiki.map(|id| id.to_string()), peer.map(|peer| peer.to_string()));
        Self { id: id.0, at, subject, action, wiki, slug, peer, request_id, detail, result, count }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// A wiki's id, or its slug at the time of the entry.
    wiki: Option<String>,
    /// The caller's subject.
    subject: Option<String>,
    /// The action, such as `token.create`.
    action: Option<String>,
}

/// Lists the entries of the audit log, newest first.
#[utoipa::path(get, path = "/audit", params(Filter, openapi::PagingParams),
    responses((status = 200, body = openapi::people::AuditLog), (status = "4XX", body = openapi::Problem)))]
async fn list(
    State(admin): State<Admin>,
    Query(Filter { wiki, subject, action }): Query<Filter>,
    paging: Paging,
) -> Result<Listing<EntryBody>, Problem> {
    let before = paging.cursor.as_deref().map(place).transpose()?;
    let filter = AuditFilter { wiki, subject, action };
    let found = admin.platform.audit_log(filter, before, paging.one_more()).await;
    let found = found.map_err(|error| error.problem())?;
    Ok(Listing::part(found, paging.limit, |entry| entry.id.0.to_string(), EntryBody::from))
}

fn place(cursor: &str) -> Result<AuditId, Problem> {
    cursor.parse().map(AuditId).map_err(|_| super::not_of_this_list())
}
