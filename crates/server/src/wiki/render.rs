//! Pages as HTML.

mod cache;

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::storage::Page;
use wikigrove_tenant::storage::links::LinkStyle;
use wikigrove_tenant::{Etag, ExistingPath, Found, Revision, Wiki, not_modified, spawn_blocking};

use super::API;
use super::pages::answer;
use crate::extract::{Query, Tail, query};
use crate::openapi;
use crate::render::{self, Context, Rendered, Renderer};

use cache::{Cache, Entry, Key};

/// What the HTML alone may do when a browser opens it: show images of the wiki, and nothing else.
const POLICY: &str =
    "default-src 'none'; img-src 'self'; base-uri 'none'; form-action 'none'; sandbox";

/// What renders, and remembers what it rendered.
#[derive(Clone, Default)]
struct Rendering {
    renderer: Arc<Renderer>,
    cache: Cache,
}

pub(super) fn router() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(render)).with_state(Rendering::default())
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct At {
    /// A commit: the page and what it links to as they were then.
    at: Option<String>,
}

/// Shows a page as safe HTML, with its links resolved inside the wiki.
#[utoipa::path(get, path = "/render/{*path}", params(("path" = String, Path), At),
    responses(
        (status = 200, content((openapi::Rendered = "application/json"), (String = "text/html"))),
        (status = 304, description = "the client has this version"),
        (status = "4XX", body = openapi::Problem)))]
async fn render(
    wiki: Wiki,
    State(rendering): State<Rendering>,
    Tail(path): Tail,
    Query(At { at }): Query<At>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let at = at.map(|at| query::revision("at", &at)).transpose()?;
    let page = match at {
        Some(at) => wiki.read_at(&path, at).await.map(Arc::new),
        None => wiki.read_raw(&path).await,
    };
    let page = page.map_err(|error| error.problem())?;
    let base = uri.path().split_once(API).map_or("", |(base, _)| base);
    let key = Key {
        wiki: wiki.id(),
        base: base.to_owned(),
        path: page.summary.path.clone(),
        etag: page.summary.etag,
    };
    let known = rendering.cache.get(&key);
    let wanted = match &known {
        Some(entry) => entry.wanted.clone(),
        None => wanted(page.clone()).await?,
    };
    let found = wiki.resolve(at, wanted.clone()).await.map_err(|error| error.problem())?;
    let media_type = if answer::prefers(&headers, "text/html") {
        "text/html; charset=utf-8"
    } else {
        "application/json"
    };
    let etag = version(&key, &page, &wanted, &found, media_type);
    if not_modified(&headers, &etag) {
        return Ok(answer::with_page_headers(
            &wiki,
            &etag,
            StatusCode::NOT_MODIFIED,
            None,
            Body::empty(),
        ));
    }
    let entry = match known {
        Some(entry) if entry.found == found => entry,
        _ => rendering.make(key, &page, wanted, found).await?,
    };
    let is_html = media_type.starts_with("text/html");
    let body =
        if is_html { entry.rendered.html.clone().into() } else { json(&page, &entry.rendered)? };
    let mut response =
        answer::with_page_headers(&wiki, &etag, StatusCode::OK, Some(media_type), body);
    if is_html {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    }
    Ok(response)
}

impl Rendering {
    /// Renders the page and remembers it.
    async fn make(
        &self,
        key: Key,
        page: &Arc<Page>,
        wanted: Vec<Vec<String>>,
        found: Vec<Option<Found>>,
    ) -> Result<Arc<Entry>, Problem> {
        let there = wanted.iter().cloned().zip(found.iter().cloned());
        let there: HashMap<_, _> =
            there.filter_map(|(wanted, found)| Some((wanted, found?))).collect();
        let (renderer, page, base) = (self.renderer.clone(), page.clone(), key.base.clone());
        let rendered = blocking(move || {
            let (path, text) = path_and_text(&page)?;
            let context = Context { page: &path, base: &base, style: STYLE, found: &there };
            Ok(renderer.render(text, &context))
        })
        .await?;
        let entry = Arc::new(Entry { wanted, found, rendered });
        self.cache.put(key, entry.clone());
        Ok(entry)
    }
}

/// All wikis write the target first.
const STYLE: LinkStyle = LinkStyle::TargetFirst;

/// The candidates of the page's links.
async fn wanted(page: Arc<Page>) -> Result<Vec<Vec<String>>, Problem> {
    blocking(move || {
        let (path, text) = path_and_text(&page)?;
        Ok(render::wanted(&path, text, STYLE))
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    spawn_blocking(work).await.map_err(|error| Problem::internal(&error))?
}

fn path_and_text(page: &Page) -> Result<(ExistingPath, &str), Problem> {
    let path = ExistingPath::new(&page.summary.path).map_err(|error| Problem::internal(&error))?;
    let text = std::str::from_utf8(&page.content).map_err(|_| {
        let detail = "the page is not UTF-8 text; read its bytes below `/pages`";
        Problem::new(StatusCode::NOT_ACCEPTABLE, "not_text", detail)
    })?;
    Ok((path, text))
}

/// The version of an answer: it changes with the page, with what exists of what it links to, and
/// with the renderer.
fn version(
    key: &Key,
    page: &Page,
    wanted: &[Vec<String>],
    found: &[Option<Found>],
    media_type: &str,
) -> String {
    let mut hash = Sha256::new();
    let summary = &page.summary;
    let (etag, revision) = (summary.etag.to_string(), summary.revision.to_string());
    for part in [&render::VERSION.to_string(), media_type, &key.base, &key.path, &etag, &revision] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.update(format!("{wanted:?}{found:?}"));
    data_encoding::HEXLOWER.encode(&hash.finalize()[..20])
}

#[derive(Serialize)]
struct Shown<'a> {
    path: &'a str,
    title: &'a str,
    etag: Etag,
    revision: Revision,
    #[serde(flatten)]
    rendered: &'a Rendered,
}

fn json(page: &Page, rendered: &Rendered) -> Result<Body, Problem> {
    let summary = &page.summary;
    let shown = Shown {
        path: &summary.path,
        title: &summary.title,
        etag: summary.etag,
        revision: summary.revision,
        rendered,
    };
    let bytes = serde_json::to_vec(&shown).map_err(|error| Problem::internal(&error))?;
    Ok(bytes.into())
}
