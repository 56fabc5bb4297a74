//! Files and habits of real wikis, driven from `field_cases.json`: each case says how its input is made, and which
//! answer a user rightly expects.

mod histories;
mod old_repositories;
mod rendering;
mod scripts;
mod sources;

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

/// A case of the file.
#[derive(Debug, Deserialize)]
struct Case {
    id: String,
    /// Shell commands that make a repository, or `content "…"`, or a description.
    input: String,
}

/// All cases of the file.
fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(testkit::test_data("field_cases.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The case with this id.
///
/// # Panics
/// The file isn't there or hasn't the case.
fn case(id: &str) -> Case {
    cases()
        .into_iter()
        .find(|case| case.id == id)
        .unwrap_or_else(|| panic!("there is no case {id}"))
}

impl Case {
    /// The text of an input that reads `content "…"`, with its escapes as Python has them: `\n`, `\"`, `\\`.
    fn content(&self) -> String {
        let start = self.input.find('"').unwrap();
        let mut values = serde_json::Deserializer::from_str(&self.input[start..]).into_iter();
        values.next().unwrap().unwrap()
    }

    /// Runs the shell commands of the input in a directory, with an author who is the same on every machine.
    fn make_in(&self, dir: &Path) {
        let mut bash = Command::new("bash");
        bash.args(["-euc", &self.input]).current_dir(dir).env("HOME", dir);
        for role in ["AUTHOR", "COMMITTER"] {
            bash.env(format!("GIT_{role}_NAME"), "Ann")
                .env(format!("GIT_{role}_EMAIL"), "ann@example.org");
        }
        let output = bash.output().unwrap();
        assert!(
            output.status.success(),
            "{}: {}",
            self.id,
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// The text of all tests below a directory.
fn texts_below(dir: &Path) -> String {
    let paths = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths
        .map(|path| match path.is_dir() {
            true => texts_below(&path),
            false => std::fs::read_to_string(path).unwrap(),
        })
        .collect()
}

#[test]
fn every_case_of_the_file_has_a_test() {
    let sources = texts_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("it/field_cases"));
    let cases = cases();
    assert!(cases.len() >= 47, "{}", cases.len());
    for Case { id, .. } in cases {
        assert!(sources.contains(&format!("\"{id}\"")), "no test asks for the case {id}");
    }
}
