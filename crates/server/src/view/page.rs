//! A page, the home page, and the source text of a page.

use askama::Template;
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{AttachmentSummary, ExistingPath, PageSummary, Revision, Wiki};

use super::answer;
use super::frame::{Frame, Moment};
use super::legacy;
use super::lists::{self, Wanted};
use super::named::Named;
use super::{redirect, redirect_for_now};
use crate::extract::{Paging, Query};
use crate::render::Rendered;
use crate::wiki::render::{Rendering, revision};

/// Maximum number of attachments and of sub-pages on a page; the others are in lists of their own.
const LISTED: usize = 50;

#[derive(Deserialize)]
pub(super) struct At {
    at: Option<String>,
    /// The name of `at` in URLs of other software.
    revision: Option<String>,
}

/// The wiki's home page; without one, the list of all pages.
pub(super) async fn home(
    wiki: Wiki,
    State(rendering): State<Rendering>,
    frame: Frame,
    paging: Paging,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let named = vec![frame.presentation.home_page.clone(), "home".to_owned()];
    let found = wiki.resolve(None, vec![named]).await.map_err(|error| error.problem())?;
    match found.into_iter().flatten().find(|found| found.is_page) {
        Some(home) => show(&wiki, &rendering, frame, &home.path, None, &headers).await,
        None => lists::pages(wiki, frame, Query(Wanted::default()), paging, headers).await,
    }
}

/// A page, at present or as of a commit.
pub(super) async fn page(
    wiki: Wiki,
    State(rendering): State<Rendering>,
    frame: Frame,
    Named(path): Named,
    Query(At { at, revision: legacy_at }): Query<At>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(page) = without_slashes(&path) {
        let elsewhere = legacy::of_page(&wiki, &frame, &path, legacy_at.as_deref()).await?;
        if let Some(elsewhere) = elsewhere {
            return Ok(elsewhere);
        }
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        return Ok(redirect(&format!("{}{query}", frame.page(page))));
    }
    let at = revision(at.as_deref())?;
    match show(&wiki, &rendering, frame.clone(), &path, at, &headers).await {
        Err(problem) if at.is_none() && is_no_page(&problem) => {
            let mut elsewhere = beside(&wiki, &frame, &path).await?;
            if elsewhere.is_none() {
                elsewhere = legacy::of_page(&wiki, &frame, &path, legacy_at.as_deref()).await?;
            }
            if elsewhere.is_none() {
                elsewhere = below(&wiki, &frame, &path).await?;
            }
            elsewhere.ok_or(problem)
        }
        shown => shown,
    }
}

/// The path of a URL with trailing slashes, without them.
fn without_slashes(path: &str) -> Option<&str> {
    let page = path.strip_suffix('/')?.trim_end_matches('/');
    // Only valid paths, because `//host` would lead to another host.
    ExistingPath::new(page).is_ok().then_some(page)
}

/// The list of the sub-pages of a path that has no page.
async fn below(wiki: &Wiki, frame: &Frame, path: &str) -> Result<Option<Response>, Problem> {
    if ExistingPath::new(path).is_err() {
        return Ok(None);
    }
    let pages = wiki.pages(&format!("{path}/"), None, 1).await.map_err(|error| error.problem())?;
    Ok((!pages.is_empty()).then(|| redirect_for_now(&frame.below(path))))
}

/// Redirects to the file of this path, or to the page of this file: HTML in pages refers to
/// pictures and pages by their relative paths in the repository.
async fn beside(wiki: &Wiki, frame: &Frame, path: &str) -> Result<Option<Response>, Problem> {
    let page = path.strip_suffix(".md");
    let named = [Some(path), page].into_iter().flatten().map(str::to_owned).collect();
    let found = wiki.resolve(None, vec![named]).await.map_err(|error| error.problem())?;
    let Some(found) = found.into_iter().flatten().next() else { return Ok(None) };
    let to = match found.is_page {
        true if page == Some(&found.path) => frame.page(&found.path),
        false if path == found.path => frame.attachment(&found.path),
        _ => return Ok(None),
    };
    Ok(Some(redirect(&to)))
}

/// Returns `true` if the path has no page, or isn't valid for one.
fn is_no_page(problem: &Problem) -> bool {
    matches!(problem.status(), StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY)
}

/// The source of a page, as plain text.
pub(super) async fn source(
    wiki: Wiki,
    Named(path): Named,
    Query(At { at, .. }): Query<At>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (etag, content) = match revision(at.as_deref())? {
        Some(at) => {
            let page = wiki.read_at(&path, at).await.map_err(|error| error.problem())?;
            (page.summary.etag, page.content)
        }
        None => {
            let page = wiki.read_raw(&path).await.map_err(|error| error.problem())?;
            (page.summary.etag, page.content.clone())
        }
    };
    Ok(answer::source(&wiki, &headers, &etag.to_string(), content))
}

#[derive(Template)]
#[template(path = "page.html")]
struct Shown<'a> {
    frame: Frame,
    summary: &'a PageSummary,
    rendered: &'a Rendered,
    at: Option<Revision>,
    below: Vec<PageSummary>,
    more_below: bool,
    attachments: Vec<AttachmentSummary>,
    more_attachments: bool,
}

impl Shown<'_> {
    /// Returns `true` if the page has no heading of level 1 that serves as its title.
    fn lacks_title(&self) -> bool {
        self.rendered.headings.iter().all(|heading| heading.level != 1)
    }

    fn modified(&self) -> Moment {
        Moment(self.summary.modified)
    }

    fn source(&self) -> String {
        let source = self.frame.about("source", &self.summary.path);
        self.at.map_or(source.clone(), |at| format!("{source}?at={at}"))
    }
}

async fn show(
    wiki: &Wiki,
    rendering: &Rendering,
    frame: Frame,
    path: &str,
    at: Option<Revision>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let style = (frame.presentation.link_style, frame.presentation.links_by_name);
    let external_images = frame.presentation.external_images;
    let prepared = rendering.prepare(wiki, &frame.base, path, at, style).await?;
    let page = prepared.page.clone();
    let entry = rendering.render(wiki, prepared).await?;
    // Sub-pages and attachments are listed for the present only.
    let (mut below, mut attachments) = (Vec::new(), Vec::new());
    if at.is_none() {
        let path = &page.summary.path;
        let prefix = format!("{path}/");
        below = wiki.pages(&prefix, None, LISTED + 1).await.map_err(|error| error.problem())?;
        attachments =
            wiki.attachments(path, None, LISTED + 1).await.map_err(|error| error.problem())?;
    }
    let (more_below, more_attachments) = (below.len() > LISTED, attachments.len() > LISTED);
    below.truncate(LISTED);
    attachments.truncate(LISTED);
    let shown = Shown {
        frame: Frame { is_indexed: at.is_none(), ..frame },
        summary: &page.summary,
        rendered: entry.rendered(),
        at,
        below,
        more_below,
        attachments,
        more_attachments,
    };
    answer::article(external_images, wiki, headers, &shown)
}
