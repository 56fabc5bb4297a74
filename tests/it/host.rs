//! What other users of the same machine get to see and to change: nothing.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use testkit::scratch;

/// The mode of a file, without its kind.
fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn other_users_of_the_machine_get_nothing() {
    let data = scratch();
    let program = super::program(data.path());
    let server = program.serve();
    let operator = server.operator();
    operator.create_wiki("garden").await.good();
    operator.on("garden").create("home", "x").await.good();
    let limits =
        std::fs::read_to_string(format!("/proc/{}/limits", server.pid().as_raw_nonzero())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    server.stop();
    for name in testkit::entries(data.path()) {
        let path = data.path().join(name);
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
}

#[test]
fn what_others_could_have_changed_is_not_trusted() {
    let data = scratch();
    let program = super::program(data.path());
    program.serve().stop();
    let refused = || {
        let output =
            program.run(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        said
    };
    let token = data.path().join("operator-token");
    set_mode(&token, 0o666);
    assert!(refused().contains("operator-token"));
    // Reading is another matter: it is ended, and said.
    set_mode(&token, 0o644);
    let server = program.serve();
    assert_eq!(mode(&token), 0o600);
    server.terminate();
    let (_, log) = server.ended();
    assert!(log.contains("could read this secret"), "{log}");
    set_mode(data.path(), 0o777);
    assert!(refused().contains("chmod 700"));
    set_mode(data.path(), 0o700);
    let weak = program.clone().env("WIKIGROVE_ADMIN_TOKEN", "x");
    let output = weak.run(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("guessed"), "{said}");
}

#[test]
fn secrets_on_the_command_line_are_warned_of() {
    let data = scratch();
    let program = super::program(data.path());
    let output = program.run(&["wiki", "--admin-token", "given-from-outside", "list"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--admin-token") && said.contains("WIKIGROVE_ADMIN_TOKEN"), "{said}");
    assert!(!said.contains("given-from-outside"), "{said}");
}
