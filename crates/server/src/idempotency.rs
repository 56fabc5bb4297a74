//! `Idempotency-Key`: a POST that is sent twice is done once.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::response::{IntoResponse as _, Response};
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Answer, Caller, IdempotentRequest, Platform, Recall};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest key, in bytes.
const MAX_KEY: usize = 255;

/// Does `work` unless the same request, with the same key, was answered before; then that answer
/// is given again. `work` returns what is answered now and what may be kept of it: no secrets.
pub(crate) async fn once<A, K, F>(
    platform: &Platform,
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
    let Some(request) = request(caller, route, headers, body)? else {
        return Ok(created(&to_json(&work.await?.0)));
    };
    let _alone = queue(&request).lock().await;
    match platform.recall(request.clone()).await.map_err(|error| error.problem())? {
        Recall::Same(answer) => return Ok(created(&answer.body)),
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
    let answer = Answer { status: StatusCode::CREATED.as_u16(), body: to_json(&kept) };
    platform.remember(request, answer).await.map_err(|error| error.problem())?;
    Ok(created(&to_json(&now)))
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

fn request(
    caller: &Caller,
    route: &str,
    headers: &HeaderMap,
    body: &impl Serialize,
) -> Result<Option<IdempotentRequest>, Problem> {
    let Some(key) = headers.get(KEY) else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= MAX_KEY).ok_or_else(
        || {
            let detail = "an Idempotency-Key has 1 to 255 visible ASCII characters";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_idempotency_key", detail)
        },
    )?;
    Ok(Some(IdempotentRequest {
        principal: caller.subject().unwrap_or_default().to_owned(),
        method: "POST".to_owned(),
        route: route.to_owned(),
        key: key.to_owned(),
        body_sha256: Sha256::digest(to_json(body)).into(),
    }))
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("answers have string keys only")
}

fn created(body: &[u8]) -> Response {
    let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (StatusCode::CREATED, headers, body.to_vec()).into_response()
}
