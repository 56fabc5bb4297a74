//! What a server answered.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// An answer. It has to be looked at.
#[derive(Clone, Debug)]
#[must_use = "an answer that nobody looks at tests nothing: `.good()` or `.problem(\"code\")`"]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    pub(crate) fn new(response: http::Response<Bytes>) -> Self {
        let (head, body) = response.into_parts();
        Self { status: head.status, headers: head.headers, body }
    }

    /// The answer, which must be a success. It may be looked at further.
    ///
    /// # Panics
    /// It is an error.
    #[track_caller]
    pub fn good(self) -> Good {
        assert!(self.status.is_success(), "{self}");
        Good(self)
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// The members of an error with this code.
    ///
    /// # Panics
    /// It isn't one, or lacks what every error has.
    #[track_caller]
    pub fn problem(&self, code: &str) -> Value {
        let members = self.any_problem();
        assert_eq!(members["code"], code, "{self}");
        members
    }

    /// The members of an error, whichever it is.
    ///
    /// # Panics
    /// It isn't one, or lacks what every error has.
    #[track_caller]
    pub fn any_problem(&self) -> Value {
        assert!(self.status.is_client_error() || self.status.is_server_error(), "{self}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self}");
        assert_eq!(self.header("cache-control"), "no-store", "{self}");
        let members = self.json();
        assert_eq!(members["status"], self.status.as_u16(), "{self}");
        assert_eq!(members["request_id"], self.header("x-request-id"), "{self}");
        for name in ["type", "title", "detail", "code"] {
            assert!(members[name].as_str().is_some_and(|text| !text.is_empty()), "{name}: {self}");
        }
        members
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// It is something else.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// The body as text.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// A header's value; empty when it isn't there.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The version in the `ETag` header, without its quotes.
    ///
    /// # Panics
    /// There is none.
    #[track_caller]
    pub fn etag(&self) -> &str {
        let value = self.headers.get(ETAG).unwrap_or_else(|| panic!("no etag: {self}"));
        value.to_str().unwrap().trim_matches('"')
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = self.headers.get(CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap_or("?"));
        let body: String = String::from_utf8_lossy(&self.body).chars().take(2000).collect();
        write!(f, "the server answered {} {kind} {body}", self.status)
    }
}

/// An answer that was a success. All that can be asked of an [`Answer`] can be asked of it.
#[derive(Clone, Debug)]
pub struct Good(Answer);

impl std::ops::Deref for Good {
    type Target = Answer;

    fn deref(&self) -> &Answer {
        &self.0
    }
}
