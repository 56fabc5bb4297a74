//! Usage and quotas of a wiki.

use axum::extract::State;
use serde::Serialize;
use utoipa_axum::routes;
use wikigrove_tenant::{Error, Usage};

use super::{Admin, SlugInPath};
use crate::extract::Json;
use crate::guard::{Needs, Routes};
use crate::openapi;

pub(super) fn router() -> Routes<Admin> {
    Routes::new().route(Needs::OPERATOR, routes!(show))
}

#[derive(Serialize)]
struct UsageBody {
    pages: u64,
    attachments: u64,
    bytes: u64,
    repository_bytes: u64,
    database_bytes: u64,
    draft_bytes: u64,
    app_bytes: u64,
    disk_bytes: u64,
    quota: QuotaBody,
}

#[derive(Serialize)]
struct QuotaBody {
    max_pages: Option<u64>,
    max_bytes: Option<u64>,
    max_disk_bytes: Option<u64>,
}

/// Shows a wiki's usage and quotas.
#[utoipa::path(get, path = "/wikis/{slug}/usage", params(("slug" = String, Path)),
    responses((status = 200, body = openapi::people::Usage), (status = "4XX", body = openapi::Problem)))]
async fn show(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
) -> Result<Json<UsageBody>, Error> {
    let tenant = admin.existing(&slug).await?;
    let usage = admin.platform.usage(&slug).await?;
    let quota = admin.platform.quota_of(&tenant);
    let quota = QuotaBody {
        max_pages: quota.pages,
        max_bytes: quota.bytes,
        max_disk_bytes: quota.disk_bytes,
    };
    let disk_bytes = usage.disk_bytes();
    let Usage {
        pages,
        attachments,
        bytes,
        repository_bytes,
        database_bytes,
        draft_bytes,
        app_bytes,
    } = usage;
    Ok(Json(UsageBody {
        pages,
        attachments,
        bytes,
        repository_bytes,
        database_bytes,
        draft_bytes,
        app_bytes,
        disk_bytes,
        quota,
    }))
}
