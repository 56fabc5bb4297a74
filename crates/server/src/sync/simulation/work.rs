//! The effects, performed on a simulated network and git.

use super::git::{self, Id, deletions, revision};
use super::world::{Op, Outage, What, World};
use crate::sync::{
    Deletions, Effect, Event, Facts, Failure, Landing, Outcome, Plan, Relation, Winner,
};

const NOT_ANSWERED: Failure = Failure::Transient { retry_after: None, answered: false };

impl World {
    pub(super) fn perform(&mut self, number: usize, effect: Effect) {
        let (wiki, remote) = (self.links[number].wiki, self.links[number].remote);
        let server = self.wikis[wiki].server;
        let (least, most, network) = match effect {
            Effect::Notify(_) | Effect::SetTimer { .. } => return,
            Effect::Queue => {
                let host = self.remotes[remote].host;
                return self.servers[server].fair.queue(wiki, number, host);
            }
            Effect::Release => {
                assert!(self.links[number].busy.is_none(), "a turn is given back while it is used");
                self.links[number].merged = None;
                self.links[number].conflicts = 0;
                return self.servers[server].fair.leave(&wiki, &number);
            }
            Effect::Cancel => {
                self.links[number].busy = None;
                return;
            }
            Effect::RemoveJobs { up_to } => return self.remove_jobs(number, git::id(up_to)),
            Effect::Compare { .. } | Effect::Merge { .. } | Effect::Apply { .. } => (5, 100, false),
            Effect::Fetch | Effect::Push { .. } | Effect::Verify { .. } => (50, 3_000, true),
        };
        assert!(self.links[number].busy.is_none(), "one run does two things at once");
        self.check_work(number, &effect, network);
        self.numbers += 1;
        let op =
            Op { number: self.numbers, link: number, run: self.links[number].state.run, effect };
        self.links[number].busy = Some((op.number, network));
        let mut wait = self.span(least, most);
        if self.chaos && network && self.chance(3) {
            wait += self.span(0, 110_000);
        }
        self.plan(wait, What::Acts(op));
    }

    fn remove_jobs(&mut self, link: usize, up_to: Id) {
        let remote = self.links[link].remote;
        let (git, log) = (&self.git, &self.remotes[remote].log);
        let head = self.remotes[remote].wiki.and_then(|wiki| self.wikis[wiki].head);
        let has = |commit| log.iter().chain(&head).any(|tip| git.is_ancestor(commit, *tip));
        assert!(has(up_to), "the remote never had {up_to}");
        assert!(self.links[link].reported.contains(&up_to), "the remote didn't say {up_to}");
        let wiki = self.links[link].wiki;
        self.wikis[wiki]
            .jobs
            .retain(|(of, commit)| *of != link || !git.is_ancestor(*commit, up_to));
    }

    /// Performs an effect; its outcome follows later, or never.
    pub(super) fn act(&mut self, op: Op) {
        let wanted = self.links[op.link].busy.is_some_and(|(number, _)| number == op.number);
        // A push that was sent may land even if its process crashed.
        let outlives = matches!(op.effect, Effect::Push { .. }) && self.chance(50);
        if !wanted && !outlives {
            return;
        }
        let outcome = match &op.effect {
            Effect::Fetch => self.fetch(op.link),
            Effect::Compare { incoming, seen, decided } => {
                let ids = (git::id(*incoming), seen.map(git::id), decided.map(git::id));
                self.compare(op.link, ids.0, ids.1, ids.2)
            }
            Effect::Merge { incoming, plan, winner } => match self.links[op.link].compared {
                Some(head) => {
                    let (tree, conflicts) =
                        self.git.merge(head, git::id(*incoming), *plan, *winner);
                    let deletions = deletions(self.git.tree(head), &tree);
                    let conflicts = conflicts * self.conflict_weight;
                    self.links[op.link].merged = Some(tree);
                    self.links[op.link].conflicts = conflicts;
                    Outcome::Merged { conflicts, deletions }
                }
                None => panic!("nothing to merge with"),
            },
            Effect::Apply { incoming, plan, insist } => {
                if self.chaos && self.chance(1) {
                    Outcome::Failed { failure: Failure::Local, text: "disk full".into() }
                } else {
                    self.apply(op.link, git::id(*incoming), *plan, *insist)
                }
            }
            Effect::Push { commit, from } => {
                self.push(op.link, git::id(*commit), from.map(git::id), wanted)
            }
            Effect::Verify { pushed } => self.verify(op.link, git::id(*pushed)),
            other => panic!("{other:?} isn't work"),
        };
        self.log(|_| format!("link {}: {:?} did {outcome:?}", op.link, op.effect));
        if !self.servers[self.wikis[self.links[op.link].wiki].server].up {
            return;
        }
        if self.chaos && self.dice.below(300) == 0 {
            return self.log(|_| "… and nobody ever hears of it".to_owned());
        }
        let wait = self.span(0, 200);
        self.plan(wait, What::Ends(op, outcome));
    }

    fn fault(&mut self, link: usize, push: bool) -> Option<Outcome> {
        let remote = self.links[link].remote;
        let failed = |failure| Some(Outcome::Failed { failure, text: format!("{failure:?}") });
        if let Some(wiki) = self.remotes[remote].wiki
            && !self.servers[self.wikis[wiki].server].up
        {
            return failed(NOT_ANSWERED);
        }
        match self.remotes[remote].outage {
            Some((_, until)) if until <= self.now => self.remotes[remote].outage = None,
            Some((Outage::Fails(failure), _)) => return failed(failure),
            Some((Outage::PushFails(failure), _)) if push => return failed(failure),
            Some((Outage::Rejects, _)) if push => {
                return Some(Outcome::Rejected { text: "protected".into() });
            }
            _ => {}
        }
        if self.chaos && self.chance(4) { failed(NOT_ANSWERED) } else { None }
    }

    fn fetch(&mut self, link: usize) -> Outcome {
        let remote = self.links[link].remote;
        self.remotes[remote].asked += 1;
        if let Some(fault) = self.fault(link, false) {
            return fault;
        }
        match self.tip(remote) {
            Some(tip) if self.git.is_hostile(tip) => {
                Outcome::HostileTree { incoming: revision(tip), text: String::new() }
            }
            Some(tip) => Outcome::Fetched { incoming: revision(tip) },
            None => Outcome::BranchAbsent {
                empty: !self.remotes[remote].others,
                local: self.wikis[self.links[link].wiki].head.map(revision),
            },
        }
    }

    fn compare(
        &mut self,
        link: usize,
        incoming: Id,
        seen: Option<Id>,
        decided: Option<Id>,
    ) -> Outcome {
        let head = self.wikis[self.links[link].wiki].head;
        self.links[link].compared = head;
        let git = &self.git;
        let below = |old, new| git.is_ancestor(old, new);
        let relation = match head {
            None => Relation::Behind,
            Some(head) if head == incoming => Relation::Same,
            Some(head) if below(incoming, head) => Relation::Ahead,
            Some(head) if below(head, incoming) => Relation::Behind,
            Some(head) if git.bases(head, incoming).is_empty() => Relation::Unrelated,
            Some(_) => Relation::Diverged,
        };
        let rewritten = seen.is_some_and(|seen| !below(seen, incoming));
        let wiki = self.links[link].wiki;
        self.wikis[wiki].backups.extend(seen.filter(|_| rewritten));
        let facts = Facts {
            local: head.map(revision),
            relation,
            same_tree: head.is_some_and(|head| git.tree(head) == git.tree(incoming)),
            rewritten,
            local_only: head.is_some_and(|head| seen.is_none_or(|seen| !below(head, seen))),
            deletions: head.map_or_else(Deletions::default, |head| {
                deletions(git.tree(head), git.tree(incoming))
            }),
            trivial: git.tree(incoming).keys().all(|path| path.as_ref() == "README"),
            decided: decided.is_some_and(|decided| below(decided, incoming)),
        };
        Outcome::Compared(facts)
    }

    fn apply(&mut self, link: usize, incoming: Id, plan: Plan, insist: bool) -> Outcome {
        let wiki = self.links[link].wiki;
        let head = self.wikis[wiki].head;
        let winner = self.links[link].settings.winner;
        let moved = head != self.links[link].compared;
        if moved && !insist {
            return Outcome::HeadMoved;
        }
        assert!(!self.git.is_hostile(incoming), "a hostile tree is taken over");
        let new = match head {
            None => incoming,
            Some(head) if plan == Plan::FastForward && self.git.is_ancestor(head, incoming) => {
                incoming
            }
            Some(head) => {
                let plan = if plan == Plan::FastForward { Plan::Merge } else { plan };
                let tree = match self.links[link].merged.take() {
                    Some(tree) if !moved => tree,
                    _ => self.git.merge(head, incoming, plan, winner).0,
                };
                let symmetric = winner == Winner::Stable && plan == Plan::Merge;
                self.git.merge_commit(head, incoming, tree, symmetric)
            }
        };
        self.check_apply(link, head, incoming, plan, new);
        self.move_head(wiki, new, Some(link));
        Outcome::Applied { head: revision(new) }
    }

    /// Moves the wiki's head after a save, an applied merge or a push from outside, and writes the jobs.
    pub(super) fn move_head(&mut self, wiki: usize, new: Id, except: Option<usize>) {
        let old = self.wikis[wiki].head.replace(new);
        assert!(old.is_none_or(|old| self.git.is_ancestor(old, new)), "a head went back");
        for link in 0..self.links.len() {
            if self.links[link].wiki == wiki && Some(link) != except && self.takes_jobs(link) {
                self.wikis[wiki].jobs.push((link, new));
                self.plan(0, What::Tell(link, Event::Saved));
            }
        }
    }

    fn push(&mut self, link: usize, commit: Id, from: Option<Id>, wanted: bool) -> Outcome {
        let forward = from.is_none_or(|from| self.git.is_ancestor(from, commit));
        assert!(forward, "this would be forced");
        let remote = self.links[link].remote;
        let fault = self.fault(link, true);
        // The connection is cut before or after the remote has received the push.
        let lost =
            matches!(&fault, Some(Outcome::Failed { failure, .. }) if *failure == NOT_ANSWERED);
        let landed_all_the_same = lost && self.chance(50);
        if let Some(fault) = fault
            && !landed_all_the_same
        {
            return if lost && self.chance(50) { Outcome::PushUnknown } else { fault };
        }
        let tip = self.tip(remote);
        if tip != Some(commit) {
            if tip != from {
                return Outcome::NonFastForward;
            }
            // A push sent before a crash may arrive after other changes.
            if wanted {
                self.check_push(link, tip, commit);
            }
            self.remotes[remote].pushes += 1;
            match self.remotes[remote].wiki {
                Some(wiki) => self.move_head(wiki, commit, None),
                None => self.set_tip(remote, Some(commit)),
            }
            self.tell_webhooks(remote, commit);
        }
        if landed_all_the_same { Outcome::PushUnknown } else { Outcome::Pushed }
    }

    fn verify(&mut self, link: usize, pushed: Id) -> Outcome {
        if let Some(fault) = self.fault(link, false) {
            return fault;
        }
        let landing = match self.tip(self.links[link].remote) {
            Some(tip) if self.git.is_ancestor(pushed, tip) => {
                Landing::Landed { tip: revision(tip) }
            }
            Some(tip) if self.git.is_ancestor(tip, pushed) => Landing::NotLanded,
            _ => Landing::Elsewhere,
        };
        Outcome::Seen(landing)
    }

    pub(super) fn set_tip(&mut self, remote: usize, tip: Option<Id>) {
        self.log(|_| format!("remote {remote} is at {tip:?}"));
        self.remotes[remote].tip = tip;
        self.remotes[remote].log.extend(tip);
    }

    pub(super) fn tell_webhooks(&mut self, remote: usize, tip: Id) {
        for link in 0..self.links.len() {
            if self.links[link].remote == remote && (!self.chaos || self.chance(50)) {
                let wait = self.span(10, 2_000);
                self.plan(wait, What::Tell(link, Event::Webhook { after: Some(revision(tip)) }));
            }
        }
    }
}
