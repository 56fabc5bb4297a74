//! Links of a page, and links to it.

use serde::Serialize;
use utoipa_axum::routes;
use wikigrove_tenant::Wiki;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::storage::{BrokenLink, IncomingLink, OutgoingLink};

use super::history::with_progress;
use crate::extract::{Json, Listing, Paging, Tail};
use crate::guard::{Needs, Routes};
use crate::openapi;

pub(super) fn router() -> Routes {
    Routes::new().route(Needs::READ, routes!(links))
}

#[derive(Serialize)]
struct Links {
    path: String,
    outgoing: Vec<OutgoingLink>,
    broken: Vec<BrokenLink>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    incoming: Vec<IncomingLink>,
    next_cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<wikigrove_tenant::storage::IndexProgress>,
}

/// Shows the targets of a page's links, which of them don't exist, and the pages that link to it, in parts. A page that
/// doesn't exist can have links to it, too.
#[utoipa::path(get, path = "/links/{*path}", params(("path" = String, Path), openapi::PagingParams),
    responses((status = 200, body = openapi::Links), (status = "4XX", body = openapi::Problem)))]
async fn links(wiki: Wiki, Tail(path): Tail, paging: Paging) -> Result<Json<Links>, Problem> {
    let Paging { limit, cursor } = paging;
    // One more than requested tells whether there is a next page.
    let asked = wiki.page_links(&path, cursor.as_deref(), limit + 1);
    let (links, index) = with_progress(&wiki, asked).await?;
    let Listing { items, next_cursor, .. } =
        Listing::part(links.incoming, limit, |link| link.path.clone(), |link| link);
    Ok(Json(Links {
        path,
        outgoing: links.outgoing,
        broken: links.broken,
        truncated: links.truncated,
        incoming: items,
        next_cursor,
        index,
    }))
}
