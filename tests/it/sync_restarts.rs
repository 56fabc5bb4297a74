//! What waits for a remote waits through the end of the process, and leaves only when the remote has it.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use testkit::{Fault, Linked, Notices, Program, Running, ServerSetup, TestRemote, Tie, scratch};
use wikigrove_tenant::LinkStep;

#[tokio::test]
async fn what_the_remote_is_seen_to_have_leaves_the_queue_and_nothing_else_does() {
    let linked = Linked::with(json!({ "offline": true })).await;
    for page in ["one", "two", "three"] {
        linked.create(page, page).await;
    }
    // By another way: somebody brings the first three there by hand.
    let place = linked.remote.git().dir().to_str().unwrap().to_owned();
    linked.server.git("garden").run(&["push", "-q", &place, "main"]);
    linked.create("four", "four").await;
    linked.create("five", "five").await;
    assert_eq!(linked.link().await["queue_length"], 5);
    linked.remote.order("git-receive-pack", Fault::CutBefore, 1);
    linked.change(json!({ "offline": false })).await;
    linked.until("knows of three", |link| link["queue_length"] == 2).await;
    linked.synced().await;
    assert_eq!(linked.tip(), linked.head());
}

#[tokio::test]
async fn of_two_peers_the_one_that_is_down_keeps_nothing_from_the_other() {
    let linked = Linked::start().await;
    let other = TestRemote::start().await;
    other.order("", Fault::Status(500, Vec::new()), 3);
    let down = Tie::new(&linked.operator, "garden", &other.url("127.0.0.1"), json!({})).await;
    down.run().await;
    linked.create("roses", "red").await;
    linked.synced().await;
    assert_eq!(linked.tip(), linked.head());
    let link = down.link().await;
    assert_eq!((&link["queue_length"], &link["verified_revision"]), (&json!(1), &Value::Null));
    down.synced().await;
    assert_eq!(other.git().run(&["rev-parse", "main"]), linked.head());
    // A link that is gone takes its queue with it, and no other.
    other.order("", Fault::Status(500, Vec::new()), 100);
    linked.change(json!({ "offline": true })).await;
    linked.create("lilies", "white").await;
    linked.operator.control(Method::DELETE, down.path("")).await.good();
    assert_eq!(linked.link().await["queue_length"], 1);
    linked.change(json!({ "offline": false })).await;
    linked.synced().await;
    assert_eq!(linked.tip(), linked.head());
}

/// Makes it so long ago that a link's remote went down. The link rests meanwhile.
async fn age_downtime(linked: &Linked, minutes: i64) {
    linked.change(json!({ "offline": true })).await;
    let platform = linked.server.platform();
    let mut progress = platform.link(&linked.id).await.unwrap().unwrap().progress;
    let mut state: Value = serde_json::from_str(&progress.state).unwrap();
    let since = state["down"]["since"].as_i64().unwrap() - minutes * 60_000;
    state["down"]["since"] = json!(since);
    progress.state = state.to_string();
    let step = LinkStep { link: linked.id.clone(), progress, notices: Vec::new() };
    platform.save_links(vec![step]).await.unwrap();
    linked.change(json!({ "offline": false })).await;
}

#[tokio::test]
async fn a_downtime_is_told_with_how_long_it_was_and_what_waits() {
    let notices = Notices::start().await;
    let setup = ServerSetup::default().telling(notices.channel());
    let linked = Linked::on(setup, TestRemote::start().await, json!({})).await;
    let up = linked.synced().await;
    assert_eq!((&up["down_since"], &up["oldest_waiting"]), (&Value::Null, &Value::Null));
    let mut events = linked.editor.on("garden").events(None).listen().await;
    linked.remote.order("", Fault::Status(503, Vec::new()), 10_000);
    for page in ["one", "two", "three"] {
        linked.create(page, page).await;
    }
    let down = linked.until("is down", |link| link["down_since"] != Value::Null).await;
    assert_eq!(down["queue_length"], 3);
    assert!(down["oldest_waiting"].as_str().unwrap() <= down["down_since"].as_str().unwrap());
    assert_eq!(notices.kinds(), [""; 0], "ten minutes are to pass first");

    age_downtime(&linked, 11).await;
    let told = notices.of("sync.peer_down").await["data"]["detail"].clone();
    assert_eq!(told["queue_length"], 3);
    assert_eq!(told["since"], linked.link().await["down_since"]);
    assert_eq!(events.notice("peer_down").await, told);

    linked.create("four", "four").await;
    linked.remote.forgive();
    linked.run_synced().await;
    let told = notices.of("sync.peer_up").await["data"]["detail"].clone();
    assert_eq!(told["queue_length"], 4, "as it was when the remote came back");
    assert!((660..900).contains(&told["after_seconds"].as_u64().unwrap()), "{told}");
    assert_eq!(events.notice("peer_up").await, told);
    assert_eq!(linked.link().await["down_since"], Value::Null);
    assert_eq!(notices.kinds(), ["sync.peer_down", "sync.peer_up"]);
}

#[tokio::test]
async fn a_remote_that_is_down_is_asked_less_and_less_often() {
    let linked = Linked::start().await;
    linked.synced().await;
    linked.remote.order("", Fault::Status(500, Vec::new()), 10_000);
    linked.create("roses", "red").await;
    let mut most = 2;
    for _ in 0..4 {
        linked.run().await;
        let link = linked.state("backoff", None).await;
        let waits = seconds_until(&link["next_run"]);
        assert!((-1..=most).contains(&waits), "{waits} s of {most} s");
        assert_eq!(link["queue_length"], 1);
        most *= 2;
    }
}

fn seconds_until(time: &Value) -> i64 {
    use time::format_description::well_known::Rfc3339;
    let time = time::OffsetDateTime::parse(time.as_str().unwrap(), &Rfc3339).unwrap();
    (time - time::OffsetDateTime::now_utc()).whole_seconds()
}

/// The program on a data directory, with the wiki `garden` that is linked with a remote.
struct Life {
    _dir: tempfile::TempDir,
    program: Program,
    running: Option<Running>,
    remote: TestRemote,
    tie: Tie,
    saved: usize,
}

const OPTIONS: &[&str] = &["--sync-allow", "127.0.0.1"];

impl Life {
    async fn start() -> Self {
        let (dir, remote) = (scratch(), TestRemote::start().await);
        let program = crate::program(&dir.path().join("data"));
        let running = program.serve_with(OPTIONS);
        running.operator().create_wiki("garden").await.good();
        let url = remote.url("127.0.0.1");
        let tie = Tie::new(&running.operator(), "garden", &url, json!({})).await;
        Self { _dir: dir, program, running: Some(running), remote, tie, saved: 0 }
    }

    async fn save(&mut self) {
        self.saved += 1;
        let page = format!("page{}", self.saved);
        self.tie.operator.on("garden").create(&page, "text").await.good();
    }

    /// Somebody else puts something into the remote.
    fn elsewhere(&self, name: &str) {
        let peer = self.remote.clone_beside(name);
        peer.write(&format!("{name}.md"), "from elsewhere").commit(name);
        peer.run(&["push", "-q", "origin", "HEAD:main"]);
    }

    fn stop_with(&mut self, how: impl FnOnce(Running)) {
        how(self.running.take().unwrap());
    }

    fn start_again(&mut self, options: &[&str]) {
        let running = self.program.serve_with(&[OPTIONS, options].concat());
        self.tie.operator = running.operator();
        self.running = Some(running);
    }

    fn head(&self) -> String {
        self.program.git("garden").run(&["rev-parse", "main"])
    }

    /// Everything is on both sides, and once.
    async fn assert_whole(&self, elsewhere: usize) {
        self.tie.run_synced().await;
        let remote = self.remote.git();
        assert_eq!(remote.run(&["rev-parse", "main"]), self.head());
        let ordinary = remote.run(&["rev-list", "--count", "--no-merges", "main"]);
        let expected = self.saved + elsewhere;
        assert_eq!(ordinary, expected.to_string(), "commits twice, or lost");
        let files = remote.run(&["ls-tree", "-r", "--name-only", "main"]);
        assert_eq!(files.lines().count(), expected, "{files}");
        self.program.git("garden").fsck();
        remote.fsck();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_die_at_any_moment_lose_nothing_and_make_nothing_twice() {
    let mut life = Life::start().await;
    life.save().await;
    life.tie.run_synced().await;
    // Comparing, merging and applying are over in no time: some of these hit them.
    let rounds = if std::env::var_os("WIKIGROVE_LONG_TESTS").is_some() { 100 } else { 12 };
    for round in 0..rounds {
        life.save().await;
        life.elsewhere(&format!("there{round}"));
        life.tie.run().await;
        tokio::time::sleep(Duration::from_millis(25 * (round % 12))).await;
        life.stop_with(Running::kill);
        life.start_again(&[]);
        life.assert_whole(usize::try_from(round).unwrap() + 1).await;
    }
    let left = std::fs::read_dir(life.program.data().join("sync/calls")).unwrap().count();
    assert_eq!(left, 0, "keys of processes that died are gone");
    life.stop_with(Running::stop);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_offline_starts_nothing_and_queues_everything() {
    let mut life = Life::start().await;
    life.save().await;
    life.tie.run_synced().await;
    life.stop_with(Running::stop);
    life.remote.seen();
    life.start_again(&["--offline"]);
    for _ in 0..5 {
        life.save().await;
    }
    life.tie.run().await;
    let link = life.tie.state("offline", Some("server_offline")).await;
    assert_eq!(link["queue_length"], 5);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(life.remote.seen().is_empty());
    life.stop_with(Running::stop);
    life.start_again(&[]);
    life.assert_whole(0).await;
    life.stop_with(Running::stop);
}
