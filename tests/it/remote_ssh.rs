//! A remote is reached over SSH: keys of ours, keys of hosts, and what goes wrong with either.

use testkit::TestSshd;
use wikigrove_server::remote::{
    AccessToken, Credential, DeployKey, Failure, HostKey, Pushed, Remote,
};

use crate::bad_inputs::driven_by;
use crate::remote_wire::{CANARY, HOST, Here, at, main};

#[test]
fn a_pasted_key_is_understood_or_says_why_not() {
    let [_] = &driven_by("a_pasted_key_is_understood_or_says_why_not")[..] else { panic!() };
    let key = DeployKey::generate("garden");
    let pasted: String =
        key.private().expose().lines().map(|line| format!("  {line}\r\n")).collect();
    assert_eq!(pasted.parse::<DeployKey>().unwrap().public(), key.public());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", CANARY, "-f"])
        .arg(&file)
        .status()
        .unwrap();
    assert!(made.success());
    let error = std::fs::read_to_string(file).unwrap().parse::<DeployKey>().unwrap_err();
    assert!(error.to_string().contains("passphrase"), "{error}");
}

/// A remote over SSH, with a deploy key.
fn by_ssh(sshd: &TestSshd, key: &DeployKey, host_keys: Vec<HostKey>) -> Remote {
    let credential = Credential::Key(key.clone());
    Remote { url: sshd.url(HOST).parse().unwrap(), credential, host_keys }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_goes_by_ssh_to_the_host_whose_key_was_confirmed() {
    let key = DeployKey::generate("garden");
    let Some(sshd) = TestSshd::start(key.public()) else { return };
    let here = Here::new();
    let commit = here.commit(None, "one");
    let unknown = by_ssh(&sshd, &key, Vec::new());
    let refused = here.push(&unknown, commit).await;
    assert_eq!(refused, Err(Failure::HostKey { fingerprint: None }));
    // What is shown for a human to confirm.
    let shown = here.wire.host_keys(&unknown.url).await.unwrap();
    let expected: HostKey = sshd.host_key().parse().unwrap();
    assert_eq!(
        shown.iter().map(HostKey::fingerprint).collect::<Vec<_>>(),
        [expected.fingerprint()]
    );
    let to = by_ssh(&sshd, &key, shown);
    assert_eq!(here.push(&to, commit).await, Ok(Pushed::Updated), "{}", sshd.log());
    assert_eq!(here.wire.tip(&to, &main()).await, Ok(commit));
    assert_eq!(Here::new().fetch(&to).await, Ok(commit));
    sshd.git().fsck();
    here.assert_tidy();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_shows_another_key_gets_nothing() {
    let key = DeployKey::generate("garden");
    let Some(sshd) = TestSshd::start(key.public()) else { return };
    let here = Here::new();
    let other: HostKey = DeployKey::generate("other").public().parse().unwrap();
    let to = by_ssh(&sshd, &key, vec![other]);
    let commit = here.commit(None, "one");
    let shown = sshd.host_key().parse::<HostKey>().unwrap().fingerprint();
    for failure in [
        here.push(&to, commit).await.unwrap_err(),
        here.fetch(&to).await.unwrap_err(),
        here.wire.tip(&to, &main()).await.unwrap_err(),
    ] {
        assert_eq!(failure, Failure::HostKey { fingerprint: Some(shown.clone()) });
    }
    assert!(!sshd.log().contains("Accepted"), "{}", sshd.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_only_read_reads() {
    let key = DeployKey::generate("garden");
    let Some(sshd) = TestSshd::start(key.public()) else { return };
    let here = Here::new();
    let to = by_ssh(&sshd, &key, vec![sshd.host_key().parse().unwrap()]);
    let first = here.commit(None, "one");
    here.push(&to, first).await.unwrap();
    let only_read = "command=\"case \\\"$SSH_ORIGINAL_COMMAND\\\" in git-upload-pack*) eval \\\"$SSH_ORIGINAL_COMMAND\\\";; \
        *) echo 'ERROR: The key you are authenticating with has been marked as read only.' >&2; exit 1;; esac\"";
    sshd.force(only_read, key.public());
    assert_eq!(here.fetch(&to).await, Ok(first), "{}", sshd.log());
    let second = here.commit(Some(first), "two");
    let failure = here.push(&to, second).await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Auth { text } if text.contains("read only")),
        "{failure:?}"
    );
    let stranger = by_ssh(&sshd, &DeployKey::generate("other"), to.host_keys);
    let failure = here.fetch(&stranger).await.unwrap_err();
    assert!(matches!(&failure, Failure::Auth { text } if !text.contains("wire")), "{failure:?}");
}

#[tokio::test]
async fn a_credential_of_the_other_kind_is_not_sent() {
    let here = Here::new();
    let key = Credential::Key(DeployKey::generate("garden"));
    let token = Credential::Token(AccessToken::new(None, CANARY).unwrap());
    for remote in [at(&format!("http://{HOST}/x"), key), at(&format!("git@{HOST}:x"), token)] {
        let failure = here.wire.tip(&remote, &main()).await.unwrap_err();
        assert!(matches!(failure, Failure::Auth { .. }), "{failure:?}");
    }
}
