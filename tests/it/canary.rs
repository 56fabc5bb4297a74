//! Secrets in every place where somebody could send one, looked for afterwards in every place where
//! none may be.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use testkit::{Answer, Fault, Notices, Running, TestRemote, Tie, User, scratch};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What looks like a secret and isn't one: of those a mistake would be as bad.
const WRONG: &str = "canary-of-somebodys-password";
const PROXY: &str = "canary-that-the-proxy-shares-with-us";
const WRONG_PROXY: &str = "canary-that-was-guessed-by-somebody";

/// The secrets, and how they may be written.
struct Canaries(Vec<(String, Vec<Vec<u8>>)>);

impl Canaries {
    fn new(secrets: &[String]) -> Self {
        let forms = |secret: &String| {
            let mut forms = vec![secret.clone().into_bytes()];
            // As a password in a Basic header; what begins it may be cut.
            for user in ["", "x:", "git:"] {
                let basic = data_encoding::BASE64.encode(format!("{user}{secret}").as_bytes());
                forms.push(basic.trim_end_matches('=').as_bytes()[4..].to_vec());
            }
            (secret.clone(), forms)
        };
        Self(secrets.iter().map(forms).collect())
    }

    /// Looks for all of them in what `place` has.
    #[track_caller]
    fn are_not_in(&self, place: &str, bytes: &[u8]) {
        for (secret, forms) in &self.0 {
            for form in forms {
                let found = bytes.windows(form.len()).position(|window| window == form);
                if let Some(at) = found {
                    let around = &bytes[at.saturating_sub(80)..(at + 80).min(bytes.len())];
                    panic!("{secret} in {place}: {}", String::from_utf8_lossy(around));
                }
            }
        }
    }

    /// Looks through a directory, but for the one file that is there to hold a secret.
    #[track_caller]
    /// Looks everywhere, also after the server has ended; returns what it logged.
    fn are_nowhere(&self, running: Running, arguments: &[u8], seen: &Seen, data: &Path) -> String {
        self.are_not_in("the arguments of processes", arguments);
        for (what, bytes) in &seen.0 {
            self.are_not_in(what, bytes);
        }
        self.are_not_below(data);
        running.terminate();
        let (status, logged) = running.ended();
        assert!(status.success(), "{logged}");
        assert!(logged.contains("DEBUG"), "{logged}");
        self.are_not_in("the log", logged.as_bytes());
        self.are_not_below(data);
        logged
    }

    fn are_not_below(&self, dir: &Path) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let shown = path.display().to_string();
            self.are_not_in("the name of a file", shown.as_bytes());
            if path.is_dir() {
                self.are_not_below(&path);
            } else if !path.ends_with("operator-token") {
                self.are_not_in(&shown, &std::fs::read(&path).unwrap());
            }
        }
    }
}

/// All answers that may not hold a secret.
#[derive(Default)]
struct Seen(Vec<(String, Vec<u8>)>);

impl Seen {
    fn add(&mut self, what: &str, answer: &Answer) {
        let text = format!("{:?}", answer.headers());
        self.0.push((format!("the head of {what}: {}", answer.status()), text.into_bytes()));
        self.0.push((what.to_owned(), answer.bytes().to_vec()));
    }
}

async fn raw(running: &Running, text: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(running.public_address()).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

/// Sends a secret in every place of a request where one could be.
async fn send_everywhere(running: &Running, user: &User, secret: &str, seen: &mut Seen) {
    let page = "/w/welcome/api/v1/pages/home";
    let basic = data_encoding::BASE64.encode(format!("x:{secret}").as_bytes());
    for (name, value) in [
        ("authorization", format!("Bearer {secret}")),
        ("authorization", format!("Bearer  {secret} x")),
        ("authorization", format!("Basic {basic}")),
        ("authorization", format!("Digest {secret}")),
        ("authorization", secret.to_owned()),
        ("proxy-authorization", format!("Basic {basic}")),
        ("cookie", format!("session={secret}")),
        ("x-wikigrove-proxy-secret", secret.to_owned()),
        ("x_wikigrove_proxy_secret", secret.to_owned()),
        ("x-api-key", secret.to_owned()),
        ("referer", format!("https://example.org/?token={secret}")),
    ] {
        let call = user.without_token().public(Method::GET, page).header(name, &value);
        seen.add(&format!("{name} at a page"), &call.await);
        let call = user.without_token().admin(Method::GET, "/wikis").header(name, &value);
        // Whoever shows the operator's own token may see the list.
        seen.add(&format!("{name} at the control plane"), &call.await);
        let call = user.without_token().public(Method::GET, "/w/welcome/git/info/refs");
        let call = call.query("service", "git-receive-pack").header(name, &value);
        seen.add(&format!("{name} at git"), &call.await);
    }
    // Twice, and beside what a proxy says.
    let twice = user.with_token(secret).public(Method::GET, page);
    let twice = twice.header("authorization", format!("Bearer {secret}")).await;
    seen.add("two tokens", &twice);
    let both = user.with_token(secret).public(Method::GET, page);
    let both = both.header("x-wikigrove-proxy-secret", PROXY).header("x-otterwiki-subject", "ann");
    seen.add("a token and a proxy's word", &both.await);
    let query = user.public(Method::GET, page).query("access_token", secret);
    seen.add("a query", &query.await);
    for body in [
        json!({ "content": "x", "password": secret }),
        json!({ "content": { "password": secret } }),
        json!([secret]),
    ] {
        let call = user.public(Method::PUT, page).header("if-none-match", "*").json(body.clone());
        seen.add("a page's body", &call.await);
        let call = user.admin(Method::POST, "/wikis").json(body.clone());
        seen.add("a wiki's body", &call.await);
        let call = user.admin(Method::POST, "/wikis/welcome/tokens").json(body.clone());
        seen.add("a token's body", &call.await);
        let call = user.public(Method::POST, "/w/welcome/api/v1/invitations/accept").json(body);
        seen.add("an invitation's body", &call.await);
    }
    let accept = user.public(Method::POST, "/w/welcome/api/v1/invitations/accept");
    let accept = accept.json(json!({ "token": secret })).await;
    seen.add("an invitation", &accept);
    let settings = user.public(Method::PATCH, "/w/welcome/api/v1/preferences");
    let settings = settings.json(json!({ "no_such_setting": secret })).await;
    seen.add("a setting", &settings);
    // As the address of a page has it where somebody typed it so.
    for target in [
        format!(
            "GET http://x:{secret}@127.0.0.1/w/welcome/api/v1/pages/home HTTP/1.1\r\nhost: 127.0.0.1"
        ),
        format!("GET /w/welcome/api/v1/pages/home HTTP/1.1\r\nhost: x:{secret}@127.0.0.1"),
        format!(
            "GET /w/welcome/api/v1/pages/home?key={secret} HTTP/1.1\r\nhost: x\r\nbad header {secret}"
        ),
    ] {
        let answer = raw(running, &format!("{target}\r\nconnection: close\r\n\r\n")).await;
        seen.0.push(("an address".to_owned(), answer));
    }
}

/// The arguments of the server and of all that it started, and what those started.
fn arguments(server: i32) -> Vec<u8> {
    let processes: Vec<(i32, i32)> = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let id: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            // A process may end while it is looked at.
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            let parent = stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()?;
            Some((id, parent))
        })
        .collect();
    let mut family = vec![server];
    let mut looked_at = 0;
    while let Some(parent) = family.get(looked_at).copied() {
        family.extend(processes.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
        looked_at += 1;
    }
    let of = |id: &i32| std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    family.iter().flat_map(of).collect()
}

/// Looks at the arguments again and again until it is told to stop.
fn watch_arguments(running: &Running) -> impl FnOnce() -> Vec<u8> + use<> {
    let server = running.pid().as_raw_nonzero().get();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let watching = std::thread::spawn(move || {
        let mut all = BTreeSet::new();
        while !stopped.load(Ordering::Relaxed) {
            all.insert(arguments(server));
        }
        all.into_iter().flatten().collect()
    });
    move || {
        stop.store(true, Ordering::Relaxed);
        watching.join().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_left_anywhere() {
    let dir = scratch();
    let data = dir.path().join("data");
    let file = dir.path().join("proxy-secret");
    std::fs::write(&file, format!("{PROXY}\n")).unwrap();
    let program = crate::program(&data).env("RUST_LOG", "trace");
    let shown = file.display().to_string();
    let running = program.serve_with(&["--identity-headers", "--proxy-secret-file", &shown]);
    let operator = running.operator();
    let make = operator.admin(Method::POST, "/wikis/welcome/tokens");
    let make =
        make.header("idempotency-key", "canary").json(json!({ "name": "ci", "role": "admin" }));
    let made = make.clone().await.good().json();
    let token = made["token"].as_str().unwrap().to_owned();
    let bearer = running.anonymous().with_token(&token);
    let again = make.await.good();
    let mut secrets = vec![token.clone(), operator.secret().to_owned()];
    secrets.extend([WRONG, PROXY, WRONG_PROXY].map(str::to_owned));
    let mut seen = Seen::default();
    seen.add("a token that is made again", &again);
    let invite = operator.admin(Method::POST, "/wikis/welcome/invitations");
    let invited = invite.json(json!({ "role": "reader" })).await;
    if invited.status() == 201 {
        let invited: Value = invited.json();
        secrets.push(invited["token"].as_str().unwrap().to_owned());
    }
    let arguments = watch_arguments(&running);
    for secret in secrets.clone() {
        send_everywhere(&running, &operator, &secret, &mut seen).await;
        send_everywhere(&running, &bearer, &secret, &mut seen).await;
        send_everywhere(&running, &running.anonymous(), &secret, &mut seen).await;
    }
    for _ in 0..20 {
        let basic = data_encoding::BASE64.encode(format!("x:{token}").as_bytes());
        let call = running.anonymous().public(Method::GET, "/w/welcome/git/info/refs");
        let call = call.query("service", "git-upload-pack");
        call.header("authorization", format!("Basic {basic}")).await.good();
    }
    let arguments = arguments();
    assert!(!arguments.is_empty());
    let logged = Canaries::new(&secrets).are_nowhere(running, &arguments, &seen, &data);
    assert!(logged.contains("request answered"), "{logged}");
}

/// What a link shows to its remote, what its remote shows to us, and what somebody guesses.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_a_link_is_left_anywhere() {
    const RIGHT: &str = "canary-that-lets-into-the-remote";
    const OTHER: &str = "canary-that-was-the-remotes-before";
    let dir = scratch();
    let data = dir.path().join("data");
    let remote = TestRemote::start().await;
    remote.require("git", RIGHT);
    let program = crate::program(&data).env("RUST_LOG", "trace");
    let notices = Notices::start().await;
    let running = program.serve_with(&["--sync-allow", "127.0.0.1"]);
    let operator = running.operator();
    let arguments = watch_arguments(&running);
    let credential = |token: &str| json!({ "credential": { "token": token, "user": "git" } });
    let tie = Tie::new(&operator, "welcome", &remote.url("127.0.0.1"), credential(OTHER)).await;
    let hook = tie.made["webhook_secret"].as_str().unwrap().to_owned();
    let url = format!("{}-that-is-in-an-address", notices.url());
    let create = operator.admin(Method::POST, "/wikis/welcome/channels");
    let create = create.header("idempotency-key", "canary").json(json!({ "webhook": url }));
    let channel = create.clone().await.good().json();
    let signed_with = channel["secret"].as_str().unwrap().to_owned();
    let told = [RIGHT, OTHER, WRONG, &hook, &signed_with, "canary-that-is-in-an-address"];
    let canaries = Canaries::new(&told.map(str::to_owned));
    let mut seen = Seen::default();
    seen.add("a channel that is made again", &create.await);
    let path = format!("/wikis/welcome/channels/{}/test", channel["id"].as_str().unwrap());
    seen.add("a channel that is tested", &operator.admin(Method::POST, path).await);
    assert_eq!(notices.of("test").await["data"]["wiki"], "welcome");
    let mut note =
        |what: &str, text: Value| seen.0.push((what.to_owned(), text.to_string().into()));
    note("a link that isn't let in", tie.state("paused", Some("auth")).await);
    note("a link that gets another token", tie.change(credential(RIGHT)).await);
    operator.on("welcome").create("roses", "red").await.good();
    note("a link that is in step", tie.synced().await);
    assert!(remote.git().run(&["log", "--format=%s", "main"]).lines().count() >= 2);
    // The remote fails in every way that it has words for.
    for status in [403, 404, 500] {
        remote.order("info/refs", Fault::Status(status, Vec::new()), 1);
        tie.run().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        note("a link whose remote fails", tie.link().await);
    }
    for sent in [WRONG, RIGHT, &hook] {
        let path = format!("/hooks/{}", tie.id);
        let call = running.anonymous().public(Method::POST, path).json(json!({ "after": sent }));
        let call = call.header("x-gitea-signature", sent).header("x-gitlab-token", sent);
        seen.add("a host's message", &call.await);
    }
    // That the link was let in nowhere was told, too.
    notices.of("sync.paused").await;
    let list = operator.admin(Method::GET, "/wikis/welcome/channels").await;
    seen.add("the list of channels", &list);
    let list = operator.control(Method::GET, "/admin/v1/remotes").await;
    seen.add("the list of links", &list);
    let audit = operator.control(Method::GET, "/admin/v1/audit").await;
    seen.add("the audit log", &audit);
    let arguments = arguments();
    let shown = String::from_utf8_lossy(&arguments);
    assert!(shown.contains("ls-remote") || shown.contains("fetch"), "git was never seen: {shown}");
    canaries.are_nowhere(running, &arguments, &seen, &data);
}
