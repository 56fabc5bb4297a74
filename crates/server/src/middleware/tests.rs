use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Extension;
use axum::response::IntoResponse as _;
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::extract::Json;
use crate::metrics::Metrics;

fn app() -> Router {
    let missing =
        || async { Problem::new(StatusCode::NOT_FOUND, "page_not_found", "no page of that name") };
    let kept = || async { ([("cache-control", "private, max-age=60")], "kept") };
    let wiki = Router::new().route("/page", get(|| async { "page" }).put(|| async {}));
    let router = Router::new()
        .route(
            "/ok",
            get(|Extension(id): Extension<RequestId>| async move { id.as_str().to_owned() }),
        )
        .route("/kept", get(kept))
        .route("/same", get(|| async { StatusCode::NOT_MODIFIED }))
        .route("/missing", get(missing))
        .route("/panic", get(|| async { panic!("secret of the handler") as &str }))
        .route(
            "/failing",
            get(|| async { Problem::internal(&std::io::Error::other("the disk is on fire")) }),
        )
        .route("/slow", get(std::future::pending::<()>).post(std::future::pending::<()>))
        .route("/json", axum::routing::post(|Json(value): Json<Value>| async { Json(value) }))
        .route("/git", get(|| async { (StatusCode::FORBIDDEN, "not yours").into_response() }))
        .nest("/w/{slug}", wiki);
    let limits = HttpLimits { json_bytes: 100, ..HttpLimits::default() };
    stack(
        router,
        &limits,
        &ByteBudget::new(&limits),
        &Browsers::default(),
        &Metrics::default().listener("test"),
    )
}

async fn send(request: http::request::Builder, body: Body) -> Response {
    app().oneshot(request.body(body).unwrap()).await.unwrap()
}

async fn get_of(path: &str) -> Response {
    send(Request::get(path), Body::empty()).await
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// The members of a problem, after checking what all problems have in common.
async fn problem(response: Response) -> Value {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let (status, id) = (response.status().as_u16(), response.headers()["x-request-id"].clone());
    let length = response.headers()["content-length"].to_str().unwrap().parse::<usize>().unwrap();
    let body = text(response).await;
    assert_eq!(body.len(), length);
    let members: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(members["status"], status);
    assert_eq!(members["request_id"], id.to_str().unwrap());
    members
}

#[tokio::test]
async fn an_answer_names_its_request_and_is_not_cached_by_default() {
    let response = send(Request::get("/ok").header("x-request-id", "mine-1"), Body::empty()).await;
    assert_eq!(response.headers()["x-request-id"], "mine-1");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(text(response).await, "mine-1");
    assert_eq!(get_of("/kept").await.headers()["cache-control"], "private, max-age=60");
}

#[tokio::test]
async fn an_error_of_a_handler_is_told_the_request_id() {
    let members = problem(get_of("/missing").await).await;
    assert_eq!(members["code"], "page_not_found");
}

#[tokio::test]
async fn axums_own_errors_become_problems() {
    for path in ["/nowhere", "/w/x/nowhere", "//evil.example/x"] {
        assert_eq!(problem(get_of(path).await).await["code"], "not_found", "{path}");
    }
    for path in ["/w/x/page", "/ok"] {
        let response = send(Request::delete(path), Body::empty()).await;
        assert_eq!(response.status(), 405);
        assert!(response.headers()["allow"].to_str().unwrap().starts_with("GET,HEAD"), "{path}");
        assert_eq!(problem(response).await["code"], "method_not_allowed");
    }
}

#[tokio::test]
async fn an_error_with_a_text_of_its_own_is_left_alone() {
    let response = get_of("/git").await;
    assert_eq!(response.status(), 403);
    assert_eq!(text(response).await, "not yours");
}

#[tokio::test]
async fn what_is_not_modified_has_no_length() {
    let response = get_of("/same").await;
    assert_eq!(response.status(), 304);
    assert!(!response.headers().contains_key("content-length"));
}

/// http-006
#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    for path in ["/missing", "/nowhere", "/w/../x"] {
        let length = get_of(path).await.headers()["content-length"].clone();
        let response = send(Request::head(path), Body::empty()).await;
        assert_eq!(response.headers()["content-length"], length);
        assert_eq!(text(response).await, "");
    }
}

/// http-015
#[tokio::test]
async fn a_panic_is_a_500_that_says_nothing() {
    let members = problem(get_of("/panic").await).await;
    assert_eq!((&members["status"], &members["code"]), (&500.into(), &"internal".into()));
    assert!(!members.to_string().contains("secret"));
    assert_eq!(get_of("/ok").await.status(), 200);
}

#[tokio::test]
async fn refused_requests_are_answered_like_all_others() {
    assert_eq!(problem(get_of("/w/a/%2e%2e/b").await).await["code"], "invalid_path");
    let response = send(Request::builder().method("TRACE").uri("/ok"), Body::empty()).await;
    assert!(response.headers().contains_key("allow"));
    assert_eq!(problem(response).await["code"], "method_not_allowed");
}

#[tokio::test]
async fn the_limit_on_json_reaches_the_extractor() {
    let post = || Request::post("/json").header("content-type", "application/json");
    assert_eq!(send(post(), Body::from("[1]")).await.status(), 200);
    let response = send(post(), Body::from(format!("[{}]", "1,".repeat(100)))).await;
    assert_eq!(problem(response).await["code"], "body_too_large");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_too_long_is_503() {
    let response = get_of("/slow").await;
    assert_eq!(response.headers()["retry-after"], "5");
    assert_eq!(problem(response).await["code"], "timeout");
    // The client has done its part once the body has been read, or isn't wanted.
    let response = send(Request::post("/slow"), Body::from("all there")).await;
    assert_eq!(response.status(), 503);
}

/// http-009
#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_408() {
    let dribble = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        Some((Ok::<_, Infallible>(Bytes::from_static(b" ")), ()))
    });
    let started = tokio::time::Instant::now();
    let request = Request::post("/json").header("content-type", "application/json");
    let response = send(request, Body::from_stream(dribble)).await;
    assert_eq!(response.headers()["connection"], "close");
    assert_eq!(problem(response).await["code"], "request_timeout");
    assert!(started.elapsed() < Duration::from_secs(18), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_waited_for_yet_may_take_its_time() {
    let at_once = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"all there")) });
    let late = |body: Body| async {
        tokio::time::sleep(Duration::from_secs(40)).await;
        body.collect().await.unwrap().to_bytes().len().to_string()
    };
    let router = stack(
        Router::new().route("/", axum::routing::put(late)),
        &HttpLimits::default(),
        &ByteBudget::new(&HttpLimits::default()),
        &Browsers::default(),
        &Metrics::default().listener("test"),
    );
    let request = Request::put("/").body(Body::from_stream(at_once)).unwrap();
    assert_eq!(text(router.oneshot(request).await.unwrap()).await, "9");
}

#[tokio::test(start_paused = true)]
async fn a_large_upload_has_the_time_it_needs() {
    let steady = stream::unfold(0, |sent| async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        (sent < 20).then(|| (Ok::<_, Infallible>(Bytes::from(vec![b'x'; 200_000])), sent + 1))
    });
    let count = |body: Body| async { body.collect().await.unwrap().to_bytes().len().to_string() };
    let router = stack(
        Router::new().route("/", axum::routing::put(count)),
        &HttpLimits::default(),
        &ByteBudget::new(&HttpLimits::default()),
        &Browsers::default(),
        &Metrics::default().listener("test"),
    );
    let request = Request::put("/").body(Body::from_stream(steady)).unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert_eq!(text(response).await, "4000000");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn each_request_is_one_line_of_the_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    send(Request::get("/ok?q=secret").header("x-request-id", "r-1"), Body::empty()).await;
    let abandoned = send(Request::get("/slow").header("x-request-id", "r-2"), Body::empty());
    assert!(tokio::time::timeout(Duration::from_millis(20), abandoned).await.is_err());

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let [answered, abandoned] = lines[..] else { panic!("{text}") };
    for part in ["INFO", "r-1", "GET", "path=/ok", "status=200", "duration_ms=", "request answered"]
    {
        assert!(answered.contains(part), "{part} in {answered}");
    }
    assert!(abandoned.contains("r-2") && abandoned.contains("request abandoned"), "{abandoned}");
    assert!(!text.contains("secret"), "{text}");
}

/// A response that hides its reason refers to the log, under the request's id.
#[tokio::test]
async fn an_error_in_the_log_names_its_request_also_where_only_errors_are_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::ERROR)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    send(Request::get("/failing").header("x-request-id", "r-3"), Body::empty()).await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("r-3") && text.contains("the disk is on fire"), "{text}");
}
