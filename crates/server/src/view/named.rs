//! The page that a URL of the view names.

use axum::extract::FromRequestParts;
use http::request::Parts;
use wikigrove_tenant::problem::Problem;

use crate::extract::path::decode;

/// `a/b` of `/a/b` and of `/-/history/a/b`, decoded once. Storage validates it as a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named(pub(super) String);

impl<S: Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        decode(raw(parts.uri.path())).map(Self)
    }
}

fn raw(path: &str) -> &str {
    match path.strip_prefix("/-/") {
        Some(about) => about.split_once('/').map_or("", |(_, page)| page),
        None => path.strip_prefix('/').unwrap_or(path),
    }
}

#[cfg(test)]
mod tests {
    use super::raw;

    #[test]
    fn a_page_is_what_follows_the_base_or_what_is_asked_about_it() {
        for (path, page) in [
            ("/a/b", "a/b"),
            ("/", ""),
            ("/-/history/a/b", "a/b"),
            ("/-/history/-/history/x", "-/history/x"),
            ("/-/pages", ""),
            ("/-x/y", "-x/y"),
            ("//x", "/x"),
        ] {
            assert_eq!(raw(path), page, "{path}");
        }
    }
}
