use super::*;

fn ran(code: i32) -> Ran {
    Ran { code: Some(code), signal: None, stdout: Vec::new(), stderr: Vec::new(), cut: false }
}

fn pushed(code: i32, stdout: &str, said: &str) -> Result<Pushed, Failure> {
    of_push(&ran(code), stdout, said, &HttpTrace::default())
}

/// The output of `git push --porcelain` around this line.
fn line(line: &str) -> String {
    format!("To https://example.org/x.git\n{line}\nDone\n")
}

#[test]
fn every_flag_of_a_push_is_understood() {
    let update = " \t83e5:refs/heads/main\t83e5..91aa";
    assert_eq!(pushed(0, &line(update), ""), Ok(Pushed::Updated));
    assert_eq!(pushed(0, &line("*\t83e5:refs/heads/main\t[new branch]"), ""), Ok(Pushed::Updated));
    assert_eq!(pushed(0, &line("=\t83e5:refs/heads/main\t[up to date]"), ""), Ok(Pushed::UpToDate));
    assert_eq!(
        pushed(0, &line("+\t83e5:refs/heads/main\ta...b (forced update)"), ""),
        Ok(Pushed::Updated)
    );
    for reason in [
        "[rejected] (fetch first)",
        "[rejected] (non-fast-forward)",
        "[rejected] (stale info)",
        "[remote rejected] (non-fast-forward)",
    ] {
        let rejected = format!("!\t83e5:refs/heads/main\t{reason}");
        assert_eq!(pushed(1, &line(&rejected), ""), Err(Failure::NonFastForward), "{reason}");
    }
    for reason in
        ["failed to update ref", "cannot lock ref 'refs/heads/main'", "atomic transaction failed"]
    {
        let rejected = format!("!\t83e5:refs/heads/main\t[remote rejected] ({reason})");
        let failure = pushed(1, &line(&rejected), "").unwrap_err();
        assert_eq!(failure, Failure::RefLocked { text: reason.to_owned() });
    }
}

#[test]
fn what_a_hook_says_is_kept_and_can_do_nothing() {
    let rejected = line("!\t83e5:refs/heads/main\t[remote rejected] (pre-receive hook declined)");
    let said = "remote: no \u{1b}[31mpages\u{1b}[0m here        \nremote: \nremote: ask Ada\nerror: failed to push\n";
    let text = "pre-receive hook declined: no [31mpages[0m here; ask Ada".to_owned();
    assert_eq!(pushed(1, &rejected, said), Err(Failure::Rejected { text }));
}

#[test]
fn a_push_without_a_word_may_have_landed() {
    let hung_up = "fatal: the remote end hung up unexpectedly\n";
    let failure = pushed(128, "", hung_up).unwrap_err();
    assert!(failure.may_have_landed(), "{failure:?}");
    let silent = line("!\t83e5:refs/heads/main\t[remote failure] (remote failed to report status)");
    assert!(pushed(1, &silent, "").unwrap_err().may_have_landed());
    let posted =
        HttpTrace::read("=> Send header: POST /x HTTP/1.1\n<= Recv header: HTTP/1.1 500 x\n");
    assert!(of_push(&ran(128), "", "", &posted).unwrap_err().may_have_landed());
    let asked =
        HttpTrace::read("=> Send header: GET /x HTTP/1.1\n<= Recv header: HTTP/1.1 500 x\n");
    assert!(!of_push(&ran(128), "", "", &asked).unwrap_err().may_have_landed());
    let refused = "fatal: unable to access 'https://x/': Failed to connect to x port 443";
    assert!(!pushed(128, "", refused).unwrap_err().may_have_landed());
}

#[test]
fn what_ssh_says_is_told_apart() {
    let failed = |said: &str| of_failure(Call::Fetch, &ran(128), said, &HttpTrace::default());
    let changed = "@@@@@\nIT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\nThe fingerprint for the ED25519 key sent by the remote host is\nSHA256:abc+/1.\nHost key verification failed.\r\nfatal: Could not read from remote repository.\n";
    assert_eq!(failed(changed), Failure::HostKey { fingerprint: Some("SHA256:abc+/1".to_owned()) });
    let unknown = "No ED25519 host key is known for git.lan and you have requested strict checking.\r\nHost key verification failed.\r\n";
    assert_eq!(failed(unknown), Failure::HostKey { fingerprint: None });
    let denied = "git@example.org: Permission denied (publickey).\r\nfatal: Could not read from remote repository.\n";
    assert!(matches!(failed(denied), Failure::Auth { .. }));
    let gone = "remote: ERROR: The project you were looking for could not be found or you don't have permission to view it.\n";
    assert!(matches!(failed(gone), Failure::RepositoryGone { .. }));
    let gone = "ERROR: Repository not found.\nfatal: Could not read from remote repository.\n";
    assert!(matches!(failed(gone), Failure::RepositoryGone { .. }));
    let refused = "ssh: connect to host 1.2.3.4 port 22: Connection refused\r\n";
    assert!(matches!(failed(refused), Failure::Transient { .. }));
    let full = "fatal: write error: No space left on device\n";
    assert!(matches!(failed(full), Failure::DiskFull { .. }));
    let theirs = "remote: fatal: write error: No space left on device\n";
    assert!(matches!(failed(theirs), Failure::Transient { .. }));
    assert!(matches!(
        failed("fatal: couldn't find remote ref refs/heads/x\n"),
        Failure::BranchMissing
    ));
}

#[test]
fn what_is_said_over_http_is_told_apart() {
    let failed = |status: &str| {
        let trace = HttpTrace::read(&format!("<= Recv header: HTTP/1.1 {status}\n"));
        of_failure(Call::Fetch, &ran(128), "", &trace)
    };
    assert!(matches!(failed("301 x"), Failure::Redirect { .. }));
    assert!(matches!(failed("401 x"), Failure::Auth { .. }));
    assert!(matches!(failed("403 x"), Failure::Auth { .. }));
    assert!(matches!(failed("404 x"), Failure::RepositoryGone { .. }));
    assert!(matches!(failed("410 x"), Failure::RepositoryGone { .. }));
    assert!(matches!(failed("429 x"), Failure::RateLimited { retry_after: None }));
    assert!(matches!(failed("500 x"), Failure::Transient { .. }));
    assert!(matches!(failed("503 x"), Failure::Transient { .. }));
    assert!(matches!(failed("503 x\n<= Recv header: Retry-After: 5"), Failure::RateLimited { .. }));
}

#[test]
fn secrets_are_taken_out_wherever_they_stand() {
    let said = b"fatal: 'https://ada:hunter2@example.org/x?a=b' and https://tok@h, header YWJj: no\xff; plain a@b";
    let text = scrubbed(said, &["YWJj", ""]);
    assert_eq!(
        text,
        "fatal: 'https://example.org/x?a=b' and https://h, header …: no\u{fffd}; plain a@b"
    );
}

#[test]
fn a_long_text_is_cut_at_its_beginning() {
    let text = text_of(&format!("{}the end", "\u{e9}".repeat(5000)));
    assert!(text.starts_with('…') && text.ends_with("the end") && text.chars().count() < 2010);
}
