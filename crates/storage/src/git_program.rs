//! The `git` program, for what it does better than a library: transfers, packing, checking.

use std::process::Command;

/// git without the user's and the machine's configuration, without hooks, and without anything it
/// could ask. No protocol but local files is allowed. Arguments go behind those that are there.
///
/// Text from users must reach it as data only: behind `--`, as a full ref name or an object id.
pub fn command() -> Command {
    let mut command = Command::new("git");
    command.env_clear();
    command
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", "file")
        .args(["-c", "core.hooksPath=/dev/null", "-c", "safe.directory=*"]);
    command
}
