//! Users whom a proxy in front signed in.

use std::num::NonZeroU32;

use http::Method;
use testkit::{Call, Git, ServerSetup, TestServer, User, scratch, slug};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use wikigrove_server::auth::proxy::{IdentityHeaders, Network, Proxies};
use wikigrove_tenant::{AuditFilter, Role, UserUpdate};

use crate::bad_inputs::{Bad, driven_by};

const SUBJECT: &str = "x-otterwiki-subject";
const SECRET: &str = "a-secret-of-a-tests-proxy";
const NEXT: &str = "the-secret-after-that-one";

fn proxies(networks: &[&str], secrets: &[&str]) -> Proxies {
    let networks: Vec<Network> = networks.iter().map(|text| text.parse().unwrap()).collect();
    let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
    Proxies::new(networks, &secrets, false, Some(IdentityHeaders::default())).unwrap()
}

/// A server with a private wiki `garden` of which ann is the owner and bob a reader.
async fn garden(proxies: Proxies) -> (TestServer, User) {
    let (server, operator) = ServerSetup::default().behind(proxies).start().await;
    operator.create_wiki("garden").await.good();
    operator.on("garden").create("roses", "text").await.good();
    for (subject, role) in [("ann", Role::Owner), ("bob", Role::Reader)] {
        server.platform().set_member(&slug("garden"), subject, role).await.unwrap();
    }
    (server, operator)
}

fn read(user: &User) -> Call {
    user.on("garden").read("roses")
}

fn settings(user: &User) -> Call {
    user.on("garden").preferences()
}

#[tokio::test]
async fn from_somebody_else_no_header_changes_who_asks() {
    for proxies in [
        Proxies::default(),
        proxies(&["192.0.2.0/24"], &[]),
        proxies(&[], &[SECRET]),
        proxies(&["192.0.2.0/24"], &[SECRET]),
    ] {
        let knows_secret = !format!("{proxies:?}").contains("secrets: 0");
        let (server, operator) = garden(proxies).await;
        let nobody = server.anonymous();
        let bearer = operator.token("garden", "reader").await;
        for (name, value) in [
            (SUBJECT, "ann"),
            ("x_otterwiki_subject", "ann"),
            ("x-otterwiki-permissions", "ADMIN"),
            ("x-otterwiki-name", "ann"),
            ("x-otterwiki-email", "ann@example.org"),
            ("x-forwarded-for", "192.0.2.7"),
            ("forwarded", "for=192.0.2.7"),
            ("x-real-ip", "192.0.2.7"),
            ("x-forwarded-user", "ann"),
            ("remote-user", "ann"),
            ("x-wikigrove-proxy-secret", "guessed-and-quite-wrong"),
        ] {
            let spoofed = |call: Call| {
                let call = call.header(name, value).header("x-forwarded-for", "192.0.2.7");
                if name == SUBJECT { call } else { call.header(SUBJECT, "ann") }
            };
            spoofed(read(&nobody)).await.problem("unknown_wiki");
            // Nor what a token may do, whichever way.
            spoofed(read(&bearer)).await.good();
            spoofed(settings(&bearer)).await.problem("forbidden");
            // Two of a kind are no more than one.
            spoofed(read(&nobody)).header(name, "bob").await.problem("unknown_wiki");
        }
        assert!(server.platform().user("ann").await.unwrap().is_none_or(|ann| ann.name.is_none()));
        if knows_secret {
            let both = read(&nobody).header(SUBJECT, "ann");
            let both = both.header("x-wikigrove-proxy-secret", SECRET);
            let both = both.header("x-wikigrove-proxy-secret", SECRET).await;
            both.problem("unknown_wiki");
        }
    }
}

#[tokio::test]
async fn from_a_trusted_proxy_the_lists_of_the_platform_decide() {
    let (server, _operator) = garden(proxies(&["127.0.0.0/8"], &[])).await;
    let nobody = server.anonymous();
    let by = |call: Call, subject: &str| call.header(SUBJECT, subject);
    by(read(&nobody), "ann").await.good();
    by(settings(&nobody), "ann").await.good();
    by(read(&nobody), "bob").await.good();
    by(settings(&nobody), "bob").await.problem("forbidden");
    // A name of any rank is a name.
    for stranger in ["admin", "Ann", "root", "ann@example.org"] {
        by(read(&nobody), stranger).await.problem("unknown_wiki");
        let claims = by(read(&nobody), stranger).header("x-otterwiki-permissions", "ADMIN");
        claims.await.problem("unknown_wiki");
    }
    read(&nobody).header(SUBJECT, "").await.problem("unknown_wiki");
    // Permissions narrow, and never more.
    let limited =
        |call, permissions| by(call, "ann").header("x-otterwiki-permissions", permissions);
    limited(settings(&nobody), "READ,WRITE,ADMIN").await.good();
    limited(settings(&nobody), "READ,WRITE").await.problem("forbidden");
    let save = nobody.on("garden").create("tulips", "text");
    limited(save.clone(), "READ").await.problem("forbidden");
    limited(read(&nobody), "").await.problem("unknown_wiki");
    let bob = by(save, "bob").header("x-otterwiki-permissions", "READ,WRITE,ADMIN");
    bob.await.problem("forbidden");
}

#[tokio::test]
async fn a_user_is_known_from_the_first_time_and_named_in_commits() {
    let (server, operator) = garden(proxies(&["127.0.0.1"], &[])).await;
    let save = server.anonymous().on("garden").create("tulips", "text").header(SUBJECT, "ann");
    let save =
        save.header("x-otterwiki-name", "Änn Ä").header("x-otterwiki-email", "ann@example.org");
    save.await.good();
    let page = operator.on("garden").read("tulips").await.good().json();
    assert_eq!(page["author"]["name"], "Änn Ä");
    assert_eq!(page["author"]["email"], "ann@example.org");
    let ann = server.platform().user("ann").await.unwrap().unwrap();
    assert_eq!(
        (ann.name.as_deref(), ann.email.as_deref()),
        (Some("Änn Ä"), Some("ann@example.org"))
    );

    let reason = Some(Some("on leave".to_owned()));
    let update = UserUpdate { suspended: reason, ..UserUpdate::default() };
    server.platform().update_user("ann", update).await.unwrap();
    let told = read(&server.anonymous()).header(SUBJECT, "ann").await.problem("user_suspended");
    assert_eq!(told["reason"], "on leave");
    assert_eq!(told["status"], 403);
}

#[tokio::test]
async fn what_a_proxy_says_in_two_ways_is_refused() {
    let (server, operator) = garden(proxies(&["127.0.0.1"], &[])).await;
    let nobody = server.anonymous();
    for (name, value) in [
        (SUBJECT, &b"bob"[..]),
        ("x_otterwiki_subject", b"bob"),
        ("x.otterwiki.subject", b"bob"),
        ("X_Otterwiki-Permissions", b"ADMIN"),
    ] {
        let both = read(&nobody).header(SUBJECT, "ann").header(name, value).await;
        assert_eq!(both.problem("invalid_identity")["status"], 400, "{name}");
    }
    for subject in [&b"ann, bob"[..], b"ann,bob", b"a\tb", b"\xff", b"operator", b"token:0123"] {
        read(&nobody).header(SUBJECT, subject).await.problem("invalid_identity");
    }
    read(&nobody).header(SUBJECT, " \tann ").await.good();
    // header-027: never the rights of both, nor of either.
    let bearer = operator.token("garden", "admin").await;
    for user in [&bearer, &operator, &operator.with_token("unknown")] {
        read(user).header(SUBJECT, "bob").await.problem("conflicting_credentials");
    }
    read(&bearer).header(SUBJECT, "").await.good();
}

/// The entries of the list, as a trusted proxy could come to send them.
#[tokio::test]
async fn what_a_trusted_proxy_says_is_taken_once_or_refused() {
    let names =
        IdentityHeaders { subject: "x-wiki-user".parse().unwrap(), ..IdentityHeaders::default() };
    let networks = vec!["127.0.0.1".parse().unwrap()];
    let proxies = Proxies::new(networks, &[], false, Some(names)).unwrap();
    let (server, operator) = garden(proxies).await;
    server.platform().set_member(&slug("garden"), "admin", Role::Owner).await.unwrap();
    let reader = operator.token("garden", "reader").await;
    for Bad { id, input } in driven_by("what_a_trusted_proxy_says_is_taken_once_or_refused") {
        let nobody = server.anonymous();
        let (call, code) = match id.as_str() {
            "header-002" | "header-003" | "header-005" => {
                let (name, value) = input.split_once(": ").unwrap();
                (settings(&nobody).header(name, value), "invalid_identity")
            }
            "header-006" => {
                settings(&nobody).header("x-wiki-user", " \tadmin\t ").await.good();
                (settings(&nobody).header("x-wiki-user", "ad\tmin"), "invalid_identity")
            }
            "header-008" => (read(&nobody).header("x-wiki-user", ""), "unknown_wiki"),
            "header-027" => {
                (settings(&reader).header("x-wiki-user", "admin"), "conflicting_credentials")
            }
            other => panic!("{other}"),
        };
        call.await.problem(code);
    }
}

#[tokio::test]
async fn a_secret_is_replaced_without_a_gap() {
    let read_with = async |server: &TestServer, secret: &str| {
        let call = read(&server.anonymous()).header(SUBJECT, "ann");
        call.header("x-wikigrove-proxy-secret", secret).await.status()
    };
    for (secrets, first, second) in
        [(&[SECRET][..], 200, 404), (&[NEXT, SECRET], 200, 200), (&[NEXT], 404, 200)]
    {
        let (server, _operator) = garden(proxies(&[], secrets)).await;
        assert_eq!(read_with(&server, SECRET).await, first);
        assert_eq!(read_with(&server, NEXT).await, second);
        assert_eq!(read_with(&server, "").await, 404);
    }
}

/// The control plane knows the operator's token and nothing else.
#[tokio::test]
async fn nobody_administers_the_platform_by_a_header() {
    let (server, _operator) = garden(proxies(&["127.0.0.1"], &[SECRET])).await;
    let call = server.anonymous().admin(Method::GET, "/wikis").header(SUBJECT, "operator");
    let call = call.header("x-wikigrove-proxy-secret", SECRET);
    call.header("x-otterwiki-permissions", "ADMIN").await.problem("unauthenticated");
}

/// header-011
#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_knows_where_a_client_is_from_whoever_may_say() {
    for (networks, expected) in
        [(&["127.0.0.1", "10.0.0.0/8"][..], "192.0.2.1"), (&["10.0.0.0/8"], "127.0.0.1")]
    {
        let (server, operator) = garden(proxies(networks, &[])).await;
        let change =
            operator.on("garden").change_preferences(serde_json::json!({ "site_name": "x" }));
        change.header("x-forwarded-for", "198.51.100.1, 192.0.2.1, 10.0.0.7").await.good();
        let rows = server.platform().audit_log(AuditFilter::default(), None, 1).await.unwrap();
        assert_eq!(rows[0].what.peer, Some(expected.parse().unwrap()));

        // A push comes from where its client is, too.
        let place = scratch();
        let clone = Git::clone(&operator.on("garden").git_url(), place.path().join("clone"));
        clone.write("tulips.md", "yellow").commit("tulips");
        clone.run(&["-c", "http.extraHeader=x-forwarded-for: 192.0.2.1, 10.0.0.7", "push", "-q"]);
        let rows = server.platform().audit_log(AuditFilter::default(), None, 1).await.unwrap();
        assert_eq!(rows[0].what.action, "git.push");
        assert_eq!(rows[0].what.peer, Some(expected.parse().unwrap()));
    }
}

#[tokio::test]
async fn requests_are_counted_where_clients_are() {
    let rate = NonZeroU32::new(2);
    let setup = ServerSetup::default().behind(proxies(&["127.0.0.1"], &[]));
    let (server, operator) = setup.limits(|limits| limits.rate_per_principal = rate).start().await;
    operator.create_wiki("garden").await.good();
    let from = |address: &str| {
        server.anonymous().on("garden").read("x").header("x-forwarded-for", address)
    };
    let too_many = async |address: &str| {
        for _ in 0..100 {
            let answer = from(address).await;
            if answer.status() == 429 {
                answer.problem("rate_limited");
                assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
                return true;
            }
        }
        false
    };
    assert!(too_many("192.0.2.1").await);
    assert_eq!(from("192.0.2.2").await.status(), 404);
    // A token that is tried counts where it is tried, and whoever is known by themselves.
    let guess = server.anonymous().with_token("guess").on("garden").read("x");
    assert!(too_many("2001:db8::1").await);
    guess.header("x-forwarded-for", "2001:db8::2").await.problem("rate_limited");
    let known = operator.on("garden").read("x").header("x-forwarded-for", "192.0.2.1");
    known.await.problem("page_not_found");
}

#[tokio::test]
async fn a_wiki_is_asked_only_so_often() {
    let setup = ServerSetup::default().limits(|limits| limits.rate_per_wiki = NonZeroU32::new(2));
    let (_server, operator) = setup.start().await;
    for wiki in ["garden", "shed"] {
        operator.create_wiki(wiki).await.good();
    }
    let mut told = false;
    for _ in 0..100 {
        let answer = operator.on("garden").read("x").await;
        told |= answer.status() == 429 && answer.any_problem()["code"] == "rate_limited";
    }
    assert!(told);
    operator.on("shed").read("x").await.problem("page_not_found");
}

#[tokio::test]
async fn whoever_guesses_an_invitation_does_not_learn_by_its_limits_that_there_is_a_wiki() {
    let setup = ServerSetup::default().limits(|limits| {
        limits.rate_per_wiki = NonZeroU32::new(1);
        limits.in_flight_per_wiki = 1;
    });
    let (server, operator) = setup.start().await;
    operator.create_wiki("garden").await.good();
    operator.create_wiki("shed").await.good();
    let ann = serde_json::json!({ "name": "ann", "role": "reader", "subject": "ann" });
    let ann = operator.token_with("shed", ann).await;
    let guess = |user: &User, slug: &str| {
        let call = user.on(slug).api(Method::POST, "/invitations/accept");
        call.json(serde_json::json!({ "token": "guessed" }))
    };
    for _ in 0..20 {
        for slug in ["garden", "kitchen"] {
            guess(&ann, slug).await.problem("unknown_wiki");
            guess(&server.anonymous(), slug).await.problem("identity_required");
        }
    }
    // Nor does whoever guesses take anything from those who are let in.
    operator.on("garden").read("x").await.problem("page_not_found");
}

/// Sends a request by a Unix socket.
async fn by_socket(path: &std::path::Path, headers: &str) -> String {
    let mut stream = UnixStream::connect(path).await.unwrap();
    let request = format!(
        "GET /w/welcome/api/v1/preferences HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_may_come_by_a_unix_socket() {
    let dir = scratch();
    let (data, socket) = (dir.path().join("data"), dir.path().join("socket"));
    let listen = format!("unix:{}", socket.display());
    let program = crate::program(&data);
    let running =
        program.serve_with(&["--listen", &listen, "--identity-headers", "--socket-mode", "600"]);
    let member = serde_json::json!({ "visibility": "public_read" });
    running.operator().change_wiki("welcome", member).await.good();
    let answer = by_socket(&socket, "x-otterwiki-subject: ann\r\n").await;
    assert!(answer.contains("403 Forbidden") && answer.contains("\"forbidden\""), "{answer}");
    let refused = by_socket(&socket, "x-otterwiki-subject: a, b\r\n").await;
    assert!(refused.contains("invalid_identity"), "{refused}");
    // By the port, the same is nobody's.
    let port = running.anonymous().on("welcome").preferences();
    port.header(SUBJECT, "a, b").await.problem("forbidden");
    running.stop();
    // The next one finds the socket of this one.
    program.serve_with(&["--listen", &listen, "--identity-headers"]).stop();
}

#[test]
fn a_server_that_would_believe_anybody_does_not_start() {
    let dir = scratch();
    let program = crate::program(&dir.path().join("data"));
    let secrets = dir.path().join("secrets");
    std::fs::write(&secrets, "short\n").unwrap();
    let secrets = secrets.display().to_string();
    for (options, why) in [
        (&["--identity-headers"][..], "identity headers need something that tells the proxy"),
        (&["--trusted-proxy", "0.0.0.0/0"], "every address is in 0.0.0.0/0"),
        (&["--identity-headers", "--trusted-proxy", "::/0"], "every address is in ::/0"),
        (&["--trusted-proxy", "the-proxy"], "neither an address nor a network"),
        (&["--identity-headers", "--proxy-secret-file", &secrets], "one or two lines"),
        (&["--identity-headers", "--proxy-secret-file", "/nowhere"], "cannot open `/nowhere`"),
        (&["--cors-origin", "*"], "an origin is https://"),
    ] {
        let port = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let output = program.run(&[&port[..], options].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(why), "{options:?}: {said}");
        assert!(!dir.path().join("data").exists(), "{options:?}");
    }
}
