//! The extractor for axum handlers: the same wiki that [`current`] gives.

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::{Error, Wiki, current};

impl<S: Sync> FromRequestParts<S> for Wiki {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        match parts.extensions.get::<Self>() {
            Some(wiki) => Ok(wiki.clone()),
            None => current(),
        }
    }
}
