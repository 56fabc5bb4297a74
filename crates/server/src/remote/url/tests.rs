use proptest::prelude::*;

use super::*;

fn shown(text: &str) -> String {
    text.parse::<RemoteUrl>().unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
}

#[test]
fn the_three_forms_are_understood() {
    for url in [
        "https://github.com/ada/garden.git",
        "https://git.example.org:8443/a/b",
        "https://dev.example.com/org/my%20project/_git/wiki",
        "https://[2606:4700::1111]/x.git",
        "ssh://git@example.org:2222/srv/git/garden.git",
        "ssh://example.org/~ada/garden.git",
        "git@codeberg.org:ada/garden.git",
        "http://git.lan:3000/x",
    ] {
        assert_eq!(shown(url), url);
    }
    assert_eq!(shown("https://GitHub.com:443/Ada/Garden"), "https://github.com/Ada/Garden");
    assert_eq!(shown("git@example.org:/srv/x.git"), "ssh://git@example.org/srv/x.git");
}

#[test]
fn parts_are_what_they_were() {
    let url: RemoteUrl = "ssh://git@example.org:2222/garden.git".parse().unwrap();
    assert_eq!((url.scheme(), url.user(), url.port()), (Scheme::Ssh, Some("git"), 2222));
    let url: RemoteUrl = "https://[2606:4700::1111]:8443/x".parse().unwrap();
    assert_eq!(url.origin(), "https://[2606:4700::1111]:8443");
    assert_eq!(url.host().bare(), "2606:4700::1111");
    let url: RemoteUrl = "git@example.org:x".parse().unwrap();
    assert_eq!((url.scheme(), url.port()), (Scheme::Ssh, 22));
}

#[test]
fn nothing_else_is_a_url() {
    for url in [
        "",
        "https://",
        "https:///x",
        "https://example.org",
        "https://example.org/",
        "https://example.org//x",
        "https://example.org/a/./b",
        "https://example.org/a/%2e%2e/b",
        "https://example.org/a%2fb",
        "https://example.org/a%zz",
        "https://example.org/a%0",
        "https://example.org/a%C3%A9%0A",
        "https://user@example.org/x",
        "https://user:secret@example.org/x",
        "ssh://git:secret@example.org/x",
        "ssh://-x@example.org/x",
        "ssh://@example.org/x",
        "https://example.org:/x",
        "https://example.org:+443/x",
        "https://example..org/x",
        "https://-example.org/x",
        "https://example.org./x",
        "https://exa_mple.org/x",
        "https://127.1/x",
        "https://0177.0.0.1/x",
        "https://1.2.3.0x4/x",
        "https://[::1/x",
        "https://[::1%eth0]/x",
        "https://[127.0.0.1]/x",
        "https://[::1]x/y",
        "git@example.org:-x",
        "git@example.org:",
        "git@:x",
        "example.org:x",
        "git@example.org:a b",
        "ssh://example.org/$(touch x)",
        "ssh://example.org/`x`",
        "https://ex\u{e4}mple.org/x",
        "HTTPS://example.org/x",
        "git+ssh://example.org/x",
        "ssh+git://example.org/x",
    ] {
        url.parse::<RemoteUrl>().expect_err(url);
    }
}

#[test]
fn an_error_never_repeats_a_password() {
    let error = "https://ada:hunter2@example.org/x".parse::<RemoteUrl>().unwrap_err();
    assert!(!error.to_string().contains("hunter2"));
}

#[test]
fn branches_are_one_ref() {
    for name in ["main", "wiki/pages", "v1.2", "a-b_c", "MAIN"] {
        assert_eq!(name.parse::<Branch>().unwrap().full(), format!("refs/heads/{name}"));
    }
    for name in [
        "",
        "-d",
        "HEAD",
        "refs/heads/main",
        "a..b",
        "a.",
        ".a",
        "a/.b",
        "a.lock",
        "a.LOCK/b",
        "/a",
        "a/",
        "a//b",
        "a b",
        "a~1",
        "a^",
        "a:b",
        "+a",
        "a*",
        "@",
        "a@{1}",
        "a\\b",
        "a\n",
        "\u{e9}",
    ] {
        name.parse::<Branch>().expect_err(name);
    }
}

#[test]
fn a_subdirectory_is_named_like_a_page() {
    assert_eq!("docs/wiki/".parse::<Subdirectory>().unwrap().as_str(), "docs/wiki");
    for path in ["", "/", ".git", "docs/.git/x", "../x", "a//b", "a\\b", "/docs"] {
        path.parse::<Subdirectory>().expect_err(path);
    }
}

proptest! {
    #[test]
    fn what_is_understood_is_understood_again(text in "(https|ssh)://([a-z-]{0,3}@)?[a-z0-9.-]{1,9}(:[0-9]{0,5})?/[ -~]{0,12}") {
        if let Ok(url) = text.parse::<RemoteUrl>() {
            let again: RemoteUrl = url.to_string().parse().unwrap();
            prop_assert_eq!(&again, &url);
            prop_assert!(!url.to_string().contains("/-") && !url.to_string().contains(".."));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
        if let Ok(url) = text.parse::<RemoteUrl>() {
            prop_assert!(url.to_string().is_ascii());
        }
        let _ = text.parse::<Branch>();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn git_takes_every_branch_that_is_taken_here(name in "[a-zA-Z0-9._/-]{1,12}") {
        if let Ok(branch) = name.parse::<Branch>() {
            let mut git = wikigrove_tenant::storage::git_program::command();
            let status = git.args(["check-ref-format", &branch.full()]).status().unwrap();
            prop_assert!(status.success(), "{}", branch);
        }
    }
}
