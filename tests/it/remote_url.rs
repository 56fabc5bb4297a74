//! URLs, branches and directories of remotes that must never be used, from `bad_inputs.json`.

use wikigrove_server::remote::{Branch, Policy, RemoteUrl, Subdirectory};

use crate::bad_inputs::driven_by;

/// Whether a URL gets as far as being used.
fn is_refused(url: &str) -> bool {
    match url.parse::<RemoteUrl>() {
        Ok(url) => Policy::default().check(&url).is_err(),
        Err(_) => true,
    }
}

#[test]
fn urls_that_reach_what_they_must_not_are_refused() {
    for bad in driven_by("urls_that_reach_what_they_must_not_are_refused") {
        // Two of them on one line are two.
        for url in bad.input.split(", ") {
            assert!(is_refused(url), "{}: {url}", bad.id);
        }
    }
}

#[test]
fn a_url_without_an_end_is_refused() {
    for bad in driven_by("a_url_without_an_end_is_refused") {
        assert!(bad.input.len() > 2048 && is_refused(&bad.input), "{}", bad.id);
    }
    let at_most = format!("https://example.org/{}", "a".repeat(2048 - 20));
    assert!(!is_refused(&at_most));
}

#[test]
fn branches_that_are_more_than_one_ref_are_refused() {
    for bad in driven_by("branches_that_are_more_than_one_ref_are_refused") {
        let name = bad.input.strip_prefix("branch = ").unwrap();
        name.parse::<Branch>().expect_err(&bad.id);
    }
}

#[test]
fn a_subdirectory_that_git_reads_is_refused() {
    for bad in driven_by("a_subdirectory_that_git_reads_is_refused") {
        let path = bad.input.strip_prefix("subdir = ").unwrap();
        path.parse::<Subdirectory>().expect_err(&bad.id);
    }
}
