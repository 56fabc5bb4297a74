//! Errors in answers to clients: RFC 9457 `application/problem+json`.
//!
//! A [`Problem`] contains only information for the client. The cause of an internal error goes to the operator's log.

use std::fmt;

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use wikigrove_storage::InvalidPreferences;

/// The media type of all error answers.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// The client's only information about an internal error.
const INTERNAL: &str =
    "the server failed to answer this request; its log says why, under the request id";

/// An error answer: a status, a stable code, a sentence, and additional fields.
#[derive(Clone)]
pub struct Problem(Box<Content>);

/// Boxed, so that a `Result` with a problem in it stays small.
#[derive(Clone)]
struct Content {
    status: StatusCode,
    code: &'static str,
    detail: String,
    fields: Map<String, Value>,
    headers: HeaderMap,
}

impl Problem {
    /// Makes a problem. `code` is stable and in snake_case; `detail` is a sentence for people.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let (fields, headers) = (Map::new(), HeaderMap::new());
        let detail = visible(detail.into());
        Self(Box::new(Content { status, code, detail, fields, headers }))
    }

    /// Logs `cause` with its sources, and makes a problem that reveals nothing of it.
    pub fn internal(cause: &dyn std::error::Error) -> Self {
        tracing::error!(error = %Chain(cause), "request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", INTERNAL)
    }

    /// Adds a member to the body. The standard members of a problem can't be replaced, and a value that has no JSON
    /// form is left out.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Serialize) -> Self {
        if let Ok(value) = serde_json::to_value(value) {
            self.0.fields.insert(name.to_owned(), value);
        }
        self
    }

    /// Adds a header to the answer, beside others of the same name, because an answer may carry several challenges.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.append(name, value);
        self
    }

    /// Adds a `Retry-After` header with this number of seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        self
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code, for programs.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The sentence for people.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The body, with the request's id if it is known.
    pub fn body(&self, request_id: Option<&str>) -> Vec<u8> {
        let Content { status, code, detail, fields, .. } = &*self.0;
        let mut members = fields.clone();
        members.insert("type".into(), format!("urn:wikigrove:problem:{code}").into());
        members.insert("title".into(), status.canonical_reason().unwrap_or("Error").into());
        members.insert("status".into(), status.as_u16().into());
        members.insert("detail".into(), detail.as_str().into());
        members.insert("code".into(), (*code).into());
        if let Some(id) = request_id {
            members.insert("request_id".into(), id.into());
        }
        Value::Object(members).to_string().into_bytes()
    }

    /// Replaces the body of `response` with this problem. The status and the other headers stay.
    pub fn write_to<B: From<Vec<u8>>>(&self, response: &mut Response<B>, request_id: Option<&str>) {
        let body = self.body(request_id);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        *response.body_mut() = B::from(body);
    }

    /// The answer. Its extensions hold the problem as well, so that an outer layer that knows the request's id can
    /// write the body again with [`Problem::write_to`].
    pub fn to_response<B: From<Vec<u8>>>(&self) -> Response<B> {
        let mut response = Response::new(B::from(Vec::new()));
        *response.status_mut() = self.0.status;
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.headers_mut().extend(self.0.headers.clone());
        self.write_to(&mut response, None);
        response.extensions_mut().insert(self.clone());
        response
    }
}

#[cfg(feature = "axum")]
impl axum::response::IntoResponse for Problem {
    fn into_response(self) -> axum::response::Response {
        self.to_response()
    }
}

/// The answer to invalid settings. `within` is a JSON pointer to the settings in the request's body.
pub fn invalid_preferences(within: &str, wrong: &InvalidPreferences) -> Problem {
    let code = preferences_code(wrong);
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, wrong.to_string());
    with_preferences(problem, within, wrong)
}

/// One unknown name decides the code, because it says more than an invalid value.
pub(crate) fn preferences_code(wrong: &InvalidPreferences) -> &'static str {
    const UNKNOWN: &str = "unknown_preference";
    let names_unknown = wrong.all().iter().any(|one| one.code == UNKNOWN);
    if names_unknown { UNKNOWN } else { "invalid_preference" }
}

pub(crate) fn with_preferences(
    problem: Problem,
    within: &str,
    wrong: &InvalidPreferences,
) -> Problem {
    let errors = wrong.all().iter().map(|one| {
        let name = one.name.replace('~', "~0").replace('/', "~1");
        let pointer = format!("{within}/{name}");
        serde_json::json!({ "pointer": pointer, "code": one.code, "detail": one.to_string() })
    });
    problem.field("errors", errors.collect::<Vec<_>>())
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.detail)
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem({} {}: {})", self.0.status.as_u16(), self.0.code, self.0.detail)
    }
}

impl std::error::Error for Problem {}

/// Escapes characters that would control or reorder the output of a terminal, because a sentence may quote a client's
/// input.
fn visible(text: String) -> String {
    let is_hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(is_hidden) {
        return text;
    }
    let mut visible = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) { visible.extend(c.escape_debug()) } else { visible.push(c) }
    }
    visible
}

/// Displays an error and its sources on one line. A source that its parent already quotes isn't repeated.
struct Chain<'a>(&'a dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            let text = error.to_string();
            if !said.contains(&text) {
                write!(f, ": {text}")?;
                said = text;
            }
            next = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(problem: &Problem, request_id: Option<&str>) -> Value {
        serde_json::from_slice(&problem.body(request_id)).unwrap()
    }

    #[test]
    fn the_body_has_every_member_of_the_contract() {
        let problem =
            Problem::new(StatusCode::CONFLICT, "edit_conflict", "somebody else was faster")
                .field("conflict", serde_json::json!({ "base": "a" }));
        assert_eq!(
            members(&problem, Some("r-1")),
            serde_json::json!({
                "type": "urn:wikigrove:problem:edit_conflict",
                "title": "Conflict",
                "status": 409,
                "detail": "somebody else was faster",
                "code": "edit_conflict",
                "request_id": "r-1",
                "conflict": { "base": "a" },
            })
        );
    }

    #[test]
    fn a_field_cannot_pose_as_a_standard_member() {
        let problem =
            Problem::new(StatusCode::NOT_FOUND, "not_found", "no such page").field("status", 200);
        assert_eq!(members(&problem, None)["status"], 404);
    }

    #[test]
    fn the_answer_is_not_stored_and_carries_its_headers() {
        let response = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "try again")
            .retry_after(3)
            .to_response::<Vec<u8>>();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "3");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["content-type"], MEDIA_TYPE);
        assert_eq!(response.extensions().get::<Problem>().unwrap().code(), "busy");
    }

    #[test]
    fn an_internal_problem_keeps_its_cause_out_of_the_body() {
        let cause = std::io::Error::other("/srv/data/secret is broken");
        let body = String::from_utf8(Problem::internal(&cause).body(Some("r"))).unwrap();
        assert!(!body.contains("secret") && body.contains("\"code\":\"internal\""), "{body}");
    }

    #[test]
    fn a_sentence_hides_nothing_of_what_it_quotes() {
        let detail =
            |text: &str| Problem::new(StatusCode::NOT_FOUND, "not_found", text).detail().to_owned();
        assert_eq!(detail("no `\u{1b}]0;owned\u{7}`\n"), "no `\\u{1b}]0;owned\\u{7}`\\n");
        assert_eq!(detail("a\u{202e}gnp.md"), "a\\u{202e}gnp.md");
        for harmless in ["\"quoted\" `käse`", "กำ", "e\u{301}", "😀", "a\\b"] {
            assert_eq!(detail(harmless), harmless);
        }
    }

    #[test]
    fn a_chain_says_each_thing_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot open: {0}")]
        struct Quoting(#[source] std::io::Error);
        #[derive(Debug, thiserror::Error)]
        #[error("cannot save")]
        struct Outer(#[source] Quoting);
        let error = Outer(Quoting(std::io::Error::other("disk on fire")));
        assert_eq!(Chain(&error).to_string(), "cannot save: cannot open: disk on fire");
    }
}
