//! `Idempotency-Key`: a repeated POST is carried out once.
//!
//! Requests with the same caller, route and key wait for each other; all others run independently. Once
//! its turn has come, a request runs to its end even if its client disconnects, so that the client can
//! retry.

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tracing::Instrument as _;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::storage::ANSWER_BYTES;
use wikigrove_tenant::{
    Answer, Answers, Caller, IdempotentRequest, Recall, Revision, Turn, Wiki, spawn,
};

use crate::auth::ClientAddress;
use crate::extract::{self, JsonLimit};
use crate::limits::Principal;
use crate::wiki::API;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Maximum length of a key, in bytes.
const MAX_KEY: usize = 255;
/// Maximum size of a body on a wiki's routes that accept a key, in bytes. A message has at most 16 KiB,
/// and a path less.
const MAX_BODY: usize = 64 * 1024;
/// The principal of callers without a credential. No subject begins with a space.
const ANONYMOUS: &str = " anonymous";

/// The commit that a request made; an extension of its response. It is stored instead of a response that
/// is too large.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome(pub(crate) Option<Revision>);

/// The result of a request: the response, the stored response for a repeated request (without secrets),
/// and the id of the created object if it can be removed later.
pub(crate) struct Made<A, K> {
    pub(crate) now: A,
    pub(crate) kept: K,
    pub(crate) id: Option<String>,
}

/// An admin request that creates something.
pub(crate) struct Once {
    answers: Answers,
    /// `None` without a key.
    request: Option<IdempotentRequest>,
}

impl Once {
    /// The request of a caller to a route.
    ///
    /// # Errors
    /// 422 if the key is malformed.
    pub(crate) fn of(
        answers: Answers,
        caller: &Caller,
        route: impl Into<String>,
        headers: &HeaderMap,
        body: &impl Serialize,
    ) -> Result<Self, Problem> {
        let request = key(headers)?.map(|key| {
            let principal = caller.subject().unwrap_or(ANONYMOUS).to_owned();
            let body = Sha256::digest(to_json(body)).into();
            request(principal.clone(), principal, route.into(), key, body)
        });
        Ok(Self { answers, request })
    }

    /// Runs `work`, unless the same request with the same key was answered before; then returns the
    /// stored response.
    ///
    /// # Errors
    /// The error of `work`; 422 if the key was used for another request; 409 if the created object has
    /// been removed since.
    pub(crate) async fn make<A, K>(
        self,
        work: impl Future<Output = Result<Made<A, K>, Problem>> + Send + 'static,
    ) -> Result<Response, Problem>
    where
        A: Serialize,
        K: Serialize,
    {
        let work = async {
            let Made { now, kept, id } = work.await?;
            let (status, body) = (StatusCode::CREATED.as_u16(), to_json(&kept));
            let kept = Answer { status, body, made: id };
            Ok((json(StatusCode::CREATED, to_json(&now)), Some(kept)))
        };
        match self.request {
            Some(request) => unless_known(self.answers, request, Client::MayLeave, work).await,
            None => done(None, Client::MayLeave, work).await,
        }
    }
}

/// Middleware for a wiki's routes that create something: runs each request once per `Idempotency-Key`.
pub(crate) async fn once_per_key(
    wiki: Wiki,
    mut incoming: Request,
    next: Next,
) -> Result<Response, Problem> {
    JsonLimit::lower(&mut incoming, MAX_BODY);
    let Some(key) = key(incoming.headers())? else { return Ok(next.run(incoming).await) };
    let (parts, body) = incoming.into_parts();
    let body = extract::json::read(Request::from_parts(parts.clone(), body)).await?;
    let query = parts.uri.query().unwrap_or_default();
    let hash = Sha256::new().chain_update(query).chain_update([0]).chain_update(&body);
    let hash = hash.finalize().into();
    let path = parts.uri.path();
    let route = path.strip_prefix(API).unwrap_or(path).to_owned();
    let asking = Principal::of(Some(wiki.caller()), ClientAddress::of(&parts.extensions));
    let (principal, share) = principal(&asking, &hash);
    let client = if is_plan(query) { Client::HasToWait } else { Client::MayLeave };
    let asked = request(principal, share, route, key, hash);
    let work = async move {
        let answered = next.run(Request::from_parts(parts, Body::from(body))).await;
        if answered.status().is_success() { keepable(answered).await } else { Ok((answered, None)) }
    };
    unless_known(wiki.answers(), asked, client, work).await
}

/// Decides whether the work continues when the client disconnects.
#[derive(Clone, Copy, Debug)]
enum Client {
    /// The work changes something, and continues so that a retry gets its response.
    MayLeave,
    /// The work is a dry run, and is cancelled.
    HasToWait,
}

/// Returns `true` for a dry run.
fn is_plan(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|pair| pair == ("dry_run".into(), "true".into()))
}

/// The principal of a request to a wiki, and the share that its stored response counts towards.
/// Anonymous callers are told apart by address. Without an address the body's hash is part of the
/// principal, so that two strangers with the same key don't get each other's responses or errors.
fn principal(asking: &Principal, hash: &[u8; 32]) -> (String, String) {
    match asking {
        Principal::Subject(subject) => (subject.clone(), subject.clone()),
        Principal::V4(address) => (format!("{ANONYMOUS} v4 {address:08x}"), ANONYMOUS.to_owned()),
        Principal::V6(network) => (format!("{ANONYMOUS} v6 {network:016x}"), ANONYMOUS.to_owned()),
        Principal::Nowhere => {
            let hash = data_encoding::HEXLOWER.encode(hash);
            (format!("{ANONYMOUS} body {hash}"), ANONYMOUS.to_owned())
        }
    }
}

/// The response, and the part of it to store: of a large response, only its outcome is stored.
async fn keepable(answered: Response) -> Result<(Response, Option<Answer>), Problem> {
    let status = answered.status().as_u16();
    let size = answered.body().size_hint().exact();
    if size.is_none_or(|size| size > ANSWER_BYTES as u64) {
        let outcome = answered.extensions().get::<Outcome>().and_then(|Outcome(outcome)| *outcome);
        let detail = "the request was done; its answer was too large to be kept";
        let short =
            serde_json::json!({ "revision": outcome, "answer_kept": false, "detail": detail });
        return Ok((answered, Some(Answer { status, body: to_json(&short), made: None })));
    }
    let (parts, body) = answered.into_parts();
    let body = body.collect().await.map_err(|error| Problem::internal(&error))?.to_bytes();
    let kept = Answer { status, body: body.to_vec(), made: None };
    Ok((Response::from_parts(parts, Body::from(body)), Some(kept)))
}

/// Runs `work` unless the request was answered before, and stores the response.
async fn unless_known(
    answers: Answers,
    request: IdempotentRequest,
    client: Client,
    work: impl Future<Output = Result<(Response, Option<Answer>), Problem>> + Send + 'static,
) -> Result<Response, Problem> {
    // A request that is cancelled while it waits has not begun.
    let turn = answers.turn(&request).await.map_err(|error| error.problem())?;
    match answers.recall(request.clone()).await.map_err(|error| error.problem())? {
        Recall::New => done(Some((answers, request, turn)), client, work).await,
        Recall::Same(Answer { status, body, .. }) => {
            Ok(json(StatusCode::from_u16(status).unwrap_or_default(), body))
        }
        Recall::Different => {
            let detail = "this Idempotency-Key was used for a request with another body";
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            Err(Problem::new(status, "idempotency_key_reused", detail))
        }
        Recall::Removed => {
            let detail = "what the request with this Idempotency-Key made was removed since; to make it \
                          again takes another key";
            Err(Problem::new(StatusCode::CONFLICT, "removed_since", detail))
        }
    }
}

/// Runs `work`, and stores its response while the turn is held.
async fn done(
    keep: Option<(Answers, IdempotentRequest, Turn)>,
    client: Client,
    work: impl Future<Output = Result<(Response, Option<Answer>), Problem>> + Send + 'static,
) -> Result<Response, Problem> {
    let doing = async move {
        let (now, kept) = work.await?;
        if let (Some((answers, request, _turn)), Some(kept)) = (keep, kept)
            && let Err(error) = answers.remember(request, kept).await
        {
            // The work is done. An error would make the client retry, and the work would be done twice.
            tracing::error!(%error, "an answer can't be kept for when its request is sent again");
        }
        Ok(now)
    };
    match client {
        Client::MayLeave => {
            spawn(doing.in_current_span()).await.map_err(|error| Problem::internal(&error))?
        }
        Client::HasToWait => doing.await,
    }
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
    principal: String,
    share: String,
    route: String,
    key: String,
    body_sha256: [u8; 32],
) -> IdempotentRequest {
    IdempotentRequest { principal, share, method: "POST".to_owned(), route, key, body_sha256 }
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("answers have string keys only")
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (status, headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plan_ends_with_its_client() {
        for plan in ["dry_run=true", "x=1&dry_run=true", "%64ry_run=true"] {
            assert!(is_plan(plan), "{plan}");
        }
        for other in ["", "dry_run", "dry_run=false", "dry-run=true", "x=dry_run=true"] {
            assert!(!is_plan(other), "{other}");
        }
    }

    #[test]
    fn callers_without_a_credential_are_told_apart() {
        let of = |asking: &Principal, byte: u8| principal(asking, &[byte; 32]);
        let (one, other) = (Principal::V4(1), Principal::V4(2));
        assert_eq!(of(&one, 1), of(&one, 2));
        assert_ne!(of(&one, 1).0, of(&other, 1).0);
        assert_ne!(of(&Principal::V6(1), 1).0, of(&one, 1).0);
        assert_ne!(of(&Principal::Nowhere, 1).0, of(&Principal::Nowhere, 2).0);
        // Anonymous callers have one share together, and no user has its name.
        assert_eq!(of(&one, 1).1, of(&Principal::Nowhere, 1).1);
        assert!(wikigrove_tenant::check_subject(&of(&one, 1).0).is_err());
        let ann = Principal::Subject("ann".to_owned());
        assert_eq!(of(&ann, 1), ("ann".to_owned(), "ann".to_owned()));
    }
}
