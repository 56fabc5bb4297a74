//! Redirects URLs of An Otter Wiki (version 2.26.1), for wikis that were imported from it: bookmarks and external links
//! keep working.
//!
//! A redirect applies only where there is no page of that path, and leads only to existing content of this wiki; so it
//! can't lead to another host.

use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, Uri};
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::storage::LegacyUrls;
use wikigrove_tenant::storage::otterwiki::CaseMode;
use wikigrove_tenant::{Revision, Wiki};

use super::frame::{Frame, query};
use super::redirect;
use crate::extract::path::decode;

/// The requested view of a page or of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks<'a> {
    /// The page, or the attachment of that path.
    Page,
    PageAt(&'a str),
    History,
    Source,
    SourceAt(&'a str),
    Attachments,
    File(&'a str),
    FileAt(&'a str, &'a str),
}

/// The current URL for the old path `path`, if there is one.
pub(super) async fn of_page(
    wiki: &Wiki,
    frame: &Frame,
    path: &str,
    revision: Option<&str>,
) -> Result<Option<Response>, Problem> {
    if frame.presentation.legacy_urls != LegacyUrls::OtterWiki {
        return Ok(None);
    }
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let meanings = meanings(&segments);
    let named = |(page, asks): &(&[&str], Asks<'_>)| {
        candidates(frame.presentation.legacy_case, &page.join("/"), *asks)
    };
    let wanted = meanings.iter().map(named).collect();
    let found = wiki.resolve(None, wanted).await.map_err(|error| error.problem())?;
    let meant = meanings.iter().zip(found).find_map(|((_, asks), found)| Some((*asks, found?)));
    let Some((asks, found)) = meant else { return Ok(None) };
    let asks = match (asks, revision) {
        (Asks::Page, Some(at)) => Asks::PageAt(at),
        (Asks::Source, Some(at)) => Asks::SourceAt(at),
        (Asks::File(name), Some(at)) => Asks::FileAt(name, at),
        (asks, _) => asks,
    };
    let to = address(frame, asks, &found.path, found.is_page);
    // A redirect to the same URL would be a loop.
    Ok((to != frame.page(path)).then(|| redirect(&to)))
}

/// All readings of a path's segments, likelier ones first.
fn meanings<'s, 'a>(segments: &'s [&'a str]) -> Vec<(&'s [&'a str], Asks<'a>)> {
    let mut meanings = vec![(segments, Asks::Page)];
    match segments {
        [page @ .., "view" | "edit"] => meanings.push((page, Asks::Page)),
        [page @ .., "history" | "blame"] => meanings.push((page, Asks::History)),
        [page @ .., "source"] => meanings.push((page, Asks::Source)),
        [page @ .., "attachments"] => meanings.push((page, Asks::Attachments)),
        _ => {}
    }
    match *segments {
        [ref page @ .., "view" | "edit", at] => meanings.push((page, Asks::PageAt(at))),
        [ref page @ .., "blame", _] => meanings.push((page, Asks::History)),
        [ref page @ .., "source", at] => meanings.push((page, Asks::SourceAt(at))),
        [ref page @ .., "a" | "t" | "attachment", name] => {
            meanings.push((page, Asks::File(name)));
        }
        _ => {}
    }
    match *segments {
        [ref page @ .., "diff", _, _] => meanings.push((page, Asks::History)),
        [ref page @ .., "a", name, at] => meanings.push((page, Asks::FileAt(name, at))),
        // A thumbnail of this size: redirects to the full picture.
        [ref page @ .., "t", name, _] => meanings.push((page, Asks::File(name))),
        _ => {}
    }
    meanings.retain(|(page, _)| !page.is_empty());
    meanings
}

/// The possible paths in this wiki of the named content.
fn candidates(case: CaseMode, page: &str, asks: Asks<'_>) -> Vec<String> {
    let file = case.file_name(page);
    let path = file.strip_suffix(".md").unwrap_or(&file).to_owned();
    match asks {
        Asks::File(name) | Asks::FileAt(name, _) => vec![format!("{path}/{name}")],
        // OtterWiki also shows an attachment at the path of its file.
        Asks::Page => vec![path, page.to_owned()],
        _ => vec![path],
    }
}

/// The current URL. An abbreviated revision can't be resolved: it leads to the history, or to the list of attachments.
fn address(frame: &Frame, asks: Asks<'_>, path: &str, is_page: bool) -> String {
    let page = |path: &str| if is_page { frame.page(path) } else { frame.attachment(path) };
    let at = |at: &str| at.parse::<Revision>().ok();
    match asks {
        Asks::Page | Asks::File(_) => page(path),
        Asks::History => frame.about("history", path),
        Asks::Attachments => frame.about("attachments", path),
        Asks::Source => frame.about("source", path),
        Asks::PageAt(revision) => match at(revision) {
            Some(at) => format!("{}?at={at}", page(path)),
            None => frame.about("history", path),
        },
        Asks::SourceAt(revision) => match at(revision) {
            Some(at) => format!("{}?at={at}", frame.about("source", path)),
            None => frame.about("history", path),
        },
        Asks::FileAt(_, revision) => match (at(revision), path.rsplit_once('/')) {
            (None, Some((page, _))) => frame.about("attachments", page),
            (at, _) => {
                let at = at.map(|at| format!("?at={at}")).unwrap_or_default();
                format!("{}{at}", page(path))
            }
        },
    }
}

/// Redirects the URLs that aren't about a page: the list of changes, the list of pages, and search.
pub(super) async fn of_wiki(frame: Frame, uri: Uri) -> Result<Response, Problem> {
    let nothing = Ok(StatusCode::NOT_FOUND.into_response());
    let Some(what) = uri.path().strip_prefix("/-/") else { return nothing };
    if frame.presentation.legacy_urls != LegacyUrls::OtterWiki {
        return nothing;
    }
    let is_revision = |at: &str| at.bytes().all(|byte| byte.is_ascii_hexdigit());
    let list = match what.split('/').collect::<Vec<_>>()[..] {
        ["changelog" | "log"] => "changes".to_owned(),
        ["changelog" | "log" | "commit", at] if is_revision(at) => "changes".to_owned(),
        ["index" | "pageindex"] => "pages".to_owned(),
        ["search", words] => format!("search?{}", query(&[("q", &decode(words)?)])),
        _ => return nothing,
    };
    Ok(redirect(&format!("{}/-/{list}", frame.base)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_can_mean_several_things() {
        let of = |path: &'static str| {
            let segments: Vec<&str> = path.split('/').collect();
            let all = meanings(&segments);
            all.iter().map(|(page, asks)| (page.join("/"), *asks)).collect::<Vec<_>>()
        };
        let page = |path: &str| (path.to_owned(), Asks::Page);
        let asks = |path: &str, asks: Asks<'static>| (path.to_owned(), asks);
        assert_eq!(of("Home"), [page("Home")]);
        assert_eq!(of("history"), [page("history")]);
        assert_eq!(of("A/B/history"), [page("A/B/history"), asks("A/B", Asks::History)]);
        assert_eq!(of("A/view"), [page("A/view"), page("A")]);
        assert_eq!(of("A/view/12ab"), [page("A/view/12ab"), asks("A", Asks::PageAt("12ab"))]);
        assert_eq!(of("A/diff/1/2"), [page("A/diff/1/2"), asks("A", Asks::History)]);
        assert_eq!(of("A/a/p.png"), [page("A/a/p.png"), asks("A", Asks::File("p.png"))]);
        assert_eq!(of("A/a/p.png/1"), [page("A/a/p.png/1"), asks("A", Asks::FileAt("p.png", "1"))]);
        // Both readings are possible; the existing one is chosen.
        assert_eq!(
            of("A/a/source"),
            [page("A/a/source"), asks("A/a", Asks::Source), asks("A", Asks::File("source"))]
        );
        assert_eq!(of(""), [page("")]);
    }
}
