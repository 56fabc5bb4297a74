//! Errors about bodies, which name the field and don't repeat the body.

use http::StatusCode;
use serde::Serialize;
use serde_path_to_error::{Path, Segment};
use wikigrove_tenant::problem::Problem;

use crate::extract::excerpt;

/// One entry of `errors`: the field, a code and an explanation.
#[derive(Debug, Serialize)]
struct FieldError {
    pointer: String,
    code: &'static str,
    detail: String,
}

/// A 400 error for a body that can't be parsed.
pub(super) fn syntax(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_json", excerpt(detail))
}

/// A 400 error: the last segment of `path` occurs twice in its object.
pub(super) fn duplicate(path: &Path) -> Problem {
    let pointer = pointer(path);
    let detail = format!("the key at `{pointer}` occurs twice");
    Problem::new(StatusCode::BAD_REQUEST, "duplicate_key", detail).field("pointer", pointer)
}

/// A 422 error for a number that fits no type here.
pub(super) fn number(path: &Path) -> Problem {
    problem(FieldError {
        pointer: pointer(path),
        code: "out_of_range",
        detail: "number out of range".into(),
    })
}

/// A 422 error for a value whose type, fields or range the handler doesn't accept.
pub(super) fn field(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let message = error.inner().to_string();
    let mut pointer = pointer(error.path());
    let code = match () {
        () if message.starts_with("missing field") => {
            // serde names the object that lacks the field; the client needs the field.
            push(&mut pointer, named(&message));
            "missing_field"
        }
        () if message.starts_with("unknown field") => "unknown_field",
        () if message.starts_with("unknown variant") => "unknown_value",
        () if message.starts_with("invalid type") => "wrong_type",
        () => "invalid_value",
    };
    problem(FieldError { pointer, code, detail: excerpt(&message) })
}

fn problem(error: FieldError) -> Problem {
    let detail = match error.pointer.as_str() {
        "" => error.detail.clone(),
        pointer => format!("`{pointer}`: {}", error.detail),
    };
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_value", detail).field("errors", [error])
}

/// The first quoted text in a message of serde.
fn named(message: &str) -> &str {
    message.split('`').nth(1).unwrap_or_default()
}

/// A JSON pointer (RFC 6901).
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Map { key } => push(&mut pointer, key),
            Segment::Seq { index } => push(&mut pointer, &index.to_string()),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

fn push(pointer: &mut String, name: &str) {
    pointer.push('/');
    pointer.push_str(&excerpt(name).replace('~', "~0").replace('/', "~1"));
}
