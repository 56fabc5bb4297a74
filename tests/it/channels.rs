//! Who is told when a link waits for somebody: the platform's channels, and each wiki's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{Linked, Mails, Notices, ServerSetup, TestRemote, TestServer, Tie, User, scratch};
use tokio::net::TcpListener;

use super::program;

/// How long anything may take that should be quick.
const PATIENCE: Duration = Duration::from_secs(20);

/// A remote that lets in nobody who is tried here.
async fn closed_remote() -> TestRemote {
    let remote = TestRemote::start().await;
    remote.require("git", "what nobody shows");
    remote
}

/// Has something happen to a wiki that people are told of: another link of it can't get in.
async fn trouble(operator: &User, wiki: &str, remote: &TestRemote) {
    let credential = json!({ "credential": { "token": "another", "user": "git" } });
    let tie = Tie::new(operator, wiki, &remote.url("127.0.0.1"), credential).await;
    tie.state("paused", Some("auth")).await;
}

fn channels(wiki: &str) -> String {
    format!("/wikis/{wiki}/channels")
}

/// Adds a channel; returns the answer.
async fn add(operator: &User, wiki: &str, body: Value) -> Value {
    let made = operator.admin(Method::POST, channels(wiki)).json(body).await.good();
    assert_eq!(made.status(), 201);
    made.json()
}

async fn add_webhook(operator: &User, wiki: &str, to: &Notices) -> Value {
    add(operator, wiki, json!({ "webhook": to.url() })).await
}

/// Waits until something is so.
async fn until(wanted: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "never {wanted}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A server with the wikis `garden` and `kitchen`.
async fn start(setup: ServerSetup) -> (TestServer, User) {
    let (server, operator) = setup.start().await;
    for wiki in ["garden", "kitchen"] {
        operator.create_wiki(wiki).await.good();
    }
    (server, operator)
}

#[tokio::test]
async fn each_wiki_tells_its_own_and_the_platform_hears_of_all() {
    let (platform, garden, kitchen) =
        (Notices::start().await, Notices::start().await, Notices::start().await);
    let (mails, remote) = (Mails::start().await, closed_remote().await);
    let setup = ServerSetup::default().telling(platform.channel()).mailing(mails.relay());
    let (_server, operator) = start(setup).await;
    let secret = async |wiki, to| {
        let made = add_webhook(&operator, wiki, to).await;
        made["secret"].as_str().unwrap().to_owned()
    };
    let secrets = [secret("garden", &garden).await, secret("kitchen", &kitchen).await];
    assert!(secrets.iter().all(|secret| secret.len() >= "whsec_".len() + 43), "{secrets:?}");
    add(&operator, "garden", json!({ "mail": "ann@example.org" })).await;
    trouble(&operator, "garden", &remote).await;
    trouble(&operator, "kitchen", &remote).await;
    trouble(&operator, "garden", &remote).await;
    until("told", || (garden.told().len(), kitchen.told().len()) == (2, 1)).await;
    until("told all", || platform.told().len() == 3).await;
    assert_eq!(garden.wikis(), ["garden", "garden"]);
    assert_eq!(kitchen.wikis(), ["kitchen"]);
    assert_eq!(platform.wikis(), ["garden", "kitchen", "garden"]);
    assert!(garden.all_signed(&secrets[0]) && kitchen.all_signed(&secrets[1]));
    assert!(!garden.all_signed(&secrets[1]) && !platform.all_signed(&secrets[0]));
    let mails = mails.to("ann@example.org").await;
    assert!(mails[0].contains("The wiki \"garden\" is no longer synchronised"), "{mails:?}");
}

#[tokio::test]
async fn a_conflict_is_told_once_to_channels_and_to_who_listens() {
    let platform = Notices::start().await;
    let setup = ServerSetup::default().telling(platform.channel());
    let linked = Linked::on(setup, TestRemote::start().await, json!({})).await;
    linked.create("roses", "white").await;
    linked.run_synced().await;
    let mut events = linked.editor.on("garden").events(None).listen().await;
    linked.change(json!({ "offline": true })).await;
    let peer = linked.remote.clone_beside("peer");
    peer.write("roses.md", "blue").commit("blue").run(&["push", "-q", "origin", "HEAD:main"]);
    linked.save("roses", "red").await;
    linked.change(json!({ "offline": false })).await;
    linked.run_synced().await;
    let told = platform.of("sync.conflicts").await["data"]["detail"].clone();
    assert_eq!(told["conflicts"], 1);
    assert_eq!(events.notice("conflicts").await, told);
    linked.run_synced().await;
    linked.create("lilies", "white").await;
    linked.run_synced().await;
    assert_eq!(platform.kinds(), ["sync.conflicts"]);
}

#[tokio::test]
async fn who_has_it_isnt_told_again_while_another_cant_be() {
    let (platform, garden, remote) =
        (Notices::start().await, Notices::start().await, closed_remote().await);
    let (_server, operator) = start(ServerSetup::default().telling(platform.channel())).await;
    add_webhook(&operator, "garden", &garden).await;
    platform.fail(Some(StatusCode::SERVICE_UNAVAILABLE));
    trouble(&operator, "garden", &remote).await;
    trouble(&operator, "kitchen", &remote).await;
    until("tried again", || platform.refused() >= 2).await;
    assert_eq!((garden.wikis(), platform.told().len()), (vec!["garden".to_owned()], 0));
    platform.fail(None);
    until("told", || platform.told().len() == 2).await;
    assert_eq!(platform.wikis(), ["garden", "kitchen"], "in the order in which it happened");
    // What is refused for good isn't tried again.
    platform.fail(Some(StatusCode::NOT_FOUND));
    let before = platform.refused();
    trouble(&operator, "garden", &remote).await;
    until("told of the next", || garden.told().len() == 2).await;
    until("refused", || platform.refused() == before + 1).await;
    platform.fail(None);
    trouble(&operator, "kitchen", &remote).await;
    until("told of the one after", || platform.told().len() == 3).await;
    assert_eq!((platform.wikis()[2].as_str(), garden.told().len()), ("kitchen", 2));
}

/// A receiver that takes calls and never answers. Counts how many wait for it, and how many ever did at
/// once.
async fn hanging() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    wikigrove_tenant::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let now = now.clone();
            wikigrove_tenant::spawn(async move {
                // Until whoever calls gives up.
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                now.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (url, most)
}

#[tokio::test]
async fn a_wiki_whose_channels_hang_holds_up_nobody_else() {
    let (url, most) = hanging().await;
    let (platform, kitchen, remote) =
        (Notices::start().await, Notices::start().await, closed_remote().await);
    let (_server, operator) = start(ServerSetup::default().telling(platform.channel())).await;
    // As many as there may be: one after the other they would hang for minutes.
    for _ in 0..20 {
        add(&operator, "garden", json!({ "webhook": url })).await;
    }
    add_webhook(&operator, "kitchen", &kitchen).await;
    trouble(&operator, "garden", &remote).await;
    until("called", || most.load(Ordering::SeqCst) > 0).await;
    trouble(&operator, "kitchen", &remote).await;
    until("told", || kitchen.wikis() == ["kitchen"]).await;
    until("told", || platform.wikis() == ["garden", "kitchen"]).await;
    assert!(most.load(Ordering::SeqCst) <= 2, "they leave room for others: {most:?}");
}

#[tokio::test]
async fn a_channel_that_was_removed_is_told_nothing_not_even_what_waits() {
    let (gone, stays, remote) =
        (Notices::start().await, Notices::start().await, closed_remote().await);
    let (_server, operator) = start(ServerSetup::default()).await;
    let made = add_webhook(&operator, "garden", &gone).await;
    add_webhook(&operator, "garden", &stays).await;
    gone.fail(Some(StatusCode::BAD_GATEWAY));
    trouble(&operator, "garden", &remote).await;
    until("tried", || gone.refused() >= 1).await;
    let path = format!("{}/{}", channels("garden"), made["id"].as_str().unwrap());
    // It is reached by its own wiki only, and is gone once.
    let other = format!("{}/{}", channels("kitchen"), made["id"].as_str().unwrap());
    operator.admin(Method::DELETE, other).await.problem("channel_not_found");
    assert_eq!(operator.admin(Method::DELETE, &path).await.good().status(), 204);
    operator.admin(Method::DELETE, &path).await.problem("channel_not_found");
    operator.admin(Method::POST, format!("{path}/test")).await.problem("channel_not_found");
    gone.fail(None);
    trouble(&operator, "garden", &remote).await;
    until("told", || stays.told().len() == 2).await;
    assert_eq!(gone.told(), Vec::<Value>::new());
}

#[tokio::test]
async fn an_operator_sees_whether_a_channel_works() {
    let (hook, mails) = (Notices::start().await, Mails::start().await);
    let (_server, operator) = start(ServerSetup::default().mailing(mails.relay())).await;
    let test = async |made: &Value| {
        let path = format!("{}/{}/test", channels("garden"), made["id"].as_str().unwrap());
        operator.admin(Method::POST, path).await.good().json()
    };
    let webhook = add_webhook(&operator, "garden", &hook).await;
    assert_eq!(test(&webhook).await, json!({ "ok": true, "error": null }));
    assert_eq!((hook.kinds(), hook.wikis()), (vec!["test".to_owned()], vec!["garden".to_owned()]));
    assert!(hook.all_signed(webhook["secret"].as_str().unwrap()));
    hook.fail(Some(StatusCode::NOT_FOUND));
    assert_eq!(test(&webhook).await, json!({ "ok": false, "error": "refused: 404 Not Found" }));
    // Once: whoever asks for it sees what came of it.
    hook.fail(Some(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(test(&webhook).await["ok"], false);
    assert_eq!(hook.refused(), 2);
    let mail = add(&operator, "garden", json!({ "mail": "Ann <ann@example.org>" })).await;
    assert_eq!(test(&mail).await["ok"], true);
    assert!(mails.to("Ann <ann@example.org>").await[0].contains("Subject: wiki garden: test"));
}

#[tokio::test]
async fn a_secret_is_shown_once_and_what_is_secret_of_an_address_never() {
    let (_server, operator) = start(ServerSetup::default()).await;
    let url = "https://hooks.example.org/canary-path?key=canary-query";
    let create = operator.admin(Method::POST, channels("garden"));
    let create = create.header("idempotency-key", "k").json(json!({ "webhook": url }));
    let made = create.clone().await.good().json();
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(
        (&made["kind"], &made["target"]),
        (&json!("webhook"), &json!("https://hooks.example.org"))
    );
    let again = create.await.good().json();
    assert_eq!((&again["id"], &again["secret"]), (&made["id"], &Value::Null));
    let list = operator.admin(Method::GET, channels("garden")).await.good().json();
    assert_eq!(list["items"], json!([again]));
    assert!(!format!("{made}{list}").contains("canary"), "{list}");
    for _ in 0..2 {
        add(&operator, "garden", json!({ "webhook": url })).await;
    }
    let first =
        operator.admin(Method::GET, channels("garden")).query("limit", 2).await.good().json();
    let next = first["next_cursor"].as_str().unwrap();
    let rest = operator.admin(Method::GET, channels("garden")).query("cursor", next);
    assert_eq!(rest.await.good().json()["items"].as_array().unwrap().len(), 1);
    let others = operator.admin(Method::GET, channels("kitchen")).await.good().json();
    assert_eq!(others["items"], json!([]));
}

#[tokio::test]
async fn who_cant_be_told_is_refused_with_the_field() {
    let (_server, operator) = start(ServerSetup::default()).await;
    let create = |body| operator.admin(Method::POST, channels("garden")).json(body);
    for (body, pointer, code) in [
        (json!({}), "/webhook", "invalid_value"),
        (json!({ "webhook": "https://a.org/x", "mail": "a@b.org" }), "/webhook", "invalid_value"),
        (json!({ "webhook": "ssh://git@hook.example.org/x" }), "/webhook", "invalid_url"),
        (json!({ "webhook": "file:///etc/passwd" }), "/webhook", "invalid_url"),
        (json!({ "webhook": "https://u:p@hook.example.org/x" }), "/webhook", "invalid_url"),
        (json!({ "webhook": "http://hook.example.org/x" }), "/webhook", "blocked_address"),
        (json!({ "webhook": "https://10.0.0.1/x" }), "/webhook", "blocked_address"),
        (json!({ "webhook": "https://169.254.169.254/latest/" }), "/webhook", "blocked_address"),
        (json!({ "webhook": "https://hook.example.org:25/x" }), "/webhook", "blocked_address"),
        (json!({ "mail": "nobody" }), "/mail", "invalid_address"),
        (json!({ "mail": "a@example.org\nBcc: b@example.org" }), "/mail", "invalid_address"),
    ] {
        let problem = create(body.clone()).await.problem("invalid_value");
        let error = &problem["errors"][0];
        assert_eq!(
            (error["pointer"].as_str(), error["code"].as_str()),
            (Some(pointer), Some(code)),
            "{body}"
        );
        assert_eq!(problem["status"], 422);
    }
    let problem = create(json!({ "mail": "ann@example.org" })).await.problem("no_mail_relay");
    assert!(problem["detail"].as_str().unwrap().contains("--smtp"), "{problem}");
    for _ in 0..20 {
        create(json!({ "webhook": "https://hook.example.org/x" })).await.good();
    }
    let problem = create(json!({ "webhook": "https://hook.example.org/x" })).await;
    assert_eq!(problem.problem("too_many_channels")["limit"], 20);
    operator.admin(Method::GET, channels("nowhere")).await.problem("unknown_wiki");
}

#[tokio::test]
async fn a_deleted_wikis_channels_go_with_it() {
    let hook = Notices::start().await;
    let (server, operator) = start(ServerSetup::default()).await;
    let made = add_webhook(&operator, "garden", &hook).await;
    let id = made["id"].as_str().unwrap();
    operator.delete_wiki("garden").await.good();
    assert_eq!(server.platform().notice_channel(id).await.unwrap(), None);
    operator.create_wiki("garden").await.good();
    let list = operator.admin(Method::GET, channels("garden")).await.good().json();
    assert_eq!(list["items"], json!([]));
}

#[test]
fn the_command_line_adds_lists_tests_and_removes_with_and_without_a_server() {
    let data = scratch();
    let program = program(data.path());
    let run = |args: &[&str]| program.ask(args);
    assert_eq!(run(&["wiki", "create", "garden"]).0, Some(0));
    // Where no server runs, nobody knows of a relay; the next server may have one.
    let (code, mail, said) =
        run(&["channel", "add", "garden", "--mail", "ann@example.org", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let mail: Value = serde_json::from_str(&mail).unwrap();
    let mail = mail["id"].as_str().unwrap();
    let check = || {
        let hook = "https://203.0.113.1/hook";
        let (code, _, said) = run(&["channel", "add", "garden", "--webhook", hook, "--json"]);
        assert_eq!((code, said.contains("open internet")), (Some(1), true), "{said}");
        let (code, shown, said) =
            run(&["channel", "add", "garden", "--webhook", "https://hook.example.org/canary"]);
        assert_eq!(code, Some(0), "{said}");
        assert!(shown.contains("whsec_") && !shown.contains("canary"), "{shown}");
        let (_, table, _) = run(&["channel", "list", "garden"]);
        assert!(table.contains("ann@example.org") && table.contains("hook.example.org"), "{table}");
        let (_, list, _) = run(&["channel", "list", "garden", "--json"]);
        let list: Value = serde_json::from_str(&list).unwrap();
        let mut items = list.as_array().unwrap().iter();
        let made =
            items.find(|one| one["kind"] == "webhook").unwrap()["id"].as_str().unwrap().to_owned();
        let (code, shown, said) = run(&["channel", "test", "garden", mail, "--json"]);
        assert_eq!(code, Some(1), "{said}");
        assert!(shown.contains("no mail relay"), "{shown}");
        assert_eq!(run(&["channel", "remove", "garden", &made]).0, Some(0));
        let (code, _, said) = run(&["channel", "remove", "garden", &made]);
        assert_eq!((code, said.contains("no such channel")), (Some(1), true), "{said}");
    };
    check();
    let running = program.serve();
    check();
    let (code, _, said) = run(&["channel", "add", "garden", "--mail", "bob@example.org"]);
    assert_eq!((code, said.contains("--smtp")), (Some(1), true), "{said}");
    drop(running);
    assert_eq!(run(&["channel", "add", "garden"]).0, Some(2));
}
