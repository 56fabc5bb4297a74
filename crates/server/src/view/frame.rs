//! The layout around a wiki's views, and the URLs in them.

use axum::extract::{FromRequestParts, OriginalUri};
use http::request::Parts;
use time::OffsetDateTime;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Presentation, Revision, Wiki};

use crate::render::escape;

/// The wiki around a page of the view.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// The path of the wiki's base, as the client wrote it; empty at the root of a host.
    pub(super) base: String,
    pub(super) presentation: Presentation,
    /// True if search engines should index this: current pages only.
    pub(super) is_indexed: bool,
}

impl<S: Sync> FromRequestParts<S> for Frame {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let wiki = Wiki::from_request_parts(parts, state).await.map_err(|error| error.problem())?;
        let presentation = wiki.presentation().await.map_err(|error| error.problem())?;
        Ok(Self { base: base(parts), presentation, is_indexed: false })
    }
}

/// The part of the client's path that the router removed.
fn base(parts: &Parts) -> String {
    let original = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
    original.path().strip_suffix(parts.uri.path()).unwrap_or_default().to_owned()
}

impl Frame {
    /// The URL of a page.
    pub(super) fn page(&self, path: &str) -> String {
        format!("{}/{}", self.base, escape::path(path))
    }

    /// The URL of a page as of a commit.
    pub(super) fn page_at(&self, path: &str, at: &Revision) -> String {
        format!("{}?at={at}", self.page(path))
    }

    /// The URL of a view of a page, such as its `history`.
    pub(super) fn about(&self, what: &str, path: &str) -> String {
        format!("{}/-/{what}/{}", self.base, escape::path(path))
    }

    /// The URL of an attachment's content.
    pub(super) fn attachment(&self, path: &str) -> String {
        format!("{}/api/v1/attachments/{}", self.base, escape::path(path))
    }

    /// The URL of the list of a page's sub-pages.
    pub(super) fn below(&self, path: &str) -> String {
        format!("{}/-/pages?{}", self.base, query(&[("prefix", &format!("{path}/"))]))
    }

    pub(super) fn robots(&self) -> bool {
        self.is_indexed && self.presentation.allows_robots
    }
}

/// The query of a URL; parameters without a value are omitted.
pub(super) fn query(parameters: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters.iter().filter(|(_, value)| !value.is_empty()));
    query.finish()
}

/// A time, formatted for people and for programs.
pub(super) struct Moment(pub(super) OffsetDateTime);

impl Moment {
    pub(super) fn shown(&self) -> String {
        let Self(moment) = self;
        format!("{} {:02}:{:02} UTC", moment.date(), moment.hour(), moment.minute())
    }

    pub(super) fn exact(&self) -> String {
        let (hour, minute, second) = self.0.to_hms();
        format!("{}T{hour:02}:{minute:02}:{second:02}Z", self.0.date())
    }
}
