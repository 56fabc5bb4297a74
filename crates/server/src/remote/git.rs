//! Detects the git program and checks its version.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use wikigrove_tenant::storage::git_program::command;

/// The oldest git that supports every option used in [`wire`](super::wire): `--attr-source`.
const OLDEST: (u32, u32) = (2, 41);

/// The reason for which no remote can be reached from this machine. Wikis work without git.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitUnusable {
    /// There is no git program.
    #[error("synchronising needs the git program, and there is none: {0}")]
    Missing(String),
    /// git is older than 2.41.
    #[error("synchronising needs git 2.41 or newer, and this is {found}")]
    TooOld {
        /// Its version, such as `2.30.2`.
        found: String,
    },
}

/// A git program that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitProgram {
    version: String,
}

impl GitProgram {
    /// Looks for git once, at the start. Blocks for milliseconds.
    ///
    /// # Errors
    /// [`GitUnusable`], which is shown as the status.
    pub fn probe() -> Result<Self, GitUnusable> {
        Self::asked(command())
    }

    /// Looks in one directory only.
    ///
    /// # Errors
    /// [`GitUnusable`].
    pub fn probe_in(directory: impl AsRef<OsStr>) -> Result<Self, GitUnusable> {
        let mut command = command();
        command.env("PATH", directory);
        Self::asked(command)
    }

    fn asked(mut command: Command) -> Result<Self, GitUnusable> {
        let output = command
            .arg("version")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| GitUnusable::Missing(error.to_string()))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let Some(version) =
            said.trim().strip_prefix("git version ").filter(|_| output.status.success())
        else {
            return Err(GitUnusable::Missing("what is called git isn't".to_owned()));
        };
        let mut numbers = version.split('.').map_while(|part| part.parse::<u32>().ok());
        let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        if found < OLDEST {
            return Err(GitUnusable::TooOld { found: version.chars().take(40).collect() });
        }
        Ok(Self { version: version.to_owned() })
    }

    /// Its version, such as `2.47.3`.
    pub fn version(&self) -> &str {
        &self.version
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn called_git(script: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("git");
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        dir
    }

    #[test]
    fn this_machines_git_is_found() {
        let git = GitProgram::probe().unwrap();
        assert!(git.version().starts_with("2."), "{git:?}");
    }

    #[test]
    fn no_git_and_an_old_git_are_told_apart() {
        let empty = tempfile::tempdir().unwrap();
        let missing = GitProgram::probe_in(empty.path()).unwrap_err();
        assert!(matches!(missing, GitUnusable::Missing(_)), "{missing:?}");
        let old = called_git("echo git version 2.30.2");
        let too_old = GitProgram::probe_in(old.path()).unwrap_err();
        assert_eq!(too_old, GitUnusable::TooOld { found: "2.30.2".to_owned() });
        let other = called_git("echo hello");
        GitProgram::probe_in(other.path()).unwrap_err();
        let vendors = called_git("echo 'git version 2.50.1 (Apple Git-155)'");
        GitProgram::probe_in(vendors.path()).unwrap();
    }
}
