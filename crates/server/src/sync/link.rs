//! The settings of a link, and its closed sets of states, reasons and choices.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::words::words;

/// The direction in which a link carries changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Both ways.
    #[default]
    Both,
    /// From the wiki to the remote only. Commits of others in the remote need a decision.
    Push,
    /// From the remote to the wiki only. Saves stay in the wiki.
    Pull,
    /// Not at all.
    Off,
}
words!(Mode { Both = "both", Push = "push", Pull = "pull", Off = "off" });

impl Mode {
    /// Returns `true` if saves are sent to the remote and so get a job for the link.
    pub fn pushes(self) -> bool {
        matches!(self, Self::Both | Self::Push)
    }

    /// Returns `true` if the wiki takes over commits of others from the remote without being asked.
    pub fn pulls(self) -> bool {
        matches!(self, Self::Both | Self::Pull)
    }
}

/// The side that keeps its page when both sides changed the same lines. The other side's text becomes a page beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Winner {
    /// The wiki's side.
    #[default]
    Wiki,
    /// The remote's side.
    Remote,
    /// The side with the smaller blob id, so that two ends that merge the same pair independently get the same tree.
    /// The merge commit depends on the pair alone, too: the smaller parent comes first, and the date is that of the
    /// later parent. Without this, two ends that pull from each other would merge each other's merges forever.
    Stable,
}
words!(Winner { Wiki = "wiki", Remote = "remote", Stable = "stable" });

/// The behaviour when a link first meets a remote whose history has nothing in common with the wiki's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FirstRun {
    /// Asks. (Except for a remote with nothing but a README, a licence or the like, which is merged.)
    #[default]
    Ask,
    /// Keeps both; files at the same path are conflicts.
    Merge,
    /// The wiki gets the remote's content.
    Import,
    /// Expects an empty remote, and asks otherwise.
    Push,
}
words!(FirstRun { Ask = "ask", Merge = "merge", Import = "import", Push = "push" });

/// The behaviour when the remote's history was rewritten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnRewrite {
    /// Asks.
    #[default]
    Ask,
    /// The wiki follows, unless it has commits that the old history didn't have.
    Follow,
}
words!(OnRewrite { Ask = "ask", Follow = "follow" });

/// The state of a link in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Waits for its timer or a trigger.
    Idle,
    /// Waits for its turn.
    Due,
    /// Fetches the remote's branch.
    Fetching,
    /// Compares the two histories.
    Comparing,
    /// Merges them in memory.
    Merging,
    /// Makes the result the wiki's head.
    Applying,
    /// Pushes.
    Pushing,
    /// Checks if the push landed.
    Verifying,
    /// Waits after a failure.
    Backoff,
    /// Waits for a user's decision.
    NeedsDecision,
    /// Waits until a user fixes the cause.
    Paused,
    /// May not use the network.
    Offline,
    /// Switched off.
    Disabled,
}
words!(
    State {
        Idle = "idle",
        Due = "due",
        Fetching = "fetching",
        Comparing = "comparing",
        Merging = "merging",
        Applying = "applying",
        Pushing = "pushing",
        Verifying = "verifying",
        Backoff = "backoff",
        NeedsDecision = "needs_decision",
        Paused = "paused",
        Offline = "offline",
        Disabled = "disabled",
    }
);

/// The reason for which a link, or only its pushing, is paused until a user fixes the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PauseReason {
    /// The remote doesn't accept the credential.
    Auth,
    /// The host's key is unknown, or isn't the confirmed one.
    HostKeyChanged,
    /// The host's address isn't a public one, or the remote redirected to another host.
    BlockedAddress,
    /// The remote's data is larger than allowed.
    RemoteTooLarge,
    /// The branch is missing, though it existed before or other branches exist.
    BranchMissing,
    /// The repository has been missing for a day.
    RemoteGone,
    /// The remote refuses the push by a rule of its own. Pulling goes on.
    Rejected,
    /// The remote's format isn't supported: SHA-256 object ids, a shallow history.
    Unsupported,
}
words!(
    PauseReason {
        Auth = "auth",
        HostKeyChanged = "host_key_changed",
        BlockedAddress = "blocked_address",
        RemoteTooLarge = "remote_too_large",
        BranchMissing = "branch_missing",
        RemoteGone = "remote_gone",
        Rejected = "rejected",
        Unsupported = "unsupported",
    }
);

/// The reason for which a link needs a user's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DecisionReason {
    /// The remote's history was rewritten.
    ForcePushed,
    /// The two histories have nothing in common.
    Unrelated,
    /// Others have pushed commits to a remote that the link only pushes to.
    ForeignCommits,
    /// The remote deleted most of the pages.
    MassDelete,
    /// The merge has too many conflicts to turn them into pages.
    TooManyConflicts,
    /// The remote has file names that no wiki may take over.
    HostileTree,
    /// The subdirectory that the link covers isn't a directory in the remote.
    Mapping,
}
words!(
    DecisionReason {
        ForcePushed = "force_pushed",
        Unrelated = "unrelated",
        ForeignCommits = "foreign_commits",
        MassDelete = "mass_delete",
        TooManyConflicts = "too_many_conflicts",
        HostileTree = "hostile_tree",
        Mapping = "mapping",
    }
);

impl DecisionReason {
    /// The possible choices.
    pub fn choices(self) -> &'static [Choice] {
        use Choice::{Both, Remote, Retry, Wiki};
        match self {
            Self::ForcePushed | Self::Unrelated | Self::TooManyConflicts => {
                &[Remote, Wiki, Both, Retry]
            }
            Self::ForeignCommits => &[Wiki, Both, Retry],
            Self::MassDelete => &[Remote, Wiki, Retry],
            Self::HostileTree | Self::Mapping => &[Retry],
        }
    }
}

/// A user's choice. With each of them both histories stay reachable, and nothing is force-pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    /// The wiki's pages become those of the remote. After a rewrite, later saves in the wiki are kept on top.
    Remote,
    /// The wiki's pages stay as they are and are pushed to the remote.
    Wiki,
    /// The two are merged as usual; texts that can't be merged are conflicts.
    Both,
    /// Run again: the cause is fixed.
    Retry,
}
words!(Choice { Remote = "remote", Wiki = "wiki", Both = "both", Retry = "retry" });

/// The settings of a link that the machine needs. The runner knows the rest: the remote's address and credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The direction.
    pub mode: Mode,
    /// The side that keeps the page in a conflict.
    pub winner: Winner,
    /// The behaviour at the first meeting with a remote that has a history of its own.
    pub first_run: FirstRun,
    /// The behaviour when the remote's history is rewritten.
    pub on_rewrite: OnRewrite,
    /// Time between periodic runs.
    pub interval: Duration,
    /// For this long after a run, a read of the wiki doesn't start another.
    pub cooldown: Duration,
    /// True if the credential is a mounted file, which may be replaced without a change of the link.
    pub renews: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            winner: Winner::default(),
            first_run: FirstRun::default(),
            on_rewrite: OnRewrite::default(),
            interval: Duration::from_secs(5 * 60),
            cooldown: Duration::from_secs(60),
            renews: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_and_others_are_told_what_there_is() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse::<State>().as_ref(), Ok(state));
            let json = serde_json::to_string(state).unwrap();
            assert_eq!(serde_json::from_str::<State>(&json).unwrap(), *state);
        }
        let error = "force".parse::<Mode>().unwrap_err();
        assert_eq!(error.to_string(), "one of both, push, pull, off is needed");
    }

    #[test]
    fn every_question_can_be_answered_and_asked_again() {
        for reason in DecisionReason::ALL {
            assert!(reason.choices().contains(&Choice::Retry), "{reason}");
        }
    }
}
