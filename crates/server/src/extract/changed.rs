//! A wiki that is about to be changed.

use axum::extract::FromRequestParts;
use http::request::Parts;
use wikigrove_tenant::{Action, Error, Wiki};

/// The wiki, for a caller who may change its pages.
///
/// Its methods would check that as well, but by then the body has been read: whoever may only read
/// could make us hold as much as one may send.
#[derive(Clone, Debug)]
pub struct Changed(pub Wiki);

impl<S: Sync> FromRequestParts<S> for Changed {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let wiki = Wiki::from_request_parts(parts, state).await?;
        wiki.allow(Action::Write).await?;
        Ok(Self(wiki))
    }
}
