//! The integration tests, as one binary.
#![allow(clippy::unwrap_used, reason = "also in the helpers: a test that can't go on panics")]

mod admin;
mod admission;
mod attachments;
mod audit;
mod bad_inputs;
mod browsers;
mod canary;
mod channels;
mod context;
mod crash;
mod cut_files;
mod diff_blame;
mod disk_full;
mod drafts;
mod embedding;
mod events;
mod export;
mod feed;
mod field_cases;
mod git_http;
mod git_push_inputs;
mod growth;
mod heavy;
mod hidden_wikis;
mod history;
mod host;
mod hostile;
mod idempotency;
mod import;
mod isolation;
mod language;
mod lifecycle;
mod metrics;
mod moves;
mod openapi;
mod otterwiki;
mod pages;
mod people;
mod preferences;
mod proxy;
mod pushes;
mod registry;
mod remote_ssh;
mod remote_url;
mod remote_webhook;
mod remote_wire;
mod rendering;
mod roles;
mod runtimes;
mod shutdown;
mod slow_clients;
mod sync_auth;
mod sync_chaos;
mod sync_conflicts;
mod sync_history;
mod sync_mapping;
mod sync_merge;
mod sync_mesh;
mod sync_pull;
mod sync_push;
mod sync_queue;
mod sync_restarts;
mod sync_scenarios;
mod sync_strain;
mod sync_transport;
mod undo;
mod unread;
mod view;

/// The program under test, on a data directory.
fn program(data: &std::path::Path) -> testkit::Program {
    testkit::Program::new(env!("CARGO_BIN_EXE_wikigrove-under-test"), data)
}

/// The program under test, started in a directory, on `./data` there.
fn program_within(directory: &std::path::Path) -> testkit::Program {
    testkit::Program::within(env!("CARGO_BIN_EXE_wikigrove-under-test"), directory)
}

/// A file that isn't a module compiles nothing and tests nothing, and nobody notices.
#[test]
fn every_file_beside_this_one_is_a_module_of_it() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("it");
    let main = std::fs::read_to_string(dir.join("main.rs")).unwrap();
    for entry in std::fs::read_dir(dir).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(module) = name.strip_suffix(".rs") else { continue };
        let listed = main.lines().any(|line| line == format!("mod {module};"));
        assert!(listed || module == "main", "tests/it/{name} isn't listed in tests/it/main.rs");
    }
}
