//! Protects the process's memory, files and secrets from other users of the machine.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use clap::ArgMatches;
use clap::parser::ValueSource;
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, geteuid, setrlimit, umask};

use super::Failure;

/// Options whose values are secrets or may contain one.
const SECRETS: [(&str, &str, &str); 3] = [
    ("admin_token", "--admin-token", "WIKIGROVE_ADMIN_TOKEN"),
    ("smtp", "--smtp", "WIKIGROVE_SMTP"),
    ("notify_secret", "--notify-secret", "WIKIGROVE_NOTIFY_SECRET"),
];

/// Keeps the process's memory, which holds keys and tokens, out of core files and away from other
/// processes of this user. New files are accessible to this user only, also those of child processes.
pub(super) fn close_off() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core files can't be turned off");
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
            tracing::warn!(%error, "other processes may read the memory of this one");
        }
    }
    umask(Mode::RWXG | Mode::RWXO);
}

/// The options on the command line that contain secrets, with their environment variables.
pub(super) fn secrets_on_the_command_line(
    mut matches: &ArgMatches,
) -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    loop {
        let is_given = |id: &str| {
            matches.try_contains_id(id).is_ok()
                && matches.value_source(id) == Some(ValueSource::CommandLine)
        };
        let given = SECRETS.iter().filter(|(id, ..)| is_given(id));
        found.extend(given.map(|(_, option, variable)| (*option, *variable)));
        match matches.subcommand() {
            Some((_, inner)) => matches = inner,
            None => return found,
        }
    }
}

/// Refuses a data directory in which other users can replace files.
pub(super) fn check_data_dir(dir: &Path) -> Result<(), Failure> {
    // A missing directory is created later, for this user only.
    let Ok(found) = dir.metadata() else { return Ok(()) };
    let (mode, shown) = (found.permissions().mode(), dir.display());
    if mode & 0o002 != 0 {
        return Err(format!(
            "every user of this machine may write to the data directory {shown}: make sure that what is in it \
             is yours, then chmod 700"
        )
        .into());
    }
    if mode & 0o020 != 0 {
        tracing::warn!(dir = %shown, "a group may write to the data directory, and so do what the operator may");
    }
    let owner = found.uid();
    if owner != geteuid().as_raw() && owner != 0 {
        tracing::warn!(dir = %shown, owner, "the data directory is another user's, who may do what the operator may");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::super::Cli;
    use super::*;

    fn found(line: &[&str]) -> Vec<&'static str> {
        let matches = Cli::command().get_matches_from(line);
        secrets_on_the_command_line(&matches).into_iter().map(|(option, _)| option).collect()
    }

    #[test]
    fn secrets_on_the_command_line_are_noticed() {
        let line = ["x", "serve", "--admin-token", "a", "--notify-secret", "b"];
        assert_eq!(found(&line), ["--admin-token", "--notify-secret"]);
        let line = ["x", "serve", "--smtp", "smtp://a:b@c", "--mail-from", "a@example.org"];
        assert_eq!(found(&line), ["--smtp"]);
        assert_eq!(found(&["x", "wiki", "--admin-token", "a", "list"]), ["--admin-token"]);
        assert_eq!(found(&["x", "serve"]), [""; 0]);
        assert_eq!(found(&["x"]), [""; 0]);
    }

    #[test]
    fn a_directory_that_every_user_may_write_to_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let set = |mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(dir.path(), mode).unwrap();
        };
        for good in [0o700, 0o755, 0o770] {
            set(good);
            check_data_dir(dir.path()).unwrap();
        }
        for bad in [0o777, 0o702, 0o1777] {
            set(bad);
            let error = check_data_dir(dir.path()).unwrap_err().to_string();
            assert!(error.contains("chmod 700"), "{error}");
        }
        check_data_dir(&dir.path().join("none")).unwrap();
    }
}
