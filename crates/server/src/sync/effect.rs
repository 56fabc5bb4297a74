//! The effects that a link asks its runner to perform.

use std::time::Duration;

use wikigrove_tenant::Revision;

use super::clock::Time;
use super::link::{DecisionReason, PauseReason, Winner};

/// One action for a link. Effects are performed in order; the [module](super) says when the state is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send a notice. Stored in the transaction that stores the state.
    Notify(Notice),
    /// Ask the scheduler for a turn.
    Queue,
    /// Leave the scheduler: give up the turn and the lease on the wiki, or stop waiting for them. The run's quarantine
    /// and its data in memory are dropped.
    Release,
    /// Cancel the current work of the run, including its process group. Its outcome is no longer needed.
    Cancel,
    /// Resolve the host, check and pin its address, fetch the branch into quarantine, and check the fetched tree. Ends
    /// in `Fetched`, `BranchAbsent`, `HostileTree`, `Unmappable` or `Failed`.
    Fetch,
    /// Compare the wiki's head with the fetched tip. If the remote dropped the last seen tip, that tip is kept
    /// reachable under a backup ref before this effect ends; for a link that covers a part, whose commits don't enter
    /// the wiki, the backup ref holds the wiki's commit with the same content. Ends in `Compared` or `Failed`.
    Compare {
        /// The fetched tip.
        incoming: Revision,
        /// The last seen tip.
        seen: Option<Revision>,
        /// The tip that a user decided about.
        decided: Option<Revision>,
    },
    /// Merge in memory. Ends in `Merged` or `Failed`.
    Merge {
        /// The fetched tip.
        incoming: Revision,
        /// The kind of merge.
        plan: Plan,
        /// The side that keeps the page in a conflict.
        winner: Winner,
    },
    /// Make the result the wiki's head, under the wiki's writer lock and as durable and indexed as a save. The jobs for
    /// the wiki's **other** links are written with it, and its conflicts **in the same transaction as their notice**,
    /// so that neither exists without the other. Ends in `Applied`, `HeadMoved` or `Failed`.
    Apply {
        /// The fetched tip.
        incoming: Revision,
        /// The kind of merge.
        plan: Plan,
        /// Don't end in `HeadMoved`: the head has moved often enough. If it has moved again, merge anew while holding
        /// the lock (even if a fast-forward was planned), and apply that merge.
        insist: bool,
    },
    /// Move the remote's branch from the fetched tip to this commit, or not at all: `git push` with a lease. `commit`
    /// has `from` as an ancestor, which the runner checks once more, so this is a fast-forward. Without the lease, a
    /// branch that was reset since the fetch would be moved forward again, which no user asked for. Ends in `Pushed`,
    /// `PushUnknown`, `NonFastForward` (also if the lease is stale), `Rejected` or `Failed`.
    Push {
        /// The commit to push.
        commit: Revision,
        /// The branch's expected tip; `None` if the branch must not exist yet.
        from: Option<Revision>,
    },
    /// Look up the tip of the remote's branch, and fetch it if the wiki doesn't have it. Ends in `Seen` or `Failed`.
    Verify {
        /// The pushed commit.
        pushed: Revision,
    },
    /// Remove the link's jobs whose commit is `up_to` or an ancestor of it. The remote has just reported `up_to`.
    /// Idempotent.
    RemoveJobs {
        /// A tip that the remote reported.
        up_to: Revision,
    },
    /// [`LinkState::next_at`](super::LinkState::next_at) has changed to this time. The stored state has it, too; the
    /// effect is for the task that sleeps until then.
    SetTimer {
        /// When to send [`Event::Due`](super::Event::Due).
        at: Time,
    },
}

/// The kinds of merge. Except for a fast-forward, the result has both the wiki's head and the remote's tip as parents,
/// so no commit of either side is lost. (For a link that covers a part, each end gets a commit of its own, built on its
/// previous tip.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plan {
    /// The wiki's head becomes the remote's tip.
    FastForward,
    /// A three-way merge with the common merge base, or with an empty base if there is none.
    Merge,
    /// A three-way merge with this commit as the base: all that the remote changed since is taken over, even if it
    /// reverted to something older. For a link that covers a part, the remote's tree if the content of that commit is
    /// no longer known.
    Since(Revision),
    /// The remote's tree.
    Theirs,
    /// The wiki's tree.
    Ours,
}

impl Plan {
    /// Returns `true` if the merge can have conflicts, which [`Effect::Merge`] has to count first.
    pub fn merges(self) -> bool {
        matches!(self, Self::Merge | Self::Since(_))
    }
}

/// A notice for users. Sent once for each change of a link's state, never for each attempt. (Notices of conflicts are
/// sent by [`Effect::Apply`].)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A user has to make a decision.
    DecisionNeeded {
        /// The reason for the question.
        reason: DecisionReason,
        /// The remote's tip that the question is about.
        tip: Revision,
    },
    /// The link, or only its pushing, is paused until a user fixes the cause.
    Paused {
        /// The reason for the pause.
        reason: PauseReason,
    },
    /// The remote hasn't answered for a while: sent after ten minutes, and once more after a day.
    PeerDown {
        /// The time of the first failure.
        since: Time,
    },
    /// The remote answers again.
    PeerUp {
        /// The length of the outage.
        after: Duration,
    },
}
