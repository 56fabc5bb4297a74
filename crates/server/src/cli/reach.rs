//! Options that restrict the network access of remotes.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::remote::{Endpoint, SecretFiles};
use crate::sync::runner::Options;

/// Maximum time of one transfer, in seconds: the time limit of a run has to cover two transfers.
const LONGEST_TRANSFER: u64 = 12 * 60;

/// Network access of remotes. For commands, it applies if no server has the data directory open.
#[derive(Args, Clone, Debug)]
pub(super) struct ReachArgs {
    /// Don't synchronise with remotes. Saved commits wait in the queue.
    #[arg(long, env = "WIKIGROVE_NO_SYNC")]
    no_sync: bool,
    /// Make no network connections; like --no-sync, but meant to be temporary.
    #[arg(long, env = "WIKIGROVE_OFFLINE")]
    offline: bool,
    /// A host that remotes may be on, even in a private network and with http://; may be repeated. All
    /// other hosts must be on the public internet.
    #[arg(
        long,
        value_name = "HOST[:PORT]",
        env = "WIKIGROVE_SYNC_ALLOW",
        value_delimiter = ',',
        value_parser = endpoint
    )]
    sync_allow: Vec<Endpoint>,
    /// The only hosts that remotes may be on, besides those of --sync-allow; may be repeated [default:
    /// all on the public internet].
    #[arg(
        long,
        value_name = "HOST[:PORT]",
        env = "WIKIGROVE_SYNC_HOSTS",
        value_delimiter = ',',
        value_parser = endpoint
    )]
    sync_hosts: Vec<Endpoint>,
    /// The directory of mounted secrets, whose files credentials of remotes may name.
    #[arg(long, value_name = "DIR", env = "WIKIGROVE_SYNC_SECRETS")]
    sync_secrets: Option<PathBuf>,
    /// Maximum time of one fetch or push. The first one of a large wiki over a slow line takes long.
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
