//! How the program starts and ends: what it prints, what it leaves, and what it says when it can't.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rustix::net::{AddressFamily, SocketType};
use testkit::{Program, Running, scratch};

/// The value of a query on a wiki's database: on a copy, since a server lets no other program open its own.
fn count(program: &Program, slug: &str, query: &str) -> i64 {
    let (dir, copy) = (program.data().join("wikis").join(slug), scratch());
    for name in ["wiki.db", "wiki.db-wal"] {
        let _ = std::fs::copy(dir.join(name), copy.path().join(name));
    }
    let copy = Connection::open(copy.path().join("wiki.db")).unwrap();
    copy.query_row(query, [], |row| row.get(0)).unwrap()
}

/// Waits until the server takes no more connections.
fn wait_until_closed(server: &Running) {
    let started = Instant::now();
    while TcpStream::connect(server.public_address()).is_ok() {
        assert!(started.elapsed() < Duration::from_secs(10), "it goes on listening");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_is_answered_before_the_server_ends() {
    let data = scratch();
    let program = super::program(data.path());
    let server = program.serve();
    let operator = server.operator();
    operator.create_wiki("garden").await.good();
    for number in 0..5 {
        operator.on("garden").create(&format!("page-{number}"), "x").await.good();
    }
    assert!(count(&program, "garden", "select count(*) from redo") > 0, "nothing to checkpoint");

    let body = r#"{"content":"late"}"#;
    let mut late = TcpStream::connect(server.public_address()).unwrap();
    let head = format!(
        "PUT /w/garden/api/v1/pages/late HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         If-None-Match: *\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        operator.secret(),
        body.len()
    );
    late.write_all(&[head.as_bytes(), &body.as_bytes()[..5]].concat()).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    server.terminate();
    wait_until_closed(&server);
    late.write_all(&body.as_bytes()[5..]).unwrap();
    let mut answer = String::new();
    late.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(0), "{log}");

    // Everything is in git now: nothing is left to be repeated.
    assert_eq!(count(&program, "garden", "select count(*) from redo"), 0);
    assert_eq!(count(&program, "garden", "select count(*) from page"), 6);
    let files = program.git("garden").run(&["ls-tree", "-r", "--name-only", "main"]);
    assert!(files.contains("late.md"), "{files}");
    program.git("garden").fsck();
    let left = testkit::entries(program.data());
    assert!(!left.iter().any(|name| name.ends_with(".lock")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn saves_that_go_on_until_the_end_are_all_kept() {
    let data = scratch();
    let program = super::program(data.path());
    let server = program.serve();
    let operator = server.operator();
    operator.create_wiki("garden").await.good();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let wiki = operator.on("garden");
            wikigrove_tenant::spawn(async move {
                let mut saved = Vec::new();
                for number in 0.. {
                    let path = format!("page-{writer}-{number}");
                    match wiki.create(&path, "x").attempt().await {
                        Ok(answer) => drop(answer.good()),
                        Err(_) => break,
                    }
                    saved.push(path);
                }
                saved
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let started = Instant::now();
    server.terminate();
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    // Idle connections are not waited for.
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(count(&program, "garden", "select count(*) from redo"), 0);
    let files = program.git("garden").run(&["ls-tree", "-r", "--name-only", "main"]);
    for writer in writers {
        for path in writer.await.unwrap() {
            assert!(files.contains(&format!("{path}.md")), "{path} was acknowledged and is gone");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_directory_says_so_and_harms_nothing() {
    let data = scratch();
    let program = super::program(data.path());
    let server = program.serve();
    let output =
        program.run(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("in use by another process"), "{said}");
    assert!(said.contains(&data.path().display().to_string()), "{said}");
    assert!(output.stdout.is_empty());
    server.operator().on("welcome").create("new", "x").await.good();
    server.stop();

    let server = program.serve();
    let taken = server.public_address().to_string();
    let other = super::program(&data.path().join("other"));
    let output = other.run(&["serve", "--listen", &taken, "--admin-listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("can't listen on {taken}")), "{said}");
}

#[test]
fn a_killed_server_does_not_keep_its_directory() {
    let data = scratch();
    let program = super::program(data.path());
    program.serve().kill();
    program.serve().kill();
    program.serve().stop();
}

/// Runs every line that the first start prints, as if pasted, where the server was started.
fn paste(server: &Running, directory: &Path, environment: &[(&str, &str)]) -> Vec<Output> {
    let printed = server.printed();
    let lines = printed.lines().filter_map(|line| line.strip_prefix("  curl "));
    lines
        .map(|line| {
            let line = format!("curl -sS --fail-with-body --noproxy '*' {line}");
            let output = Command::new("sh")
                .args(["-c", &line])
                .current_dir(directory)
                .env_remove("WIKIGROVE_ADMIN_TOKEN")
                .envs(environment.iter().copied())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{line}: {said}");
            output
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_prints_lines_that_work_when_pasted() {
    let directory = scratch();
    let program = super::program_within(directory.path())
        .env("WIKIGROVE_LISTEN", "127.0.0.1:0")
        .env("WIKIGROVE_ADMIN_LISTEN", "127.0.0.1:0");
    let server = program.start(&[]);
    let printed = server.printed();
    assert!(printed.contains("/w/<slug>/") && printed.contains("/admin/v1/"), "{printed}");
    assert!(printed.contains("operator-token"), "{printed}");
    // It goes to a file or a journal: no place for a secret.
    let operator = server.operator();
    assert!(!printed.contains(operator.secret()), "{printed}");
    let token = program.data().join("operator-token");
    assert_eq!(token.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(program.data().metadata().unwrap().permissions().mode() & 0o777, 0o700);

    assert_eq!(paste(&server, directory.path(), &[]).len(), 3);
    let page = operator.on("welcome").read("roses").await.good().json();
    assert_eq!(page["content"], "# Roses\n");
    let wikis = operator.wikis().await;
    let slugs: Vec<_> = wikis.iter().map(|wiki| wiki["slug"].as_str().unwrap()).collect();
    assert_eq!(slugs, ["garden", "welcome"]);
    server.anonymous().on("welcome").read("home").await.good();
    server.stop();

    // The second start has nothing to explain, and the same token.
    let server = program.start(&[]);
    assert!(!server.printed().contains("curl"), "{}", server.printed());
    assert_eq!(server.operator().secret(), operator.secret());
    assert_eq!(server.operator().wikis().await.len(), 2);
}

#[test]
fn the_lines_work_wherever_the_data_is() {
    let directory = scratch();
    let program = super::program(&directory.path().join("Ann's $HOME; data \"x\""));
    let server = program.serve();
    assert_eq!(paste(&server, directory.path(), &[]).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_token_can_come_from_the_environment() {
    let data = scratch();
    let given = "given-from-outside";
    let program = super::program(data.path()).env("WIKIGROVE_ADMIN_TOKEN", given);
    let server = program.serve();
    assert!(!data.path().join("operator-token").exists());
    assert!(!server.printed().contains(given), "{}", server.printed());
    server.anonymous().with_token(given).create_wiki("kitchen").await.good();
    assert_eq!(paste(&server, data.path(), &[("WIKIGROVE_ADMIN_TOKEN", given)]).len(), 3);
    server.stop();
    for name in testkit::entries(data.path()) {
        let content = std::fs::read(data.path().join(name)).unwrap_or_default();
        assert!(!content.windows(given.len()).any(|bytes| bytes == given.as_bytes()));
    }
    // A variable that is there but empty, as deployments have it, is no token.
    let server = super::program(data.path()).env("WIKIGROVE_ADMIN_TOKEN", "").serve();
    assert_eq!(server.operator().wikis().await.len(), 3);
    server
        .anonymous()
        .with_token("")
        .admin(http::Method::GET, "/wikis")
        .await
        .problem("unauthenticated");
    server.stop();
    // One that came out of a file with its newline is.
    let server =
        super::program(data.path()).env("WIKIGROVE_ADMIN_TOKEN", &format!("{given}\n")).serve();
    assert_eq!(server.anonymous().with_token(given).wikis().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_operators_token_ends_the_old_one() {
    let data = scratch();
    let program = super::program(data.path());
    let server = program.serve();
    let old = server.operator().secret().to_owned();
    server.stop();
    let output = program.run(&["token", "create", "--operator"]);
    assert!(output.status.success());
    let new = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    assert_ne!(new, old);
    let mode = data.path().join("operator-token").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let server = program.serve();
    assert_eq!(server.operator().secret(), new);
    assert_eq!(server.operator().wikis().await.len(), 1);
    let refused = server.anonymous().with_token(old).admin(http::Method::GET, "/wikis").await;
    refused.problem("unauthenticated");
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let data = scratch();
    let file = data.path().join("file");
    std::fs::write(&file, "not a directory").unwrap();
    for place in [file.clone(), file.join("below")] {
        let output = super::program(&place).run(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
        ]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&file.display().to_string()), "{said}");
    }
}

/// How long the server may take to end, however its clients behave.
const END: Duration = Duration::from_secs(10);

/// Connects with small buffers and sends `text`.
fn deaf(address: SocketAddr, text: &str) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 4096).unwrap();
    rustix::net::connect(&socket, &address).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

/// The processes that hold a file below `data` open or work there.
fn processes_in(data: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let cwd = std::fs::read_link(process.path().join("cwd"));
        if cwd.is_ok_and(|cwd| cwd.starts_with(data)) {
            let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            found.push(name);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_ends_in_time_whatever_its_clients_do() {
    let data = scratch();
    let program = super::program(data.path());
    let server = program.serve();
    let operator = server.operator();
    operator.create_wiki("garden").await.good();
    operator.on("garden").create("home", &"long text\n".repeat(400_000)).await.good();
    let (address, token) = (server.public_address(), operator.secret());
    let head = |line: &str, more: &str| {
        format!("{line} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{more}\r\n")
    };
    let body = "Content-Type: application/json\r\nIf-None-Match: *\r\nContent-Length: 1000\r\n";
    let pack = "Content-Type: application/x-git-receive-pack-request\r\nContent-Length: 1000\r\n";
    let mut events = deaf(address, &head("GET /w/garden/api/v1/events", ""));
    let rude = [
        deaf(address, ""),
        deaf(address, "GET / HT"),
        deaf(address, &head("PUT /w/garden/api/v1/pages/new", body)),
        deaf(
            address,
            &head("PUT /w/garden/api/v1/attachments/new.bin", "Content-Length: 9999999\r\n"),
        ),
        deaf(address, &head("POST /w/garden/git/git-receive-pack", pack)),
        deaf(address, &head("GET /w/garden/api/v1/pages/home", "")),
        deaf(address, &head("GET /w/garden/api/v1/events", "")),
        deaf(address, &head("GET /w/garden/api/v1/export", "")),
    ];
    std::thread::sleep(Duration::from_secs(1));
    let started = Instant::now();
    server.terminate();
    events.set_read_timeout(Some(END)).unwrap();
    let mut streamed = Vec::new();
    events.read_to_end(&mut streamed).unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "a stream ends at once");
    let (status, log) = server.ended();
    assert!(started.elapsed() < END, "{:?}: {log}", started.elapsed());
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(processes_in(data.path()), [""; 0]);
    drop(rude);
    let server = program.serve();
    server.operator().on("garden").create("after", "x").await.good();
    server.stop();
}

/// A server in which a request waits for ever, in a thread that nothing interrupts.
async fn hanging(program: &Program, data: &Path) -> Running {
    let server = program.serve();
    server.operator().create_wiki("garden").await.good();
    server.stop();
    // Whoever opens it waits for a writer.
    let file = data.join("wikis/garden/repo/packed-refs");
    let mode = rustix::fs::Mode::from_bits_truncate(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, mode).unwrap();
    let server = program.serve();
    let operator = server.operator();
    let wiki = operator.on("garden");
    let opening = tokio::time::timeout(Duration::from_secs(1), wiki.read("home").attempt());
    assert!(opening.await.is_err(), "nothing hangs");
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_never_ends_does_not_keep_the_server() {
    let data = scratch();
    let server = hanging(&super::program(data.path()), data.path()).await;
    let started = Instant::now();
    server.terminate();
    let (status, log) = server.ended();
    assert!(started.elapsed() < END, "{:?}: {log}", started.elapsed());
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("the server ends at once"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_server_at_once() {
    let data = scratch();
    let program = super::program(data.path()).env("WIKIGROVE_SHUTDOWN_GRACE", "100");
    let server = hanging(&program, data.path()).await;
    server.terminate();
    wait_until_closed(&server);
    let started = Instant::now();
    std::thread::sleep(Duration::from_millis(500));
    server.terminate();
    let (status, log) = server.ended();
    assert!(started.elapsed() < END && status.code() == Some(0), "{log}");
    assert!(log.contains("second signal"), "{log}");
}

#[test]
fn a_directory_that_lost_its_catalog_is_not_begun_anew() {
    let data = scratch();
    let program = super::program(data.path());
    program.serve().stop();
    let file = data.path().join("platform.db");
    let whole = std::fs::read(&file).unwrap();
    for left in [None, Some(&b""[..]), Some(&whole[..100])] {
        match left {
            Some(bytes) => std::fs::write(&file, bytes).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let output =
            program.run(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("platform.db") && said.contains("from a backup"), "{said}");
        assert_eq!(std::fs::read(&file).ok().as_deref(), left, "it was changed");
    }
    std::fs::write(&file, whole).unwrap();
    program.serve().stop();
}

#[test]
fn the_server_needs_no_directory_for_temporary_files() {
    let data = scratch();
    let nowhere = data.path().join("nowhere");
    let program = super::program(&data.path().join("data"));
    let server = program.env("TMPDIR", nowhere.to_str().unwrap()).serve();
    assert!(server.printed().contains("A wiki was created"), "{}", server.printed());
    server.stop();
}
