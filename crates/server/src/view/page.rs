//! One page, the page that a visitor sees first, and the text of a page.

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

/// How many attachments and pages below it a page names; the others are on lists of their own.
const LISTED: usize = 50;

#[derive(Deserialize)]
pub(super) struct At {
    at: Option<String>,
    /// What `at` is called in addresses of other software.
    revision: Option<String>,
}

/// The page that the wiki calls its home; or else the list of all pages.
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

/// A page, now or as it was.
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

/// The page of an address that ends in slashes.
fn without_slashes(path: &str) -> Option<&str> {
    let page = path.strip_suffix('/')?.trim_end_matches('/');
    // Anything else could lead to another host: `//host` is an address.
    ExistingPath::new(page).is_ok().then_some(page)
}

/// The list of the pages below a path at which there is none.
async fn below(wiki: &Wiki, frame: &Frame, path: &str) -> Result<Option<Response>, Problem> {
    if ExistingPath::new(path).is_err() {
        return Ok(None);
    }
    let pages = wiki.pages(&format!("{path}/"), None, 1).await.map_err(|error| error.problem())?;
    Ok((!pages.is_empty()).then(|| redirect_for_now(&frame.below(path))))
}

/// Where a file of this path is, or the page of this file: HTML that somebody wrote by hand names
/// pictures and pages as they lie in the repository, from the page's own place there.
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

/// Whether there is no page of the path, or can't be one.
fn is_no_page(problem: &Problem) -> bool {
    matches!(problem.status(), StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY)
}

/// The bytes of a page, shown as text.
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
    /// A page has one title: its own first heading, if it has one.
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
    // What is around a page is known for now only.
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
