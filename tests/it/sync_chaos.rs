//! Wikis that are the same as another through all that can happen at once: people who write, a network
//! that breaks anywhere, servers that are killed.

mod killed;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{
    Cable, Fault, Git, Linked, Program, Running, ServerSetup, TestRemote, User, scratch,
};
use wikigrove_tenant::spawn;

/// Pages that everybody writes.
const PAGES: u64 = 8;
const WRITERS: usize = 4;

fn is_long() -> bool {
    std::env::var_os("WIKIGROVE_LONG_TESTS").is_some()
}

fn random(below: u64) -> u64 {
    getrandom::u64().unwrap() % below
}

/// A server with the wiki `garden`, which may be killed at any time.
pub(super) struct Server {
    program: Program,
    running: Option<Running>,
    /// The operator of the one that runs now.
    operator: Arc<Mutex<User>>,
    _data: TempDir,
}

impl Server {
    pub(super) async fn start() -> Self {
        let data = scratch();
        let program = crate::program(&data.path().join("data"));
        let running = serve(&program);
        running.operator().create_wiki("garden").await.good();
        let operator = Arc::new(Mutex::new(running.operator()));
        Self { program, running: Some(running), operator, _data: data }
    }

    pub(super) fn operator(&self) -> User {
        self.operator.lock().unwrap().clone()
    }

    pub(super) fn git(&self) -> Git {
        self.program.git("garden")
    }

    fn address(&self) -> std::net::SocketAddr {
        self.running.as_ref().unwrap().public_address()
    }

    pub(super) fn kill(&mut self) {
        self.running.take().unwrap().kill();
    }

    pub(super) fn start_again(&mut self) {
        let running = serve(&self.program);
        *self.operator.lock().unwrap() = running.operator();
        self.running = Some(running);
    }

    /// Links the wiki; returns the link's id.
    pub(super) async fn link(&self, mut settings: Value) -> String {
        let more = json!({ "interval_seconds": 30, "cooldown_seconds": 0, "first_run": "merge" });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let call = self.operator().admin(Method::POST, "/wikis/garden/remotes");
        call.json(settings).await.good().json()["id"].as_str().unwrap().to_owned()
    }

    fn head(&self) -> String {
        self.git().run(&["rev-parse", "refs/heads/main"])
    }
}

fn serve(program: &Program) -> Running {
    program.serve_with(&["--sync-allow", "127.0.0.1"])
}

/// How a link stands; `None` when the server doesn't answer.
pub(super) async fn stands(operator: &User, link: &str) -> Option<Value> {
    let path = format!("/wikis/garden/remotes/{link}");
    let answer = operator.admin(Method::GET, path).attempt().await.ok()?;
    Some(answer.good().json())
}

pub(super) async fn run(operator: &User, link: &str) {
    let path = format!("/wikis/garden/remotes/{link}/runs");
    // The server may be gone.
    let _ = operator.admin(Method::POST, path).attempt().await;
}

/// A save that was answered with success.
#[derive(Debug)]
struct Saved {
    server: usize,
    revision: String,
    path: String,
    blob: String,
}

/// Writes on both servers until it is told to stop; returns what was acknowledged.
async fn write(
    operators: Vec<Arc<Mutex<User>>>,
    writer: usize,
    stop: Arc<AtomicBool>,
) -> Vec<Saved> {
    let mut saved = Vec::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let server = random(operators.len() as u64) as usize;
        let operator = operators[server].lock().unwrap().clone();
        saved.extend(write_once(&operator, server, &format!("{writer} {number}")).await);
        tokio::time::sleep(Duration::from_millis(50 + random(400))).await;
    }
    saved
}

async fn write_once(operator: &User, server: usize, words: &str) -> Option<Saved> {
    let garden = operator.on("garden");
    let path = format!("page-{}", random(PAGES));
    let read = garden.read(&path).attempt().await.ok()?;
    let answer = if read.status() == 200 {
        let page = read.json();
        let text = page["content"].as_str().unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        let line = format!("{words} on {server}");
        match (random(3), lines.len() as u64) {
            (0, count) if count > 0 => lines[random(count) as usize] = &line,
            (1, count) if count > 30 => lines.truncate(3),
            (_, count) => lines.insert(random(count + 1) as usize, &line),
        }
        let text = lines.join("\n") + "\n";
        garden.save(&path, page["etag"].as_str().unwrap(), &text).attempt().await.ok()?
    } else {
        garden.create(&path, &format!("{words}\n")).attempt().await.ok()?
    };
    if answer.status() == 409 || answer.status() == 412 {
        return None;
    }
    let answer = answer.good().json();
    let told = |name: &str| answer[name].as_str().unwrap().to_owned();
    Some(Saved { server, revision: told("revision"), path: told("path"), blob: told("etag") })
}

/// What is to be the same at the end, and what lies between.
struct World {
    servers: Vec<Server>,
    /// Which of the servers has which link.
    links: Vec<(usize, String)>,
    cable: Cable,
    remote: Option<TestRemote>,
    /// The server behind the cable, if one is.
    hub: Option<usize>,
}

impl World {
    /// Everything goes wrong for a while.
    async fn storm(&mut self, time: Duration) {
        let began = Instant::now();
        let mut kill_at = Duration::from_millis(2500);
        let mut kills = 0;
        self.cable.fray(10);
        while began.elapsed() < time {
            tokio::time::sleep(Duration::from_millis(50 + random(500))).await;
            match random(8) {
                0 => self.cable.cut(),
                1 | 2 => self.misbehave(),
                _ => {
                    let (server, link) = &self.links[random(self.links.len() as u64) as usize];
                    let operator = self.servers[*server].operator();
                    run(&operator, link).await;
                }
            }
            if began.elapsed() > kill_at {
                kill_at = began.elapsed() + Duration::from_millis(1500 + random(6000));
                kills += 1;
                self.kill(random(self.servers.len() as u64) as usize);
            }
        }
        self.cable.fray(0);
        if let Some(remote) = &self.remote {
            remote.forgive();
        }
        eprintln!("{kills} kills");
    }

    fn misbehave(&self) {
        let Some(remote) = &self.remote else { return };
        let part = ["", "service=git-upload-pack", "git-receive-pack"][random(3) as usize];
        let fault = match random(4) {
            0 => Fault::CutBefore,
            1 => Fault::CutAfter,
            2 => Fault::Delay(Duration::from_millis(random(1500))),
            _ => Fault::Status(503, Vec::new()),
        };
        remote.order(part, fault, 1);
    }

    fn kill(&mut self, server: usize) {
        self.servers[server].kill();
        self.servers[server].start_again();
        if self.hub == Some(server) {
            self.cable.lead_to(self.servers[server].address());
        }
    }

    /// All tips.
    fn tips(&self) -> Vec<String> {
        let remote = self.remote.as_ref().map(|remote| remote.git());
        let remote = remote.map(|git| git.run(&["rev-parse", "refs/heads/main"]));
        self.servers.iter().map(Server::head).chain(remote).collect()
    }

    /// Runs the links until nothing differs and nothing waits.
    async fn become_identical(&self) {
        let began = Instant::now();
        loop {
            let mut standing = Vec::new();
            let mut rests = true;
            for (server, link) in &self.links {
                let operator = self.servers[*server].operator();
                let stands = stands(&operator, link).await.unwrap();
                let stopped = ["paused", "needs_decision", "offline", "disabled"];
                let state = stands["state"].as_str().unwrap();
                assert!(!stopped.contains(&state), "{stands:#}");
                rests &= state == "idle" && stands["queue_length"] == 0;
                if state == "idle" || state == "backoff" {
                    run(&operator, link).await;
                }
                standing.push(stands);
            }
            let tips = self.tips();
            if rests && tips.iter().all(|tip| *tip == tips[0]) {
                eprintln!("identical after {:?}", began.elapsed());
                return;
            }
            let patience = Duration::from_secs(90);
            assert!(began.elapsed() < patience, "never identical: {tips:?}, {standing:#?}");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Whoever wrote what, it is in the history everywhere, and the indexes show what git has.
    async fn is_whole(&self, saved: &[Saved]) {
        for server in &self.servers {
            let git = server.git();
            git.fsck();
            let history = git.run(&["rev-list", "main"]);
            let history: std::collections::HashSet<&str> = history.lines().collect();
            let names: String = saved
                .iter()
                .map(|saved| format!("{}:{}.md\n", saved.revision, saved.path))
                .collect();
            let blobs =
                git.run_with(&["cat-file", "--batch-check=%(objectname)"], names.as_bytes());
            for (saved, blob) in saved.iter().zip(blobs.lines()) {
                assert!(history.contains(saved.revision.as_str()), "lost: {saved:?}");
                assert_eq!(blob, saved.blob, "another text: {saved:?}");
            }
            let files = git.run(&["ls-tree", "-r", "--format=%(path) %(objectname)", "main"]);
            let files: HashMap<&str, &str> =
                files.lines().map(|line| line.rsplit_once(' ').unwrap()).collect();
            let garden = server.operator().on("garden");
            let pages = garden.pages().await;
            assert_eq!(pages.len(), files.len());
            for page in pages {
                let path = page["path"].as_str().unwrap();
                let read = garden.read(path).await.good();
                assert_eq!(read.etag(), files[format!("{path}.md").as_str()], "{path}");
                let text = read.json()["content"].as_str().unwrap().to_owned();
                assert!(!text.contains("<<<<<<<") && !text.contains(">>>>>>>"), "{path}: {text}");
            }
            let changes = garden.changes().await.len().to_string();
            assert_eq!(changes, git.run(&["rev-list", "--count", "main"]));
        }
    }

    /// People write, everything goes wrong, it gets quiet.
    async fn live(mut self) {
        let time = Duration::from_secs(if is_long() { 60 } else { 10 });
        let stop = Arc::new(AtomicBool::new(false));
        let operators: Vec<_> = self.servers.iter().map(|server| server.operator.clone()).collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| spawn(write(operators.clone(), writer, stop.clone())))
            .collect();
        self.storm(time).await;
        stop.store(true, Ordering::Relaxed);
        let mut saved = Vec::new();
        for writer in writers {
            saved.extend(writer.await.unwrap());
        }
        self.become_identical().await;
        self.is_whole(&saved).await;
        let on = |server| saved.iter().filter(|saved| saved.server == server).count();
        let git = self.servers[0].git();
        let merges = git.run(&["rev-list", "--count", "--merges", "main"]);
        eprintln!("{} and {} saves, {merges} merges", on(0), on(1));
        let least = time.as_secs() as usize;
        assert!(on(0) > least && on(1) > least, "nobody could write");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_wikis_with_one_remote_end_the_same_whatever_breaks() {
    let remote = TestRemote::start().await;
    let cable = Cable::to(remote.address()).await;
    let servers = vec![Server::start().await, Server::start().await];
    let url = format!("http://127.0.0.1:{}/x.git", cable.port());
    let mut links = Vec::new();
    for (number, server) in servers.iter().enumerate() {
        links.push((number, server.link(json!({ "url": url })).await));
    }
    World { servers, links, cable, remote: Some(remote), hub: None }.live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiki_whose_remote_is_another_wiki_ends_the_same_whatever_breaks() {
    let servers = vec![Server::start().await, Server::start().await];
    let cable = Cable::to(servers[0].address()).await;
    let token = servers[0].operator().token("garden", "editor").await.secret().to_owned();
    let url = format!("http://127.0.0.1:{}/w/garden/git", cable.port());
    let settings = json!({ "url": url, "credential": { "token": token } });
    let links = vec![(1, servers[1].link(settings).await)];
    World { servers, links, cable, remote: None, hub: Some(0) }.live().await;
}

#[tokio::test]
async fn a_branch_that_somebody_makes_between_two_looks_is_no_missing_one() {
    let remote = TestRemote::start().await;
    let look = "service=git-upload-pack";
    remote.order(look, Fault::Delay(Duration::ZERO), 1);
    remote.order(look, Fault::Delay(Duration::from_secs(2)), 1);
    let settings = json!({ "branch": "main", "first_run": "merge" });
    let linked = Linked::on(ServerSetup::default(), remote, settings).await;
    // The first look found no branch, the second is on its way to find out whether there is any.
    let mut looks = 0;
    while looks < 2 {
        let seen = linked.remote.seen();
        looks += seen.iter().filter(|seen| seen.target.contains(look)).count();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let peer = linked.remote.clone_beside("peer");
    peer.write("roses.md", "red").commit("Roses").run(&["push", "-q", "origin", "HEAD:main"]);
    linked.synced().await;
    assert_eq!(linked.head(), linked.tip());
}
