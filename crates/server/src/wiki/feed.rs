//! The newest changes as an Atom feed (RFC 4287).

use atom_syndication::{Entry, Feed, FixedDateTime, Generator, Link, Person, Text};
use axum::body::Body;
use axum::extract::OriginalUri;
use axum::response::Response;
use data_encoding::HEXLOWER;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa_axum::routes;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::storage::{Most, PathChange};
use wikigrove_tenant::{Commit, Revision, Visibility, Wiki, not_modified};

use super::API;
use crate::extract::Site;
use crate::guard::{Needs, Routes};
use crate::openapi;

const PATH: &str = "/changes.atom";
/// Number of changes in the feed.
const NEWEST: usize = 50;
/// Maximum number of files that are named per commit.
const NAMED: usize = 20;
/// Maximum length of a title taken from a commit message, in characters.
const TITLE: usize = 300;

pub(super) fn router() -> Routes {
    Routes::new().route(Needs::READ, routes!(feed))
}

/// The newest 50 changes as an Atom feed.
#[utoipa::path(get, path = "/changes.atom",
    responses((status = 200, body = String, content_type = "application/atom+xml"),
        (status = 304, description = "the client has this version"),
        (status = "4XX", body = openapi::Problem)))]
async fn feed(
    wiki: Wiki,
    OriginalUri(uri): OriginalUri,
    Site(site): Site,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let base = uri.path().strip_suffix(PATH).and_then(|path| path.strip_suffix(API));
    // Feed readers may store an entry without the feed's address, so all addresses are absolute.
    let base = &format!("{site}{}", base.unwrap_or_default());
    let head = wiki.head().await.map_err(|error| error.problem())?;
    let etag = version(&wiki, base, head);
    if not_modified(&headers, &etag) {
        return Ok(answer(&wiki, Some(&etag), StatusCode::NOT_MODIFIED, Body::empty()));
    }
    let log = wiki.log(None, Most::items(NEWEST)).await.map_err(|error| error.problem())?;
    let commits = log.commits;
    // While the index is being built, the feed may lack commits, and gets no etag.
    let is_whole = commits.first().map(|commit| commit.revision) == head;
    let feed = describe(&wiki, base, &commits);
    let mut text = feed.write_to(Vec::new()).map_err(|error| Problem::internal(&error))?;
    text.push(b'\n');
    Ok(answer(&wiki, is_whole.then_some(etag.as_str()), StatusCode::OK, text.into()))
}

/// The etag: a hash of everything that the feed is made from.
fn version(wiki: &Wiki, base: &str, head: Option<Revision>) -> String {
    let head = head.map(|head| head.to_string()).unwrap_or_default();
    let digest = Sha256::digest([head.as_str(), base, wiki.title()].join("\0"));
    HEXLOWER.encode(&digest[..20])
}

fn answer(wiki: &Wiki, etag: Option<&str>, status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("authorization"));
    // Shared caches must not store a private wiki's feed.
    let cache = match wiki.tenant().visibility {
        Visibility::Private => "private, no-cache",
        _ => "no-cache",
    };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    if let Some(etag) = etag {
        let quoted = HeaderValue::try_from(format!("\"{etag}\""));
        headers.insert(ETAG, quoted.expect("hexadecimal digits are visible ASCII"));
    }
    if status == StatusCode::OK {
        let media_type = HeaderValue::from_static("application/atom+xml; charset=utf-8");
        headers.insert(CONTENT_TYPE, media_type);
    }
    response
}

fn describe(wiki: &Wiki, base: &str, commits: &[Commit]) -> Feed {
    let id = format!("urn:wikigrove:wiki:{}", wiki.id());
    let updated = commits.first().map_or(wiki.tenant().created, |newest| newest.date);
    let home = link("alternate", format!("{base}/"));
    let entries = commits.iter().map(|commit| entry(&id, base, commit)).collect();
    Feed {
        title: text(wiki.title()),
        updated: date(updated),
        links: vec![home, link("self", format!("{base}{API}{PATH}"))],
        generator: Some(Generator { value: "wikigrove".to_owned(), ..Generator::default() }),
        entries,
        id,
        ..Feed::default()
    }
}

fn entry(wiki: &str, base: &str, commit: &Commit) -> Entry {
    let subject = commit.message.lines().find(|line| !line.trim().is_empty());
    Entry {
        title: text(&beginning(subject.unwrap_or("A change without a message").trim())),
        id: format!("{wiki}:revision:{}", commit.revision),
        updated: date(commit.date),
        // Without mail addresses: the feed has more readers than the wiki has authors.
        authors: vec![Person { name: printable(commit.author.name()), ..Person::default() }],
        links: vec![link("alternate", format!("{base}/-/change/{}", commit.revision))],
        summary: Some(text(&summary(&commit.changes))),
        ..Entry::default()
    }
}

fn beginning(subject: &str) -> String {
    match subject.char_indices().nth(TITLE) {
        Some((end, _)) => format!("{}…", &subject[..end]),
        None => subject.to_owned(),
    }
}

/// A summary of the files that a commit changes.
fn summary(changes: &[PathChange]) -> String {
    let named = changes.iter().take(NAMED).map(|change| {
        let kind = change.kind.as_str();
        match &change.old_path {
            Some(old) => format!("{kind} {} (from {old})", change.path),
            None => format!("{kind} {}", change.path),
        }
    });
    let mut parts: Vec<String> = named.collect();
    if changes.len() > NAMED {
        parts.push(format!("and {} more", changes.len() - NAMED));
    }
    parts.join(", ")
}

fn link(rel: &str, href: String) -> Link {
    Link { href, rel: rel.to_owned(), ..Link::default() }
}

fn text(value: &str) -> Text {
    Text::plain(printable(value))
}

/// Replaces control characters, which XML can't express, not even escaped (XML 1.0, section 2.2).
fn printable(text: &str) -> String {
    let is_allowed = |c: char| match c {
        '\t' | '\n' | '\r' => true,
        c => !c.is_control() && !matches!(c, '\u{FFFE}' | '\u{FFFF}'),
    };
    text.chars().map(|c| if is_allowed(c) { c } else { '\u{FFFD}' }).collect()
}

/// Converts a date. One outside of the format's range, such as before the year 0, becomes 1970.
fn date(date: OffsetDateTime) -> FixedDateTime {
    let read = |date: OffsetDateTime| date.format(&Rfc3339).ok()?.parse().ok();
    read(date).or_else(|| read(OffsetDateTime::UNIX_EPOCH)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_say_is_replaced() {
        assert_eq!(printable("a\tb\u{0}c\u{1b}[1m\u{FFFF}"), "a\tb\u{FFFD}c\u{FFFD}[1m\u{FFFD}");
        let feed = Feed { title: text("<b>&\"\u{8}"), ..Feed::default() };
        let read = Feed::read_from(&feed.write_to(Vec::new()).unwrap()[..]).unwrap();
        assert_eq!(read.title.value, "<b>&\"\u{FFFD}");
    }

    #[test]
    fn dates_are_those_of_the_commits_if_a_date_can_be() {
        let of = |seconds| date(OffsetDateTime::from_unix_timestamp(seconds).unwrap()).timestamp();
        assert_eq!(of(1_700_000_000), 1_700_000_000);
        assert_eq!(of(-70_000_000_000), 0);
    }
}
