//! The `git` program, for what it does better than a library: transfers, packing, checking.

use std::io::{self, Read as _, Seek as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How often it is looked whether git has ended, or nobody waits for it any more.
const LOOK: Duration = Duration::from_millis(20);

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
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", "file")
        .args(["-c", "core.hooksPath=/dev/null", "-c", "safe.directory=*"]);
    command
}

/// Runs git to its end; returns how it ended and what it printed to either side, which waits in `dir`. It
/// gets no input. When `is_ended` says so, it is killed, and this is `None`.
pub(crate) fn run(
    command: &mut Command,
    dir: &Path,
    is_ended: impl Fn() -> bool,
) -> io::Result<Option<(ExitStatus, String, String)>> {
    // Files without a name: however much it prints, it waits for nobody.
    let (mut printed, mut said) = (tempfile::tempfile_in(dir)?, tempfile::tempfile_in(dir)?);
    command.stdin(Stdio::null()).stdout(printed.try_clone()?).stderr(said.try_clone()?);
    let mut child = Guard(command.spawn()?);
    let status = loop {
        if let Some(status) = child.0.try_wait()? {
            break status;
        }
        if is_ended() {
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    };
    let text = |file: &mut std::fs::File| {
        let mut text = Vec::new();
        file.rewind()?;
        file.take(64 * 1024).read_to_end(&mut text)?;
        Ok::<_, io::Error>(String::from_utf8_lossy(&text).into_owned())
    };
    Ok(Some((status, text(&mut printed)?, text(&mut said)?)))
}

/// Whoever leaves early leaves no child behind.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // Of one that has ended already both do nothing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_it_prints_is_returned_and_a_failure_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (status, printed, _) =
            run(command().arg("--version"), dir.path(), || false).unwrap().unwrap();
        assert!(status.success() && printed.starts_with("git version"));
        let (status, _, said) =
            run(command().arg("nonsense"), dir.path(), || false).unwrap().unwrap();
        assert!(!status.success() && said.contains("nonsense"), "{said}");
    }

    #[test]
    fn it_is_killed_when_nobody_waits() {
        let (dir, start) = (tempfile::tempdir().unwrap(), Instant::now());
        let is_late = || start.elapsed() > Duration::from_millis(50);
        assert!(run(Command::new("sleep").arg("60"), dir.path(), is_late).unwrap().is_none());
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
