//! What is wrong with a body, in words that name the field and don't repeat the body.

use http::StatusCode;
use serde::Serialize;
use serde_path_to_error::{Path, Segment};
use wikigrove_tenant::problem::Problem;

use crate::extract::excerpt;

/// One member of `errors`: where, what, and a sentence.
#[derive(Debug, Serialize)]
struct FieldError {
    pointer: String,
    code: &'static str,
    detail: String,
}

/// 400: the body can't be read at all.
pub(super) fn syntax(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_json", excerpt(detail))
}

/// 400: the last segment of `path` occurs twice in its object.
pub(super) fn duplicate(path: &Path) -> Problem {
    let pointer = pointer(path);
    let detail = format!("the key at `{pointer}` occurs twice");
    Problem::new(StatusCode::BAD_REQUEST, "duplicate_key", detail).field("pointer", pointer)
}

/// 422: a number that no type of ours can hold.
pub(super) fn number(path: &Path) -> Problem {
    problem(FieldError {
        pointer: pointer(path),
        code: "out_of_range",
        detail: "number out of range".into(),
    })
}

/// 422: the value doesn't have the type, the fields or the range the handler asked for.
pub(super) fn field(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let message = error.inner().to_string();
    let mut pointer = pointer(error.path());
    let code = match () {
        () if message.starts_with("missing field") => {
            // Serde names the object that lacks it; the client wants the field.
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

/// What a message of serde's quotes first.
fn named(message: &str) -> &str {
    message.split('`').nth(1).unwrap_or_default()
}

/// RFC 6901.
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
