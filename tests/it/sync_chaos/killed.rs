//! A server that is killed in each state of a link.

use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};
use testkit::{Fault, Git, TestRemote};

use super::{Server, is_long, random, run, stands};

const STATES: [&str; 5] = ["fetching", "merging", "applying", "pushing", "verifying"];
const PATIENCE: Duration = Duration::from_secs(30);

struct World {
    server: Server,
    link: String,
    remote: TestRemote,
    peer: Git,
    /// Commits that somebody made, without what merging made of them.
    made: usize,
}

impl World {
    async fn start() -> Self {
        let (server, remote) = (Server::start().await, TestRemote::start().await);
        let link = server.link(json!({ "url": remote.url("127.0.0.1") })).await;
        let peer = remote.git();
        let mut world = Self { server, link, remote, peer, made: 0 };
        world.save("home").await;
        world.synced().await;
        world.peer = world.remote.clone_beside("peer");
        world
    }

    async fn save(&mut self, page: &str) -> String {
        let saved = self.server.operator().on("garden").create(page, page).await.good().json();
        self.made += 1;
        saved["revision"].as_str().unwrap().to_owned()
    }

    /// Somebody else adds pages to the remote.
    fn push(&mut self, dir: &str) {
        self.peer.run(&["fetch", "-q"]);
        self.peer.run(&["reset", "-q", "--hard", "origin/main"]);
        for number in 0..20 {
            self.peer.write(&format!("{dir}/{number}.md"), format!("{dir} {number}"));
        }
        self.peer.commit(dir).run(&["push", "-q", "origin", "HEAD:main"]);
        self.made += 1;
    }

    async fn link(&self) -> Value {
        stands(&self.server.operator(), &self.link).await.unwrap()
    }

    /// Sees to it that the next run stays in this state for a while, if it can be held there.
    fn hold(&self, state: &str) -> Option<Connection> {
        let hold = Fault::Delay(Duration::from_millis(500));
        match state {
            "fetching" => self.remote.order("git-upload-pack", hold, 2),
            "pushing" => self.remote.order("x.git/git-receive-pack", hold, 1),
            // What comes before has passed by then.
            "verifying" => self.remote.order("x.git/git-receive-pack", hold, 1),
            _ => {
                let wiki = self.server.git().dir().parent().unwrap().join("wiki.db");
                let held = Connection::open(wiki).unwrap();
                held.execute_batch("begin immediate").unwrap();
                return Some(held);
            }
        }
        None
    }

    async fn comes_to_be(&self, state: &str) {
        let began = Instant::now();
        loop {
            let link = self.link().await;
            if link["state"] == state {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "never {state}: {link:#}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn synced(&self) {
        let began = Instant::now();
        loop {
            let link = self.link().await;
            let tip = self.remote.git().output(&["rev-parse", "--verify", "-q", "main"]).stdout;
            let same = String::from_utf8_lossy(&tip).trim() == self.server.head();
            if same && link["state"] == "idle" && link["queue_length"] == 0 {
                return;
            }
            if link["state"] == "idle" || link["state"] == "backoff" {
                run(&self.server.operator(), &self.link).await;
            }
            assert!(began.elapsed() < PATIENCE, "never synced: {link:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn killed_in(&mut self, state: &str, round: usize) {
        self.push(&format!("{state}-{round}"));
        let mut saved = None;
        // A wiki that nobody saved in only follows, and merges nothing before.
        if state != "applying" {
            saved = Some(self.save(&format!("{state}-{round}-here")).await);
        }
        let held = self.hold(state);
        run(&self.server.operator(), &self.link).await;
        if state == "verifying" {
            self.comes_to_be("pushing").await;
            let hold = Fault::Delay(Duration::from_millis(500));
            self.remote.order("service=git-upload-pack", hold, 1);
        }
        self.comes_to_be(state).await;
        drop(held);
        // Anywhere in it, or a little after.
        tokio::time::sleep(Duration::from_millis(random(60))).await;
        self.server.kill();
        self.remote.forgive();
        self.server.start_again();
        let waiting = self.link().await["queue_length"].as_u64().unwrap();
        if let Some(saved) = saved.filter(|_| waiting == 0) {
            let seen = ["merge-base", "--is-ancestor", &saved, "main"];
            assert!(self.remote.git().output(&seen).status.success(), "{saved} is forgotten");
        }
        self.synced().await;
        let git = self.server.git();
        let count = |args: &[&str]| git.run(args).parse::<usize>().unwrap();
        assert_eq!(count(&["rev-list", "--count", "--no-merges", "main"]), self.made, "{state}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_in_any_state_of_a_link_goes_on_where_it_was() {
    let rounds = if is_long() { 20 } else { 2 };
    let mut world = World::start().await;
    for round in 0..rounds {
        for state in STATES {
            world.killed_in(state, round).await;
        }
    }
    let git = world.server.git();
    git.fsck();
    world.remote.git().fsck();
    let merges = git.run(&["rev-list", "--count", "--merges", "main"]).parse::<usize>().unwrap();
    // One for each round in which both ends had something new.
    assert!(merges <= rounds * (STATES.len() - 1), "{merges} merges");
    let pages = world.server.operator().on("garden").pages().await.len();
    assert_eq!(pages, 1 + rounds * (STATES.len() * 20 + STATES.len() - 1));
}
