//! The actions of users and others, the faults, and the end of the faults.

use std::rc::Rc;
use std::time::Duration;

use super::git;
use super::world::{Link, Outage, World};
use crate::sync::{Choice, DecisionReason, Event, Failure, Mode, PauseReason, Phase};

const ROUNDS: usize = 20;
pub(super) const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

impl World {
    pub(super) fn live(&mut self) {
        for _ in 0..40 + self.pick(60) {
            self.disturb();
            let wait = match self.pick(20) {
                0 => self.span(0, 20 * MINUTE),
                1..4 => self.span(0, MINUTE),
                4..14 => self.span(0, 4_000),
                _ => self.span(0, 200),
            };
            self.advance(wait);
        }
        self.settle();
        for round in 1.. {
            self.log(|_| format!("round {round}"));
            // Users who each insist on their own side of a push-only remote would never finish.
            self.agreed = round > 6;
            self.answer();
            self.advance(10 * MINUTE);
            match self.difference() {
                None => break,
                Some(difference) => assert!(round < ROUNDS, "after {round} rounds {difference}"),
            }
        }
        self.check_nothing_lost();
        // The state is stable: no new commits appear.
        let heads: Vec<_> = self.wikis.iter().map(|wiki| wiki.head).collect();
        self.advance(30 * MINUTE);
        assert!(heads.iter().eq(self.wikis.iter().map(|wiki| &wiki.head)), "it isn't quiet");
        assert_eq!(self.difference(), None);
        self.work_together();
    }

    /// Without faults, and with webhooks for every push, nothing waits for a timer.
    fn work_together(&mut self) {
        let timers = self.remotes.iter().any(|remote| remote.wiki.is_some())
            || self.links.iter().any(|link| link.settings.mode == Mode::Push);
        // A first meeting may need a decision.
        let met = self.links.iter().all(|link| link.state.seen.is_some());
        if timers || !met {
            return;
        }
        self.conflict_weight = 1;
        for link in 0..self.links.len() {
            self.links[link].settings.interval = Duration::from_secs(24 * 60 * 60);
            self.hear(link, &Event::Requested);
        }
        self.advance(MINUTE);
        for _ in 0..6 {
            if self.chance(70) {
                self.save();
            } else {
                self.stranger_pushes();
            }
            let wait = self.span(0, 4_000);
            self.advance(wait);
        }
        // Ties between several remotes are settled by chance, which may take a while.
        for _ in 0..20 {
            self.advance(MINUTE);
            if self.difference().is_none() {
                return;
            }
        }
        assert_eq!(self.difference(), None, "somebody forgot something");
    }

    fn disturb(&mut self) {
        match self.pick(100) {
            0..40 => {
                for _ in 0..=self.pick(3) {
                    self.save();
                    let wait = self.span(0, 1_500);
                    self.advance(wait);
                }
            }
            40..55 => self.stranger_pushes(),
            55..59 => self.stranger_forces(),
            59 => self.stranger_deletes_branch(),
            60..67 => self.outage(),
            67..71 => {
                let server = self.pick(self.servers.len());
                if self.servers[server].up {
                    self.kill(server);
                }
            }
            71 => self.clock_jumps(),
            72 if self.chance(10) => self.vanish(),
            73 if self.chance(25) => {
                let long = self.span(HOUR, 30 * HOUR);
                self.pass(long);
            }
            72..78 => self.answer_one(),
            _ if self.links.is_empty() => {}
            other => {
                let link = self.pick(self.links.len());
                let event = match other {
                    78..82 => Event::Requested,
                    82..87 => Event::Read,
                    87..91 => Event::Webhook { after: None },
                    91 => Event::Offline,
                    92..94 => Event::Online,
                    94 => Event::Disabled,
                    95 => Event::Changed { remote: false, unused_key: false },
                    96 => Event::Changed { remote: true, unused_key: false },
                    _ => Event::Resumed,
                };
                self.hear(link, &event);
            }
        }
    }

    fn save(&mut self) {
        let wiki = self.pick(self.wikis.len());
        if self.servers[self.wikis[wiki].server].up {
            self.save_in(wiki, None);
        }
    }

    /// Saves a page in a wiki: this one, or a random one.
    pub(super) fn save_in(&mut self, wiki: usize, path: Option<&str>) {
        let head = self.wikis[wiki].head;
        let mut tree = head.map(|head| (**self.git.tree(head)).clone()).unwrap_or_default();
        match path {
            Some(path) => drop(tree.insert(path.into(), self.git.text())),
            None => self.edit(&mut tree),
        }
        let parents: Vec<_> = head.into_iter().collect();
        let new = self.git.commit(&parents, Rc::new(tree));
        self.log(|_| format!("wiki {wiki} is saved: {new}"));
        self.move_head(wiki, new, None);
        self.wikis[wiki].acknowledged.push(new);
    }

    fn edit(&mut self, tree: &mut std::collections::BTreeMap<Rc<str>, git::Text>) {
        let path = match tree.keys().nth(self.pick(8)).cloned() {
            Some(path) if self.chance(80) => path,
            _ => format!("p{}", self.pick(6)).into(),
        };
        if self.chance(10) && tree.len() > 1 {
            tree.remove(&path);
        } else {
            tree.insert(path, self.git.text());
        }
    }

    fn bare(&mut self) -> Option<usize> {
        let remote = self.pick(self.remotes.len());
        self.remotes[remote].wiki.is_none().then_some(remote)
    }

    fn stranger_pushes(&mut self) {
        let Some(remote) = self.bare() else { return };
        let tip = self.remotes[remote].tip;
        let mut tree = tip.map(|tip| (**self.git.tree(tip)).clone()).unwrap_or_default();
        let wipes = self.chaos && self.chance(6);
        if wipes {
            tree.clear();
        }
        self.edit(&mut tree);
        let parents: Vec<_> = tip.into_iter().collect();
        let new = self.git.commit(&parents, Rc::new(tree));
        if self.chaos && self.chance(2) {
            self.git.mark_hostile(new);
        }
        self.log(|_| format!("a stranger pushes {new} to remote {remote}, wiping: {wipes}"));
        self.remotes[remote].strange.insert(new);
        self.set_tip(remote, Some(new));
        self.tell_webhooks(remote, new);
    }

    fn stranger_forces(&mut self) {
        let Some(remote) = self.bare() else { return };
        let Some(tip) = self.remotes[remote].tip else { return };
        let back = self.pick(4);
        let Some(mut new) = self.git.below(tip).nth(back) else { return };
        match self.pick(4) {
            0 => {}
            1 => {
                let mut tree = (**self.git.tree(new)).clone();
                self.edit(&mut tree);
                new = self.git.commit(&[], Rc::new(tree));
                self.remotes[remote].strange.insert(new);
            }
            _ => {
                let mut tree = (**self.git.tree(new)).clone();
                self.edit(&mut tree);
                new = self.git.commit(&[new], Rc::new(tree));
                self.remotes[remote].strange.insert(new);
            }
        }
        self.log(|_| format!("a stranger forces remote {remote} from {tip} to {new}"));
        self.give_up(remote, Some(new));
        self.tell_webhooks(remote, new);
    }

    /// Moves a branch on behalf of another user, and records the removed commits, so that their loss isn't a failure of
    /// the link.
    pub(super) fn give_up(&mut self, remote: usize, new: Option<git::Id>) {
        if let Some(old) = self.remotes[remote].tip {
            let git = &self.git;
            let gone = git.below(old).filter(|id| new.is_none_or(|new| !git.is_ancestor(*id, new)));
            self.remotes[remote].given_up.extend(gone);
        }
        self.set_tip(remote, new);
    }

    fn stranger_deletes_branch(&mut self) {
        let Some(remote) = self.bare() else { return };
        if self.chance(50) {
            self.remotes[remote].others = true;
        }
        self.give_up(remote, None);
    }

    fn outage(&mut self) {
        let retry_after = self.chance(40).then(|| Duration::from_secs(self.dice.below(1_200)));
        let answered = Failure::Transient { retry_after, answered: true };
        let outage = match self.pick(12) {
            0..3 => Outage::Fails(answered),
            3..5 => Outage::Fails(Failure::Transient { retry_after: None, answered: false }),
            5 => Outage::Fails(Failure::Auth),
            6 => Outage::Fails(Failure::Gone),
            7 => {
                let rare = [
                    Failure::HostKey,
                    Failure::BlockedAddress,
                    Failure::Redirected,
                    Failure::TooLarge,
                    Failure::Unsupported,
                    Failure::Local,
                ];
                Outage::Fails(self.one_of(&rare))
            }
            8 => Outage::PushFails(Failure::Auth),
            9 => Outage::PushFails(answered),
            _ => Outage::Rejects,
        };
        let long = if self.chance(5) { 40 * HOUR } else { self.span(1_000, 40 * MINUTE) };
        let remote = self.pick(self.remotes.len());
        self.log(|_| format!("remote {remote}: {outage:?} for {long}"));
        self.remotes[remote].outage = Some((outage, self.now + long));
    }

    /// A repository is missing for two days.
    fn vanish(&mut self) {
        let remote = self.pick(self.remotes.len());
        self.log(|_| format!("remote {remote} vanishes"));
        self.remotes[remote].outage = Some((Outage::Fails(Failure::Gone), self.now + 48 * HOUR));
        self.pass(50 * HOUR);
    }

    /// A long time passes, with long intervals between runs.
    fn pass(&mut self, wait: i64) {
        let rarely = Duration::from_secs(6 * 60 * 60);
        let set =
            |link: &mut Link, interval| std::mem::replace(&mut link.settings.interval, interval);
        let before: Vec<_> = self.links.iter_mut().map(|link| set(link, rarely)).collect();
        self.advance(wait);
        for (link, interval) in self.links.iter_mut().zip(before) {
            set(link, interval);
        }
        // A link with a long interval would notice the change late.
        for link in 0..self.links.len() {
            self.hear(link, &Event::ClockMoved);
        }
    }

    fn clock_jumps(&mut self) {
        let server = self.pick(self.servers.len());
        let jump = self.span(-50 * HOUR, 50 * HOUR);
        self.servers[server].offset += jump;
        self.log(|_| format!("the clock of server {server} jumps by {jump}"));
        for link in 0..self.links.len() {
            if self.wikis[self.links[link].wiki].server == server {
                self.hear(link, &Event::ClockMoved);
            }
        }
    }

    /// Ends all faults.
    fn settle(&mut self) {
        self.log(|_| "it gets quiet".to_owned());
        self.chaos = false;
        for server in 0..self.servers.len() {
            self.start(server);
        }
        for remote in &mut self.remotes {
            remote.outage = None;
        }
        for link in 0..self.links.len() {
            self.hear(link, &Event::Online);
            if self.links[link].state.phase == Phase::Disabled {
                self.hear(link, &Event::Changed { remote: false, unused_key: false });
            }
        }
    }

    fn answer(&mut self) {
        for link in 0..self.links.len() {
            self.answer_for(link);
            // Two ends that merge the same pair at the same moment would have to merge each other's merges next.
            if self.agreed {
                self.advance(MINUTE);
            }
        }
    }

    fn answer_one(&mut self) {
        if !self.links.is_empty() {
            let link = self.pick(self.links.len());
            self.answer_for(link);
        }
    }

    /// A user looks at a waiting link, and resolves its question or pause.
    fn answer_for(&mut self, link: usize) {
        let remote = self.links[link].remote;
        match self.links[link].state.phase {
            Phase::NeedsDecision { reason: DecisionReason::HostileTree, .. } => {
                if let Some(tip) = self.remotes[remote].tip {
                    let harmless = self.git.below(tip).find(|id| !self.git.is_hostile(*id));
                    self.give_up(remote, harmless);
                }
                self.hear(link, &Event::Decided { choice: Choice::Retry, tip: None });
            }
            Phase::NeedsDecision { reason, tip } => {
                let choice = match reason.choices() {
                    choices if self.agreed && choices.contains(&Choice::Both) => Choice::Both,
                    _ if self.agreed => Choice::Remote,
                    choices => self.one_of(choices),
                };
                self.hear(link, &Event::Decided { choice, tip: Some(tip) });
            }
            Phase::Paused { reason: PauseReason::BranchMissing } => {
                // Not a tip that was removed because no wiki could take it over.
                let mut tips = self.remotes[remote].log.iter().rev();
                let last = tips.find(|tip| !self.git.is_hostile(**tip)).copied();
                if self.tip(remote).is_some() {
                    self.hear(link, &Event::Resumed);
                } else if self.chance(50)
                    && let Some(last) = last
                {
                    self.log(|_| format!("somebody restores the branch of remote {remote}"));
                    self.set_tip(remote, Some(last));
                    self.hear(link, &Event::Resumed);
                } else {
                    self.remotes[remote].others = false;
                    self.hear(link, &Event::Changed { remote: true, unused_key: false });
                }
            }
            Phase::Paused { .. } => {
                self.hear(link, &Event::Changed { remote: false, unused_key: false })
            }
            _ if self.links[link].state.push_stop.is_some() => self.hear(link, &Event::Resumed),
            _ => {}
        }
    }
}
