//! What can happen to a link.

use std::time::Duration;

use wikigrove_tenant::Revision;

use super::link::Choice;

/// Something that happened to a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A save was committed in the wiki, and its job with it.
    Saved,
    /// [`LinkState::next_at`](super::LinkState::next_at) has come.
    Due,
    /// The host told of a push, in a message whose signature holds.
    Webhook {
        /// The commit that the branch is said to be at.
        after: Option<Revision>,
    },
    /// Somebody who may wants it to run now, and be it that it stands still.
    Requested,
    /// Somebody reads the wiki, and would like to read the newest.
    Read,
    /// The scheduler gave it its turn: a process, and the wiki to itself.
    Started,
    /// An effect of the run with this number ended.
    Done {
        /// The run; what comes from another than the current one is ignored.
        run: u64,
        /// How it ended.
        outcome: Outcome,
    },
    /// Somebody chose.
    Decided {
        /// What.
        choice: Choice,
        /// The remote's tip that was shown with the question. Ignored if the question is about another.
        tip: Option<Revision>,
    },
    /// Somebody says that the cause of a pause is mended: a key confirmed, a branch restored.
    Resumed,
    /// The link's settings or its credential were changed.
    Changed {
        /// It is another remote, branch or subdirectory now, so what is known of the old one is void.
        remote: bool,
        /// It logs in with a key that was made just now, so that nobody can have put it where it belongs: it
        /// stands still until somebody wants it to run.
        unused_key: bool,
    },
    /// The link, or all of the platform, is to leave the network alone.
    Offline,
    /// It may use it again.
    Online,
    /// The link was switched off, or is about to be removed.
    Disabled,
    /// The process that this link lived in ended, and this is another.
    Restarted,
    /// The wall clock was put back or forward by more than it drifts. Sent to every link.
    ClockMoved,
}

/// How an effect ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What the remote's branch points at is here, in quarantine, and its tree may be taken over.
    Fetched {
        /// The tip.
        incoming: Revision,
    },
    /// The remote answered, and doesn't have the branch.
    BranchAbsent {
        /// It has no branch at all.
        empty: bool,
        /// The wiki's head, if it has commits; of a link that covers a part, what stands for it there.
        local: Option<Revision>,
    },
    /// The tip has entries that no wiki may take over.
    HostileTree {
        /// The tip.
        incoming: Revision,
    },
    /// The subdirectory that the link covers is a file or a symlink there.
    Unmappable {
        /// The tip.
        incoming: Revision,
    },
    /// How the two histories are related.
    Compared(Facts),
    /// The two were merged in memory.
    Merged {
        /// How many pages conflict.
        conflicts: u32,
        /// What the result would delete.
        deletions: Deletions,
    },
    /// The result is the wiki's head, durably.
    Applied {
        /// The new head; of a link that covers a part, what stands for it at the remote.
        head: Revision,
    },
    /// Somebody saved since the comparison, and nothing was applied.
    HeadMoved,
    /// The remote said that it took the push, or that it has it already.
    Pushed,
    /// Nobody knows whether the push landed: a timeout, a hang-up, a process that was killed.
    PushUnknown,
    /// The remote refused the push because its branch isn't where we saw it: somebody was faster.
    NonFastForward,
    /// The remote refused the push by a rule of its own: a hook, a protected branch.
    Rejected {
        /// What it said.
        text: String,
    },
    /// What the remote's branch was seen to be at after a push.
    Seen(Landing),
    /// It didn't work.
    Failed {
        /// In which way.
        failure: Failure,
        /// What git or the system said, without secrets.
        text: String,
    },
}

/// What the comparison of the wiki's head with the remote's tip found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The wiki's head; none if it has no commit yet. Of a link that covers a part, what stands for it at the
    /// remote, as soon as anything can.
    pub local: Option<Revision>,
    /// How the two are related.
    pub relation: Relation,
    /// Both have the same text, whatever their histories are.
    pub same_tree: bool,
    /// The tip that was seen last is set, and isn't an ancestor of this one; and of a link that covers a part,
    /// that part was rewritten.
    pub rewritten: bool,
    /// The wiki has commits that the tip that was seen last hasn't.
    pub local_only: bool,
    /// What a fast-forward would delete.
    pub deletions: Deletions,
    /// The remote has nothing but what a hosting service puts there: a README, a licence, a .gitignore.
    pub trivial: bool,
    /// The tip that was decided about is this one or an ancestor of it.
    pub decided: bool,
}

/// How much of the wiki wouldn't be there any more. Told by the result, not by a base: there can be several,
/// and none of them need know the page. A page that moved isn't deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deletions {
    /// How many pages the wiki has in what the link covers.
    pub pages: u32,
    /// How many of them would be gone.
    pub deleted: u32,
}

impl Deletions {
    /// Whether so many look like an accident: more than [`MANY_DELETIONS`](super::MANY_DELETIONS), and
    /// more than half.
    pub fn are_many(self) -> bool {
        self.deleted > super::MANY_DELETIONS && self.deleted > self.pages / 2
    }
}

/// How the remote's tip is related to the wiki's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// They are the same.
    Same,
    /// The wiki has all that the remote has, and more.
    Ahead,
    /// The remote has all that the wiki has, and more. Also if the wiki has no commit yet.
    Behind,
    /// Both have something that the other hasn't.
    Diverged,
    /// They have nothing in common.
    Unrelated,
}

/// What the remote's branch points at after a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landing {
    /// At what was pushed, or at something built on it.
    Landed {
        /// The tip.
        tip: Revision,
    },
    /// At something that what was pushed is built on: it didn't land.
    NotLanded,
    /// At something else, or the branch isn't there.
    Elsewhere,
}

/// Ways not to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It may work next time: no connection, a timeout, 5xx, 429, a locked ref.
    Transient {
        /// How long the remote asked us to wait.
        retry_after: Option<Duration>,
        /// The remote itself answered that it did nothing, so that there is nothing to verify.
        answered: bool,
    },
    /// The trouble is ours: a full disk, a quota, a wiki that can't be opened. Says nothing of the peer.
    Local,
    /// 401, 403, or a key that isn't accepted.
    Auth,
    /// The host's key is unknown or has changed.
    HostKey,
    /// The host's address isn't a public one.
    BlockedAddress,
    /// The remote sends us elsewhere.
    Redirected,
    /// More than may be taken over. What arrived of it was removed.
    TooLarge,
    /// 404 or 410.
    Gone,
    /// SHA-256 object ids, or a shallow history.
    Unsupported,
}
