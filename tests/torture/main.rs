//! Drills: kills, power cuts, injected failures, damaged files and scarce resources.
//!
//! Each drill runs the real program and checks the same three things afterwards: no acknowledged
//! operation is lost, every wiki can be written, and wikis that weren't touched are as they were.
//! `WIKIGROVE_TORTURE=long` runs each drill for long; see CONTRIBUTING.md.
#![allow(clippy::unwrap_used, reason = "also in the helpers: a test that can't go on panics")]

mod aftermath;
mod crash_points;
mod damages;
mod effort;
mod failures;
mod grove;
mod kills;
mod ledger;
mod load;
mod memory_group;
mod power_cuts;
mod scarcity;
mod siege;
mod volatile_disk;

/// The program under test, on a data directory.
fn program(data: &std::path::Path) -> testkit::Program {
    testkit::Program::new(env!("CARGO_BIN_EXE_wikigrove-under-test"), data)
}

/// A number below `below` that differs from call to call and from run to run.
fn random(below: usize) -> usize {
    (getrandom::u64().unwrap() % below as u64) as usize
}

/// A file that isn't a module compiles nothing and tests nothing.
#[test]
fn every_file_beside_this_one_is_a_module_of_it() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("torture");
    let main = std::fs::read_to_string(dir.join("main.rs")).unwrap();
    for entry in std::fs::read_dir(dir).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(module) = name.strip_suffix(".rs") else { continue };
        let listed = main.lines().any(|line| line == format!("mod {module};"));
        assert!(listed || module == "main", "tests/torture/{name} isn't listed in main.rs");
    }
}
