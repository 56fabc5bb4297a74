//! What is refused before a handler runs: parameters that nothing takes, and bodies of callers who may not
//! send any.

use http::Method;
use serde_json::{Value, json};
use testkit::TestServer;

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
    // What reads takes whatever a proxy or a tracker adds.
    garden.read("tulips").query("utm_source", "x").await.good();

    let public = operator.public(Method::GET, "/openapi.json").await.good().json();
    let control = operator.control(Method::GET, "/openapi.json").await.good().json();
    for (method, path) in changing(&public) {
        let path = format!("/w/garden{path}");
        let refused = operator.public(method.clone(), &path).query("dry-run", true).await;
        assert_eq!(refused.status(), 422, "{method} {path}: {refused}");
        let problem = refused.problem("unknown_parameter");
        assert_eq!(problem["errors"][0]["parameter"], "dry-run", "{method} {path}");
    }
    for (method, path) in changing(&control) {
        let refused = operator.control(method.clone(), &path).query("purge", true).await;
        refused.problem("unknown_parameter");
    }
    operator.control(Method::GET, "/admin/v1/wikis/garden").await.good();
    // Those that a route takes go through, and so does a key that is written in another way.
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
