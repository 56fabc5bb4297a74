//! `Idempotency-Key`: a POST that is sent twice is done once.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tracing::Instrument as _;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Answer, Answers, Caller, IdempotentRequest, Recall, Wiki, spawn};

use crate::extract;
use crate::wiki::API;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest key, in bytes.
const MAX_KEY: usize = 255;

/// Does `work` unless the same request, with the same key, was answered before; then that answer
/// is given again. `work` returns what is answered now and what may be kept of it: no secrets.
pub(crate) async fn once<A, K, F>(
    answers: &Answers,
    caller: &Caller,
    route: &str,
    headers: &HeaderMap,
    body: &impl Serialize,
    work: F,
) -> Result<Response, Problem>
where
    A: Serialize,
    K: Serialize,
    F: Future<Output = Result<(A, K), Problem>>,
{
    let work = async {
        let (now, kept) = work.await?;
        let kept = Answer { status: StatusCode::CREATED.as_u16(), body: to_json(&kept) };
        Ok((json(StatusCode::CREATED, to_json(&now)), Some(kept)))
    };
    match key(headers)? {
        Some(key) => {
            let body = Sha256::digest(to_json(body)).into();
            unless_known(answers, request(caller, route.to_owned(), key, body), work).await
        }
        None => Ok(work.await?.0),
    }
}

/// Around routes of a wiki that make something: each is done once per `Idempotency-Key`, and to its
/// end, so that whoever gave up waiting can ask again.
pub(crate) async fn once_per_key(
    wiki: Wiki,
    incoming: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Some(key) = key(incoming.headers())? else { return Ok(next.run(incoming).await) };
    let (parts, body) = incoming.into_parts();
    let body = extract::json::read(Request::from_parts(parts.clone(), body)).await?;
    let query = parts.uri.query().unwrap_or_default();
    let hash = Sha256::new().chain_update(query).chain_update([0]).chain_update(&body);
    let path = parts.uri.path();
    let route = format!("{}{API}{}", wiki.id(), path.strip_prefix(API).unwrap_or(path));
    let asked = request(wiki.caller(), route, key, hash.finalize().into());
    let work = async move {
        let answered = next.run(Request::from_parts(parts, Body::from(body))).await;
        if !answered.status().is_success() {
            return Ok((answered, None));
        }
        let (parts, body) = answered.into_parts();
        let body = body.collect().await.map_err(|error| Problem::internal(&error))?.to_bytes();
        let kept = Answer { status: parts.status.as_u16(), body: body.to_vec() };
        Ok((Response::from_parts(parts, Body::from(body)), Some(kept)))
    };
    let doing = async move { unless_known(&wiki.answers(), asked, work).await };
    spawn(doing.in_current_span()).await.map_err(|error| Problem::internal(&error))?
}

/// Does `work` unless its request is known. What it says to keep is kept.
async fn unless_known(
    answers: &Answers,
    request: IdempotentRequest,
    work: impl Future<Output = Result<(Response, Option<Answer>), Problem>>,
) -> Result<Response, Problem> {
    let _alone = queue(&request).lock().await;
    match answers.recall(request.clone()).await.map_err(|error| error.problem())? {
        Recall::Same(Answer { status, body }) => {
            return Ok(json(StatusCode::from_u16(status).unwrap_or_default(), body));
        }
        Recall::Different => {
            let detail = "this Idempotency-Key was used for a request with another body";
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                detail,
            ));
        }
        Recall::New => {}
    }
    let (now, kept) = work.await?;
    if let Some(kept) = kept {
        answers.remember(request, kept).await.map_err(|error| error.problem())?;
    }
    Ok(now)
}

/// Where requests wait that may be the same one: a second that comes while the first is being done
/// would be done as well. Others that share a queue by chance wait a little for nothing.
fn queue(request: &IdempotentRequest) -> &'static Mutex<()> {
    static QUEUES: [Mutex<()>; 64] = [const { Mutex::const_new(()) }; 64];
    let mut hash = DefaultHasher::new();
    (&request.principal, &request.route, &request.key).hash(&mut hash);
    let index = hash.finish() % QUEUES.len() as u64;
    &QUEUES[usize::try_from(index).unwrap_or_default()]
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = headers.get(KEY) else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= MAX_KEY);
    key.map(|key| Some(key.to_owned())).ok_or_else(|| {
        let detail = "an Idempotency-Key has 1 to 255 visible ASCII characters";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_idempotency_key", detail)
    })
}

fn request(
    caller: &Caller,
    route: String,
    key: String,
    body_sha256: [u8; 32],
) -> IdempotentRequest {
    let principal = caller.subject().unwrap_or_default().to_owned();
    IdempotentRequest { principal, method: "POST".to_owned(), route, key, body_sha256 }
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("answers have string keys only")
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (status, headers, body).into_response()
}
