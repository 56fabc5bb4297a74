//! Clone and fetch.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;
use testkit::{Answer, Git, ServerSetup, TestServer, User, scratch};

const VERSIONS: [&str; 3] = ["protocol.version=0", "protocol.version=1", "protocol.version=2"];

/// What the first request of a clone is answered.
async fn refs(user: &User, slug: &str, service: &str) -> Answer {
    user.on(slug).git(Method::GET, format!("/info/refs?service={service}")).await
}

/// What git says when it fails.
fn said(git: &Git, args: &[&str]) -> String {
    let output = git.output(args);
    assert!(!output.status.success(), "{args:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiki_is_cloned_and_followed_in_every_version_of_the_protocol() {
    let (server, operator, editor) = TestServer::with_garden().await;
    operator.on("garden").create("roses", "# Roses\n").await.good();
    operator.on("garden").create("beds/tulips", "yellow").await.good();
    let place = scratch();
    let reader = operator.token("garden", "reader").await;
    let clones: Vec<Git> = VERSIONS
        .iter()
        .map(|version| {
            let dir = place.path().join(version);
            Git::clone_with(&reader.on("garden").git_url(), dir, &["-c", version])
        })
        .collect();
    let saved = editor.on("garden").create("lilies", "white").await.good();
    for clone in clones {
        assert_eq!(clone.run(&["show", "HEAD:roses.md"]), "# Roses");
        assert_eq!(clone.run(&["symbolic-ref", "HEAD"]), "refs/heads/main");
        clone.run(&["pull", "-q", "--ff-only"]);
        assert_eq!(clone.run(&["rev-parse", "HEAD"]), saved.json()["revision"]);
        assert_eq!(std::fs::read_to_string(clone.dir().join("lilies.md")).unwrap(), "white");
        clone.run(&["fetch", "-q"]);
        clone.fsck();
    }
    server.git("garden").fsck();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_wiki_is_cloned_as_one() {
    let (_server, _, editor) = TestServer::with_garden().await;
    let place = scratch();
    let clone = Git::clone(&editor.on("garden").git_url(), place.path().join("clone"));
    assert_eq!(clone.run(&["for-each-ref"]), "");
    // Version 2 tells an empty repository's branch.
    assert_eq!(clone.run(&["symbolic-ref", "HEAD"]), "refs/heads/main");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiki_is_cloned_from_a_host_of_its_own() {
    let (server, operator) = ServerSetup::default().base_domain("wikis.test").start().await;
    operator.create_wiki("garden").await.good();
    operator.on("garden").create("roses", "red").await.good();
    let (place, port) = (scratch(), server.public_address().port());
    let parent = Git::at(place.path());
    let url = format!("http://git:{}@garden.wikis.test:{port}/git", operator.secret());
    let pinned = format!("http.curloptResolve=garden.wikis.test:{port}:127.0.0.1");
    parent.run(&["-c", &pinned, "clone", "-q", &url, "clone"]);
    assert_eq!(Git::at(place.path().join("clone")).run(&["show", "HEAD:roses.md"]), "red");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_cloned_in_part() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    let mut etag = editor.on("garden").create("roses", "0").await.good().etag().to_owned();
    for n in 1..10 {
        let text = n.to_string();
        etag = editor.on("garden").save("roses", &etag, &text).await.good().etag().to_owned();
    }
    let (place, url) = (scratch(), operator.on("garden").git_url());
    for version in VERSIONS {
        let dir = place.path().join(version);
        let shallow = Git::clone_with(&url, &dir, &["-c", version, "--depth", "2"]);
        assert_eq!(shallow.run(&["rev-list", "--count", "HEAD"]), "2");
        shallow.run(&["fetch", "-q", "--deepen", "3"]);
        assert_eq!(shallow.run(&["rev-list", "--count", "HEAD"]), "5");
        shallow.run(&["fetch", "-q", "--unshallow"]);
        assert_eq!(shallow.run(&["rev-list", "--count", "HEAD"]), "10");
        shallow.fsck();
    }
    // Filters take time that nobody bounds: the client is told that there are none, and gets it all.
    let dir = place.path().join("filtered");
    let filtered = Git::clone_with(&url, dir, &["--filter=blob:none"]);
    assert_eq!(
        filtered.run(&["rev-list", "--objects", "--missing=print", "--all"]).matches('?').count(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_shows_nothing_is_asked_for_a_token_whether_there_is_a_wiki_or_not() {
    let (server, operator, _) = TestServer::with_garden().await;
    operator.on("garden").create("roses", "red").await.good();
    operator.create_wiki("kitchen").await.good();
    let anonymous = server.anonymous();
    let mut answers = Vec::new();
    for slug in ["garden", "nowhere", "NOT-A-SLUG"] {
        for service in ["git-upload-pack", "git-receive-pack"] {
            let asked = refs(&anonymous, slug, service).await;
            assert_eq!(asked.status(), 401, "{asked}");
            assert_eq!(asked.header("www-authenticate"), "Basic realm=\"wikigrove\"");
            assert_eq!(asked.header("content-type"), "text/plain; charset=utf-8");
            answers.push(asked.text().to_owned());
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // Only with a credential is it told what there isn't.
    let elsewhere = operator.token("kitchen", "admin").await;
    assert_eq!(refs(&elsewhere, "garden", "git-upload-pack").await.status(), 404);
    assert_eq!(refs(&elsewhere, "nowhere", "git-upload-pack").await.status(), 404);
    let wrong = anonymous.with_token("wrong");
    assert_eq!(refs(&wrong, "garden", "git-upload-pack").await.status(), 401);

    let parent = scratch();
    let parent = Git::at(parent.path());
    let clone = |user: &User| said(&parent, &["clone", &user.on("garden").git_url(), "clone"]);
    assert!(clone(&anonymous).contains("terminal prompts disabled"), "{}", clone(&anonymous));
    assert!(clone(&wrong).contains("Authentication failed"), "{}", clone(&wrong));
    assert!(clone(&elsewhere).contains("not found"), "{}", clone(&elsewhere));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_wiki_is_cloned_by_anybody_and_changed_by_few() {
    let (server, operator, _) = TestServer::with_garden().await;
    operator.on("garden").create("roses", "red").await.good();
    operator.change_wiki("garden", json!({ "visibility": "public_read" })).await.good();
    let (place, anonymous) = (scratch(), server.anonymous());
    let clone = Git::clone(&anonymous.on("garden").git_url(), place.path().join("clone"));
    assert_eq!(clone.run(&["show", "HEAD:roses.md"]), "red");
    assert_eq!(refs(&anonymous, "garden", "git-receive-pack").await.status(), 401);
    let reader = operator.token("garden", "reader").await;
    let refused = refs(&reader, "garden", "git-receive-pack").await;
    assert_eq!(refused.status(), 403, "{refused}");
    clone.commit("nothing");
    let url = reader.on("garden").git_url();
    let words = said(&clone, &["push", &url, "main"]);
    assert!(words.contains("remote: this needs the role editor"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiki_that_is_stopped_says_so_in_plain_words() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    operator.on("garden").create("roses", "red").await.good();
    let (place, url) = (scratch(), editor.on("garden").git_url());
    let clone = Git::clone(&url, place.path().join("clone"));
    let words = |change: serde_json::Value, args: &'static [&str]| {
        let (operator, clone) = (operator.clone(), clone.clone());
        async move {
            operator.change_wiki("garden", change).await.good();
            said(&clone, args)
        }
    };
    let suspended = words(json!({ "state": "suspended", "reason": "spam" }), &["fetch"]).await;
    assert!(suspended.contains("remote: the wiki `garden` is suspended: spam"), "{suspended}");
    let read_only = words(json!({ "state": "read_only" }), &["push", "origin", "main"]).await;
    assert!(read_only.contains("remote: the wiki `garden` is read-only"), "{read_only}");
    assert_eq!(refs(&editor, "garden", "git-receive-pack").await.status(), 423);
    clone.run(&["fetch", "-q"]);

    operator.change_wiki("garden", json!({ "state": "active" })).await.good();
    let off = json!({ "git_enabled": false });
    operator.on("garden").change_preferences(off).await.good();
    let off = said(&clone, &["fetch"]);
    assert!(off.contains("remote: this wiki can't be reached with git"), "{off}");
    assert_eq!(refs(&operator, "garden", "git-upload-pack").await.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_gits_smart_protocol_is_refused_clearly() {
    let (_server, operator, _) = TestServer::with_garden().await;
    operator.on("garden").create("roses", "red").await.good();
    let ask = async |method, path: &str| operator.on("garden").git(method, path).await;
    let dumb = ask(Method::GET, "/info/refs").await;
    assert_eq!(dumb.status(), 400);
    assert!(dumb.text().contains("smart protocol"), "{dumb}");
    for path in ["/HEAD", "/objects/info/packs", "/", "/git-upload-archive", "/config", "/info"] {
        assert_eq!(ask(Method::GET, path).await.status(), 404, "{path}");
    }
    assert_eq!(ask(Method::GET, "/git-upload-pack").await.status(), 405);
    assert_eq!(ask(Method::POST, "/info/refs?service=git-upload-pack").await.status(), 405);
    let post = |media_type, body: &'static str| {
        operator.on("garden").git(Method::POST, "/git-upload-pack").body(media_type, body)
    };
    assert_eq!(post("text/plain", "0000").await.status(), 415);
    let media_type = "application/x-git-upload-pack-request";
    assert_eq!(post(media_type, "0009want ").await.status(), 400);
    assert_eq!(post(media_type, "001").await.status(), 400);
    let packed = post(media_type, "0000").header("content-encoding", "br").await;
    assert_eq!(packed.status(), 415);
    let broken = post(media_type, "0000").header("content-encoding", "gzip").await;
    assert_eq!(broken.status(), 400);
    // What a client sends to find out whether it is let in.
    let probe = post(media_type, "0000").await.good();
    assert_eq!(probe.header("content-type"), "application/x-git-upload-pack-result");
    assert_eq!(probe.header("cache-control"), "no-cache, max-age=0, must-revalidate");
}

/// What is running below this process on the repository of a wiki.
fn running(server: &TestServer) -> usize {
    let place = server.dir().to_owned();
    let mut count = 0;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let of = entry.path();
        let name = std::fs::read_to_string(of.join("comm")).unwrap_or_default();
        let works_in = std::fs::read_link(of.join("cwd")).unwrap_or_default();
        count += usize::from(name.starts_with("git") && works_in.starts_with(&place));
    }
    count
}

pub(super) async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A wiki whose clone doesn't fit into what lies between git and a client that doesn't read.
async fn large_garden() -> (TestServer, User) {
    let (server, operator, editor) = TestServer::with_garden().await;
    for n in 0..4 {
        let mut content = vec![0; 8 << 20];
        getrandom::fill(&mut content).unwrap();
        editor.on("garden").create_attachment(&format!("a/{n}.bin"), content).await.good();
    }
    (server, operator)
}

/// Begins to clone and reads nothing of the answer.
async fn begin(server: &TestServer, operator: &User) -> tokio::net::TcpStream {
    let stream = begin_at("garden", server, operator).await;
    until("git runs", || running(server) > 0).await;
    stream
}

/// Begins to clone a wiki.
async fn begin_at(slug: &str, server: &TestServer, operator: &User) -> tokio::net::TcpStream {
    use tokio::io::AsyncWriteExt as _;
    let head = server.git(slug).run(&["rev-parse", "HEAD"]);
    let body = format!("0032want {head}\n00000009done\n");
    let request = format!(
        "POST /w/{slug}/git/git-upload-pack HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/x-git-upload-pack-request\r\ncontent-length: {}\r\n\r\n{body}",
        operator.secret(),
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(server.public_address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_ends_its_git() {
    let (server, operator) = large_garden().await;
    let client = begin(&server, &operator).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(running(&server) > 0, "it waits for the client");
    drop(client);
    until("git has ended", || running(&server) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiki_is_deleted_although_somebody_clones_it() {
    let (server, operator) = large_garden().await;
    let client = begin(&server, &operator).await;
    operator.delete_wiki("garden").await.good();
    // git is gone; a helper of its may take a moment to notice that it was killed.
    until("nothing reads the wiki", || running(&server) == 0).await;
    operator.create_wiki("garden").await.good();
    drop(client);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_loses_its_place() {
    let setup = ServerSetup::default().limits(|limits| {
        limits.git.pace = Duration::from_secs(1);
        limits.git.patience = Duration::from_millis(200);
        limits.git.fetches_per_wiki = 1;
    });
    let (server, operator) = setup.start().await;
    operator.create_wiki("garden").await.good();
    operator.create_wiki("kitchen").await.good();
    let mut content = vec![0; 32 << 20];
    getrandom::fill(&mut content).unwrap();
    operator.on("garden").create_attachment("a/b.bin", content).await.good();
    let client = begin(&server, &operator).await;
    let busy = refs(&operator, "garden", "git-upload-pack").await;
    assert_eq!((busy.status(), busy.header("retry-after")), (503, "10"), "{busy}");
    let _ = refs(&operator, "kitchen", "git-upload-pack").await.good();
    until("git has ended", || running(&server) == 0).await;
    let _ = refs(&operator, "garden", "git-upload-pack").await.good();
    drop(client);
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_and_clones_share_the_places_of_their_wiki() {
    let setup = ServerSetup::default().limits(|limits| {
        limits.git.patience = Duration::from_millis(200);
        limits.git.fetches_per_wiki = 1;
    });
    let (server, operator) = setup.start().await;
    operator.create_wiki("kitchen").await.good();
    operator.create_wiki("garden").await.good();
    let mut content = vec![0; 32 << 20];
    getrandom::fill(&mut content).unwrap();
    operator.on("garden").create_attachment("a/b.bin", content).await.good();
    let export = |slug: &str| operator.on(slug).api(Method::GET, "/export");
    let client = begin(&server, &operator).await;
    export("garden").await.problem("busy");
    let _ = export("kitchen").await.good();
    drop(client);
    until("the place is free", || running(&server) == 0).await;
    let _ = export("garden").await.good();
    let _ = refs(&operator, "garden", "git-upload-pack").await.good();
}

#[tokio::test(flavor = "multi_thread")]
async fn clones_that_are_not_read_keep_no_other_wiki_from_being_cloned() {
    let setup = ServerSetup::default().limits(|limits| {
        limits.git.fetches = 4;
        limits.git.fetches_per_principal = 10;
        limits.git.pace = Duration::from_secs(8);
        limits.git.patience = Duration::from_secs(30);
    });
    let (server, operator) = setup.start().await;
    let mut content = vec![0; 32 << 20];
    getrandom::fill(&mut content).unwrap();
    for slug in ["garden", "kitchen", "shed", "attic"] {
        operator.create_wiki(slug).await.good();
        operator.on(slug).create("home", slug).await.good();
    }
    for slug in ["garden", "kitchen"] {
        operator.on(slug).create_attachment("a/b.bin", content.clone()).await.good();
    }
    // The last place of four isn't for a wiki that has one already.
    let mut unread = Vec::new();
    for _ in 0..6 {
        unread.push(begin_at("garden", &server, &operator).await);
    }
    until("git runs", || running(&server) >= 3).await;
    let place = scratch();
    let started = Instant::now();
    Git::clone(&operator.on("shed").git_url(), place.path().join("shed"));
    assert!(started.elapsed() < Duration::from_secs(8), "it didn't wait for the others");
    // Once all are taken, who reads nothing loses its place soon to who has none.
    unread.push(begin_at("kitchen", &server, &operator).await);
    tokio::time::sleep(Duration::from_millis(500)).await;
    Git::clone(&operator.on("attic").git_url(), place.path().join("attic"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packed_request_is_understood() {
    // What git makes of a long one: here the question for the branches, packed with gzip.
    const PACKED: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x33\x30\x30\x34\x4e\xce\xcf\xcd\x4d\xcc\x4b\xb1\xcd\x29\xd6\x2d\x4a\x4d\x2b\x36\x30\x30\x30\x04\x62\x03\x00\x75\x33\x92\x4f\x1b\x00\x00\x00";
    let (server, _, editor) = TestServer::with_garden().await;
    editor.on("garden").create("roses", "red").await.good();
    let call = editor.on("garden").git(Method::POST, "/git-upload-pack");
    let call = call.body("application/x-git-upload-pack-request", PACKED);
    let call = call.header("content-encoding", "gzip").header("git-protocol", "version=2");
    let head = server.git("garden").run(&["rev-parse", "main"]);
    assert!(call.await.good().text().contains(&format!("{head} refs/heads/main")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_fetched_is_not_shown() {
    let (server, _, editor) = TestServer::with_garden().await;
    editor.on("garden").create("roses", "red").await.good();
    // A repository from elsewhere has more than the wiki's branch.
    let repo = server.git("garden");
    let other = repo.run(&["commit-tree", "-m", "elsewhere", "main^{tree}"]);
    repo.run(&["update-ref", "refs/heads/other", &other]);
    repo.run(&["update-ref", "refs/heads/main-old", &other]);
    repo.run(&["update-ref", "refs/pull/1/head", &other]);
    repo.run(&["tag", "light", &other]);
    repo.run(&["tag", "-a", "-m", "heavy", "heavy", "main"]);
    let (place, url) = (scratch(), editor.on("garden").git_url());
    for version in VERSIONS {
        let dir = place.path().join(version);
        let shown = Git::at(place.path()).run(&["-c", version, "ls-remote", &url]);
        let names: Vec<&str> = shown.lines().filter_map(|line| line.split('\t').nth(1)).collect();
        assert_eq!(names, ["HEAD", "refs/heads/main"], "{version}");
        // Nor is asking for all of it a reason to get nothing.
        let clone = Git::clone_with(&url, dir, &["-c", version, "--mirror"]);
        assert_eq!(clone.run(&["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
        clone.fsck();
    }
    let answer = refs(&editor, "garden", "git-receive-pack").await.good();
    let pushing = answer.text();
    assert!(pushing.contains("refs/heads/main"), "{pushing}");
    assert!(!pushing.contains(&other) && !pushing.contains("refs/tags"), "{pushing}");
    let clone = Git::clone(&url, place.path().join("clone"));
    clone.write("tulips.md", "yellow").commit("tulips");
    clone.run(&["push", "-q"]);
    assert!(!clone.output(&["push", "-q", "origin", "main:other"]).status.success());
    assert_eq!(repo.run(&["rev-parse", "refs/heads/other"]), other);
}

/// A request of lines for git, in packets; `0000` and `0001` stand for themselves.
fn packets(lines: &[String]) -> String {
    let packet = |line: &String| match line.as_str() {
        "0000" | "0001" => line.clone(),
        line => format!("{:04x}{line}\n", line.len() + 5),
    };
    lines.iter().map(packet).collect()
}

/// What is answered to a request in a version of the protocol.
async fn fetched(user: &User, version: u8, lines: &[String]) -> (u16, String) {
    let call = user.on("garden").git(Method::POST, "/git-upload-pack");
    let call = call.body("application/x-git-upload-pack-request", packets(lines));
    let answer = call.header("git-protocol", format!("version={version}")).await;
    (answer.status(), joined(answer.bytes()))
}

/// An answer without the borders of packets, which depend on the moment.
fn joined(answer: &[u8]) -> String {
    let (mut joined, mut rest) = (Vec::new(), answer);
    while let Some((digits, after)) = rest.split_at_checked(4) {
        let length =
            std::str::from_utf8(digits).ok().and_then(|d| usize::from_str_radix(d, 16).ok());
        let Some(length) = length.filter(|length| *length <= rest.len()) else { break };
        rest = after;
        if length > 4 {
            let (data, after) = rest.split_at(length - 4);
            joined.extend_from_slice(data.strip_prefix(b"\x01").unwrap_or(data));
            rest = after;
        }
    }
    // A pack without packets.
    joined.extend_from_slice(rest);
    String::from_utf8_lossy(&joined).into_owned()
}

/// A request in each version: the wanted commit, the further lines of what is wanted, and of what is there.
fn in_each_version(want: &str, wants: &[String], haves: &[String]) -> [(u8, Vec<String>); 3] {
    let lines = |parts: &[&[String]]| parts.concat();
    let want = [format!("want {want}")];
    let flush = ["0000".to_owned()];
    let first = lines(&[&want, wants, &flush, haves, &flush]);
    let command = ["command=fetch", "0001", "no-progress"].map(str::to_owned);
    let second = lines(&[&command, &want, wants, haves, &flush]);
    [(0, first.clone()), (1, first), (2, second)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_does_not_tell_whether_there_is_what_it_may_not_have() {
    let (server, operator, editor) = TestServer::with_garden().await;
    operator.on("garden").change_preferences(json!({ "git_force_push": true })).await.good();
    editor.on("garden").create("roses", "red").await.good();
    let first = server.git("garden").run(&["rev-parse", "main"]);
    let place = scratch();
    let clone = Git::clone(&operator.on("garden").git_url(), place.path().join("clone"));
    clone.write("secret.md", "password: hunter2\n").commit("oops");
    clone.run(&["push", "-q"]);
    let taken_back = clone.run(&["rev-parse", "HEAD"]);
    let [blob, tree] =
        ["HEAD:secret.md", "HEAD^{tree}"].map(|what| clone.run(&["rev-parse", what]));
    clone.run(&["reset", "-q", "--hard", "HEAD^"]);
    clone.write("tulips.md", "yellow").commit("better");
    clone.run(&["push", "-q", "--force"]);
    let head = clone.run(&["rev-parse", "HEAD"]);
    let repo = server.git("garden");
    let hidden = repo.run(&["for-each-ref", "--format=%(refname)", "refs/wiki/backup"]);
    assert_eq!(repo.run(&["rev-parse", &hidden]), taken_back, "it is still in the repository");
    let absent = "5".repeat(40);
    for id in [&taken_back, &blob, &tree] {
        for kind in ["have", "shallow"] {
            let about = |id: &str| {
                let line = [format!("{kind} {id}")];
                let haves: &[String] = if kind == "have" { &line } else { &[] };
                let deepen = [line[0].clone(), "deepen 1".to_owned()];
                let wants: &[String] = if kind == "have" { &[] } else { &deepen };
                in_each_version(&head, wants, haves)
            };
            for ((version, there), (_, not)) in about(id).iter().zip(&about(&absent)) {
                let told = fetched(&operator, *version, there).await;
                let untold = fetched(&operator, *version, not).await;
                assert_eq!(told, untold, "{version}: {kind}");
                assert!(!told.1.contains(id), "{told:?}");
            }
        }
        for (version, lines) in in_each_version(id, &[], &["done".to_owned()]) {
            let (status, told) = fetched(&operator, version, &lines).await;
            let known = format!("not our ref {id}");
            assert!(status == 200 && told.contains(&known) && !told.contains("PACK"), "{told}");
        }
    }
    // What is part of the history is acknowledged.
    for (version, lines) in in_each_version(&head, &[], &[format!("have {first}")]) {
        let (_, told) = fetched(&operator, version, &lines).await;
        assert!(told.contains(&format!("ACK {first}")), "{version}: {told}");
    }
    for name in [&hidden, "refs/wiki/backup/1", &taken_back, "refs/heads/other", "main~1"] {
        for (version, lines) in in_each_version(&head, &[format!("deepen-not {name}")], &[]) {
            let (_, told) = fetched(&operator, version, &lines).await;
            let unknown = format!("there is no branch {name} here");
            assert!(told.contains(&unknown), "{version}: {told}");
        }
    }
    for line in
        [format!("want-ref {hidden}"), "filter tree:0".to_owned(), "packfile-uris http".to_owned()]
    {
        let [_, _, (version, lines)] = in_each_version(&head, std::slice::from_ref(&line), &[]);
        let (_, told) = fetched(&operator, version, &lines).await;
        assert!(told.contains("isn't offered here") && !told.contains("PACK"), "{told}");
    }
    for command in ["object-info", "bundle-uri", "cat-file"] {
        let lines =
            [format!("command={command}"), "0001".into(), format!("oid {blob}"), "0000".into()];
        let (_, told) = fetched(&operator, 2, &lines).await;
        assert!(told.contains("isn't offered here"), "{told}");
    }
    // Clients that have what was taken back, or left out a part, come by as before.
    for version in VERSIONS {
        let dir = place.path().join(version);
        let late =
            Git::clone_with(&format!("file://{}", repo.dir().display()), &dir, &["-c", version]);
        late.run(&["remote", "set-url", "origin", &operator.on("garden").git_url()]);
        let from = clone.dir().to_str().unwrap();
        late.run(&["-c", "protocol.version=2", "fetch", "-q", from, &taken_back]);
        late.run(&["reset", "-q", "--hard", "FETCH_HEAD"]);
        // More than a client names at once, none of which the branch has.
        for n in 0..40 {
            late.commit(&format!("own {n}"));
        }
        late.run(&["fetch", "-q", "origin"]);
        assert_eq!(late.run(&["rev-parse", "origin/main"]), head, "{version}");
        let recent = place.path().join(format!("{version}-recent"));
        let options = ["-c", version, "--shallow-since=2001-01-01"];
        let recent = Git::clone_with(&operator.on("garden").git_url(), recent, &options);
        recent.fsck();
    }
}
