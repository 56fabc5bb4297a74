//! What is done to the server, over and over.

use std::time::Duration;

use serde_json::json;
use testkit::{Call, Git, OnWiki, Unread};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::scene::Scene;

/// How long an attacker waits for an answer before it tries again.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long answers are left unread.
const UNREAD: Duration = Duration::from_secs(8);

/// One kind of attack.
#[derive(Clone, Copy, Debug)]
pub(super) enum Attack {
    /// Words that a page has a million times are looked for, by clients that stay and that leave.
    Searches,
    /// Lines that are as unlike as can be are blamed, in many wikis at once.
    Blames,
    /// A kilobyte is pushed that has very many paths.
    Bombs,
    /// What was pushed is moved and undone.
    Moves,
    /// Large answers are asked for and left unread.
    Unread,
    /// Slow requests come with keys that make them wait for each other.
    Keys,
    /// Pages with very many links are saved and rendered, far down.
    Links,
    /// Large bodies are sent to addresses where they aren't wanted.
    Bodies,
    /// Large files are cloned, and left unread.
    Clones,
    /// Many wikis are listened to.
    Listeners,
    /// What isn't allowed is tried again and again.
    Refusals,
    /// Connections are opened that send half a request.
    Silence,
}

impl Attack {
    pub(super) const ALL: [Self; 12] = [
        Self::Searches,
        Self::Blames,
        Self::Bombs,
        Self::Moves,
        Self::Unread,
        Self::Keys,
        Self::Links,
        Self::Bodies,
        Self::Clones,
        Self::Listeners,
        Self::Refusals,
        Self::Silence,
    ];

    /// Starts its attackers.
    pub(super) fn start(self, scene: &Scene, attackers: &mut JoinSet<()>) {
        let scene = scene.clone();
        match self {
            Self::Searches => {
                for client in 0..6 {
                    attackers.spawn(search(scene.clone(), client % 2 == 0));
                }
            }
            Self::Blames => {
                for client in 0..Scene::NOISY * 3 {
                    attackers.spawn(blame(scene.clone(), client % Scene::NOISY));
                }
            }
            Self::Bombs => drop(attackers.spawn(push(scene))),
            Self::Moves => drop(attackers.spawn(move_about(scene))),
            Self::Unread => {
                for path in [
                    "large/api/v1/diff/lines",
                    "large/api/v1/render/quotes",
                    "quiet-0/api/v1/changes?limit=500",
                    "large/api/v1/blame/lines",
                    "large/quotes",
                ] {
                    attackers.spawn(leave_unread(scene.clone(), path, 10));
                }
                attackers.spawn(conflict(scene));
            }
            Self::Keys => {
                for _ in 0..16 {
                    attackers.spawn(flood_with_keys(scene.clone()));
                }
            }
            Self::Links => drop(attackers.spawn(link(scene))),
            Self::Bodies => {
                for _ in 0..40 {
                    attackers.spawn(send_bodies(scene.clone()));
                }
            }
            Self::Clones => {
                for _ in 0..8 {
                    attackers.spawn(clone(scene.clone()));
                }
            }
            Self::Listeners => {
                for number in 0..Scene::LISTENED {
                    attackers.spawn(listen(scene.clone(), number));
                }
            }
            Self::Refusals => {
                for _ in 0..4 {
                    attackers.spawn(try_what_is_not_allowed(scene.clone()));
                }
            }
            Self::Silence => {
                for _ in 0..300 {
                    attackers.spawn(say_half(scene.clone()));
                }
            }
        }
    }
}

/// Sends a request and notes the answer, if there is one in time.
async fn ask(scene: &Scene, what: &str, call: Call) {
    if let Ok(Ok(answer)) = tokio::time::timeout(PATIENCE, call.attempt()).await {
        scene.note(what, &answer);
    }
    // A refusal comes at once, and an attacker has a machine of its own in truth.
    tokio::time::sleep(Duration::from_millis(20)).await;
}

fn editing(scene: &Scene, slug: &str) -> OnWiki {
    scene.editors[slug].on(slug)
}

async fn search(scene: Scene, stays: bool) {
    let wiki = scene.anonymous.on("words");
    loop {
        let search = wiki.api(http::Method::GET, "/search").query("q", "a");
        if stays {
            ask(&scene, "search", search).await;
        } else {
            let _ = tokio::time::timeout(Duration::from_millis(300), search.attempt()).await;
        }
    }
}

async fn blame(scene: Scene, number: usize) {
    let wiki = scene.anonymous.on(format!("noise-{number}"));
    loop {
        ask(&scene, "blame", wiki.blame("p")).await;
    }
}

async fn push(scene: Scene) {
    let repo = scene.bombs.join("repo");
    loop {
        for name in ["wide", "long", "some"] {
            let repo = repo.clone();
            let push = move || {
                let git = Git::at(&repo);
                drop(git.output(&["push", "-q", "origin", &format!("{name}:main")]));
            };
            // Being refused is what it is for.
            let _ = wikigrove_tenant::spawn_blocking(push).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn move_about(scene: Scene) {
    let wiki = editing(&scene, "bombed");
    let deep = "e".repeat(60);
    loop {
        for (from, to) in [(deep.as_str(), "x"), ("x", deep.as_str())] {
            let order = json!({ "from": from, "to": to });
            ask(&scene, "move", wiki.api(http::Method::POST, "/moves").json(order)).await;
        }
        let Ok(changes) = wiki.api(http::Method::GET, "/changes?limit=1").attempt().await else {
            continue;
        };
        if changes.status() == 200
            && let Some(revision) = changes.json()["items"][0]["revision"].as_str()
        {
            let order = json!({ "revision": revision });
            let dry = wiki.api(http::Method::POST, "/reverts?dry_run=true").json(order);
            ask(&scene, "revert", dry).await;
        }
    }
}

async fn leave_unread(scene: Scene, path: &'static str, count: usize) {
    loop {
        let mut left = Vec::new();
        for _ in 0..count {
            left.push(Unread::attempt(scene.address, &[&format!("GET /w/{path} HTTP/1.1")]).await);
        }
        tokio::time::sleep(UNREAD).await;
    }
}

/// A stale save of a text of which nothing is left.
async fn conflict(scene: Scene) {
    let wiki = editing(&scene, "large");
    let Ok(old) = wiki.create("edited", &"old\n".repeat(1_000_000)).attempt().await else { return };
    if old.status() >= 300 {
        return;
    }
    let _ = wiki.save("edited", old.etag(), &"new\n".repeat(1_000_000)).attempt().await;
    loop {
        ask(&scene, "conflict", wiki.save("edited", old.etag(), &"mine\n".repeat(900_000))).await;
    }
}

async fn flood_with_keys(scene: Scene) {
    let wiki = editing(&scene, "keys");
    loop {
        let order = json!({ "revision": "0".repeat(40) });
        let call = wiki.api(http::Method::POST, "/reverts?dry_run=true").json(order);
        ask(&scene, "key", call.header("idempotency-key", scene.unique())).await;
    }
}

async fn link(scene: Scene) {
    let wiki = editing(&scene, "links");
    let deep = vec!["d".repeat(60); 15].join("/");
    loop {
        let page = format!("{deep}/{}", scene.unique());
        ask(&scene, "links", wiki.create(&page, &"[a](b)".repeat(100_000))).await;
        ask(&scene, "render", scene.anonymous.on("links").rendered(&page)).await;
    }
}

async fn send_bodies(scene: Scene) {
    let length = 10_000_000;
    for path in [
        "/w/nothing/api/v1/invitations/accept",
        "/w/words/api/v1/invitations/accept",
        "/hooks/none",
    ]
    .iter()
    .cycle()
    {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        let Ok(mut stream) = TcpStream::connect(scene.address).await else { continue };
        let _ = stream.write_all(head.as_bytes()).await;
        let part = vec![b'a'; 1_000_000];
        for _ in 0..9 {
            let sent = tokio::time::timeout(Duration::from_secs(2), stream.write_all(&part)).await;
            if !matches!(sent, Ok(Ok(()))) {
                break;
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn clone(scene: Scene) {
    let body = "0011command=fetch0001000fno-progress0009done\n0000";
    loop {
        let head = format!("content-length: {}", body.len());
        let left = Unread::attempt(
            scene.address,
            &[
                "POST /w/files/git/git-upload-pack HTTP/1.1",
                "git-protocol: version=2",
                "content-type: application/x-git-upload-pack-request",
                &head,
            ],
        )
        .await;
        if let Ok(mut left) = left {
            let _ = left.write(body.as_bytes()).await;
            tokio::time::sleep(UNREAD).await;
        }
    }
}

async fn listen(scene: Scene, number: usize) {
    let path = format!("GET /w/quiet-{number}/api/v1/events HTTP/1.1");
    loop {
        let _listening = Unread::attempt(scene.address, &[&path]).await;
        tokio::time::sleep(UNREAD).await;
    }
}

async fn try_what_is_not_allowed(scene: Scene) {
    let wiki = editing(&scene, "words");
    loop {
        let change = json!({ "site_name": "mine" });
        ask(&scene, "refused", wiki.change_preferences(change)).await;
    }
}

async fn say_half(scene: Scene) {
    loop {
        if let Ok(mut stream) = TcpStream::connect(scene.address).await {
            for byte in b"GET /w/words/api/v1/pages HTTP/1.1\r\nhost: " {
                if stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
