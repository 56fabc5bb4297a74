//! A server that is killed in each state of a link.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Fault, Git, TestRemote};

use super::{Server, is_long, random, run, stands};

const STATES: [&str; 5] = ["fetching", "merging", "applying", "pushing", "verifying"];
const PATIENCE: Duration = Duration::from_secs(30);

/// How many pages are pushed before the server is killed in this state. Nothing from outside holds up what it does
/// by itself, so it has so much to do that it is met while it does it.
fn pages(state: &str) -> usize {
    match state {
        "merging" | "applying" => 600,
        _ => 20,
    }
}

struct World {
    server: Server,
    link: String,
    remote: TestRemote,
    peer: Git,
    /// The directory there that the wiki is.
    directory: Option<&'static str>,
    /// Commits that somebody made, without what merging made of them.
    made: usize,
}

impl World {
    async fn start(directory: Option<&'static str>) -> Self {
        let (server, remote) = (Server::start().await, TestRemote::start().await);
        let url = remote.url("127.0.0.1");
        let link = server.link(json!({ "url": url, "subdirectory": directory })).await;
        let peer = remote.git();
        let mut world = Self { server, link, remote, peer, directory, made: 0 };
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
    fn push(&mut self, dir: &str, pages: usize) {
        self.peer.run(&["fetch", "-q"]);
        self.peer.run(&["reset", "-q", "--hard", "origin/main"]);
        for number in 0..pages {
            let file = self.there(&format!("{dir}/{number}.md"));
            self.peer.write(&file, format!("{dir} {number}"));
        }
        self.peer.commit(dir).run(&["push", "-q", "origin", "HEAD:main"]);
        self.made += 1;
    }

    /// Where a file of the wiki is at the remote.
    fn there(&self, file: &str) -> String {
        self.directory.map_or_else(|| file.to_owned(), |directory| format!("{directory}/{file}"))
    }

    /// Whether both ends have the same, commits and all if the wiki is all of the remote.
    fn is_same(&self) -> bool {
        let (here, there) = match self.directory {
            None => ("main".to_owned(), "main".to_owned()),
            Some(directory) => ("main^{tree}".to_owned(), format!("main:{directory}")),
        };
        let id = |git: &Git, name: &str| git.output(&["rev-parse", "--verify", "-q", name]).stdout;
        id(&self.server.git(), &here) == id(&self.remote.git(), &there)
    }

    /// In how many commits a file was touched.
    fn touched(git: &Git, file: &str) -> usize {
        git.run(&["log", "--format=%H", "main", "--", file]).lines().count()
    }

    async fn link(&self) -> Value {
        stands(&self.server.operator(), &self.link).await.unwrap()
    }

    /// Sees to it that the next run stays in this state for a while, if it waits for the remote there.
    fn hold(&self, state: &str) {
        let hold = Fault::Delay(Duration::from_millis(500));
        match state {
            "fetching" => self.remote.order("git-upload-pack", hold, 2),
            "pushing" => self.remote.order("x.git/git-receive-pack", hold, 1),
            // What comes before has passed by then.
            "verifying" => self.remote.order("x.git/git-receive-pack", hold, 1),
            _ => {}
        }
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
            if self.is_same() && link["state"] == "idle" && link["queue_length"] == 0 {
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
        self.push(&format!("{state}-{round}"), pages(state));
        let page = format!("{state}-{round}-here");
        let mut saved = None;
        // A wiki that nobody saved in only follows, and merges nothing before.
        if state != "applying" {
            saved = Some(self.save(&page).await);
        }
        self.hold(state);
        run(&self.server.operator(), &self.link).await;
        if state == "verifying" {
            self.comes_to_be("pushing").await;
            let hold = Fault::Delay(Duration::from_millis(500));
            self.remote.order("service=git-upload-pack", hold, 1);
        }
        self.comes_to_be(state).await;
        // Anywhere in it, or a little after.
        tokio::time::sleep(Duration::from_millis(random(60))).await;
        self.server.kill();
        self.remote.forgive();
        self.server.start_again();
        let waiting = self.link().await["queue_length"].as_u64().unwrap();
        let file = self.there(&format!("{page}.md"));
        if saved.is_some() && waiting == 0 {
            let found = self.remote.git().output(&["cat-file", "-e", &format!("main:{file}")]);
            assert!(found.status.success(), "{page} is forgotten");
        }
        self.synced().await;
        let (here, there) = (self.server.git(), self.remote.git());
        for file in [format!("{page}.md"), format!("{state}-{round}/7.md")] {
            let is_here = saved.is_some() || !file.contains("here");
            assert_eq!(Self::touched(&here, &file), usize::from(is_here), "{file}");
            assert_eq!(Self::touched(&there, &self.there(&file)), usize::from(is_here), "{file}");
        }
        if self.directory.is_none() {
            let made = here.run(&["rev-list", "--count", "--no-merges", "main"]);
            assert_eq!(made, self.made.to_string(), "{state}");
        }
    }

    /// After so many rounds of pushes before each of these states, and of saves here.
    async fn is_whole(&self, rounds: usize, states: &[&str], saves: usize) {
        self.server.git().fsck();
        self.remote.git().fsck();
        let pages = self.server.operator().on("garden").pages().await.len();
        let pushed: usize = states.iter().map(|state| self::pages(state)).sum();
        assert_eq!(pages, 1 + rounds * (pushed + saves));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_in_any_state_of_a_link_goes_on_where_it_was() {
    let rounds = if is_long() { 20 } else { 2 };
    let mut world = World::start(None).await;
    for round in 0..rounds {
        for state in STATES {
            world.killed_in(state, round).await;
        }
    }
    world.is_whole(rounds, &STATES, STATES.len() - 1).await;
    let merges = ["rev-list", "--count", "--merges", "main"];
    let merges = world.server.git().run(&merges).parse::<usize>().unwrap();
    // One for each round in which both ends had something new.
    assert!(merges <= rounds * (STATES.len() - 1), "{merges} merges");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_over_a_directory_of_a_remote_goes_on_where_it_was() {
    let rounds = if is_long() { 20 } else { 1 };
    let mut world = World::start(Some("docs")).await;
    // The merge in memory waits for nothing that could be held here.
    let states = STATES.iter().copied().filter(|state| *state != "merging").collect::<Vec<_>>();
    for round in 0..rounds {
        for state in &states {
            world.killed_in(state, round).await;
        }
    }
    world.is_whole(rounds, &states, STATES.len() - 2).await;
}
