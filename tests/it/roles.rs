//! Every route for everybody: what happens is what the one function decides that decides.

use http::Method;
use serde_json::{Value, json};
use testkit::{Answer, ServerSetup, TestServer, User};
use wikigrove_server::auth::proxy::{IdentityHeaders, Proxies};
use wikigrove_tenant::{
    Action, AuditFilter, Author, Caller, Decision, Membership, NewTenant, Role, State,
    TenantUpdate, Visibility, decide,
};

const SECRET: &str = "the-secret-of-a-tests-proxy";

/// What the plain view of a wiki has. It is in no document, being for people.
const VIEW: &[&str] = &[
    "/",
    "/robots.txt",
    "/x",
    "/-/pages",
    "/-/changes",
    "/-/search",
    "/-/history/x",
    "/-/attachments/x",
    "/-/source/x",
    "/-/style.css",
];

/// What git asks for. It is in no document either.
const GIT: &[(&str, &str, &str)] = &[
    ("GET", "/git/info/refs?service=git-upload-pack", "read"),
    ("GET", "/git/info/refs?service=git-receive-pack", "write"),
    ("POST", "/git/git-upload-pack", "read"),
    ("POST", "/git/git-receive-pack", "write"),
];

/// A route of a document.
#[derive(Clone, Debug)]
struct Route {
    method: Method,
    path: String,
    action: String,
    word: Option<String>,
}

/// All routes of a document. Where GET is, HEAD is, too.
fn routes(document: &Value) -> Vec<Route> {
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let action = operation["x-action"].as_str();
            let route = Route {
                method: method.to_uppercase().parse().unwrap(),
                path: path.replace("{path}", "x").replace("{id}", "x"),
                action: action.unwrap_or_else(|| panic!("{method} {path}")).to_owned(),
                word: operation["x-audit"].as_str().map(str::to_owned),
            };
            if route.method == Method::GET {
                routes.push(Route { method: Method::HEAD, ..route.clone() });
            }
            // An answer without an end is only asked for its head.
            if !route.path.ends_with("/events") {
                routes.push(route);
            }
        }
    }
    routes
}

/// Somebody, as the server and as the function know them.
struct Somebody {
    what: &'static str,
    user: User,
    /// The subject that a proxy names.
    subject: Option<&'static str>,
    caller: Caller,
    member: Option<Role>,
}

impl Somebody {
    /// Asks for a route, with nothing that it would need to do anything.
    async fn ask(&self, method: &Method, path: &str) -> Answer {
        let call = self.user.public(method.clone(), path);
        match self.subject {
            None => call.await,
            Some(subject) => {
                let call = call.header("x-otterwiki-subject", subject);
                call.header("x-wikigrove-proxy-secret", SECRET).await
            }
        }
    }
}

fn proxies() -> Proxies {
    let identity = Some(IdentityHeaders::default());
    Proxies::new(Vec::new(), &[SECRET.to_owned()], false, identity).unwrap()
}

/// A server with one wiki, `garden`, in this state, and one of somebody else's.
async fn server(visibility: Visibility, state: State) -> (TestServer, Vec<Somebody>) {
    let (server, operator) = ServerSetup::default().behind(proxies()).start().await;
    let platform = server.platform();
    let slug = testkit::slug("garden");
    let mut new = NewTenant::new(slug.clone());
    new.visibility = visibility;
    platform.create_tenant(new).await.unwrap();
    operator.create_wiki("other").await.good();
    operator.on("garden").create("x", "text").await.good();
    let mut all = Vec::new();
    let mut add = |what, user: &User, subject, caller, member| {
        all.push(Somebody { what, user: user.clone(), subject, caller, member });
    };
    let nobody = server.anonymous();
    add("anonymous", &nobody, None, Caller::anonymous(), None);
    add("operator", &operator, None, Caller::operator(), None);
    for (what, wiki, role) in [
        ("a reader's token", "garden", "reader"),
        ("an editor's token", "garden", "editor"),
        ("an admin's token", "garden", "admin"),
        ("another wiki's token", "other", "admin"),
    ] {
        let user = operator.token(wiki, role).await;
        let token = platform.find_token(user.secret()).await.unwrap().unwrap();
        add(what, &user, None, Caller::token(&token), None);
    }
    for (subject, role) in [
        ("stranger", None),
        ("reader", Some(Role::Reader)),
        ("editor", Some(Role::Editor)),
        ("admin", Some(Role::Admin)),
        ("owner", Some(Role::Owner)),
    ] {
        if let Some(role) = role {
            platform.set_member(&slug, subject, role).await.unwrap();
        }
        let caller = Caller::user(subject, Author::new(subject, ""));
        add(subject, &nobody, Some(subject), caller, role);
    }
    let update = TenantUpdate { state: Some(state), ..TenantUpdate::default() };
    platform.update(&slug, update).await.unwrap();
    (server, all)
}

fn states() -> [State; 3] {
    [State::Active, State::ReadOnly, State::Suspended { reason: "moving".to_owned() }]
}

/// The status and the code that a decision is answered with; `None` is any other.
fn refusal(decision: &Decision) -> Option<(u16, &'static str)> {
    match decision {
        Decision::Allowed(_) => None,
        Decision::Hidden => Some((404, "unknown_wiki")),
        Decision::Denied { .. } => Some((403, "forbidden")),
        Decision::ReadOnly => Some((423, "wiki_read_only")),
        Decision::Suspended { .. } => Some((423, "wiki_suspended")),
        Decision::UserSuspended { .. } => Some((403, "user_suspended")),
    }
}

/// What an answer refuses for being asked by the wrong one, if it does. One without a body tells by its
/// status only.
fn refused(answer: &Answer, method: &Method) -> Option<(u16, String)> {
    const CODES: &[&str] = &[
        "unknown_wiki",
        "forbidden",
        "wiki_read_only",
        "wiki_suspended",
        "user_suspended",
        "unauthenticated",
    ];
    let status = answer.status();
    if *method == Method::HEAD {
        return matches!(status, 401 | 403 | 404 | 423).then(|| (status, String::new()));
    }
    if status < 400 {
        return None;
    }
    let code = answer.json()["code"].as_str().unwrap().to_owned();
    CODES.contains(&&*code).then_some((status, code))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_of_a_wiki_is_for_those_whom_it_is_for() {
    let mut asked = 0;
    for visibility in Visibility::ALL {
        for state in states() {
            let (server, everybody) = server(*visibility, state).await;
            let document =
                server.anonymous().public(Method::GET, "/openapi.json").await.good().json();
            let mut routes = routes(&document);
            for route in &mut routes {
                route.path = format!("/w/garden{}", route.path);
            }
            routes.extend(VIEW.iter().map(|path| Route {
                method: Method::GET,
                path: format!("/w/garden{path}"),
                action: "read".to_owned(),
                word: None,
            }));
            for (method, path, action) in GIT {
                routes.push(Route {
                    method: method.parse().unwrap(),
                    path: format!("/w/garden{path}"),
                    action: (*action).to_owned(),
                    word: None,
                });
            }
            let slug = testkit::slug("garden");
            let tenant = server.platform().tenant(&slug).await.unwrap().unwrap();
            for somebody in &everybody {
                let known = Membership::from(somebody.member);
                let decided = |action| decide(&tenant, &somebody.caller, &known, action);
                for Route { method, path, action, .. } in &routes {
                    let action = match action.as_str() {
                        "read" => Action::Read,
                        "write" => Action::Write,
                        "inspect" => Action::Inspect,
                        "administer" => Action::Administer,
                        // It says nothing of the wiki.
                        "user" => continue,
                        other => panic!("{other}"),
                    };
                    // Who may not read it doesn't get as far.
                    let expected = refusal(&decided(Action::Read)).or(refusal(&decided(action)));
                    let answer = somebody.ask(method, path).await;
                    if path.contains("/git/") {
                        // git says who it is only when it is asked.
                        let asks = |status| somebody.caller.is_anonymous() && status != 423;
                        let expected = expected.map(|(status, _)| status);
                        let expected =
                            expected.map(|status| if asks(status) { 401 } else { status });
                        let status = Some(answer.status());
                        let got = status.filter(|status| matches!(status, 401 | 403 | 404 | 423));
                        assert_eq!(got, expected, "{path} by {}: {answer}", somebody.what);
                        asked += 1;
                        continue;
                    }
                    let what = format!(
                        "{method} {path} by {} in a {visibility} wiki that is {}: {answer}",
                        somebody.what,
                        tenant.state.as_str()
                    );
                    let got = refused(&answer, method);
                    match (expected, got) {
                        (Some((status, code)), Some((answered, said))) => {
                            assert_eq!(status, answered, "{what}");
                            assert!(said == code || *method == Method::HEAD, "{what}");
                        }
                        // What GET says in its body, and is no refusal of this kind: there is no
                        // such thing, and nobody in particular has no drafts.
                        (None, Some((404, _))) if *method == Method::HEAD => {}
                        (None, Some((403, _))) if path.contains("/drafts") => {}
                        (None, None) => {}
                        (expected, got) => panic!("{expected:?}, not {got:?}: {what}"),
                    }
                    asked += 1;
                }
            }
            server.stop().await;
        }
    }
    assert!(asked > 3000, "{asked}");
}

#[tokio::test]
async fn every_route_of_the_control_plane_is_the_operators() {
    let (server, everybody) = server(Visibility::PublicWrite, State::Active).await;
    let document = server.anonymous().control(Method::GET, "/openapi.json").await.good().json();
    for Route { method, path, action, .. } in routes(&document) {
        // Nothing is to happen: there is no wiki of that name.
        let path = path.replace("{slug}", "none").replace("{subject}", "none");
        for somebody in &everybody {
            let mut call = somebody.user.control(method.clone(), &path);
            if let Some(subject) = somebody.subject {
                // Nobody is believed here, whatever they say.
                call = call.header("x-otterwiki-subject", subject);
                call = call.header("x-wikigrove-proxy-secret", SECRET);
            }
            let answer = call.await;
            let shows_something = somebody.what.contains("token");
            let expected = match action.as_str() {
                "nobody" => None,
                "operator" if somebody.caller.is_operator() => None,
                "operator" if shows_something => Some(403),
                "operator" => Some(401),
                other => panic!("{other}"),
            };
            let got = refused(&answer, &method).map(|(status, _)| status);
            let got = got.filter(|status| matches!(status, 401 | 403));
            assert_eq!(got, expected, "{method} {path} by {}: {answer}", somebody.what);
        }
    }
}

#[tokio::test]
async fn what_matters_is_written_down_before_it_is_done_and_who_tried_in_vain() {
    let (server, everybody) = server(Visibility::PublicRead, State::Active).await;
    let of = |what: &str| everybody.iter().find(|somebody| somebody.what == what).unwrap();
    let platform = server.platform();
    let rows = |action: &str| {
        let action = Some(action.to_owned());
        platform.audit_log(AuditFilter { action, ..AuditFilter::default() }, None, 100)
    };
    let preferences = "/w/garden/api/v1/preferences";
    let change = json!({ "site_name": "a-name-that-is-not-kept" });
    let admin = &of("an admin's token").user;
    let id = "the-request";
    admin
        .public(Method::PATCH, preferences)
        .json(change.clone())
        .header("x-request-id", id)
        .await
        .good();
    of("a reader's token")
        .user
        .public(Method::PATCH, preferences)
        .json(change.clone())
        .await
        .problem("forbidden");
    of("anonymous").user.public(Method::PATCH, preferences).json(change).await.problem("forbidden");
    admin.with_token("unknown").public(Method::PATCH, preferences).await.problem("unauthenticated");
    // Not who is nobody: a flood of them must not fill the log.
    let [reader, changed] = &rows("preferences.change").await.unwrap()[..] else { panic!() };
    assert_eq!(changed.result, Some(200));
    assert_eq!(changed.what.subject.as_deref(), of("an admin's token").caller.subject());
    assert_eq!(changed.what.slug.as_deref(), Some("garden"));
    assert_eq!(changed.what.request_id.as_deref(), Some(id));
    assert_eq!(changed.what.peer, Some("127.0.0.1".parse().unwrap()));
    assert!(!changed.what.detail.to_string().contains("not-kept"), "{changed:?}");
    assert_eq!(reader.result, Some(403));
    assert_eq!(reader.what.subject.as_deref(), of("a reader's token").caller.subject());

    // Of the control plane, with what the path says; those who are nobody only get into the log.
    let operator = &of("operator").user;
    operator.admin(Method::DELETE, "/wikis/other/tokens/0123").await.problem("token_not_found");
    admin.admin(Method::DELETE, "/wikis/other/tokens/0123").await.problem("forbidden");
    server
        .anonymous()
        .admin(Method::DELETE, "/wikis/other/tokens/0123")
        .await
        .problem("unauthenticated");
    let [denied, missing] = &rows("token.revoke").await.unwrap()[..] else { panic!() };
    assert_eq!((denied.result, missing.result), (Some(403), Some(404)));
    assert_eq!(missing.what.detail, json!({ "id": "0123" }));
    assert_eq!(missing.what.slug.as_deref(), Some("other"));
    let other = platform.tenant(&testkit::slug("other")).await.unwrap().unwrap();
    assert_eq!(missing.what.wiki, Some(other.id));
}

/// What changes something beyond pages, and what doesn't, by the document.
#[tokio::test]
async fn every_route_that_changes_something_beyond_pages_is_audited() {
    let (server, _operator) = TestServer::start().await;
    let of = |document: Value| {
        let changes = |route: &Route| !matches!(route.method, Method::GET | Method::HEAD);
        routes(&document).into_iter().filter(changes).collect::<Vec<_>>()
    };
    for route in of(server.anonymous().public(Method::GET, "/openapi.json").await.good().json()) {
        assert_eq!(route.word.is_some(), route.action != "write", "{route:?}");
    }
    for route in of(server.anonymous().control(Method::GET, "/openapi.json").await.good().json()) {
        assert!(route.word.is_some(), "{route:?}");
    }
}
