//! Hostile paths, parameters and queries on every route of a wiki that there is. The routes are
//! those of its OpenAPI document, so that a new one is driven as soon as it is described.

use http::Method;
use serde_json::{Value, json};
use testkit::{Answer, Call, OnWiki, TestServer, encode};

use crate::bad_inputs::{Bad, State, driven_by, garden, refused};

/// A route of the wiki API.
struct Route {
    method: Method,
    /// Below `/api/v1`, with `{path}` where the page's path is.
    path: String,
    parameters: Vec<String>,
}

impl Route {
    /// A request that would be a good one with a good path: it creates, changes or deletes.
    fn call(&self, wiki: &OnWiki, path: &str) -> Call {
        let call = wiki.api(self.method.clone(), self.path.replace("{path}", &encode(path)));
        match self.method {
            Method::PUT if self.path.starts_with("/attachments") => {
                call.body("image/png", "x").header("if-none-match", "*")
            }
            Method::PUT => call.json(json!({ "content": "x" })).header("if-none-match", "*"),
            Method::DELETE => call.header("if-match", format!("\"{}\"", "0".repeat(40))),
            _ => call,
        }
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// All routes of the wiki API.
async fn routes(server: &TestServer) -> Vec<Route> {
    let document = server.anonymous().public(Method::GET, "/openapi.json").await.good().json();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        // Its answer has no end; the tests of events ask it what is asked here.
        if path.ends_with("/events") {
            continue;
        }
        for (method, operation) in item.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let parameters = parameters.filter(|parameter| parameter["in"] == "query");
            let name = |parameter: &Value| parameter["name"].as_str().unwrap().to_owned();
            routes.push(Route {
                method: method.to_uppercase().parse().unwrap(),
                path: path.strip_prefix("/api/v1").unwrap().to_owned(),
                parameters: parameters.map(name).collect(),
            });
        }
    }
    routes
}

#[tokio::test]
async fn no_route_takes_a_path_that_no_page_can_have() {
    let (server, operator, before) = garden().await;
    let wiki = operator.on("garden");
    let routes = routes(&server).await;
    let with_path = || routes.iter().filter(|route| route.path.contains("{path}"));
    assert!(with_path().count() >= 13);
    for Bad { id, input } in driven_by("paths_that_no_page_can_have_are_refused") {
        for route in with_path() {
            let answer = route.call(&wiki, &input).await;
            let problem = refused(&answer, &format!("{id} on {}", route.name()));
            let shown = problem["detail"].as_str().unwrap();
            assert!(!shown.contains(['\u{1b}', '\u{202e}', '\u{7f}']), "{id}: {shown}");
        }
        assert_eq!(State::of(&server, &operator).await, before, "{id}");
    }
}

/// Whatever the text of a parameter is, it is a text, or refused.
#[tokio::test]
async fn no_parameter_is_more_than_a_text() {
    let (server, operator, before) = garden().await;
    let wiki = operator.on("garden");
    let inputs = driven_by("paths_that_no_page_can_have_are_refused");
    for route in routes(&server).await {
        for parameter in &route.parameters {
            for Bad { id, input } in &inputs {
                // What creates or deletes is asked for what can't be there.
                let path = if route.method == Method::GET { "home" } else { "a//b" };
                let call = route.call(&wiki, path).query(parameter, input);
                // A text is a URL's part only up to a length.
                let Ok(answer) = call.attempt().await else { continue };
                let what = format!("{id} as {parameter} of {}", route.name());
                assert!(answer.status() < 500, "{what}: {answer}");
                if answer.status() >= 400 {
                    refused(&answer, &what);
                }
            }
        }
    }
    assert_eq!(State::of(&server, &operator).await, before);
}

/// The revisions that the entry's JSON names, and more that are none.
fn no_revisions() -> Vec<String> {
    let mut none = Vec::new();
    for Bad { input, .. } in driven_by("what_is_no_revision_is_refused_wherever_one_is_named") {
        let sent: Value = serde_json::from_str(&input).unwrap();
        none.extend(sent.as_object().unwrap().values().map(|v| v.as_str().unwrap().to_owned()));
    }
    let more = ["", "HEAD", "main", "deadbeef", "@{-1}", ":/x", "0", "--all", "main:home.md", "-"];
    none.extend(more.map(str::to_owned));
    none.push("A".repeat(40));
    none.push("0".repeat(41));
    none
}

#[tokio::test]
async fn what_is_no_revision_is_refused_wherever_one_is_named() {
    let (server, operator, before) = garden().await;
    let wiki = operator.on("garden");
    let mut driven = 0;
    for route in routes(&server).await {
        for parameter in
            route.parameters.iter().filter(|name| ["at", "from", "to"].contains(&&***name))
        {
            for none in no_revisions() {
                let answer = route.call(&wiki, "home").query(parameter, &none).await;
                assert_eq!(answer.status(), 422, "{none:?} on {}: {answer}", route.name());
                answer.problem("invalid_revision");
            }
            // A blob, and a commit that isn't here.
            let blob = server.git("garden").run(&["rev-parse", "main:home.md"]);
            for unknown in [blob, "0".repeat(40), "f".repeat(40)] {
                let answer = route.call(&wiki, "home").query(parameter, &unknown).await;
                assert_eq!(answer.status(), 404, "{unknown} on {}: {answer}", route.name());
                answer.problem("unknown_revision");
            }
            driven += 1;
        }
    }
    assert!(driven >= 6, "{driven}");
    for none in no_revisions() {
        for undo in [wiki.revert(&none), wiki.restore(&none)] {
            undo.await.problem("invalid_revision");
        }
    }
    assert_eq!(State::of(&server, &operator).await, before);
}

#[tokio::test]
async fn what_is_no_cursor_is_refused_by_every_list() {
    let (server, operator, _) = garden().await;
    let wiki = operator.on("garden");
    let lists: Vec<_> = routes(&server).await;
    let lists =
        || lists.iter().filter(|route| route.parameters.iter().any(|name| name == "cursor"));
    assert!(lists().count() >= 6);
    // As good as a cursor of some list, and of no other.
    let others = ["1", "999999999999999999999", "- - home", "0 0 x", "-1"];
    let others = others.map(|text| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes()));
    for route in lists() {
        let call = || {
            let needed = route.parameters.iter().filter(|name| ["q", "page"].contains(&&***name));
            needed.fold(route.call(&wiki, "home"), |call, name| call.query(name, "home"))
        };
        call().await.good();
        for limit in ["0", "1000000000", "-1", "x", ""] {
            call().query("limit", limit).await.problem("invalid_value");
        }
        for none in ["", "!", "a", "../..", "\u{0}", "YQ=="] {
            call().query("cursor", none).await.problem("invalid_cursor");
        }
        for other in &others {
            let answer: Answer = call().query("cursor", other).await;
            assert!(matches!(answer.status(), 200 | 404 | 422), "{}: {answer}", route.name());
        }
    }
}

#[tokio::test]
async fn a_query_is_words_however_it_is_written() {
    let (server, operator, before) = garden().await;
    let wiki = operator.on("garden");
    for Bad { id, input } in driven_by("a_query_is_words_however_it_is_written") {
        let sent: Value = serde_json::from_str(&input).unwrap();
        let text = sent["query"].as_str().unwrap();
        let text = text.replace("gen:repeat((a|a)*,30)", &"(a|a)*".repeat(30));
        let answer = wiki.api(Method::GET, "/search").query("q", &text).await.good();
        assert_eq!(answer.json()["items"], json!([]), "{id}");
    }
    // The operators that those entries have are words like any, when they are there.
    let page = wiki.create("operators", "a NEAR 0 b OR NOT c, touched with O\n").await.good();
    for words in ["near", "OR NOT", "NEAR/0 b"] {
        assert_eq!(wiki.search(words).await.len(), 1, "{words}");
    }
    wiki.delete("operators", page.etag()).await.good();
    assert_eq!(State::of(&server, &operator).await.pages, before.pages);
}
