//! Full text search.

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use utoipa_axum::routes;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::storage::{SearchResult, SnippetPart};
use wikigrove_tenant::{PageSummary, Wiki};

use super::history::with_progress;
use crate::extract::{Listing, Paging, Query, query};
use crate::guard::{Needs, Routes};
use crate::openapi;

/// The deepest result that can be reached by paging: each page of results costs as much as all before it.
const DEEPEST: usize = 10_000;

pub(super) fn router() -> Routes {
    Routes::new().route(Needs::READ, routes!(search))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Search {
    /// Words that must all occur. `"two words"` matches adjacent words, `begin*` words with this prefix, and `-word`
    /// excludes a word. Case, accents, points, strokes and width are ignored.
    pub(crate) q: String,
    /// Prefix of the paths.
    #[serde(default)]
    #[param(required = false)]
    pub(crate) prefix: String,
}

#[derive(Serialize)]
pub(crate) struct Found {
    #[serde(flatten)]
    pub(crate) page: PageSummary,
    /// An excerpt as HTML: text with `<mark>` around the matches.
    pub(crate) snippet: String,
}

/// Finds pages by their text, best first.
#[utoipa::path(get, path = "/search", params(Search, openapi::PagingParams),
    responses((status = 200, body = openapi::SearchResults), (status = "4XX", body = openapi::Problem)))]
pub(crate) async fn search(
    wiki: Wiki,
    Query(Search { q, prefix }): Query<Search>,
    paging: Paging,
) -> Result<Listing<Found>, Problem> {
    let Paging { limit, cursor } = paging;
    let skip = match cursor {
        None => 0,
        Some(cursor) => cursor.parse().ok().filter(|skip| *skip <= DEEPEST).ok_or_else(|| {
            query::invalid("cursor", "invalid_cursor", "this is not a cursor of this list")
        })?,
    };
    let asked = wiki.search(&q, &prefix, skip, limit + 1);
    let (results, index) = with_progress(&wiki, asked).await?;
    let position = |_: &SearchResult, count: usize| (skip + count).to_string();
    let mut part = Listing::counted(results, limit, position, found);
    if skip + part.items.len() > DEEPEST {
        part.next_cursor = None;
    }
    Ok(part.while_building(index))
}

fn found(result: SearchResult) -> Found {
    let snippet = result.snippet.iter().map(part).collect();
    Found { page: result.page, snippet }
}

fn part(SnippetPart { text, is_match }: &SnippetPart) -> String {
    let mut html = String::with_capacity(text.len() + 16);
    // Infallible for a string.
    let _ = pulldown_cmark_escape::escape_html(&mut html, text);
    if *is_match { format!("<mark>{html}</mark>") } else { html }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_is_text_with_marks_and_nothing_else() {
        let part = |text: &str, is_match| part(&SnippetPart { text: text.to_owned(), is_match });
        assert_eq!(part("<b> & \"x\"", false), "&lt;b&gt; &amp; &quot;x&quot;");
        assert_eq!(part("<script>", true), "<mark>&lt;script&gt;</mark>");
    }
}
