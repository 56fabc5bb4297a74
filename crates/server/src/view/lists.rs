//! Lists: pages, changes, the history of a page, its attachments, and search results. They have the API's pages and
//! cursors.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::storage::{ChangeKind, FileType, PathChange};
use wikigrove_tenant::{AttachmentSummary, Commit, PageSummary, Revision, Wiki};

use super::answer;
use super::frame::{Frame, Moment, query};
use super::named::Named;
use crate::extract::{Listing, Paging, Query, Tail};
use crate::wiki;

/// Maximum number of files that are named per commit.
const FILES: usize = 20;

/// The filters of a list.
#[derive(Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    q: String,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    limit: String,
}

/// The cursor of a list's next part, and whether the index was incomplete.
struct Paged {
    next: Option<String>,
    is_building: bool,
}

impl Paged {
    fn new<T>(listing: &Listing<T>, path: &str, wanted: &Wanted) -> Self {
        let next = listing.next_cursor.as_ref().map(|cursor| {
            let Wanted { q, prefix, limit } = wanted;
            let parameters =
                [("q", &**q), ("prefix", prefix), ("limit", limit), ("cursor", cursor)];
            format!("{path}?{}", query(&parameters))
        });
        Self { next, is_building: listing.index.is_some() }
    }
}

#[derive(Template)]
#[template(path = "pages.html")]
struct Pages {
    frame: Frame,
    prefix: String,
    pages: Vec<PageSummary>,
    paged: Paged,
}

pub(super) async fn pages(
    wiki: Wiki,
    frame: Frame,
    Query(wanted): Query<Wanted>,
    paging: Paging,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let prefix = wiki::pages::Prefix { prefix: wanted.prefix.clone() };
    let listing = wiki::pages::list(wiki.clone(), Query(prefix), paging).await;
    let listing = listing.map_err(|error| error.problem())?;
    let paged = Paged::new(&listing, &format!("{}/-/pages", frame.base), &wanted);
    let page = Pages { frame, prefix: wanted.prefix, pages: listing.items, paged };
    answer::html(&wiki, &headers, &page)
}

#[derive(Template)]
#[template(path = "changes.html")]
struct Changes {
    frame: Frame,
    /// The page whose history this is; `None` for all changes.
    page: Option<String>,
    commits: Vec<Commit>,
    paged: Paged,
}

impl Changes {
    fn title(&self) -> String {
        match &self.page {
            Some(page) => format!("History of {page}"),
            None => "Changes".to_owned(),
        }
    }

    fn moment(&self, commit: &Commit) -> Moment {
        Moment(commit.date)
    }

    fn named<'c>(&self, commit: &'c Commit) -> &'c [PathChange] {
        &commit.changes[..commit.changes.len().min(FILES)]
    }

    fn unnamed(&self, commit: &Commit) -> usize {
        commit.changes.len().saturating_sub(FILES)
    }

    /// The URL of the file as of the commit; `None` if the commit deleted it.
    fn address(&self, commit: &Commit, change: &PathChange) -> Option<String> {
        if matches!(change.kind, ChangeKind::Deleted | ChangeKind::Moved) {
            return None;
        }
        Some(match change.of {
            FileType::Page => self.frame.page_at(&change.path, &commit.revision),
            FileType::Attachment => {
                format!("{}?at={}", self.frame.attachment(&change.path), commit.revision)
            }
        })
    }
}

pub(super) async fn changes(
    wiki: Wiki,
    frame: Frame,
    Query(wanted): Query<Wanted>,
    paging: Paging,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let listing = wiki::history::changes(wiki.clone(), paging).await?;
    let paged = Paged::new(&listing, &format!("{}/-/changes", frame.base), &wanted);
    let page = Changes { frame, page: None, commits: listing.items, paged };
    answer::html(&wiki, &headers, &page)
}

/// One commit.
pub(super) async fn change(
    wiki: Wiki,
    frame: Frame,
    Path(revision): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let unknown =
        || Problem::new(StatusCode::NOT_FOUND, "unknown_revision", "there is no such change");
    let revision: Revision = revision.parse().map_err(|_| unknown())?;
    let commit = wiki.commit(revision).await.map_err(|error| error.problem())?;
    let commits = vec![commit.ok_or_else(unknown)?];
    let paged = Paged { next: None, is_building: false };
    answer::html(&wiki, &headers, &Changes { frame, page: None, commits, paged })
}

pub(super) async fn history(
    wiki: Wiki,
    frame: Frame,
    Named(path): Named,
    Query(wanted): Query<Wanted>,
    paging: Paging,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let listing = wiki::history::history(wiki.clone(), Tail(path.clone()), paging).await?;
    let paged = Paged::new(&listing, &frame.about("history", &path), &wanted);
    let page = Changes { frame, page: Some(path), commits: listing.items, paged };
    answer::html(&wiki, &headers, &page)
}

#[derive(Template)]
#[template(path = "attachments.html")]
struct Attachments {
    frame: Frame,
    page: String,
    attachments: Vec<AttachmentSummary>,
    paged: Paged,
}

pub(super) async fn attachments(
    wiki: Wiki,
    frame: Frame,
    Named(path): Named,
    Query(wanted): Query<Wanted>,
    paging: Paging,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let of_page = wiki::attachments::OfPage { page: path.clone() };
    let listing = wiki::attachments::list(wiki.clone(), Query(of_page), paging).await;
    let listing = listing.map_err(|error| error.problem())?;
    let paged = Paged::new(&listing, &frame.about("attachments", &path), &wanted);
    let attachments = listing.items.into_iter().map(|item| item.summary).collect();
    answer::html(&wiki, &headers, &Attachments { frame, page: path, attachments, paged })
}

#[derive(Template)]
#[template(path = "search.html")]
struct Search {
    frame: Frame,
    q: String,
    found: Vec<wiki::search::Found>,
    paged: Paged,
}

pub(super) async fn search(
    wiki: Wiki,
    frame: Frame,
    Query(wanted): Query<Wanted>,
    paging: Paging,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let search = wiki::search::Search { q: wanted.q.clone(), prefix: wanted.prefix.clone() };
    let listing = wiki::search::search(wiki.clone(), Query(search), paging).await?;
    let paged = Paged::new(&listing, &format!("{}/-/search", frame.base), &wanted);
    let page = Search { frame, q: wanted.q, found: listing.items, paged };
    answer::html(&wiki, &headers, &page)
}
