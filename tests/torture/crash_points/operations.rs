//! Operations, and what clients see of a platform.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use testkit::{Git, Program, User};

/// What is done while a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Save,
    Create,
    Delete,
    Move,
    Attach,
    Detach,
    Push,
    Draft,
    Setting,
    Restore,
    CreateWiki,
    DeleteWiki,
    Title,
    /// Another wiki takes the place of the only open one.
    Checkpoint,
    /// Loose objects become a pack.
    Maintenance,
}

/// How long it takes until a server looks whether there is something to pack.
const MAINTAINED_WITHIN: Duration = Duration::from_secs(14);
/// More loose objects than are left alone.
const MANY: usize = 1500;

impl Operation {
    /// Those that everybody waits for come first.
    pub(super) const QUICK: [Self; 14] = [
        Self::Save,
        Self::Move,
        Self::Delete,
        Self::Attach,
        Self::Push,
        Self::CreateWiki,
        Self::Checkpoint,
        Self::Create,
        Self::Detach,
        Self::Draft,
        Self::Setting,
        Self::Restore,
        Self::DeleteWiki,
        Self::Title,
    ];

    pub(super) fn options(self) -> &'static [&'static str] {
        match self {
            Self::Checkpoint => &["--open-wikis", "1"],
            _ => &[],
        }
    }

    /// Whether a repeat is refused once it is done.
    pub(super) fn is_refused_twice(self) -> bool {
        matches!(self, Self::CreateWiki | Self::DeleteWiki)
    }

    /// Brings a data directory at rest to where the operation has something to do.
    pub(super) fn prepare(self, program: &Program) {
        if self != Self::Maintenance {
            return;
        }
        let texts = program.data().join("texts");
        std::fs::create_dir(&texts).unwrap();
        let mut names = String::new();
        for number in 0..MANY {
            let text = texts.join(number.to_string());
            std::fs::write(&text, format!("nothing names text {number}")).unwrap();
            names += &format!("{}\n", text.display());
        }
        let git = program.git("garden");
        git.run_with(&["hash-object", "-w", "--stdin-paths"], names.as_bytes());
        std::fs::remove_dir_all(&texts).unwrap();
    }

    /// Does it; returns the status, or `None` if there was no answer.
    pub(super) async fn run(
        self,
        operator: &User,
        known: &Known,
        clone: &Git,
        program: &Program,
    ) -> Option<u16> {
        let garden = operator.on("garden");
        let call = match self {
            Self::Push => return Some(push(&garden.git_url(), clone)),
            Self::Maintenance => return wait_for_a_pack(program).await,
            Self::Save => garden.save("home", &known.home, "The garden, changed\n"),
            Self::Create => garden.create("beds/tulips", "Yellow\n"),
            Self::Delete => garden.delete("roses", &known.roses).query("recursive", true),
            Self::Move => {
                let order = json!({ "from": "roses", "to": "flowers/roses", "update_links": true });
                garden.api(Method::POST, "/moves").json(order)
            }
            Self::Attach => garden.create_attachment("roses/large.bin", vec![42; 400_000]),
            Self::Detach => garden.delete_attachment("roses/photo.png", &known.photo),
            Self::Draft => garden.put_draft("unsent", "Another text\n"),
            Self::Setting => garden.change_preferences(json!({ "site_name": "Another" })),
            Self::Restore => garden.restore(&known.first),
            Self::CreateWiki => operator.create_wiki("shed"),
            Self::DeleteWiki => operator.delete_wiki("attic"),
            Self::Title => operator.change_wiki("garden", json!({ "title": "Another" })),
            Self::Checkpoint => operator.on("kitchen").read("home"),
        };
        Some(call.attempt().await.ok()?.status())
    }
}

/// git says no more than that it failed.
fn push(url: &str, clone: &Git) -> u16 {
    let pushed = clone.output(&["push", "-q", url, "HEAD:refs/heads/main"]);
    if pushed.status.success() { 200 } else { 507 }
}

async fn wait_for_a_pack(program: &Program) -> Option<u16> {
    let started = Instant::now();
    let packs = program.git("garden").dir().join("objects/pack");
    while started.elapsed() < MAINTAINED_WITHIN {
        let packed = std::fs::read_dir(&packs).is_ok_and(|packs| packs.count() > 1);
        if packed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    None
}

/// The versions that operations name.
#[derive(Debug)]
pub(super) struct Known {
    home: String,
    roses: String,
    photo: String,
    first: String,
}

/// Makes what the operations work on.
pub(super) async fn fill(operator: &User) -> Known {
    for slug in ["garden", "kitchen", "attic"] {
        operator.create_wiki(slug).await.good();
    }
    let garden = operator.on("garden");
    let first = garden.create("home", "A garden\n").await.good();
    let revision = first.json()["revision"].as_str().unwrap().to_owned();
    let home = garden.save("home", first.etag(), "The garden of [[roses]]\n").await.good();
    let roses = garden.create("roses", "Red, [home](home.md)\n").await.good();
    garden.create("roses/old", "Very red\n").await.good();
    let photo = garden.create_attachment("roses/photo.png", vec![7; 5000]).await.good();
    garden.put_draft("unsent", "A text\n").await.good();
    garden.change_preferences(json!({ "site_name": "Garden" })).await.good();
    operator.on("kitchen").create("home", "A kitchen\n").await.good();
    operator.on("attic").create("home", "An attic\n").await.good();
    let etag = |answer: testkit::Good| answer.etag().to_owned();
    Known { home: etag(home), roses: etag(roses), photo: etag(photo), first: revision }
}

/// Opens the wikis, the garden last.
pub(super) async fn warm(operator: &User) {
    for slug in ["kitchen", "garden"] {
        operator.on(slug).read("home").await.good();
        operator.on(slug).preferences().await.good();
    }
}

/// A clone with a commit that isn't pushed yet.
pub(super) fn clone(operator: &User, dir: &Path) -> Git {
    let clone = Git::clone(&operator.on("garden").git_url(), dir);
    clone.write("pushed.md", "pushed\n").commit("A push");
    clone
}

/// All that clients see, apart from commits and times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State(BTreeMap<String, String>);

impl State {
    pub(super) async fn read(operator: &User, program: &Program) -> Self {
        let mut seen = BTreeMap::new();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        for wiki in operator.wikis().await {
            let slug = text(&wiki["slug"]);
            let on = operator.on(&slug);
            for page in on.pages().await {
                let what = format!("{slug}: page {}", text(&page["path"]));
                seen.insert(what, text(&page["etag"]));
            }
            for draft in on.drafts().await {
                let kept = on.draft(&draft).await.good().json();
                seen.insert(format!("{slug}: draft {draft}"), text(&kept["content"]));
            }
            let site = on.preferences().await.good().json();
            seen.insert(format!("{slug}: site name"), text(&site["site_name"]));
            seen.insert(format!("{slug}: title"), text(&wiki["title"]));
            let files = program.git(&slug).output(&["ls-tree", "-r", "main"]).stdout;
            for file in String::from_utf8(files).unwrap().lines() {
                let (blob, name) = file.split_once('\t').unwrap();
                seen.insert(format!("{slug}: file {name}"), blob.to_owned());
            }
        }
        Self(seen)
    }

    /// Without the pages below a folder.
    pub(super) fn without(mut self, folder: &str) -> Self {
        self.0.retain(|what, _| !what.contains(&format!(" {folder}/")));
        self
    }

    /// What is neither as in one state nor as in the other.
    pub(super) fn difference(&self, before: &Self, after: &Self) -> String {
        let mut lines = String::new();
        let names = self.0.keys().chain(before.0.keys()).chain(after.0.keys());
        for what in names.collect::<std::collections::BTreeSet<_>>() {
            let (now, before, after) = (self.0.get(what), before.0.get(what), after.0.get(what));
            if now != before || now != after {
                lines += &format!("\n{what}: now {now:?}, before {before:?}, after {after:?}");
            }
        }
        lines
    }
}
