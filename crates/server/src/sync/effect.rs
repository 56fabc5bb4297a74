//! What a link wants done.

use std::time::Duration;

use wikigrove_tenant::Revision;

use super::clock::Time;
use super::link::{DecisionReason, PauseReason, Winner};

/// Something to be done for a link. In order; see the [module](super) for when the state is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Tell it. In the transaction that stores the state.
    Notify(Notice),
    /// Ask the scheduler for a turn.
    Queue,
    /// Leave the scheduler: give the turn and the wiki back, or stop waiting for it. What is in quarantine
    /// or in memory for the run goes.
    Release,
    /// End what the run is doing, process group and all. Its outcome is no longer wanted.
    Cancel,
    /// Resolve the host, check and pin its address, fetch the branch into quarantine, and check what came.
    /// Ends in `Fetched`, `BranchAbsent`, `HostileTree`, `Unmappable` or `Failed`.
    Fetch,
    /// Find out how the wiki's head is related to what was fetched. A tip that was seen last and that the remote
    /// gave up is kept reachable under a backup ref before this ends; of a link that covers a part, whose commits
    /// don't come into the wiki, the wiki's commit that holds everything of it. Ends in `Compared` or `Failed`.
    Compare {
        /// What was fetched.
        incoming: Revision,
        /// The tip that was seen last.
        seen: Option<Revision>,
        /// The tip that somebody decided about.
        decided: Option<Revision>,
    },
    /// Merge in memory. Ends in `Merged` or `Failed`.
    Merge {
        /// What was fetched.
        incoming: Revision,
        /// How.
        plan: Plan,
        /// Who keeps the page in a conflict.
        winner: Winner,
    },
    /// Under the wiki's writer lock make the result the wiki's head, as a save does: durable, indexed, with
    /// jobs for the wiki's **other** links, and with its conflicts and **their notice in the same
    /// transaction**, so that neither can be without the other. Ends in `Applied`, `HeadMoved` or `Failed`.
    Apply {
        /// What was fetched.
        incoming: Revision,
        /// How it was merged.
        plan: Plan,
        /// Don't answer `HeadMoved`: the head has moved often enough. If it has again, merge anew while
        /// the lock is held (also where a fast-forward was planned), and apply that.
        insist: bool,
    },
    /// Move the remote's branch from what was fetched to this commit, or not at all: `git push` with a
    /// lease. Since `commit` has `from` as an ancestor, which the runner checks once more, that is a
    /// fast-forward. Without the lease a branch that was set back since the fetch would be moved
    /// forward again, and nobody asked. Ends in `Pushed`, `PushUnknown`, `NonFastForward` (also if the
    /// lease is stale), `Rejected` or `Failed`.
    Push {
        /// The commit.
        commit: Revision,
        /// Where the branch was; none if it isn't to exist yet.
        from: Option<Revision>,
    },
    /// Look what the remote's branch points at now, and fetch that if it is unknown. Ends in `Seen` or
    /// `Failed`.
    Verify {
        /// What was pushed.
        pushed: Revision,
    },
    /// Remove the link's jobs whose commit is this one or an ancestor of it. The remote has just
    /// reported it. Once more does no harm.
    RemoveJobs {
        /// A tip that the remote reported.
        up_to: Revision,
    },
    /// [`LinkState::next_at`](super::LinkState::next_at) is this now. It is in what was stored; this is
    /// for whoever sleeps.
    SetTimer {
        /// When to send [`Event::Due`](super::Event::Due).
        at: Time,
    },
}

/// How two histories become one. The commit always has both the wiki's head and the remote's tip as
/// parents, but for a fast-forward, so nothing that either had can get lost. (Of a link that covers a part
/// each end has a commit of its own, built on what it had.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plan {
    /// The wiki's head becomes the remote's tip.
    FastForward,
    /// A merge on the base that they have in common, or on nothing.
    Merge,
    /// A merge as if this commit were the base: what the remote changed since is taken over, even if
    /// it went back to something older. Of a link that covers a part, if what the commit held isn't known
    /// any more: the remote's tree.
    Since(Revision),
    /// The remote's tree.
    Theirs,
    /// The wiki's tree.
    Ours,
}

impl Plan {
    /// Whether it can have conflicts, and needs [`Effect::Merge`] to know them.
    pub fn merges(self) -> bool {
        matches!(self, Self::Merge | Self::Since(_))
    }
}

/// What people are told. One for each change of a link's state, never one for each attempt.
/// (Conflicts are told by [`Effect::Apply`].)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Somebody has to choose.
    DecisionNeeded {
        /// What about.
        reason: DecisionReason,
        /// The remote's tip that it is about.
        tip: Revision,
    },
    /// The link, or only its pushing, stands still until somebody mends something.
    Paused {
        /// Why.
        reason: PauseReason,
    },
    /// The remote hasn't answered for this long: told after ten minutes, and once more after a day.
    PeerDown {
        /// Since when.
        since: Time,
    },
    /// It answers again.
    PeerUp {
        /// How long it didn't.
        after: Duration,
    },
}
