//! Streams the body of an upload into the wiki.

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Base, SaveOptions, SavedAttachment, Wiki};

/// Saves the request body, piece by piece as it arrives.
pub(super) async fn receive(
    wiki: &Wiki,
    path: &str,
    base: Base,
    options: SaveOptions,
    request: Request,
) -> Result<SavedAttachment, Problem> {
    check_format(request.headers())?;
    let mut upload = wiki.upload(path, base).await.map_err(|error| error.problem())?;
    let mut body = request.into_body();
    refuse_announced(&body, wiki.attachment_limit())?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ended_early())?;
        if let Some(bytes) = frame.data_ref() {
            upload.write(bytes).await.map_err(|error| error.problem())?;
        }
    }
    upload.finish(options).await.map_err(|error| error.problem())
}

/// Refuses forms and compressed bodies: the bytes of the body are the file, nothing is unpacked.
fn check_format(headers: &HeaderMap) -> Result<(), Problem> {
    let is_encoded = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    if is_encoded {
        return Err(unsupported("the body must not have a content-encoding"));
    }
    let is_form = headers.get_all(CONTENT_TYPE).iter().any(|value| {
        value.as_bytes().get(..10).is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/"))
    });
    if is_form {
        return Err(unsupported(
            "the body must be the bytes of the file themselves, not a form; with curl, use \
             --upload-file or --data-binary and not --form",
        ));
    }
    Ok(())
}

fn unsupported(detail: &str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
}

/// Refuses a body whose announced length exceeds the limit, without reading it.
fn refuse_announced(body: &Body, limit: u64) -> Result<(), Problem> {
    if body.size_hint().lower() <= limit {
        return Ok(());
    }
    let detail = format!("the attachment is larger than {limit} bytes");
    let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "attachment_too_large", detail);
    Err(problem.field("limit", limit))
}

fn ended_early() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "incomplete_body", "the body ended early")
}
