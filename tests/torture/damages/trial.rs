//! One damage, from the copy of a healthy directory until all is well again.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;
use testkit::{Answer, Call, Git, Program, Running, User};

use super::files::Kind;
use super::harm::Harm;

/// The wiki of which files are damaged.
pub(super) const WIKI: &str = "garden";
/// A wiki that has nothing to do with it.
const OTHER: &str = "kitchen";
/// How long one request may take, whatever is damaged.
const PATIENCE: Duration = Duration::from_secs(30);

/// When a damage is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    AtRest,
    WhileOpen,
}

/// A healthy data directory, left by a process that was killed, so that logs are full.
pub(super) struct Template {
    scratch: tempfile::TempDir,
    token: String,
    /// What a client saw of the wiki, and of the other one.
    seen: Vec<String>,
    other: Vec<String>,
}

impl Template {
    pub(super) async fn make() -> Self {
        let scratch = testkit::scratch();
        let program = crate::program(&scratch.path().join("template"));
        let server = program.serve();
        let operator = server.operator();
        for slug in [WIKI, OTHER] {
            operator.create_wiki(slug).await.good();
            let on = operator.on(slug);
            for page in 0..40 {
                let text = format!("page {page} of {slug}\n{}", "text ".repeat(page * 10));
                on.create(&format!("pages/page-{page}"), &text).await.good();
            }
        }
        seal_a_secret(&operator).await.good();
        server.stop();
        let git = program.git(WIKI);
        git.run(&["repack", "-q", "-a", "-d"]);
        git.run(&["commit-graph", "write", "--reachable"]);
        git.run(&["pack-refs", "--all"]);
        let server = program.serve();
        let operator = server.operator();
        for slug in [WIKI, OTHER] {
            let on = operator.on(slug);
            on.create("later", "a later page\n").await.good();
            on.put_draft("unsent", "a draft\n").await.good();
            on.change_preferences(json!({ "site_name": slug })).await.good();
        }
        let (seen, other) = (look(&operator, WIKI).await, look(&operator, OTHER).await);
        let token = operator.secret().to_owned();
        server.kill();
        Self { scratch, token, seen, other }
    }

    /// Does one damage; says what came of it.
    pub(super) async fn damage(self: Arc<Self>, kind: Kind, harm: Harm, moment: Moment) -> String {
        let data = self.scratch.path().join("data");
        let aside = self.scratch.path().join("aside");
        remove(&data);
        remove(&aside);
        super::copy(&self.directory(), &data);
        let program = crate::program(&data);
        let path = kind.find(&program);
        let what = format!("{kind:?}, {harm:?}, {moment:?}");
        Trial { what, kind, harm, moment, path, program, aside, template: &self }.run().await
    }

    fn directory(&self) -> PathBuf {
        self.scratch.path().join("template")
    }
}

/// What a channel is signed with is sealed with the platform's key.
async fn seal_a_secret(operator: &User) -> Answer {
    let channel = json!({ "webhook": "https://example.org/hook" });
    operator.admin(Method::POST, format!("/wikis/{OTHER}/channels")).json(channel).await
}

/// What is said of a few pages, the draft and the settings, be it an error.
async fn look(operator: &User, wiki: &str) -> Vec<String> {
    let on = operator.on(wiki);
    let pages = ["pages/page-0", "pages/page-39", "later"].map(|page| on.markdown(page));
    let mut seen = Vec::new();
    for call in pages.into_iter().chain([on.preferences(), on.draft("unsent")]) {
        let answer = call.await;
        seen.push(match answer.status() {
            200 => answer.text().to_owned(),
            _ => answer.to_string(),
        });
    }
    seen
}

/// So many of what [`look`] returns are pages.
const PAGES: usize = 3;

struct Trial<'a> {
    what: String,
    kind: Kind,
    harm: Harm,
    moment: Moment,
    path: PathBuf,
    program: Program,
    aside: PathBuf,
    template: &'a Template,
}

impl Trial<'_> {
    async fn run(&self) -> String {
        let server = match self.moment {
            Moment::AtRest => {
                self.harm.harm(&self.path, &self.aside);
                self.try_to_serve()
            }
            Moment::WhileOpen => {
                let server = self.serve_and_use().await;
                self.harm.harm(&self.path, &self.aside);
                Ok(server)
            }
        };
        let harmed = Print::of(&self.path);
        let (outcome, logged) = match server {
            Ok(server) => self.use_it(server).await,
            Err(refusal) => (refusal, String::new()),
        };
        let healed = Print::of(&self.path) != harmed && !logged.is_empty();
        if !healed {
            self.restore();
        }
        self.is_well(healed, &logged).await;
        format!("{outcome}{}", if healed { ", healed" } else { "" })
    }

    async fn serve_and_use(&self) -> Running {
        let server = self.program.serve();
        let operator = self.operator(&server);
        for slug in [WIKI, OTHER] {
            look(&operator, slug).await;
            operator.on(slug).create("before", "text\n").await.good();
            // What is in no file can't be damaged.
            let wiki = self.program.data().join("wikis").join(slug);
            assert!(
                !wiki.join("wiki.db-shm").exists()
                    && !self.program.data().join("platform.db-shm").exists()
            );
        }
        server
    }

    /// With the token that is good: the file's, unless it can't be one.
    fn operator(&self, server: &Running) -> User {
        let token = std::fs::read_to_string(self.program.data().join("operator-token"));
        let token = token.unwrap_or_default().trim().to_owned();
        let whole = token.chars().all(|letter| letter.is_ascii_graphic()) && !token.is_empty();
        let from_file = whole && self.moment == Moment::AtRest;
        server.anonymous().with_token(if from_file { &token } else { &self.template.token })
    }

    /// Starts a server, or says how it refuses.
    fn try_to_serve(&self) -> Result<Running, String> {
        let program = self.program.clone();
        let panic = match std::panic::catch_unwind(move || program.serve()) {
            Ok(server) => return Ok(server),
            Err(panic) => panic,
        };
        let why = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        let what = &self.what;
        assert!(self.kind.is_of_the_platform(), "{what}: no wiki stops a start: {why}");
        let name = self.path.file_name().unwrap().to_string_lossy();
        let name = name.trim_end_matches("-wal");
        assert!(why.contains(name), "{what}: the refusal doesn't name {name}: {why}");
        assert!(!why.contains("panicked"), "{what}: {why}");
        Err(format!("refuses to start: {}", why.lines().last().unwrap_or_default()))
    }

    /// Uses a server whose data is damaged, twice, and stops it. Returns what it answered and logged.
    async fn use_it(&self, mut server: Running) -> (String, String) {
        let operator = self.operator(&server);
        let mut outcome = String::new();
        for round in ["first", "second"] {
            let errors = self.ask_for_everything(&operator, round).await;
            assert!(server.is_running(), "{} ended the server: {}", self.what, server.logged());
            self.log_tells_why(&errors, &server).await;
            self.nothing_is_kept_in_a_file_without_a_name(&errors);
            self.other_is_untouched(&operator, round).await;
            outcome = errors.join(", ");
        }
        self.try_what_only_this_file_keeps_apart(&operator).await;
        assert!(!server.logged().contains("panicked"), "{}: {}", self.what, server.logged());
        server.terminate();
        let (status, logged) = server.ended();
        assert!(status.code().is_some(), "{}: {status} {logged}", self.what);
        (outcome, logged)
    }

    /// Everything that is usual in the damaged wiki; returns the errors.
    async fn ask_for_everything(&self, operator: &User, round: &str) -> Vec<String> {
        let on = operator.on(WIKI);
        let title = json!({ "title": round });
        let calls: Vec<(&str, Call)> = vec![
            ("read old", on.read("pages/page-3")),
            ("read new", on.read("later")),
            ("list", on.list()),
            ("history", on.api(Method::GET, "/history/pages/page-3")),
            ("changes", on.api(Method::GET, "/changes")),
            ("search", on.api(Method::GET, "/search").query("q", "text")),
            ("draft", on.draft("unsent")),
            ("settings", on.preferences()),
            ("save", on.create(&format!("{round}/page"), "text\n")),
            ("keep", on.put_draft(&format!("{round}-draft"), "text\n")),
            ("refs", on.git(Method::GET, "/info/refs?service=git-upload-pack")),
            ("title", operator.change_wiki(WIKI, title)),
        ];
        let mut errors = Vec::new();
        for (name, call) in calls {
            let answer = tokio::time::timeout(PATIENCE, call.attempt()).await;
            let answer = answer.unwrap_or_else(|_| panic!("{}: {name} hangs", self.what));
            let answer = answer.unwrap_or_else(|error| panic!("{}: {name}: {error:?}", self.what));
            if answer.status() >= 300 {
                errors.push(self.complaint(name, &answer));
            }
        }
        errors
    }

    /// An error is well made, and never says that there is nothing where there is something.
    fn complaint(&self, name: &str, answer: &Answer) -> String {
        let status = answer.status();
        let lies = status == 404 && !(name == "draft" && self.kind.is_of_the_database());
        assert!(!lies, "{}: {name}: {answer}", self.what);
        if name == "refs" {
            return format!("{name} {status} {}", answer.header("x-request-id"));
        }
        let problem = answer.any_problem();
        let text = |name: &str| problem[name].as_str().unwrap().to_owned();
        format!("{name} {status} {} {}", text("code"), text("request_id"))
    }

    /// An error that says no more than that its reason is in the log is there.
    async fn log_tells_why(&self, errors: &[String], server: &Running) {
        for error in errors.iter().filter(|error| error.contains("internal")) {
            let id = error.rsplit(' ').next().unwrap();
            let started = Instant::now();
            while !server.logged().contains(id) {
                let last = server.logged().lines().last().unwrap_or_default().to_owned();
                let late = started.elapsed() > PATIENCE;
                assert!(!late, "{}: {error} isn't in the log: {last}", self.what);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    /// What was acknowledged since a database was removed isn't in the file that has no name any more.
    fn nothing_is_kept_in_a_file_without_a_name(&self, errors: &[String]) {
        let change = match self.kind {
            Kind::Database => "keep",
            Kind::Catalog => "title",
            _ => return,
        };
        let acknowledged = !errors.iter().any(|error| error.starts_with(change));
        let gone = self.moment == Moment::WhileOpen && self.harm.takes_the_name();
        let back = std::fs::symlink_metadata(&self.path).is_ok_and(|file| file.is_file());
        assert!(!(acknowledged && gone) || back, "{}: acknowledged into nothing", self.what);
    }

    /// The lock keeps a second server off; the key isn't replaced while there are secrets of it.
    async fn try_what_only_this_file_keeps_apart(&self, operator: &User) {
        match self.kind {
            Kind::Lock if self.moment == Moment::WhileOpen => {
                let program = self.program.clone();
                let second = std::panic::catch_unwind(move || drop(program.serve()));
                assert!(second.is_err(), "{}: a second server runs", self.what);
            }
            Kind::SecretKey if self.moment == Moment::AtRest && self.harm != Harm::Linked => {
                let sealed = seal_a_secret(operator).await;
                assert!(sealed.status() >= 400, "{}: another key is taken", self.what);
            }
            _ => {}
        }
    }

    /// The other wiki serves reads and takes saves.
    async fn other_is_untouched(&self, operator: &User, round: &str) {
        if self.kind.is_of_the_platform() {
            return;
        }
        let on = operator.on(OTHER);
        let (what, started) = (&self.what, Instant::now());
        let read = on.markdown("later").await;
        assert_eq!(read.status(), 200, "{what}: the other wiki: {read}");
        let saved = on.create(&format!("{round}/page"), "text\n").await;
        assert_eq!(saved.status(), 201, "{what}: the other wiki: {saved}");
        assert!(started.elapsed() < PATIENCE, "{what}: the other wiki waits");
    }

    /// Puts the file back; a database with its log, which belong together.
    fn restore(&self) {
        let family = match self.kind {
            Kind::Catalog | Kind::CatalogLog => "platform.db",
            Kind::Database | Kind::DatabaseLog => "wiki.db",
            _ => {
                remove(&self.path);
                if self.aside.exists() {
                    super::copy(&self.aside, &self.path);
                }
                return;
            }
        };
        for suffix in ["", "-wal"] {
            let path = self.path.with_file_name(format!("{family}{suffix}"));
            let below = path.strip_prefix(self.program.data()).unwrap();
            let original = self.template.directory().join(below);
            remove(&path);
            super::copy(&original, &path);
        }
    }

    /// A new server has everything.
    async fn is_well(&self, healed: bool, logged: &str) {
        let what = &self.what;
        let server = match self.try_to_serve() {
            Ok(server) => server,
            Err(refusal) => panic!("{what}: restored, and it {refusal}"),
        };
        let operator = self.operator(&server);
        assert_eq!(look(&operator, OTHER).await, self.template.other, "{what}: the other wiki");
        let (now, before) = (look(&operator, WIKI).await, &self.template.seen);
        assert_eq!(now[..PAGES], before[..PAGES], "{what}: pages");
        if healed && self.kind.is_of_the_database() && now != *before {
            let loud = logged.to_owned() + &server.logged();
            let loud = loud.lines().any(|line| {
                (line.contains("ERROR") || line.contains("WARN")) && line.contains("wiki.db")
            });
            assert!(loud, "{what}: drafts or settings are gone, and the log doesn't say so");
        } else {
            assert_eq!(now, *before, "{what}: drafts and settings");
        }
        for slug in [WIKI, OTHER] {
            let saved = operator.on(slug).create("at-last", "text\n").await;
            assert_eq!(saved.status(), 201, "{what}: {slug} at last: {saved}");
        }
        let sealed = seal_a_secret(&operator).await;
        assert_eq!(sealed.status(), 201, "{what}: {sealed}");
        server.stop();
        for slug in [WIKI, OTHER] {
            fsck(&self.program.git(slug), what);
        }
    }
}

fn fsck(git: &Git, what: &str) {
    let checked = git.output(&["fsck", "--full", "--strict", "--no-dangling"]);
    assert!(checked.status.success(), "{what}: {}", String::from_utf8_lossy(&checked.stderr));
}

/// Whatever it is, if it is there.
pub(super) fn remove(path: &Path) {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path).unwrap(),
        Ok(_) => std::fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

/// Enough of a file to see that another took its place, or another content.
#[derive(Debug, PartialEq, Eq)]
struct Print(Option<(u64, u32, Vec<u8>)>);

impl Print {
    fn of(path: &Path) -> Self {
        let Ok(metadata) = std::fs::symlink_metadata(path) else { return Self(None) };
        let content = if metadata.is_file() { std::fs::read(path).unwrap() } else { Vec::new() };
        Self(Some((metadata.ino(), metadata.mode(), content)))
    }
}
