//! The events of a link.

use std::time::Duration;

use wikigrove_tenant::Revision;

use super::link::Choice;

/// An input of the state machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A save was committed in the wiki, together with its job.
    Saved,
    /// [`LinkState::next_at`](super::LinkState::next_at) has come.
    Due,
    /// The host reported a push, in a message with a valid signature.
    Webhook {
        /// The branch's tip as the message states it.
        after: Option<Revision>,
    },
    /// An authorised user requested a run, even if the link is paused.
    Requested,
    /// A user reads the wiki, which should be up to date.
    Read,
    /// The scheduler gave the link its turn: a process and the lease on the wiki.
    Started,
    /// An effect of a run ended.
    Done {
        /// The number of the run; outcomes of any other than the current run are ignored.
        run: u64,
        /// The outcome.
        outcome: Outcome,
    },
    /// A user made a decision.
    Decided {
        /// The decision.
        choice: Choice,
        /// The remote's tip that was shown with the question. The event is ignored if the open question is about
        /// another tip.
        tip: Option<Revision>,
    },
    /// A user says that the cause of a pause is fixed: a key confirmed, a branch restored.
    Resumed,
    /// The link's settings or its credential were changed.
    Changed {
        /// The remote, branch or subdirectory is another one now, so the recorded tips are void.
        remote: bool,
        /// The link logs in with a key that was generated just now and can't be known to the host yet: the link is
        /// paused until a user requests a run.
        unused_key: bool,
    },
    /// The link, or the whole platform, must not use the network.
    Offline,
    /// The network may be used again.
    Online,
    /// The link was switched off, or is about to be removed.
    Disabled,
    /// The process was restarted.
    Restarted,
    /// The wall clock was set back or forward by more than it drifts. Sent to every link.
    ClockMoved,
}

/// The outcome of an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The remote's tip is in quarantine, and its tree may be taken over.
    Fetched {
        /// The tip.
        incoming: Revision,
    },
    /// The remote answered, and doesn't have the branch.
    BranchAbsent {
        /// True if the remote has no branch at all.
        empty: bool,
        /// The wiki's head, if it has commits. For a link that covers a part, the corresponding commit for the remote.
        local: Option<Revision>,
    },
    /// The tip has entries that no wiki may take over.
    HostileTree {
        /// The tip.
        incoming: Revision,
        /// The entries, and the problem of each.
        text: String,
    },
    /// The link's subdirectory is a file or a symlink in the tip.
    Unmappable {
        /// The tip.
        incoming: Revision,
    },
    /// The two histories were compared.
    Compared(Facts),
    /// The two were merged in memory.
    Merged {
        /// Number of conflicting pages.
        conflicts: u32,
        /// The pages that the result would delete.
        deletions: Deletions,
    },
    /// The result is the wiki's head, durably.
    Applied {
        /// The new head. For a link that covers a part, the corresponding commit for the remote.
        head: Revision,
    },
    /// A save was committed since the comparison, and nothing was applied.
    HeadMoved,
    /// The remote said that it accepted the push, or already had the commit.
    Pushed,
    /// It is unknown if the push landed: a timeout, a lost connection, a killed process.
    PushUnknown,
    /// The remote refused the push because its branch isn't at the expected tip: another push was faster.
    NonFastForward,
    /// The remote refused the push by a rule of its own: a hook, a protected branch.
    Rejected {
        /// The remote's message.
        text: String,
    },
    /// The remote's branch was looked up after a push.
    Seen(Landing),
    /// The effect failed.
    Failed {
        /// The kind of failure.
        failure: Failure,
        /// The message of git or the system, without secrets.
        text: String,
    },
}

/// Result of comparing the wiki's head with the remote's tip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The wiki's head; `None` if it has no commit yet. For a link that covers a part, the corresponding commit for the
    /// remote, as soon as there is one.
    pub local: Option<Revision>,
    /// The relation of the two histories.
    pub relation: Relation,
    /// True if both have the same text, even if their histories differ.
    pub same_tree: bool,
    /// True if the last seen tip is known and isn't an ancestor of this one. For a link that covers a part, the part
    /// must have been rewritten, too.
    pub rewritten: bool,
    /// True if the wiki has commits that the last seen tip doesn't have.
    pub local_only: bool,
    /// The pages that a fast-forward would delete.
    pub deletions: Deletions,
    /// True if the remote holds nothing but the files a hosting service creates: a README, a licence, a .gitignore.
    pub trivial: bool,
    /// True if the tip that was decided about is this one or an ancestor of it.
    pub decided: bool,
}

/// The number of pages that a result would delete. Counted from the result and not against a merge base: there can be
/// several bases, and none of them need have the page. A moved page isn't deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deletions {
    /// Number of the wiki's pages within the link's scope.
    pub pages: u32,
    /// Number of these pages that would be deleted.
    pub deleted: u32,
}

impl Deletions {
    /// Returns `true` if the deletions look like an accident: more than [`MANY_DELETIONS`](super::MANY_DELETIONS)
    /// pages, and more than half of them.
    pub fn are_many(self) -> bool {
        self.deleted > super::MANY_DELETIONS && self.deleted > self.pages / 2
    }
}

/// The relation of the remote's tip to the wiki's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// They are the same commit.
    Same,
    /// The wiki has all the commits that the remote has, and more.
    Ahead,
    /// The remote has all the commits that the wiki has, and more. Also if the wiki has no commit yet.
    Behind,
    /// Each has commits that the other doesn't have.
    Diverged,
    /// They have no common ancestor.
    Unrelated,
}

/// The position of the remote's branch after a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landing {
    /// At the pushed commit, or at a descendant of it.
    Landed {
        /// The tip.
        tip: Revision,
    },
    /// At an ancestor of the pushed commit: the push didn't land.
    NotLanded,
    /// At an unrelated commit, or the branch is missing.
    Elsewhere,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A retry may work: no connection, a timeout, 5xx, 429, a locked ref.
    Transient {
        /// The wait that the remote asked for.
        retry_after: Option<Duration>,
        /// True if the remote itself answered that it did nothing, so that there is nothing to verify.
        answered: bool,
    },
    /// A failure on this side: a full disk, a quota, a wiki that can't be opened. Says nothing about the remote.
    Local,
    /// 401, 403, or a key that isn't accepted.
    Auth,
    /// The host's key is unknown or has changed.
    HostKey,
    /// The host's address isn't a public one.
    BlockedAddress,
    /// The remote redirects to another host.
    Redirected,
    /// The fetched data exceeds the limit; the part that arrived was removed.
    TooLarge,
    /// 404 or 410.
    Gone,
    /// SHA-256 object ids, or a shallow history.
    Unsupported,
}
