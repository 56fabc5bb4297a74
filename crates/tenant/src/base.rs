//! The precondition of a write, from its HTTP headers.

mod etag;

use http::header::{IF_MATCH, IF_NONE_MATCH};
#[cfg(feature = "axum")]
use http::request::Parts;
use http::{HeaderMap, HeaderName, StatusCode};
use wikigrove_storage as storage;

use crate::Etag;
use crate::problem::Problem;

use etag::Etags;

/// The version that a change is based on.
///
/// As an extractor it reads the request's preconditions (see [`Base::of`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The page didn't exist: `If-None-Match: *`.
    New,
    /// The page had this version: `If-Match: "…"`.
    Version(Etag),
}

impl From<Base> for storage::Base {
    fn from(base: Base) -> Self {
        match base {
            Base::New => Self::New,
            Base::Version(etag) => Self::Version(etag),
        }
    }
}

#[cfg(feature = "axum")]
impl<S: Sync> axum::extract::FromRequestParts<S> for Base {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.headers)
    }
}

impl Base {
    /// Reads the precondition from the headers of a write.
    ///
    /// # Errors
    /// - 428 `precondition_required`: neither header, or `If-Match: *`.
    /// - 400 `invalid_precondition`: both headers.
    /// - 412 `precondition_failed`: a weak etag, or one that no version can have.
    /// - 422 `invalid_precondition`: not an etag, several etags, or `If-None-Match` without `*`.
    pub fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        match (single(headers, &IF_MATCH)?, single(headers, &IF_NONE_MATCH)?) {
            (None, None) => Err(required(
                "send If-Match with the etag to change, or If-None-Match: * to create",
            )),
            (Some(_), Some(_)) => Err(invalid(
                StatusCode::BAD_REQUEST,
                "a write has either If-Match or If-None-Match, not both",
            )),
            (None, Some("*")) => Ok(Self::New),
            (None, Some(_)) => Err(unprocessable("on a write, If-None-Match can only be *")),
            (Some("*"), None) => Err(required(
                "If-Match: * would overwrite whatever is stored; send the etag of the version you read",
            )),
            (Some(list), None) => change(list),
        }
    }
}

/// Returns `true` if `If-None-Match` lists `etag` (without its quotes), so that the answer is 304. A header that can't
/// be parsed is ignored.
pub fn not_modified(headers: &HeaderMap, etag: &str) -> bool {
    headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|list| {
        list.trim() == "*"
            || Etags(list).map_while(Result::ok).any(|candidate| candidate.value == etag)
    })
}

fn change(list: &str) -> Result<Base, Problem> {
    let mut etags = Etags(list);
    let (Some(Ok(etag)), None) = (etags.next(), etags.next()) else {
        return Err(unprocessable("If-Match has exactly one etag, in double quotes"));
    };
    match etag.value.parse() {
        Ok(version) if !etag.weak => Ok(Base::Version(version)),
        // The request is well-formed: it names a version that never existed.
        _ => {
            let detail = "the etag in If-Match is not the version of any page";
            Err(Problem::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail))
        }
    }
}

/// A header's only value. Two header lines would be a list, and a write has one base.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(Some(text.trim())),
            Err(_) => {
                Err(unprocessable(&format!("{name} has characters that no etag of ours has")))
            }
        },
        (Some(_), Some(_)) => Err(unprocessable(&format!("{name} is there more than once"))),
    }
}

fn required(detail: &str) -> Problem {
    Problem::new(StatusCode::PRECONDITION_REQUIRED, "precondition_required", detail)
}

fn unprocessable(detail: &str) -> Problem {
    invalid(StatusCode::UNPROCESSABLE_ENTITY, detail)
}

fn invalid(status: StatusCode, detail: &str) -> Problem {
    Problem::new(status, "invalid_precondition", detail)
}

#[cfg(test)]
mod tests;
