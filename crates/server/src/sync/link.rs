//! What a link is set to, and the words for what it can be in.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::words::words;

/// In which direction a link carries text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Both ways.
    #[default]
    Both,
    /// From the wiki to the remote only. Commits that others make there need a decision.
    Push,
    /// From the remote to the wiki only. What is saved in the wiki stays there.
    Pull,
    /// Not at all.
    Off,
}
words!(Mode { Both = "both", Push = "push", Pull = "pull", Off = "off" });

impl Mode {
    /// Whether the remote is to have what the wiki has: saves get a job for the link.
    pub fn pushes(self) -> bool {
        matches!(self, Self::Both | Self::Push)
    }

    /// Whether the wiki takes over by itself what others put into the remote.
    pub fn pulls(self) -> bool {
        matches!(self, Self::Both | Self::Pull)
    }
}

/// Which text keeps its page when both sides changed the same lines. The other becomes a page beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Winner {
    /// The wiki's.
    #[default]
    Wiki,
    /// The remote's.
    Remote,
    /// The one with the smaller blob id, so that two ends that merge the same pair get the same tree
    /// without having heard of each other. The merge commit, too, depends on the pair alone then: the
    /// smaller parent comes first, and its date is the later parent's. Without that, two ends that
    /// pull from each other would merge each other's merges for ever.
    Stable,
}
words!(Winner { Wiki = "wiki", Remote = "remote", Stable = "stable" });

/// What happens when a link meets a remote for the first time whose history has nothing in common
/// with the wiki's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FirstRun {
    /// It asks. (Not for a remote with nothing but a README, a licence or the like: that is merged.)
    #[default]
    Ask,
    /// Both are kept; what has the same path is a conflict.
    Merge,
    /// The wiki becomes what the remote has.
    Import,
    /// Only an empty remote is expected; anything else is asked about.
    Push,
}
words!(FirstRun { Ask = "ask", Merge = "merge", Import = "import", Push = "push" });

/// What happens when the remote's history was replaced by another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnRewrite {
    /// It asks.
    #[default]
    Ask,
    /// The wiki follows, unless it has commits of its own that the old history didn't have.
    Follow,
}
words!(OnRewrite { Ask = "ask", Follow = "follow" });

/// What a link is doing, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Nothing to do until its timer or a trigger.
    Idle,
    /// Waits for its turn.
    Due,
    /// Fetches what the remote has.
    Fetching,
    /// Finds out how the two histories are related.
    Comparing,
    /// Merges them in memory.
    Merging,
    /// Makes the result the wiki's head.
    Applying,
    /// Pushes.
    Pushing,
    /// Looks whether the remote has it.
    Verifying,
    /// Waits after a failure.
    Backoff,
    /// Waits for somebody to choose.
    NeedsDecision,
    /// Waits for somebody to mend something.
    Paused,
    /// Told to leave the network alone.
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

/// Why a link, or only its pushing, stands still until somebody mends something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PauseReason {
    /// The remote doesn't accept the credential.
    Auth,
    /// The host's key is unknown, or isn't the one that was confirmed.
    HostKeyChanged,
    /// The host's address isn't a public one, or the remote sent us elsewhere.
    BlockedAddress,
    /// What the remote has is larger than is allowed.
    RemoteTooLarge,
    /// The branch isn't there, though it was, or though others are.
    BranchMissing,
    /// The repository hasn't been there for a day.
    RemoteGone,
    /// The remote refuses the push by a rule of its own. Pulling goes on.
    Rejected,
    /// The remote's format can't be read: SHA-256 object ids, a shallow history.
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

/// What somebody has to decide before a link goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DecisionReason {
    /// The remote's history was replaced by another.
    ForcePushed,
    /// The two histories have nothing in common.
    Unrelated,
    /// Others have put commits into a remote that is only pushed to.
    ForeignCommits,
    /// The remote lost most of the pages.
    MassDelete,
    /// The merge has more conflicts than anybody wants to find as pages.
    TooManyConflicts,
    /// The remote has names that no wiki may take over.
    HostileTree,
    /// The subdirectory that the link covers is no directory there.
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
    /// What can be chosen.
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

/// What somebody chose. Whatever it is, both histories stay reachable, and nothing is forced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    /// The wiki's pages become what the remote has. After a rewrite, what was saved in the wiki since
    /// is kept on top of it.
    Remote,
    /// The wiki's pages stay as they are, and the remote gets them.
    Wiki,
    /// The two are merged as always; what can't be merged is a conflict.
    Both,
    /// Look again: the cause is gone.
    Retry,
}
words!(Choice { Remote = "remote", Wiki = "wiki", Both = "both", Retry = "retry" });

/// What the machine needs to know of a link's settings. Where the remote is and how to get in is
/// for whoever performs the effects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// In which direction.
    pub mode: Mode,
    /// Who keeps the page in a conflict.
    pub winner: Winner,
    /// What to do on meeting a remote with a history of its own.
    pub first_run: FirstRun,
    /// What to do when the remote's history is replaced.
    pub on_rewrite: OnRewrite,
    /// How often it looks by itself.
    pub interval: Duration,
    /// For how long after one look a reader doesn't cause another.
    pub cooldown: Duration,
    /// What it logs in with may be another the next time, without anybody changing the link: a mounted file.
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
