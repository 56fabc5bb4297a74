//! JSON bodies of requests and responses.
//!
//! A request's body is first parsed into a checked value and then converted to the handler's type. The
//! first step refuses input that two parsers could interpret differently; the second step reports which
//! field is wrong.

mod checked;
mod invalid;

use axum::body::Body;
use axum::extract::{FromRequest, OptionalFromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Caller, spawn_blocking};

use crate::auth::ClientAddress;
use crate::limits::{Principal, Receiving};

/// A JSON body of a request or a response.
///
/// A request's body must be UTF-8 and unambiguous: a key that occurs twice, at any depth, is refused.
/// Types that are read from requests carry `#[serde(deny_unknown_fields)]`. Wrapped in an `Option`, the
/// body may be absent.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

/// Maximum size of a body that is parsed at once, in bytes.
const LARGE: usize = 64 << 10;

/// Maximum size of a JSON body, in bytes; an extension of the request.
#[derive(Clone, Copy, Debug)]
pub struct JsonLimit(pub usize);

impl Default for JsonLimit {
    /// Enough for a page of 5 MB in which every second character is escaped.
    fn default() -> Self {
        Self(10_500_000)
    }
}

impl JsonLimit {
    /// Lowers the limit for a route that never needs more.
    pub(crate) fn lower(request: &mut Request, bytes: usize) {
        let Self(limit) = request.extensions().get().copied().unwrap_or_default();
        request.extensions_mut().insert(Self(limit.min(bytes)));
    }
}

impl<T: DeserializeOwned + Send + 'static, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        require_json(request.headers())?;
        parsed(read(request).await?).await.map(Self)
    }
}

impl<T: DeserializeOwned + Send + 'static, S: Sync> OptionalFromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        let absent =
            request.body().is_end_stream() && !request.headers().contains_key(CONTENT_TYPE);
        if absent {
            return Ok(None);
        }
        <Self as FromRequest<S>>::from_request(request, state).await.map(Some)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Err(error) => Problem::internal(&error).into_response(),
            Ok(body) => {
                let mut response = Response::new(Body::from(body));
                response
                    .headers_mut()
                    .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response
            }
        }
    }
}

/// Refuses a body that isn't declared as JSON. Forms on other sites' pages can send `text/plain` without
/// a preflight, and so reach no handler.
fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let encoded = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|v| !v.as_bytes().eq_ignore_ascii_case(b"identity"));
    if encoded {
        return Err(unsupported("the body must not have a content-encoding"));
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    match (types.next().and_then(|v| v.to_str().ok()), types.next()) {
        (Some(value), None) if is_json(value) => Ok(()),
        _ => Err(unsupported("the body must be of type application/json, in UTF-8")),
    }
}

fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let json = media_type
        .strip_prefix("application/")
        .is_some_and(|sub| sub == "json" || sub.ends_with("+json"));
    json && parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    })
}

fn unsupported(detail: &str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
}

/// Reads a whole body.
///
/// # Errors
/// 413 if it is larger than a JSON body may be; 503 if there is no room for it; 400 if it ends early.
pub(crate) async fn read(request: Request) -> Result<Bytes, Problem> {
    let JsonLimit(limit) = request.extensions().get().copied().unwrap_or_default();
    // hyper has validated the header and refuses lengths that exceed 64 bits.
    let announced =
        request.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit));
    }
    let (Parts { extensions, .. }, body) = request.into_parts();
    let mut body = Limited::new(body, limit);
    let mut received = Received::default();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|error| broken(&*error, limit))?.into_data() else {
            continue;
        };
        if let Some(receiving) = extensions.get::<Receiving>() {
            let principal =
                || Principal::of(extensions.get::<Caller>(), ClientAddress::of(&extensions));
            receiving.count((received.len() + piece.len()) as u64, principal)?;
        }
        received.push(piece);
    }
    Ok(received.whole())
}

/// The received pieces of a body. Several pieces are merged, since a body that arrives byte by byte
/// would otherwise use many times its size.
#[derive(Default)]
struct Received {
    first: Bytes,
    all: BytesMut,
}

impl Received {
    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    fn push(&mut self, piece: Bytes) {
        if self.len() == 0 {
            self.first = piece;
            return;
        }
        let first = std::mem::take(&mut self.first);
        self.all.extend_from_slice(&first);
        self.all.extend_from_slice(&piece);
    }

    fn whole(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}

fn broken(error: &(dyn std::error::Error + 'static), limit: usize) -> Problem {
    if caused_by_limit(error) {
        return too_large(limit);
    }
    Problem::new(StatusCode::BAD_REQUEST, "incomplete_body", "the body ended early")
}

fn caused_by_limit(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |e| e.source()).any(|e| e.is::<LengthLimitError>())
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("the body is larger than {limit} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail).field("limit", limit)
}

/// Parses a body: a large one on a thread for blocking work, since it takes up to a second.
async fn parsed<T: DeserializeOwned + Send + 'static>(body: Bytes) -> Result<T, Problem> {
    if body.len() <= LARGE {
        return parse(&body);
    }
    let parsed = spawn_blocking(move || parse(&body)).await;
    parsed.map_err(|error| Problem::internal(&error))?
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.is_empty() {
        return Err(invalid::syntax("the body is empty"));
    }
    if body.starts_with(b"\xef\xbb\xbf") {
        return Err(invalid::syntax("the body starts with a byte order mark"));
    }
    let text = std::str::from_utf8(body).map_err(|_| invalid::syntax("the body is not UTF-8"))?;
    let value = checked::value(text)?;
    serde_path_to_error::deserialize(value).map_err(|error| invalid::field(&error))
}

/// Deserialises a field in which `null` removes a value: `Some` if the field is present at all. Used
/// with `#[serde(default, deserialize_with = "present")]`.
pub(crate) fn present<'de, T, D>(field: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(field).map(Some)
}

#[cfg(test)]
mod tests;
