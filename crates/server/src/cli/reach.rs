//! Options that say what links with git repositories elsewhere may reach.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::remote::{Endpoint, SecretFiles};
use crate::sync::runner::Options;

/// The most that one transfer may take, in seconds: a whole run's time has to be enough for two.
const LONGEST_TRANSFER: u64 = 12 * 60;

/// What links may reach. For commands it counts where no server has the data directory open.
#[derive(Args, Clone, Debug)]
pub(super) struct ReachArgs {
    /// Don't run links with git repositories elsewhere. What is saved waits for them.
    #[arg(long, env = "WIKIGROVE_NO_SYNC")]
    no_sync: bool,
    /// Leave the network alone: as --no-sync, but meant to end soon.
    #[arg(long, env = "WIKIGROVE_OFFLINE")]
    offline: bool,
    /// A host that links may reach wherever it is, also with http://; may be repeated. Others must be on
    /// the open internet.
    #[arg(
        long,
        value_name = "HOST[:PORT]",
        env = "WIKIGROVE_SYNC_ALLOW",
        value_delimiter = ',',
        value_parser = endpoint
    )]
    sync_allow: Vec<Endpoint>,
    /// The only hosts that wikis may be linked with, besides those of --sync-allow; may be repeated
    /// [default: all on the open internet].
    #[arg(
        long,
        value_name = "HOST[:PORT]",
        env = "WIKIGROVE_SYNC_HOSTS",
        value_delimiter = ',',
        value_parser = endpoint
    )]
    sync_hosts: Vec<Endpoint>,
    /// The directory with mounted secrets that links may name files of.
    #[arg(long, value_name = "DIR", env = "WIKIGROVE_SYNC_SECRETS")]
    sync_secrets: Option<PathBuf>,
    /// How long one fetch or push may take. A first one of a large wiki over a slow line takes its time.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "WIKIGROVE_SYNC_TIMEOUT",
        default_value_t = 300,
        value_parser = clap::value_parser!(u64).range(1..=LONGEST_TRANSFER)
    )]
    sync_timeout: u64,
}

impl ReachArgs {
    pub(super) fn options(&self) -> Options {
        let mut options = Options {
            enabled: !self.no_sync,
            offline: self.offline,
            secret_files: SecretFiles::new(self.sync_secrets.clone()),
            ..Options::default()
        };
        options.wire.transfer = Duration::from_secs(self.sync_timeout);
        options.policy.admitted = self.sync_allow.clone();
        options.policy.only = Some(self.sync_hosts.clone()).filter(|hosts| !hosts.is_empty());
        options
    }
}

fn endpoint(text: &str) -> Result<Endpoint, String> {
    text.parse().map_err(|error| format!("{error}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        reach: ReachArgs,
    }

    #[test]
    fn hosts_are_named_with_or_without_a_port() {
        let line = ["x", "--sync-allow", "git.lan", "--sync-allow", "10.0.0.1:3000"];
        let options = Line::parse_from(line).reach.options();
        let named: Vec<_> = options.policy.admitted.iter().map(ToString::to_string).collect();
        assert_eq!(named, ["git.lan", "10.0.0.1:3000"]);
        assert!(options.enabled && !options.offline && options.policy.only.is_none());
        assert!(Line::try_parse_from(["x", "--sync-allow", "https://git.lan/"]).is_err());
    }
}
