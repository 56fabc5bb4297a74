//! The served OpenAPI documents: what they describe is what is answered.

use http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use testkit::TestServer;
use wikigrove_server::openapi;

/// The shapes of the document accept nothing they don't know.
fn fits<T: DeserializeOwned>(answer: &Value) {
    let shape: Result<T, _> = serde_json::from_value(answer.clone());
    if let Err(error) = shape {
        panic!("{error}: {answer}");
    }
}

#[tokio::test]
async fn each_listener_serves_its_own_document() {
    let (server, operator) = TestServer::start().await;
    let wikis = server.anonymous().public(Method::GET, "/openapi.json").await.good().json();
    let control = operator.control(Method::GET, "/openapi.json").await.good().json();
    for (document, path) in [(&wikis, "/api/v1/pages/{path}"), (&control, "/admin/v1/wikis/{slug}")]
    {
        assert_eq!(document["openapi"], "3.1.0");
        assert!(document["paths"][path].is_object(), "{document}");
    }
}

#[tokio::test]
async fn answers_have_the_shape_that_is_documented() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    fits::<openapi::Saved>(&garden.create("roses", "# Roses\n\n1\n2\n3\n").await.good().json());
    fits::<openapi::Page>(&garden.api(Method::GET, "/pages/roses").await.good().json());
    fits::<openapi::Rendered>(&garden.rendered("roses").await.good().json());
    fits::<openapi::PageList>(&garden.api(Method::GET, "/pages").await.good().json());
    fits::<openapi::Problem>(&garden.api(Method::GET, "/pages/none").await.json());
    fits::<openapi::KeptDraft>(&garden.put_draft("roses", "more").await.good().json());
    let cursor = json!({ "content": "more", "cursor": { "line": 1, "column": 2 } });
    garden.put_draft("roses", "").json(cursor).await.good();
    fits::<openapi::Draft>(&garden.draft("roses").await.good().json());
    fits::<openapi::DraftList>(&garden.api(Method::GET, "/drafts").await.good().json());
    let sent = garden.create_attachment("roses/photo.png", "x").await.good();
    fits::<openapi::SavedAttachment>(&sent.json());
    fits::<openapi::AttachmentList>(&garden.attachments("roses").await.good().json());
    let deleted = garden.delete_attachment("roses/photo.png", sent.etag()).await.good();
    fits::<openapi::Deleted>(&deleted.json());
    fits::<openapi::Preferences>(&operator.on("garden").preferences().await.good().json());

    let wiki = json!({ "slug": "shed", "owner": "did:example:ann" });
    fits::<openapi::Wiki>(
        &operator.control(Method::POST, "/admin/v1/wikis").json(wiki).await.good().json(),
    );
    fits::<openapi::WikiList>(
        &operator.control(Method::GET, "/admin/v1/wikis").await.good().json(),
    );
    let remote = json!({ "url": "https://git.example.org/garden.git", "offline": true });
    let remotes = "/admin/v1/wikis/garden/remotes";
    let made = operator.control(Method::POST, remotes).json(remote).await.good().json();
    fits::<openapi::remotes::Remote>(&made);
    let list = operator.control(Method::GET, remotes).await.good().json();
    fits::<openapi::remotes::RemoteList>(&list);
    let test = format!("{remotes}/{}/test", made["id"].as_str().unwrap());
    let tested = operator.control(Method::POST, test).await.good().json();
    fits::<openapi::remotes::RemoteTest>(&tested);
    let conflicts = garden.api(Method::GET, "/conflicts").await.good().json();
    fits::<openapi::remotes::SyncConflictList>(&conflicts);
    let channels = "/admin/v1/wikis/garden/channels";
    let channel = json!({ "webhook": "https://127.0.0.1:1/x" });
    let made = operator.control(Method::POST, channels).json(channel).await.good().json();
    fits::<openapi::channels::Channel>(&made);
    let list = operator.control(Method::GET, channels).await.good().json();
    fits::<openapi::channels::ChannelList>(&list);
    let test = format!("{channels}/{}/test", made["id"].as_str().unwrap());
    let tested = operator.control(Method::POST, test).await.good().json();
    fits::<openapi::channels::ChannelTest>(&tested);
    let token = json!({ "name": "ci", "role": "reader", "expires_at": "2100-01-01T00:00:00Z" });
    let tokens = "/admin/v1/wikis/shed/tokens";
    fits::<openapi::Token>(&operator.control(Method::POST, tokens).json(token).await.good().json());
    fits::<openapi::TokenList>(&operator.control(Method::GET, tokens).await.good().json());
    fits::<openapi::Problem>(&operator.control(Method::GET, "/admin/v1/wikis/none").await.json());
}

/// What is named by the end of a path, and isn't there in the test below.
const NAMED: [&str; 8] = [
    "/tokens/",
    "/drafts/",
    "/users/",
    "/members/",
    "/invitations/",
    "/remotes/",
    "/channels/",
    "/conflicts/",
];

/// A route that was removed, renamed or never mounted would answer 404 `unknown_wiki` or 405.
#[tokio::test]
async fn every_documented_route_is_there() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    editor.on("garden").create("x", "text").await.good();
    let public = operator.public(Method::GET, "/openapi.json").await.good().json();
    let control = operator.control(Method::GET, "/openapi.json").await.good().json();
    for (document, base) in [(&public, "/w/garden"), (&control, "")] {
        for (path, item) in document["paths"].as_object().unwrap() {
            let path = path
                .replace("{slug}", "garden")
                .replace("{path}", "x")
                .replace("{id}", "x")
                .replace("{subject}", "x");
            for method in item.as_object().unwrap().keys() {
                // Nothing is to happen: the answer alone is asked for.
                if method == "delete" && path == "/admin/v1/wikis/garden" {
                    continue;
                }
                // This answer has no end.
                if path.ends_with("/events") {
                    operator.public(Method::GET, format!("{base}{path}")).listen().await;
                    continue;
                }
                let method: Method = method.to_uppercase().parse().unwrap();
                let answer = match base {
                    "" => operator.control(method.clone(), &path).await,
                    base => operator.public(method.clone(), format!("{base}{path}")).await,
                };
                let status = answer.status();
                assert_ne!(status, 405, "{method} {path}");
                if status >= 400 {
                    let kind = answer.header("content-type");
                    let responses = &item[method.as_str().to_lowercase()]["responses"];
                    let is_documented = [status.to_string(), format!("{}XX", status / 100)]
                        .iter()
                        .any(|status| responses[status]["content"][kind].is_object());
                    assert!(is_documented, "{method} {path}: {status} {kind}");
                }
                let is_there = status != 404
                    || NAMED.iter().any(|part| path.contains(part))
                    || answer.json()["code"] == "attachment_not_found";
                assert!(is_there, "{method} {path}: {status}");
            }
        }
    }
}
