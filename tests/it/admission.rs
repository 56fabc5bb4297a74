//! Requests that are refused before a handler runs: unknown query parameters, and bodies of callers who may not
//! use the route.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};
use testkit::{Linked, ServerSetup, TestServer, client, slug};
use tokio::io::AsyncWriteExt as _;
use wikigrove_server::app::{self, Addresses};
use wikigrove_server::auth::Authenticator;
use wikigrove_server::limits::HttpLimits;
use wikigrove_tenant::{NewTenant, NewToken, Platform, Role, TokenRole, Visibility};

/// The changing routes of a document, with every parameter of their paths filled in.
fn changing(document: &Value) -> Vec<(Method, String)> {
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.replace("{slug}", "garden").replace("{path}", "x");
        let path = path.replace("{id}", "x").replace("{subject}", "x");
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            if method != Method::GET {
                routes.push((method, path.clone()));
            }
        }
    }
    assert!(routes.len() > 5, "{routes:?}");
    routes
}

#[tokio::test]
async fn a_query_parameter_that_a_changing_route_does_not_take_is_refused_and_named() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    garden.create("roses", "red\n").await.good();
    let order = json!({ "from": "roses", "to": "tulips" });
    let moving = || garden.api(Method::POST, "/moves").json(order.clone());
    let refused = moving().query("dry_run", true).await;
    assert_eq!(refused.status(), 422);
    let problem = refused.problem("unknown_parameter");
    assert_eq!(problem["errors"][0]["parameter"], "dry_run");
    garden.read("roses").await.good();
    moving().await.good();
    garden.read("tulips").await.good();
    // Reading routes ignore parameters that proxies and trackers add.
    garden.read("tulips").query("utm_source", "x").await.good();

    let public = operator.public(Method::GET, "/openapi.json").await.good().json();
    let control = operator.control(Method::GET, "/openapi.json").await.good().json();
    let ann = json!({ "name": "ann", "role": "reader", "subject": "ann" });
    let ann = operator.token_with("garden", ann).await;
    for (method, path) in changing(&public) {
        let path = format!("/w/garden{path}");
        // An invitation is for users.
        let caller = if path.ends_with("/accept") { &ann } else { &operator };
        let refused = caller.public(method.clone(), &path).query("dry-run", true).await;
        assert_eq!(refused.status(), 422, "{method} {path}: {refused}");
        let problem = refused.problem("unknown_parameter");
        assert_eq!(problem["errors"][0]["parameter"], "dry-run", "{method} {path}");
    }
    for (method, path) in changing(&control) {
        let refused = operator.control(method.clone(), &path).query("purge", true).await;
        refused.problem("unknown_parameter");
    }
    operator.control(Method::GET, "/admin/v1/wikis/garden").await.good();
    // Parameters of the route are taken, also when they are percent-encoded.
    let delete = garden.api(Method::DELETE, "/pages/tulips?%72ecursive=true");
    delete.await.problem("precondition_required");
    garden.api(Method::DELETE, "/pages/tulips?recursive=true&%ff=1").await.problem("invalid_utf8");
}

#[tokio::test]
async fn callers_who_may_not_use_a_route_learn_nothing_of_its_parameters() {
    let (server, _, _) = TestServer::with_garden().await;
    let nobody = server.anonymous();
    let refused = nobody.on("garden").api(Method::POST, "/moves").query("x", 1).await;
    refused.problem("unknown_wiki");
    nobody.control(Method::POST, "/admin/v1/wikis?x=1").await.problem("unauthenticated");
}

/// An answer that needs no body is there within this time, however busy the machine is.
const AT_ONCE: Duration = Duration::from_secs(20);

/// Both listeners' routers on one platform, without sockets.
struct Doors {
    public: Router,
    control: Router,
    documents: [Value; 2],
    editor: String,
    stranger: String,
    user: String,
}

const OPERATOR: &str = "the-operators-token";

async fn doors() -> Doors {
    let platform = Platform::in_memory().await.unwrap();
    let mut secrets = Vec::new();
    for (name, visibility) in [
        ("garden", Visibility::Private),
        ("park", Visibility::PublicRead),
        ("commons", Visibility::PublicWrite),
        ("ruin", Visibility::Private),
    ] {
        let new = NewTenant { visibility, ..NewTenant::new(slug(name)) };
        let wiki = platform.create_tenant(new).await.unwrap().id;
        for subject in [None, Some("ann".to_owned())] {
            let role = TokenRole::Wiki { wiki, role: Role::Editor };
            let (name, act_as, expires) = (name.to_owned(), false, None);
            let new = NewToken { name, role, act_as, expires, subject };
            let (_, secret) = platform.create_token(new).await.unwrap();
            secrets.push(secret.expose().to_owned());
        }
    }
    platform.suspend(&slug("ruin"), "unpaid").await.unwrap();
    let auth = Authenticator::new(platform.clone(), OPERATOR);
    let limits = HttpLimits::default();
    let public = app::public(&platform, &auth, &Addresses::default(), &limits);
    let control = app::control(&platform, &auth, "", &limits);
    let mut documents = Vec::new();
    for router in [&public, &control] {
        let text = client::get(router, "/openapi.json").await.good();
        documents.push(serde_json::from_str(&text).unwrap());
    }
    let documents = documents.try_into().unwrap();
    let [editor, _, _, user, stranger, ..] = &secrets[..] else { panic!() };
    let (editor, user, stranger) = (editor.clone(), user.clone(), stranger.clone());
    Doors { public, control, documents, editor, stranger, user }
}

/// The status of the answer to a request whose body never ends.
async fn answered(router: &Router, method: &Method, path: &str, token: Option<&str>) -> u16 {
    let never = futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
    let media_type = match path.rsplit('/').next() {
        Some(service @ ("git-upload-pack" | "git-receive-pack")) => {
            format!("application/x-{service}-request")
        }
        _ => "application/json".to_owned(),
    };
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header("content-type", media_type)
        .header("if-none-match", "*")
        .header("idempotency-key", "k");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Body::from_stream(never)).unwrap();
    let answered = tokio::time::timeout(AT_ONCE, client::send(router, request)).await;
    answered.unwrap_or_else(|_| panic!("{method} {path} waits for its body")).status.as_u16()
}

#[tokio::test]
async fn no_body_is_read_of_callers_or_for_wikis_that_a_route_refuses() {
    let doors = doors().await;
    let mut routes = changing(&doors.documents[0]);
    routes.push((Method::POST, "/git/git-receive-pack".to_owned()));
    let upload_pack = (Method::POST, "/git/git-upload-pack".to_owned());
    let accept = "/api/v1/invitations/accept";
    for (wiki, token, reads) in [
        ("garden", None, false),
        ("garden", Some(&doors.stranger), false),
        ("garden", Some(&doors.user), false),
        ("none", None, false),
        ("none", Some(&doors.editor), false),
        ("none", Some(&doors.user), false),
        ("ruin", Some(&doors.editor), false),
        ("park", None, true),
        ("park", Some(&doors.stranger), true),
    ] {
        let mut routes = routes.clone();
        routes.extend((!reads).then(|| upload_pack.clone()));
        for (method, path) in &routes {
            // A user may accept an invitation to what can't be seen: at most a few kilobytes are read.
            if path == accept && token == Some(&doors.user) {
                continue;
            }
            let path = format!("/w/{wiki}{path}");
            let status = answered(&doors.public, method, &path, token.map(String::as_str)).await;
            assert!((400..500).contains(&status), "{method} {path}: {status}");
        }
    }
    // Anonymous callers may write there, and have no drafts.
    for method in [Method::PUT, Method::DELETE] {
        let path = "/w/commons/api/v1/drafts/x";
        assert_eq!(answered(&doors.public, &method, path, None).await, 403);
    }
    // Invitations are for users only, in wikis that exist and in those that don't.
    for wiki in ["garden", "commons", "none"] {
        for token in [None, Some(doors.stranger.as_str()), Some(OPERATOR)] {
            let path = format!("/w/{wiki}{accept}");
            assert_eq!(answered(&doors.public, &Method::POST, &path, token).await, 403);
        }
    }
    // The view takes no bodies, and hooks are looked up first.
    for (path, expected) in [
        ("/w/commons/", 405),
        ("/w/commons/home", 405),
        ("/w/commons", 405),
        ("/openapi.json", 405),
        ("/hooks/0123456789abcdef", 401),
        ("/hooks/x", 401),
        ("/", 404),
    ] {
        assert_eq!(answered(&doors.public, &Method::POST, path, None).await, expected, "{path}");
    }
}

#[tokio::test]
async fn no_body_is_read_of_strangers_to_the_control_plane_or_for_wikis_that_there_are_not() {
    let doors = doors().await;
    let mut for_wikis = 0;
    for (method, path) in changing(&doors.documents[1]) {
        for (token, expected) in [(None, 401), (Some("wrong"), 401), (Some(&*doors.editor), 403)] {
            let status = answered(&doors.control, &method, &path, token).await;
            assert_eq!(status, expected, "{method} {path}");
        }
        if path.contains("/wikis/garden") {
            let path = path.replace("/garden", "/none");
            let status = answered(&doors.control, &method, &path, Some(OPERATOR)).await;
            assert_eq!(status, 404, "{method} {path}");
            for_wikis += 1;
        }
    }
    assert!(for_wikis > 10, "{for_wikis}");
}

#[tokio::test]
async fn an_invitation_is_accepted_with_few_bytes() {
    let (server, operator, _) = TestServer::with_garden().await;
    let ann = json!({ "name": "ann", "role": "reader", "subject": "ann" });
    let ann = operator.token_with("garden", ann).await;
    for wiki in ["garden", "none"] {
        let call = ann.on(wiki).api(Method::POST, "/invitations/accept");
        let refused = call.json(json!({ "token": "x".repeat(4096) })).await;
        assert_eq!(refused.problem("body_too_large")["limit"], 4096);
        let call = server.anonymous().on(wiki).api(Method::POST, "/invitations/accept");
        call.json(json!({ "token": "x".repeat(4096) })).await.problem("identity_required");
    }
}

#[tokio::test]
async fn a_link_receives_few_messages_at_once_and_none_that_is_not_signed() {
    let linked = Linked::start().await;
    let path = format!("/hooks/{}", linked.id);
    let address = linked.server.public_address();
    // Bodies that are begun and not sent; each holds one of the link's places.
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nx-gitlab-token: wrong\r\ncontent-length: 1000000\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        open.push(stream);
    }
    let signed =
        || linked.server.anonymous().public(Method::POST, &path).header("x-gitlab-token", "w");
    let started = std::time::Instant::now();
    while signed().await.status() != 503 {
        assert!(started.elapsed() < AT_ONCE, "the places are taken");
    }
    // One without a signature needs no place, and its body isn't waited for.
    let unsigned = linked.server.anonymous().public(Method::POST, &path);
    unsigned.body("application/json", vec![b' '; 900_000]).await.problem("invalid_signature");
    drop(open);
    let started = std::time::Instant::now();
    while linked.hook("1", "{}").await.status() != 202 {
        assert!(started.elapsed() < AT_ONCE, "the places are free again");
    }
}

#[tokio::test]
async fn what_is_for_no_wiki_is_counted_like_everything_else() {
    let setup = ServerSetup::default();
    let limits = |limits: &mut HttpLimits| limits.rate_per_principal = NonZeroU32::new(1);
    let (server, _) = setup.limits(limits).start().await;
    for (method, path, first) in
        [(Method::POST, "/hooks/abc", 401), (Method::GET, "/openapi.json", 429)]
    {
        let mut statuses = Vec::new();
        for _ in 0..40 {
            statuses.push(server.anonymous().public(method.clone(), path).await.status());
        }
        assert_eq!(statuses[0], first, "{path}");
        let refused = statuses.iter().filter(|status| **status == 429).count();
        assert!(refused >= 30, "{path}: {statuses:?}");
    }
}
