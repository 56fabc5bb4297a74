use std::process::Command;

use super::*;

/// A key as `ssh-keygen` makes it.
fn made_by_ssh(passphrase: &str, more: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    let status = Command::new("ssh-keygen")
        .args(["-q", "-N", passphrase, "-C", "ada", "-f"])
        .arg(&file)
        .args(more)
        .status()
        .unwrap();
    assert!(status.success());
    std::fs::read_to_string(file).unwrap()
}

/// The public half as ssh itself finds it.
fn public_by_ssh(private: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    std::fs::write(&file, private).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let output = Command::new("ssh-keygen").arg("-y").arg("-f").arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_key_that_is_made_here_is_one_for_ssh() {
    let key = DeployKey::generate("wiki\ngarden");
    assert!(key.public().starts_with("ssh-ed25519 ") && key.public().ends_with(" wikigarden"));
    assert_eq!(public_by_ssh(key.private().expose()), key.public());
    assert_ne!(DeployKey::generate("").public(), DeployKey::generate("").public());
}

#[test]
fn a_key_is_read_however_it_was_pasted() {
    for more in [&["-t", "ed25519"][..], &["-t", "rsa", "-b", "2048"], &["-t", "ecdsa"]] {
        let key = made_by_ssh("", more);
        let public = public_by_ssh(&key);
        let indented: String = key.lines().map(|line| format!("    {line}\n")).collect();
        for pasted in [
            key.clone(),
            key.replace('\n', "\r\n"),
            indented,
            key.replace('\n', " "),
            key.replace('\n', "\\n"),
            format!("\u{feff}\n\n{}", key.trim_end()),
        ] {
            let read: DeployKey = pasted.parse().unwrap();
            assert_eq!(read.public(), public);
            assert_eq!(public_by_ssh(read.private().expose()), public);
        }
    }
}

#[test]
fn a_key_with_a_passphrase_is_refused_and_says_so() {
    let error = made_by_ssh("hunter2", &["-t", "ed25519"]).parse::<DeployKey>().unwrap_err();
    assert!(matches!(error, InvalidCredential::Passphrase), "{error}");
}

#[test]
fn what_is_no_key_is_refused_without_being_repeated() {
    let old = made_by_ssh("", &["-t", "rsa", "-b", "2048", "-m", "PEM"]);
    assert!(matches!(old.parse::<DeployKey>(), Err(InvalidCredential::OldKey)));
    let key = made_by_ssh("", &["-t", "ed25519"]);
    for text in ["", "ssh-ed25519 AAAA", "canary", &key[..key.len() / 2], &key.replace('A', "B")] {
        let error = text.parse::<DeployKey>().unwrap_err();
        assert!(matches!(error, InvalidCredential::NotAKey), "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}

#[test]
fn debugging_shows_no_secret() {
    let key = DeployKey::generate("a");
    let token = AccessToken::new(Some("ada"), "canary").unwrap();
    let shown = format!("{:?} {:?}", Credential::Key(key), Credential::Token(token));
    assert!(!shown.contains("canary") && !shown.contains("PRIVATE"), "{shown}");
}

#[test]
fn a_token_fits_into_a_header() {
    assert_eq!(AccessToken::new(None, " abc\n").unwrap().token().expose(), "abc");
    for token in ["", " ", "a b", "a\nHost: x", "\u{e9}", &"a".repeat(4097)] {
        AccessToken::new(None, token).unwrap_err();
    }
    for user in ["", "a:b", "a b", "a\n"] {
        AccessToken::new(Some(user), "abc").unwrap_err();
    }
}

#[test]
fn only_files_below_the_directory_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("secrets");
    std::fs::create_dir_all(root.join("..data")).unwrap();
    std::fs::write(dir.path().join("outside"), "canary").unwrap();
    std::fs::write(root.join("..data/token"), "abc\n").unwrap();
    std::os::unix::fs::symlink("..data/token", root.join("token")).unwrap();
    std::os::unix::fs::symlink("../outside", root.join("out")).unwrap();
    let files = SecretFiles::new(Some(root.clone()));
    let stored = StoredCredential::TokenFile { user: None, file: "token".to_owned() };
    let Credential::Token(token) = stored.open(&files).unwrap() else { panic!("no token") };
    assert_eq!(token.token().expose(), "abc");
    // What the operator replaces counts at once.
    std::fs::write(root.join("..data/token"), "new").unwrap();
    let Credential::Token(token) = stored.open(&files).unwrap() else { panic!("no token") };
    assert_eq!(token.token().expose(), "new");
    for name in ["", "out", "../outside", "/etc/passwd", "..data", "missing", "./token/.."] {
        let error = files.read(name).expect_err(name);
        assert!(!error.to_string().contains("canary"));
    }
    SecretFiles::default().read("token").unwrap_err();
}

#[test]
fn what_is_sealed_is_read_back() {
    let token = AccessToken::new(Some("ann"), "s3cret").unwrap();
    let key = DeployKey::generate("wikigrove garden");
    let file = StoredCredential::KeyFile { file: "keys/garden".to_owned() };
    let again = |stored: StoredCredential| StoredCredential::unsealed(&stored.to_be_sealed());
    let Some(StoredCredential::Token(token)) = again(StoredCredential::Token(token)) else {
        panic!("no token")
    };
    assert_eq!((token.user(), token.token().expose()), (Some("ann"), "s3cret"));
    let Some(StoredCredential::Key(kept)) = again(StoredCredential::Key(key.clone())) else {
        panic!("no key")
    };
    assert_eq!(kept.private().expose(), key.private().expose());
    assert!(matches!(again(file), Some(StoredCredential::KeyFile { .. })));
    assert!(StoredCredential::unsealed(&Secret::new("{}".to_owned())).is_none());
}
