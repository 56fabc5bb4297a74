//! The invariants, checked after every event and at the end.

use super::git::{self, Id, deletions};
use super::world::World;
use crate::sync::{
    Choice, DecisionReason, Effect, Event, FirstRun, Landing, LinkState, MANY_CONFLICTS, Mode,
    Notice, OnRewrite, Outcome, Phase, Plan,
};

/// Too many runs of one link within ten minutes.
const STORM: usize = 200;

/// The notices of a link, recorded independently of the machine's state.
#[derive(Default)]
pub(super) struct Heard {
    trouble: Option<Notice>,
    stopped: Option<Notice>,
    down: u8,
}

impl World {
    /// No notice is repeated unless something changed.
    pub(super) fn check_told(
        &mut self,
        link: usize,
        event: &Event,
        state: &LinkState,
        effects: &[Effect],
    ) {
        let link = &mut self.links[link];
        let paused = matches!(link.state.phase, Phase::Paused { .. });
        let asked = matches!(link.state.phase, Phase::NeedsDecision { .. });
        let heard = &mut link.told;
        match event {
            Event::Decided { .. } if asked => heard.trouble = None,
            Event::Resumed => {
                heard.stopped = None;
                if paused {
                    heard.trouble = None;
                }
            }
            Event::Changed { remote, .. } => {
                (heard.trouble, heard.stopped) = (None, None);
                if *remote {
                    heard.down = 0;
                }
            }
            _ => {}
        }
        let mut told = 0;
        for effect in effects {
            let Effect::Notify(notice) = effect else { continue };
            told += 1;
            match notice {
                Notice::PeerDown { .. } => {
                    heard.down += 1;
                    assert!(heard.down <= 2, "told too often that the peer is down");
                }
                Notice::PeerUp { .. } => {
                    assert!(heard.down > 0, "it was never told that the peer is down");
                    heard.down = 0;
                }
                stopped
                    if !matches!(
                        state.phase,
                        Phase::NeedsDecision { .. } | Phase::Paused { .. }
                    ) =>
                {
                    assert_ne!(heard.stopped.as_ref(), Some(stopped), "told twice");
                    heard.stopped = Some(*stopped);
                }
                trouble => {
                    assert_ne!(heard.trouble.as_ref(), Some(trouble), "told twice");
                    heard.trouble = Some(*trouble);
                }
            }
        }
        assert!(told <= 2, "one step tells too much");
        let waits = matches!(state.phase, Phase::NeedsDecision { .. } | Phase::Paused { .. });
        assert!(!waits || heard.trouble.is_some(), "it waits for people who don't know");
        let ended = matches!(event, Event::Done { .. });
        if ended && matches!(state.phase, Phase::Idle | Phase::Due) {
            heard.trouble = None;
        }
        assert!(
            state.push_stop.is_none() || heard.stopped.is_some(),
            "a stop that nobody knows of"
        );
        if state.push_stop.is_none() {
            heard.stopped = None;
        }
    }

    /// Records the tips that the link has seen and the user's answers, and checks that a dropped tip has a backup.
    pub(super) fn check_asked(&mut self, number: usize, event: &Event, state: &LinkState) {
        let now = self.now;
        let link = &mut self.links[number];
        let asked = matches!(link.state.phase, Phase::NeedsDecision { .. });
        match event {
            Event::Decided { tip: Some(tip), choice } if asked && *choice != Choice::Retry => {
                link.answered = Some(git::id(*tip));
            }
            Event::Changed { remote: true, .. } => {
                link.observed.clear();
                link.answered = None;
            }
            Event::Done { run, outcome: Outcome::Seen(Landing::Landed { .. }) }
                if *run == link.state.run && link.state.phase == Phase::Verifying =>
            {
                link.observed.extend(link.state.running.pushed.map(git::id));
            }
            Event::Started => {
                link.starts.retain(|start| *start > now - 600_000);
                link.starts.push(now);
                assert!(link.starts.len() < STORM, "this is a storm");
            }
            _ => {}
        }
        if let Phase::NeedsDecision { reason: DecisionReason::ForcePushed, .. } = state.phase {
            let lost = link.state.seen.map(git::id);
            let kept = &self.wikis[link.wiki].backups;
            assert!(lost.is_none_or(|lost| kept.contains(&lost)), "a tip that nobody keeps");
        }
        if state.seen != link.state.seen
            && let Some(seen) = state.seen.map(git::id)
        {
            if let Some(tip) = link.answered.take()
                && self.git.is_ancestor(tip, seen)
            {
                link.observed.clear();
            }
            link.observed.insert(seen);
            link.seen.insert(seen);
        }
    }

    /// The network isn't used by a link that is offline.
    pub(super) fn check_work(&self, link: usize, effect: &Effect, network: bool) {
        let link = &self.links[link];
        assert!(link.state.phase.is_run(), "work outside a run");
        assert!(!network || !link.state.offline, "the network is used");
        if let Effect::Push { .. } = effect {
            assert!(link.settings.mode.pushes(), "a link pushes that only pulls");
        }
    }

    /// A push doesn't restore commits that others removed, unless a user decided so.
    pub(super) fn check_push(&self, link: usize, tip: Option<Id>, commit: Id) {
        let link = &self.links[link];
        let anew = tip.is_none() && link.state.seen.is_some();
        assert!(!anew, "a branch is made anew that somebody took away");
        if link.settings.on_rewrite == OnRewrite::Follow {
            return;
        }
        let remote = &self.remotes[link.remote];
        for seen in &link.observed {
            let back = remote.given_up.contains(seen)
                && self.git.is_ancestor(*seen, commit)
                && tip.is_some_and(|tip| !self.git.is_ancestor(*seen, tip));
            assert!(!back, "a rewrite is undone without a question: {seen} is back");
        }
    }

    /// A change that needs a decision is only applied after that decision.
    pub(super) fn check_apply(&self, link: usize, head: Option<Id>, tip: Id, plan: Plan, new: Id) {
        let link = &self.links[link];
        let Some(head) = head else { return };
        // A decision holds for its tip and the descendants of that tip.
        if link.answered.is_some_and(|answered| self.git.is_ancestor(answered, tip)) {
            return;
        }
        let (git, settings) = (&self.git, &link.settings);
        let tree = |id| git.tree(id);
        let deletions = deletions(tree(head), tree(new));
        let import = plan == Plan::Theirs && settings.first_run == FirstRun::Import;
        assert!(import || !deletions.are_many() || link.compared != Some(head), "{deletions:?}");
        assert!(link.conflicts <= MANY_CONFLICTS, "so many conflicts");
        let seen = link.state.seen.map(git::id);
        if let Some(seen) = seen.filter(|seen| !git.is_ancestor(*seen, tip)) {
            let follows = settings.on_rewrite == OnRewrite::Follow && settings.mode.pulls();
            let ours = !git.is_ancestor(link.compared.unwrap_or(head), seen);
            assert!(follows && !ours, "a rewrite is taken over");
            let theirs = link.compared != Some(head) || tree(new) == tree(tip);
            assert!(theirs, "a rewrite isn't followed");
        } else if git.bases(head, tip).is_empty() {
            let trivial = tree(tip).keys().all(|path| path.as_ref() == "README");
            let merges = settings.first_run == FirstRun::Merge;
            assert!(import || merges || trivial, "unrelated histories become one");
        } else {
            assert_ne!(settings.mode, Mode::Push, "others' commits are taken over");
        }
    }

    /// Never more runs than the limits, and never two for one wiki.
    pub(super) fn check_limits(&self, server: usize) {
        let busy: Vec<_> = self
            .links
            .iter()
            .filter(|link| self.wikis[link.wiki].server == server && link.busy.is_some())
            .collect();
        assert!(busy.len() <= self.limits.total, "too many at once");
        for (number, link) in busy.iter().enumerate() {
            let others = &busy[number + 1..];
            assert!(others.iter().all(|other| other.wiki != link.wiki), "two runs in one wiki");
            let host = |link: usize| self.remotes[link].host;
            let same = others.iter().filter(|other| host(other.remote) == host(link.remote));
            assert!(same.count() < self.limits.per_host, "too many at one host");
        }
    }

    /// A difference between the ends, or work that isn't finished.
    pub(super) fn difference(&self) -> Option<String> {
        self.links.iter().enumerate().find_map(|(number, link)| {
            let (head, tip) = (self.wikis[link.wiki].head, self.tip(link.remote));
            let same = match link.settings.mode {
                Mode::Pull => match (tip, head) {
                    (Some(tip), Some(head)) => self.git.is_ancestor(tip, head),
                    (tip, _) => tip.is_none(),
                },
                _ => head == tip,
            };
            let jobs = self.wikis[link.wiki].jobs.iter().filter(|(of, _)| *of == number).count();
            // A run without an outcome since before the faults stopped.
            let hangs = link.state.phase.is_run()
                && link.starts.last().is_some_and(|start| self.now - start > 120_000);
            // Or a link that never gets its turn.
            let starves = link.due_since.is_some_and(|since| self.now - since > 120_000);
            let waits = hangs
                || starves
                || link.state.push_stop.is_some()
                || matches!(
                    link.state.phase,
                    Phase::NeedsDecision { .. } | Phase::Paused { .. } | Phase::Backoff
                );
            (!same || jobs > 0 || waits).then(|| {
                format!(
                    "link {number} ({:?}) has {head:?} here, {tip:?} there, {jobs} jobs, {:?}",
                    link.settings.mode, link.state
                )
            })
        })
    }

    /// No acknowledged save, no tip that a link took over and no commit pushed by others is lost.
    pub(super) fn check_nothing_lost(&self) {
        let kept = |wiki: usize, id: Id| {
            let wiki = &self.wikis[wiki];
            wiki.head.iter().chain(&wiki.backups).any(|tip| self.git.is_ancestor(id, *tip))
        };
        for (number, wiki) in self.wikis.iter().enumerate() {
            for id in &wiki.acknowledged {
                assert!(kept(number, *id), "wiki {number} lost the save {id}");
            }
        }
        for (number, link) in self.links.iter().enumerate() {
            for id in &link.seen {
                assert!(kept(link.wiki, *id), "link {number} lost {id}, which it had taken over");
            }
        }
        for (number, remote) in self.remotes.iter().enumerate() {
            for id in remote.strange.difference(&remote.given_up) {
                let there = remote.tip.is_some_and(|tip| self.git.is_ancestor(*id, tip));
                assert!(there, "remote {number} lost {id}, which a stranger had pushed");
            }
        }
    }
}
