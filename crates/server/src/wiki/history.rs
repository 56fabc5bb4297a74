//! The history of a page, and of the whole wiki.

use utoipa_axum::routes;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::storage::{HistoryPosition, IndexProgress, Log, Most};
use wikigrove_tenant::{Commit, Error, Revision, Wiki};

use crate::extract::{Listing, Paging, Tail, query};
use crate::guard::{Needs, Routes};
use crate::openapi;

pub(super) fn router() -> Routes {
    Routes::new().route(Needs::READ, routes!(history)).route(Needs::READ, routes!(changes))
}

/// Lists the commits that changed a page, newest first, across renames. The history of a deleted page remains
/// available.
#[utoipa::path(get, path = "/history/{*path}", params(("path" = String, Path), openapi::PagingParams),
    responses((status = 200, body = openapi::CommitList), (status = "4XX", body = openapi::Problem)))]
pub(crate) async fn history(
    wiki: Wiki,
    Tail(path): Tail,
    paging: Paging,
) -> Result<Listing<Commit>, Problem> {
    let Paging { limit, cursor } = paging;
    let from = cursor.map(|cursor| position(&cursor).ok_or_else(not_a_cursor)).transpose()?;
    let asked = wiki.history(&path, from, Most::items(limit));
    let (history, index) = with_progress(&wiki, asked).await?;
    let next = history.next.as_ref().map(cursor_of);
    let listing = Listing::new(history.commits, next.as_deref());
    Ok(listing.while_building(index))
}

/// Lists all commits, newest first, each with the pages and attachments that it changes.
#[utoipa::path(get, path = "/changes", params(openapi::PagingParams),
    responses((status = 200, body = openapi::CommitList), (status = "4XX", body = openapi::Problem)))]
pub(crate) async fn changes(wiki: Wiki, paging: Paging) -> Result<Listing<Commit>, Problem> {
    let Paging { limit, cursor } = paging;
    let after: Option<Revision> =
        cursor.map(|cursor| cursor.parse().map_err(|_| not_a_cursor())).transpose()?;
    let asked = wiki.log(after, Most::items(limit));
    let (Log { commits, more }, index) = with_progress(&wiki, asked).await?;
    let next = commits.last().filter(|_| more).map(|commit| commit.revision.to_string());
    Ok(Listing::new(commits, next.as_deref()).while_building(index))
}

/// Queries the index; also returns the index's progress if the answer may be incomplete.
///
/// The index may become complete or fall behind during the query, so its progress is read before and after.
pub(super) async fn with_progress<T>(
    wiki: &Wiki,
    asked: impl Future<Output = Result<T, Error>>,
) -> Result<(T, Option<IndexProgress>), Problem> {
    let progress = async || wiki.index_progress().await.map_err(|error| error.problem());
    let before = progress().await?;
    let answer = asked.await.map_err(|error| error.problem())?;
    let index = match before {
        Some(progress) => Some(progress),
        None => progress().await?,
    };
    Ok((answer, index))
}

/// Formats a cursor: two revisions, each `-` if absent, and the path.
fn cursor_of(HistoryPosition { path, after, left }: &HistoryPosition) -> String {
    let shown = |id: &Option<Revision>| id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    format!("{} {} {path}", shown(after), shown(left))
}

fn position(cursor: &str) -> Option<HistoryPosition> {
    let mut parts = cursor.splitn(3, ' ');
    let mut id = || match parts.next()? {
        "-" => Some(None),
        id => id.parse().ok().map(Some),
    };
    let (after, left) = (id()?, id()?);
    Some(HistoryPosition { path: parts.next()?.to_owned(), after, left })
}

fn not_a_cursor() -> Problem {
    query::invalid("cursor", "invalid_cursor", "this is not a cursor of this list")
}
