use std::convert::Infallible;

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Save {
    content: String,
    author: Option<Author>,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Author {
    name: String,
}

fn request(content_type: Option<&str>, body: impl Into<Body>) -> Request {
    let mut request = Request::post("/").body(body.into()).unwrap();
    if let Some(content_type) = content_type {
        request.headers_mut().insert(CONTENT_TYPE, content_type.parse().unwrap());
    }
    request
}

async fn read_as<T: DeserializeOwned + Send + 'static>(
    body: impl Into<Body>,
) -> Result<T, Problem> {
    let request = request(Some("application/json"), body);
    <Json<T> as FromRequest<()>>::from_request(request, &()).await.map(|Json(value)| value)
}

async fn refused(body: impl Into<Body>) -> (u16, &'static str) {
    let problem = read_as::<Save>(body).await.unwrap_err();
    (problem.status().as_u16(), problem.code())
}

async fn field_error(body: &str) -> (String, String) {
    let problem = read_as::<Save>(body.to_owned()).await.unwrap_err();
    assert_eq!(
        (problem.status().as_u16(), problem.code()),
        (422, "invalid_value"),
        "{body}: {problem}"
    );
    let body: serde_json::Value = serde_json::from_slice(&problem.body(None)).unwrap();
    let text = |name: &str| body["errors"][0][name].as_str().unwrap().to_owned();
    assert!(!text("detail").is_empty());
    (text("pointer"), text("code"))
}

#[tokio::test]
async fn a_body_is_read_byte_for_byte() {
    // json-013, json-033, json-034: text is text.
    let body = r#"{"content":"\u0000<img onerror=x>\r\n<<<<<<< ours \ud83e\uddc0","author":{"name":"A"},"tags":["x"]}"#;
    let save: Save = read_as(body).await.unwrap();
    assert_eq!(save.content, "\0<img onerror=x>\r\n<<<<<<< ours \u{1F9C0}");
    assert_eq!((save.author.unwrap().name.as_str(), save.tags.len()), ("A", 1));
}

#[tokio::test]
async fn what_is_not_one_json_value_is_400() {
    for (id, body) in [
        ("json-001", Vec::new()),
        ("json-003", br#"{"content":"x"} trailing"#.to_vec()),
        ("json-003", br#"{"content":"x"}{}"#.to_vec()),
        ("json-010", "[".repeat(100_000).into_bytes()),
        ("json-010", format!("{}1{}", "[".repeat(200), "]".repeat(200)).into_bytes()),
        ("json-012", br#"{"content":"\ud800"}"#.to_vec()),
        ("json-012", br#"{"content":"\udc00\ud800"}"#.to_vec()),
        ("json-015", b"\xef\xbb\xbf{\"content\":\"x\"}".to_vec()),
        ("json-015", "\u{feff}{}".encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ("json-015", "{}".encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("not UTF-8", b"{\"content\":\"\xff\"}".to_vec()),
        ("raw control character", b"{\"content\":\"\n\"}".to_vec()),
        ("cut off", br#"{"content":"x""#.to_vec()),
        ("too many values", format!("[{}0]", "0,".repeat(200_000)).into_bytes()),
        ("not JSON", b"{content:'x'}".to_vec()),
    ] {
        assert_eq!(refused(body).await, (400, "invalid_json"), "{id}");
    }
}

#[tokio::test]
async fn json_007_a_key_that_occurs_twice_is_refused_at_any_depth() {
    for (body, pointer) in [
        (r#"{"content":"a","content":"b"}"#, "/content"),
        (r#"{"content":"a","\u0063ontent":"b"}"#, "/content"),
        (r#"{"content":"a","author":{"name":"x","name":"x"}}"#, "/author/name"),
        (r#"{"unknown":[{},{"a/b~":1,"a/b~":2}]}"#, "/unknown/1/a~1b~0"),
    ] {
        let problem = read_as::<Save>(body).await.unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.code()), (400, "duplicate_key"), "{body}");
        assert!(problem.detail().contains(pointer), "{problem}");
    }
}

#[tokio::test]
async fn wrong_fields_are_422_and_named() {
    for (body, pointer, code) in [
        (r#"{"content":1}"#, "/content", "wrong_type"), // json-006
        (r#"null"#, "", "wrong_type"),                  // json-004
        (r#"{"content":"x","groups":[1]}"#, "/groups", "unknown_field"), // json-009
        (r#"{"content":"x","n":1e999}"#, "/n", "out_of_range"), // json-016
        (r#"{"content":-1e999}"#, "/content", "out_of_range"), // json-016
        (r#"{}"#, "/content", "missing_field"),
        (r#"{"content":"x","author":{}}"#, "/author/name", "missing_field"),
        (
            r#"{"content":"x","author":{"name":"a","role":"admin"}}"#,
            "/author/role",
            "unknown_field",
        ),
        (r#"{"content":"x","tags":["a",null]}"#, "/tags/1", "wrong_type"),
        (r#"{"content":null}"#, "/content", "wrong_type"),
    ] {
        assert_eq!(field_error(body).await, (pointer.to_owned(), code.to_owned()), "{body}");
    }
}

#[tokio::test]
async fn an_error_does_not_repeat_a_long_body() {
    let long = "x".repeat(50_000);
    for body in [format!(r#"{{"{long}":1}}"#), format!(r#"{{"content":"x","tags":"{long}"}}"#)] {
        let problem = read_as::<Save>(body).await.unwrap_err();
        assert!(problem.body(None).len() < 1500, "{}", problem.body(None).len());
    }
}

#[tokio::test]
async fn the_media_type_is_required() {
    let status = |content_type: Option<&'static str>| async move {
        let request = request(content_type, r#"{"content":"x"}"#);
        let read = <Json<Save> as FromRequest<()>>::from_request(request, &()).await;
        read.err().map(|problem| (problem.status().as_u16(), problem.code()))
    };
    for good in [
        "application/json",
        "Application/JSON; charset=\"UTF-8\"",
        "application/merge-patch+json",
        "application/json; v=1",
    ] {
        assert_eq!(status(Some(good)).await, None, "{good}");
    }
    // header-030 first.
    for bad in [
        "text/plain",
        "application/jsonx",
        "text/json",
        "application/json; charset=utf-16",
        "application/x-www-form-urlencoded",
        "",
    ] {
        assert_eq!(status(Some(bad)).await, Some((415, "unsupported_media_type")), "{bad}");
    }
    assert_eq!(status(None).await, Some((415, "unsupported_media_type")));
}

#[tokio::test]
async fn an_encoded_body_is_not_decoded() {
    let mut request = request(Some("application/json"), "x");
    request.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let problem = <Json<Save> as FromRequest<()>>::from_request(request, &()).await.unwrap_err();
    assert_eq!(problem.status(), 415);
}

#[tokio::test]
async fn an_announced_length_over_the_limit_is_refused_unread() {
    let never = Body::from_stream(futures_util::stream::poll_fn(
        |_| -> std::task::Poll<Option<Result<Bytes, Infallible>>> { panic!("the body was read") },
    ));
    let mut request = request(Some("application/json"), never);
    request.extensions_mut().insert(JsonLimit(10));
    request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("11"));
    let problem = <Json<Save> as FromRequest<()>>::from_request(request, &()).await.unwrap_err();
    assert_eq!((problem.status().as_u16(), problem.code()), (413, "body_too_large"));
}

#[tokio::test]
async fn an_endless_body_is_cut_at_the_limit() {
    let endless =
        futures_util::stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(b"[[[[[[[[")));
    let mut request = request(Some("application/json"), Body::from_stream(endless));
    request.extensions_mut().insert(JsonLimit(1000));
    let problem = <Json<Save> as FromRequest<()>>::from_request(request, &()).await.unwrap_err();
    assert_eq!((problem.status().as_u16(), problem.code()), (413, "body_too_large"));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_the_clients_error() {
    let broken = futures_util::stream::iter([
        Ok(Bytes::from_static(b"{")),
        Err(std::io::Error::other("reset")),
    ]);
    assert_eq!(refused(Body::from_stream(broken)).await, (400, "incomplete_body"));
}

#[tokio::test]
async fn an_optional_body_may_be_absent_but_not_broken() {
    let read =
        |request: Request| <Json<Author> as OptionalFromRequest<()>>::from_request(request, &());
    assert!(read(request(None, Body::empty())).await.unwrap().is_none());
    assert!(read(request(Some("application/json"), r#"{"name":"a"}"#)).await.unwrap().is_some());
    assert_eq!(read(request(None, r#"{"name":"a"}"#)).await.unwrap_err().status(), 415);
    assert_eq!(
        read(request(Some("application/json"), Body::empty())).await.unwrap_err().status(),
        400
    );
}

#[tokio::test]
async fn an_answer_is_json() {
    let response = Json(serde_json::json!({ "a": 1 })).into_response();
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), r#"{"a":1}"#);
}

#[tokio::test]
async fn a_large_body_is_parsed_apart_from_other_requests() {
    /// The thread that parsed it.
    struct Parsed(std::thread::ThreadId);

    impl<'de> Deserialize<'de> for Parsed {
        fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
            serde::de::IgnoredAny::deserialize(json)?;
            Ok(Self(std::thread::current().id()))
        }
    }

    let here = std::thread::current().id();
    let keys = |count| {
        let keys: Vec<_> = (0..count).map(|n| format!("\"{n}\":0")).collect();
        format!("{{{}}}", keys.join(","))
    };
    assert_eq!(read_as::<Parsed>(keys(100)).await.unwrap().0, here);
    for large in [keys(20_000), format!("[\"{}\"]", "x".repeat(1_000_000))] {
        assert_ne!(read_as::<Parsed>(large).await.unwrap().0, here);
    }
    assert_eq!(
        refused(format!("{{\"content\": \"{}", "x".repeat(100_000))).await,
        (400, "invalid_json")
    );
}
