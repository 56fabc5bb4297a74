//! Pages as people write them are shown as they mean them.

mod links;
mod markdown;
mod titles;
mod view;

use serde_json::Value;
use testkit::{TestServer, User};

/// A wiki with these pages, and somebody who edits it.
async fn garden_with(pages: &[(&str, &str)]) -> (TestServer, User, User) {
    let (server, operator, editor) = TestServer::with_garden().await;
    for (path, text) in pages {
        editor.on("garden").create(path, text).await.good();
    }
    (server, operator, editor)
}

/// What a page is rendered to.
async fn rendered(editor: &User, path: &str) -> Value {
    editor.on("garden").rendered(path).await.good().json()
}

/// The HTML of a page with this text.
async fn html(text: &str) -> String {
    let (_server, _, editor) = garden_with(&[("page", text)]).await;
    rendered(&editor, "page").await["html"].as_str().unwrap().to_owned()
}
