//! The program starts, says how to use it, and ends without losing anything.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use http::Method;
use rusqlite::Connection;
use serde_json::json;
use testkit::Program;

fn program(scratch: &tempfile::TempDir) -> Program {
    crate::program(&scratch.path().join("data"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_prints_lines_that_work_when_pasted() {
    let scratch = testkit::scratch();
    let program = program(&scratch);
    let server = program.serve();
    let token = program.data().join("operator-token");
    assert_eq!(token.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let printed = server.printed();
    assert!(printed.contains(token.to_str().unwrap()), "{printed}");
    let secret = std::fs::read_to_string(&token).unwrap();
    assert!(!printed.contains(secret.trim()), "the secret is for terminals only");
    let lines: Vec<_> =
        printed.lines().map(str::trim).filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(lines.len(), 3, "{printed}");
    for line in lines {
        let output = Command::new("sh")
            .arg("-c")
            .arg(format!("{line} --silent --fail-with-body"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{line}\n{said}");
    }
    assert!(server.anonymous().on("welcome").read("roses").await.good().text().contains("Roses"));
    assert_eq!(server.operator().wikis().await.len(), 2);
    server.stop();
    let again = program.serve();
    assert!(!again.printed().contains("curl"), "{}", again.printed());
    again.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_finishes_what_was_begun_and_checkpoints() {
    let scratch = testkit::scratch();
    let program = program(&scratch);
    let server = program.serve();
    let operator = server.operator();
    operator.create_wiki("garden").await.good();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let garden = operator.on("garden");
            wikigrove_tenant::spawn(async move {
                let mut saved = Vec::new();
                for number in 0..1000 {
                    let path = format!("page-{writer}-{number}");
                    match garden.create(&path, "text").attempt().await {
                        Ok(answer) if answer.status() == 201 => saved.push(path),
                        Ok(answer) => panic!("{}", answer.text()),
                        Err(_) => break,
                    }
                }
                saved
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.stop();
    let mut saved = Vec::new();
    for writer in writers {
        saved.extend(writer.await.unwrap());
    }
    let git = program.git("garden");
    let files = git.run(&["ls-tree", "-r", "--name-only", "main"]);
    assert!(
        saved.len() > 8
            && saved.iter().all(|path| files.lines().any(|file| file == format!("{path}.md")))
    );
    let db = Connection::open(program.data().join("wikis/garden/wiki.db")).unwrap();
    let waiting: i64 = db.query_row("select count(*) from redo", [], |row| row.get(0)).unwrap();
    assert_eq!(waiting, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_directory_is_refused() {
    let scratch = testkit::scratch();
    let program = program(&scratch);
    let server = program.serve();
    let second =
        program.run(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("in use by another process"), "{said}");
    server.anonymous().on("welcome").read("home").await.good();
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_from_outside_is_the_operators_and_is_written_nowhere() {
    let scratch = testkit::scratch();
    let program = program(&scratch).env("WIKIGROVE_ADMIN_TOKEN", "a-token-from-outside");
    let server = program.serve();
    let operator = server.anonymous().with_token("a-token-from-outside");
    operator.admin(Method::POST, "/wikis").json(json!({ "slug": "garden" })).await.good();
    assert!(!program.data().join("operator-token").exists());
    assert!(!server.printed().contains("a-token-from-outside"));
    server.stop();
}

#[test]
fn a_new_operators_token_takes_the_place_of_the_old_one() {
    let scratch = testkit::scratch();
    let program = program(&scratch);
    let make = || program.run(&["token", "create", "--operator"]);
    let (first, second) = (make(), make());
    assert!(first.status.success() && second.status.success());
    assert_ne!(first.stdout, second.stdout);
    assert_eq!(std::fs::read(program.data().join("operator-token")).unwrap(), second.stdout);
}
