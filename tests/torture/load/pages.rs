//! Pages and attachments that several clients change at once.

use http::Method;
use serde_json::{Value, json};
use testkit::OnWiki;

use super::{Client, a_wiki, number};
use crate::ledger::Fact;
use crate::random;

/// Larger than what is kept in wiki.db until a checkpoint.
const LARGE: usize = 300_000;

/// Changes something somewhere, again and again.
pub(super) async fn write(client: &Client) {
    while !client.is_over() {
        let wiki = a_wiki();
        let change = Change { client, wiki, on: client.operator.on(wiki) };
        match random(20) {
            0..10 => change.save().await,
            10..12 => change.delete().await,
            12..16 => change.rename().await,
            16..19 => change.attach(random(2000)).await,
            _ => change.attach(LARGE).await,
        };
    }
}

/// Several clients mean the same pages.
fn a_page() -> String {
    format!("dir-{}/page-{}", random(2), random(4))
}

struct Change<'a> {
    client: &'a Client,
    wiki: &'static str,
    on: OnWiki,
}

/// `None`: the server died, or refused.
impl Change<'_> {
    async fn read(&self, path: &str) -> Option<Value> {
        Some(self.client.succeed(self.on.read(path)).await?.json())
    }

    async fn save(&self) -> Option<()> {
        let path = a_page();
        let line = format!("line {}\n", number());
        let call = match self.read(&path).await {
            Some(page) => {
                let text = page["content"].as_str().unwrap();
                // Now and then a text is as it was before: its objects are there already.
                let text = match (text.len(), random(5)) {
                    (4000.., _) => String::new(),
                    (_, 0) => "as it was\n".to_owned(),
                    _ => text.to_owned() + &line,
                };
                self.on.save(&path, page["etag"].as_str().unwrap(), &text)
            }
            None => self.on.create(&path, &line),
        };
        let saved = self.client.succeed(call).await?.json();
        crate::grove::note_save(&self.client.ledger, self.wiki, &saved);
        Some(())
    }

    async fn delete(&self) -> Option<()> {
        let path = a_page();
        let page = self.read(&path).await?;
        let call = self.on.delete(&path, page["etag"].as_str().unwrap());
        let deleted = self.client.succeed(call.query("recursive", random(2) == 0)).await?.json();
        self.gone(&deleted, &path);
        Some(())
    }

    async fn rename(&self) -> Option<()> {
        let (from, to) = (a_page(), a_page());
        let order = json!({ "from": from, "to": to, "update_links": random(2) == 0 });
        let call = self.on.api(Method::POST, "/moves").json(order);
        let moved = self.client.succeed(call).await?.json();
        // A page that moves onto itself stays.
        if from != to {
            self.gone(&moved, &from);
        }
        Some(())
    }

    async fn attach(&self, length: usize) -> Option<()> {
        let path = format!("{}/file-{}.bin", a_page(), random(3));
        let mut content = vec![0; length];
        getrandom::fill(&mut content).unwrap();
        let there = self.client.succeed(self.on.api(Method::HEAD, format!("/attachments/{path}")));
        let call = match there.await {
            Some(head) => {
                let call = self.on.attach(&path, content);
                call.header("if-match", head.header("etag"))
            }
            None => self.on.create_attachment(&path, content),
        };
        let made = self.client.succeed(call).await?.json();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        let fact = Fact::File { revision: text("revision"), file: path, blob: text("etag") };
        self.client.ledger.promised(self.wiki, fact);
        Some(())
    }

    fn gone(&self, answer: &Value, page: &str) {
        let revision = answer["revision"].as_str().unwrap().to_owned();
        let fact = Fact::Gone { revision, file: format!("{page}.md") };
        self.client.ledger.promised(self.wiki, fact);
    }
}
