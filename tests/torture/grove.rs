//! The wikis of a drill.

use http::Method;
use serde_json::{Value, json};
use testkit::{Running, User};

use crate::ledger::{Fact, Ledger, Register};

/// Wikis that are written all the time.
pub(crate) const BUSY: [&str; 3] = ["garden", "kitchen", "shed"];
/// A wiki that one client changes back and forth.
pub(crate) const TOGGLED: &str = "cellar";
/// A wiki that is read and never written after it was filled.
pub(crate) const QUIET: &str = "attic";

/// The wikis that every drill has.
pub(crate) fn wikis() -> impl Iterator<Item = &'static str> {
    BUSY.into_iter().chain([TOGGLED, QUIET])
}

/// Those that are written.
pub(crate) fn written() -> impl Iterator<Item = &'static str> {
    BUSY.into_iter().chain([TOGGLED])
}

/// Creates and fills the wikis of a new data directory.
pub(crate) async fn plant(server: &Running, ledger: &Ledger) {
    let operator = server.operator();
    for slug in wikis() {
        operator.create_wiki(slug).await.good();
        let made = operator.on(slug).create("home", &format!("The home of {slug}\n")).await;
        note_save(ledger, slug, &made.good().json());
    }
    for wiki in BUSY {
        let sent = ledger.sent(Register::Title { wiki: wiki.to_owned() }, Some(wiki));
        operator.change_wiki(wiki, json!({ "title": wiki })).await.good();
        ledger.done(&sent);
        let sent = ledger.sent(Register::SiteName { wiki: wiki.to_owned() }, Some(wiki));
        operator.on(wiki).change_preferences(json!({ "site_name": wiki })).await.good();
        ledger.done(&sent);
    }
    let attic = operator.on(QUIET);
    attic.create("chest/letters", "Dear Ann\n").await.good();
    attic.create_attachment("chest/photo.png", vec![7; 5000]).await.good();
    attic.put_draft("chest/unsent", "Dear Bob\n").await.good();
    attic.change_preferences(json!({ "site_name": "The attic" })).await.good();
}

/// All that a client sees of the quiet wiki.
///
/// # Panics
/// Something of it can't be read.
pub(crate) async fn look_at_quiet(operator: &User) -> Vec<String> {
    let on = operator.on(QUIET);
    let calls = [
        on.read("home"),
        on.read("chest/letters"),
        on.attachment("chest/photo.png"),
        on.draft("chest/unsent"),
        on.preferences(),
        on.api(Method::GET, "/changes"),
        on.list(),
    ];
    let mut seen = Vec::new();
    for call in calls {
        seen.push(format!("{:?}", call.await.good().bytes()));
    }
    seen
}

/// Notes what a save of a page that was answered with success promises.
pub(crate) fn note_save(ledger: &Ledger, wiki: &str, answer: &Value) {
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    let file = format!("{}.md", text("path"));
    let fact = Fact::File { revision: text("revision"), file, blob: text("etag") };
    ledger.promised(wiki, fact);
}
