//! Wikis that are each other's remotes: nobody is in the middle, so both may resolve the same conflict.

use serde_json::json;
use testkit::{ServerSetup, TestServer, Tie, User};

/// A server with the wiki `garden`, that another is linked with.
struct End {
    server: TestServer,
    operator: User,
    editor: User,
}

impl End {
    async fn start() -> Self {
        let (server, operator) = ServerSetup::default().start().await;
        operator.create_wiki("garden").await.good();
        let editor = operator.token("garden", "editor").await;
        Self { server, operator, editor }
    }

    async fn link_with(&self, other: &Self) -> Tie {
        let url = format!("http://{}/w/garden/git", other.server.public_address());
        let token = other.editor.secret();
        let settings = json!({ "winner": "stable", "credential": { "token": token } });
        Tie::new(&self.operator, "garden", &url, settings).await
    }

    async fn save(&self, page: &str, text: &str) {
        let garden = self.editor.on("garden");
        let etag = garden.read(page).await.good().etag().to_owned();
        garden.save(page, &etag, text).await.good();
    }

    /// All pages with their texts, in order of the texts.
    async fn texts(&self) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        for page in self.editor.on("garden").pages().await {
            let path = page["path"].as_str().unwrap();
            let text = self.editor.on("garden").markdown(path).await.good().text().to_owned();
            texts.push((text, path.to_owned()));
        }
        texts.sort();
        texts
    }

    fn head(&self) -> String {
        self.server.git("garden").run(&["rev-parse", "main"])
    }
}

#[tokio::test]
async fn two_wikis_that_pull_from_each_other_resolve_a_conflict_once() {
    let (one, other) = (End::start().await, End::start().await);
    one.editor.on("garden").create("roses", "base\n").await.good();
    let there = one.link_with(&other).await;
    there.synced().await;
    let back = other.link_with(&one).await;
    back.synced().await;
    for tie in [&there, &back] {
        tie.change(json!({ "offline": true })).await;
    }
    one.save("roses", "one's\n").await;
    other.save("roses", "the other's\n").await;
    for tie in [&there, &back] {
        tie.change(json!({ "offline": false })).await;
    }
    for _ in 0..3 {
        there.run_synced().await;
        back.run_synced().await;
    }
    let texts = one.texts().await;
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert_eq!((texts[0].0.as_str(), texts[1].0.as_str()), ("one's\n", "the other's\n"));
    assert_eq!(other.texts().await, texts);
    // Not the next merge of each other's merges, either.
    let head = one.head();
    assert_eq!(other.head(), head);
    there.run_synced().await;
    back.run_synced().await;
    assert_eq!((one.head(), other.head()), (head.clone(), head));
}
