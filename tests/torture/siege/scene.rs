//! The wikis of a siege, prepared for what is going to be done to them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use serde_json::json;
use testkit::{Answer, Git, Running, User};

/// What all attackers and the victim know.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) address: SocketAddr,
    /// The victim's owner.
    pub(super) owner: User,
    pub(super) anonymous: User,
    /// The editor of all wikis that attack.
    pub(super) editors: BTreeMap<String, User>,
    /// Packs that a kilobyte of objects makes large, as refs of a repository to push from.
    pub(super) bombs: PathBuf,
    operator: User,
    pid: Pid,
    numbers: Arc<AtomicUsize>,
    errors: Arc<Mutex<Vec<String>>>,
}

impl Scene {
    pub(super) const VICTIM: &'static str = "victim";
    /// Wikis with two versions of lines that are as unlike as can be.
    pub(super) const NOISY: usize = 6;
    /// Wikis that are only listened to.
    pub(super) const LISTENED: usize = 24;

    pub(super) async fn build(server: &Running, work: &Path) -> Self {
        let operator = server.operator();
        operator.create_wiki(Self::VICTIM).await.good();
        // The attackers share an address, and some of them attack what an address may have.
        let owner = operator.token(Self::VICTIM, "editor").await.at([127, 0, 0, 2].into());
        owner.on(Self::VICTIM).create("home", "# Home\n\nA page.\n").await.good();
        let mut scene = Self {
            address: server.public_address(),
            owner,
            anonymous: server.anonymous(),
            editors: BTreeMap::new(),
            bombs: work.join("bombs"),
            operator,
            pid: server.pid(),
            numbers: Arc::default(),
            errors: Arc::default(),
        };
        scene.plant().await;
        scene
    }

    async fn plant(&mut self) {
        for slug in ["words", "large", "links", "keys", "files", "bombed"] {
            self.add(slug, "public_read").await;
        }
        for number in 0..Self::NOISY {
            self.add(&format!("noise-{number}"), "public_read").await;
        }
        for number in 0..Self::LISTENED {
            self.add(&format!("quiet-{number}"), "public_read").await;
        }
        let on = |slug: &str| self.editors[slug].on(slug);
        on("words").create("bad", &"a ".repeat(2_000_000)).await.good();
        for number in 0..Self::NOISY {
            let wiki = on(&format!("noise-{number}"));
            let created = wiki.create("p", &noise(1)).await.good();
            wiki.save("p", created.etag(), &noise(2)).await.good();
        }
        let large = on("large");
        let lines = large.create("lines", &"\n".repeat(4_900_000)).await.good();
        large.save("lines", lines.etag(), &"a\n".repeat(2_400_000)).await.good();
        large.create("quotes", &"\"".repeat(4_900_000)).await.good();
        for number in 0..40 {
            on("quiet-0").create(&format!("p-{number}"), &"text ".repeat(20_000)).await.good();
        }
        let mut film = vec![0; 20_000_000];
        getrandom::fill(&mut film).unwrap();
        on("files").create_attachment("home/film.bin", film).await.good();
        self.prepare_bombs();
    }

    async fn add(&mut self, slug: &str, visibility: &str) {
        let wiki = json!({ "slug": slug, "visibility": visibility });
        self.operator.admin(http::Method::POST, "/wikis").json(wiki).await.good();
        let editor = self.operator.token(slug, "editor").await;
        editor.on(slug).create("home", "text").await.good();
        self.editors.insert(slug.to_owned(), editor);
    }

    /// Trees that share their subtrees, so that a few objects have very many paths: `wide` has short pages,
    /// `long` one large text under a thousand names, `some` as many pages as are taken.
    fn prepare_bombs(&self) {
        std::fs::create_dir_all(&self.bombs).unwrap();
        let editor = &self.editors["bombed"];
        let git = Git::clone(&editor.on("bombed").git_url(), self.bombs.join("repo"));
        let blob =
            |text: &[u8]| git.run_with(&["hash-object", "-w", "--stdin"], text).trim().to_owned();
        let nested = |leaf: &str, names: usize, levels: usize, chain: usize| {
            let tree =
                |entries: String| git.run_with(&["mktree"], entries.as_bytes()).trim().to_owned();
            let name = |letter: &str, n: usize| format!("{}{n:02}", letter.repeat(60));
            let pages = (0..names).map(|n| format!("100644 blob {leaf}\t{}.md\n", name("f", n)));
            let mut top = tree(pages.collect());
            for _ in 0..levels {
                top = tree(
                    (0..names).map(|n| format!("040000 tree {top}\t{}\n", name("d", n))).collect(),
                );
            }
            for _ in 0..chain {
                top = tree(format!("040000 tree {top}\t{}\n", "e".repeat(60)));
            }
            top
        };
        let short = blob(b"[a](b)\n");
        let long = blob("word lorem ipsum dolor sit amet\n".repeat(30_000).as_bytes());
        for (name, tree) in [
            ("wide", nested(&short, 20, 3, 10)),
            ("long", nested(&long, 10, 2, 0)),
            ("some", nested(&short, 9, 2, 3)),
        ] {
            let commit = git.run(&["commit-tree", "-p", "origin/main", "-m", name, &tree]);
            git.run(&["branch", name, &commit]);
        }
    }

    /// A word that no one else uses.
    pub(super) fn unique(&self) -> String {
        format!("n{}", self.numbers.fetch_add(1, Ordering::Relaxed))
    }

    /// Notes an answer to an attacker: an error of the server may only be that it is busy, and says when to
    /// come back.
    pub(super) fn note(&self, what: &str, answer: &Answer) {
        let is_busy = answer.status() == 503 && answer.headers().contains_key("retry-after");
        if answer.status() >= 500 && !is_busy && answer.status() != 507 {
            self.errors.lock().unwrap().push(format!("{what}: {answer}"));
        }
    }

    pub(super) fn answered_with_no_error_but_busy(&self, during: &str) {
        let errors = self.errors.lock().unwrap();
        assert!(errors.is_empty(), "during {during}: {errors:#?}");
    }

    /// Follows how much memory the server holds.
    pub(super) fn watch_memory(&self) -> Memory {
        let most = Arc::new(AtomicU64::new(0));
        let (pid, seen) = (self.pid, most.clone());
        let watching = wikigrove_tenant::spawn(async move {
            loop {
                seen.fetch_max(resident(pid), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        Memory { most, watching }
    }

    /// Waits until the server has nothing to do any more.
    pub(super) async fn becomes_quiet(&self, within: Duration) {
        let started = Instant::now();
        loop {
            let before = ticks(self.pid);
            tokio::time::sleep(Duration::from_secs(1)).await;
            // A tenth of a core.
            if ticks(self.pid) - before < 10 {
                return;
            }
            assert!(started.elapsed() < within, "it still works for clients that have left");
        }
    }
}

pub(super) struct Memory {
    most: Arc<AtomicU64>,
    watching: tokio::task::JoinHandle<()>,
}

impl Memory {
    /// The most memory that the server held, in MB.
    pub(super) fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// Lines of `a` and `b` without any order: the worst for a comparison.
fn noise(seed: u64) -> String {
    let mut state = seed;
    let mut line = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if state >> 63 == 0 { "a\n" } else { "b\n" }
    };
    (0..90_000).map(|_| line()).collect()
}

/// Resident memory in MB.
fn resident(pid: Pid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()));
    let status = status.unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kibibytes.unwrap_or_default() / 1024
}

/// Processor time used, in hundredths of a second.
fn ticks(pid: Pid) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
