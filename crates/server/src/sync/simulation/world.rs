//! The state of the simulation: servers, wikis, remotes, links, and the time.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use super::git::{Git, Id, Tree};
use crate::sync::clock::Dice;
use crate::sync::{
    Effect, Event, Failure, Fair, FirstRun, Landing, Limits, LinkState, Mode, Moment, OnRewrite,
    Outcome, Phase, Settings, Time, Winner, step,
};

/// More steps than any valid history takes.
const STEPS: u32 = 100_000;

pub(super) struct World {
    pub(super) git: Git,
    pub(super) dice: Dice,
    /// Milliseconds since the beginning. Each server's clock has its own offset.
    pub(super) now: i64,
    /// Faults happen.
    pub(super) chaos: bool,
    /// Users no longer insist on their own side.
    pub(super) agreed: bool,
    pub(super) limits: Limits,
    /// Number of conflicts that each conflict counts for.
    pub(super) conflict_weight: u32,
    pub(super) servers: Vec<Server>,
    pub(super) wikis: Vec<Wiki>,
    pub(super) remotes: Vec<Remote>,
    pub(super) links: Vec<Link>,
    pub(super) agenda: BTreeMap<(i64, u64), What>,
    pub(super) numbers: u64,
    steps: u32,
    trace: Option<Vec<String>>,
}

pub(super) struct Server {
    pub(super) up: bool,
    /// The offset of its clock from `now`.
    pub(super) offset: i64,
    pub(super) fair: Fair<usize, usize, usize>,
}

pub(super) struct Wiki {
    pub(super) server: usize,
    pub(super) head: Option<Id>,
    pub(super) backups: BTreeSet<Id>,
    /// Link and commit.
    pub(super) jobs: Vec<(usize, Id)>,
    /// Acknowledged saves.
    pub(super) acknowledged: Vec<Id>,
}

pub(super) struct Remote {
    /// The wiki whose repository this is.
    pub(super) wiki: Option<usize>,
    pub(super) host: usize,
    pub(super) tip: Option<Id>,
    /// The repository has other branches.
    pub(super) others: bool,
    /// Every tip that it had.
    pub(super) log: Vec<Id>,
    /// Number of pushes that it accepted from links.
    pub(super) pushes: u32,
    /// Number of requests for its branch.
    pub(super) asked: u32,
    /// Commits that others pushed.
    pub(super) strange: BTreeSet<Id>,
    /// Commits that others removed.
    pub(super) given_up: BTreeSet<Id>,
    pub(super) outage: Option<(Outage, i64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outage {
    Fails(Failure),
    /// Only pushes fail.
    PushFails(Failure),
    Rejects,
}

pub(super) struct Link {
    pub(super) wiki: usize,
    pub(super) remote: usize,
    pub(super) settings: Settings,
    pub(super) state: LinkState,
    /// The stored state.
    pub(super) stored: LinkState,
    /// The effect in progress.
    pub(super) busy: Option<(u64, bool)>,
    /// The wiki's head at the run's comparison, and the merged tree.
    pub(super) compared: Option<Id>,
    pub(super) merged: Option<Tree>,
    pub(super) told: super::check::Heard,
    /// Every tip that it took over.
    pub(super) seen: BTreeSet<Id>,
    /// Tips that it knows the remote had, since the last decision.
    pub(super) observed: BTreeSet<Id>,
    /// The tip of a decision that isn't carried out yet.
    pub(super) answered: Option<Id>,
    /// Number of conflicts of the merge that is about to be applied.
    pub(super) conflicts: u32,
    /// The start times of its last runs.
    pub(super) starts: Vec<i64>,
    /// The tips that the remote reported in the current run.
    pub(super) reported: BTreeSet<Id>,
    /// Its state couldn't be stored: it has to be restarted.
    pub(super) lost: bool,
    /// When it began to wait for its turn.
    pub(super) due_since: Option<i64>,
}

impl Link {
    /// Records the tip that the remote reported in the current run.
    fn take_report(&mut self, event: &Event) {
        if *event == Event::Started {
            self.reported.clear();
        }
        let Event::Done { run, outcome } = event else { return };
        if let Outcome::Fetched { incoming: tip } | Outcome::Seen(Landing::Landed { tip }) = outcome
            && *run == self.state.run
        {
            self.reported.insert(super::git::id(*tip));
        }
    }

    /// Drops the data of a run.
    fn forget_run(&mut self) {
        self.lost = false;
        self.busy = None;
        self.compared = None;
        self.merged = None;
        self.conflicts = 0;
    }
}

pub(super) enum What {
    /// An effect reaches its target.
    Acts(Op),
    /// The outcome arrives.
    Ends(Op, Outcome),
    /// A link gets an event.
    Tell(usize, Event),
    /// A link whose state couldn't be stored is restarted.
    Mend(usize),
    /// A server starts.
    Start(usize),
}

#[derive(Clone)]
pub(super) struct Op {
    pub(super) number: u64,
    pub(super) link: usize,
    pub(super) run: u64,
    pub(super) effect: Effect,
}

impl World {
    pub(super) fn new(seed: u64, told: bool) -> Self {
        let mut world = Self::empty(seed, told);
        world.build();
        world
    }

    pub(super) fn empty(seed: u64, told: bool) -> Self {
        Self {
            git: Git::default(),
            dice: Dice::new(seed),
            now: 0,
            chaos: true,
            agreed: false,
            limits: Limits::default(),
            conflict_weight: 1,
            servers: Vec::new(),
            wikis: Vec::new(),
            remotes: Vec::new(),
            links: Vec::new(),
            agenda: BTreeMap::new(),
            numbers: 0,
            steps: 0,
            trace: told.then(Vec::new),
        }
    }

    /// `true` in `percent` of a hundred cases.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.dice.below(100) < percent
    }

    pub(super) fn pick(&mut self, count: usize) -> usize {
        usize::try_from(self.dice.below(u64::try_from(count).unwrap())).unwrap()
    }

    pub(super) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.pick(all.len())]
    }

    pub(super) fn span(&mut self, least: i64, most: i64) -> i64 {
        least + i64::try_from(self.dice.below(u64::try_from(most - least + 1).unwrap())).unwrap()
    }

    pub(super) fn log(&mut self, text: impl FnOnce(&Self) -> String) {
        if self.trace.is_some() {
            let line = format!("{:>12} {}", self.now, text(self));
            if let Some(trace) = &mut self.trace {
                trace.push(line);
            }
        }
    }

    /// The last lines of the trace.
    pub(super) fn story(&self, lines: usize) -> String {
        let trace = self.trace.as_deref().unwrap_or_default();
        let story = trace[trace.len().saturating_sub(lines)..].join("\n");
        // Commits are numbers here, and are printed as such.
        let mut parts = story.split("Revision(");
        let mut short = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (digits, rest) = part.split_once(')').unwrap_or((part, ""));
            let number = Id::from_str_radix(digits.get(..8).unwrap_or_default(), 16);
            short += &format!("{}{rest}", number.unwrap_or_default());
        }
        short
    }

    fn build(&mut self) {
        let shape = self.pick(4);
        // There are two hosts, so with each choice only one of the two limits can be reached.
        self.limits = match self.pick(2) {
            0 => Limits { total: 2, per_host: 2 },
            _ => Limits { total: 4, per_host: 1 },
        };
        let servers = 1 + self.pick(2);
        for _ in 0..servers {
            self.add_server();
        }
        if self.chance(10) {
            self.conflict_weight = 101;
        }
        let wikis = if shape == 1 { 1 + self.pick(3) } else { 2 + self.pick(2) };
        let many = self.chance(10);
        for wiki in 0..wikis {
            let server = self.pick(servers);
            let head = self.chance(60).then(|| {
                let pages = if many { 30 } else { 1 + self.pick(5) };
                let tree = self.pages(pages);
                self.git.commit(&[], tree)
            });
            self.add_wiki(server, head);
            if shape == 3 {
                let host = wiki % 2;
                self.add_remote(Some(wiki), host, None);
            }
        }
        if shape != 3 {
            for number in 0..(if shape == 2 { 2 } else { 1 + self.pick(2) }) {
                let tip = match self.pick(6) {
                    0 => self.wikis[0].head,
                    1 => Some({
                        let tree = self.pages(3);
                        self.git.commit(&[], tree)
                    }),
                    2 => Some({
                        let text = self.git.text();
                        let tree = Rc::new(BTreeMap::from([("README".into(), text)]));
                        self.git.commit(&[], tree)
                    }),
                    _ => None,
                };
                self.add_remote(None, number % 2, tip);
            }
        }
        self.add_links(shape);
    }

    pub(super) fn pages(&mut self, count: usize) -> Tree {
        let git = &mut self.git;
        Rc::new((0..count).map(|page| (format!("p{page}").into(), git.text())).collect())
    }

    pub(super) fn add_remote(&mut self, wiki: Option<usize>, host: usize, tip: Option<Id>) {
        let others = wiki.is_none() && self.chance(5);
        self.remotes.push(Remote {
            wiki,
            host,
            tip,
            others,
            log: tip.into_iter().collect(),
            pushes: 0,
            asked: 0,
            strange: tip.into_iter().collect(),
            given_up: BTreeSet::new(),
            outage: None,
        });
    }

    fn add_links(&mut self, shape: usize) {
        for wiki in 0..self.wikis.len() {
            for remote in 0..self.remotes.len() {
                let wanted = match shape {
                    0 => remote == 0 || self.chance(30),
                    1 => self.chance(70),
                    2 => true,
                    _ => self.remotes[remote].wiki != Some(wiki) && self.chance(80),
                };
                if !wanted {
                    continue;
                }
                let mode = match (shape, self.pick(10)) {
                    (1 | 3, 0..2) => Mode::Push,
                    (1, 2..4) | (3, 2..6) => Mode::Pull,
                    _ => Mode::Both,
                };
                let winner = match shape {
                    2 | 3 => Winner::Stable,
                    _ => self.one_of(Winner::ALL),
                };
                let settings = Settings {
                    mode,
                    winner,
                    first_run: self.one_of(FirstRun::ALL),
                    on_rewrite: self.one_of(OnRewrite::ALL),
                    interval: Duration::from_secs(60 + self.dice.below(240)),
                    cooldown: Duration::from_secs(60),
                    renews: self.chance(20),
                };
                self.add_link(wiki, remote, settings);
            }
        }
    }

    pub(super) fn add_server(&mut self) {
        let offset = self.span(1_000_000_000_000, 2_000_000_000_000);
        self.servers.push(Server { up: true, offset, fair: Fair::new(self.limits) });
    }

    pub(super) fn add_wiki(&mut self, server: usize, head: Option<Id>) {
        self.wikis.push(Wiki {
            server,
            head,
            backups: BTreeSet::new(),
            jobs: Vec::new(),
            acknowledged: head.into_iter().collect(),
        });
    }

    pub(super) fn add_link(&mut self, wiki: usize, remote: usize, settings: Settings) {
        self.links.push(Link {
            wiki,
            remote,
            settings,
            state: LinkState::default(),
            stored: LinkState::default(),
            busy: None,
            compared: None,
            merged: None,
            told: super::check::Heard::default(),
            seen: BTreeSet::new(),
            observed: BTreeSet::new(),
            answered: None,
            conflicts: 0,
            starts: Vec::new(),
            reported: BTreeSet::new(),
            lost: false,
            due_since: None,
        });
        let link = self.links.len() - 1;
        self.plan(0, What::Tell(link, Event::Changed { remote: true, unused_key: false }));
    }

    pub(super) fn plan(&mut self, wait: i64, what: What) {
        self.numbers += 1;
        self.agenda.insert((self.now + wait, self.numbers), what);
    }

    /// Processes all events of this period.
    pub(super) fn advance(&mut self, wait: i64) {
        let until = self.now + wait;
        loop {
            let timer = self
                .links
                .iter()
                .enumerate()
                .filter(|(_, link)| self.servers[self.wikis[link.wiki].server].up)
                .filter_map(|(number, link)| {
                    let at =
                        link.state.next_at?.0 - self.servers[self.wikis[link.wiki].server].offset;
                    Some((at.max(self.now), number))
                })
                .min();
            let planned = self.agenda.first_key_value().map(|(key, _)| key.0);
            match (timer, planned) {
                (Some((at, link)), planned)
                    if at <= until && planned.is_none_or(|planned| at < planned) =>
                {
                    self.now = at;
                    self.hear(link, &Event::Due);
                }
                (_, Some(planned)) if planned <= until => {
                    self.now = planned.max(self.now);
                    let (_, what) = self.agenda.pop_first().unwrap();
                    self.happen(what);
                }
                _ => break,
            }
        }
        self.now = until;
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Acts(op) => self.act(op),
            What::Ends(op, outcome) => {
                let busy = &mut self.links[op.link].busy;
                if busy.is_some_and(|(number, _)| number == op.number) {
                    *busy = None;
                }
                self.hear(op.link, &Event::Done { run: op.run, outcome });
            }
            What::Tell(link, event) => self.hear(link, &event),
            What::Mend(link) if self.links[link].lost => self.hear(link, &Event::Restarted),
            What::Mend(_) => {}
            What::Start(server) => self.start(server),
        }
    }

    /// Takes a step of a link's machine, if its server is up, and performs its effects, unless the process crashes in
    /// between.
    pub(super) fn hear(&mut self, number: usize, event: &Event) {
        self.steps += 1;
        assert!(self.steps < STEPS, "this never ends");
        let server = self.wikis[self.links[number].wiki].server;
        if !self.servers[server].up {
            return;
        }
        if self.links[number].lost && *event != Event::Restarted {
            self.hear(number, &Event::Restarted);
            if self.links[number].lost || !self.servers[server].up {
                return;
            }
        }
        let now = Time(self.now + self.servers[server].offset);
        let random = self.dice.roll();
        let link = &mut self.links[number];
        link.take_report(event);
        let before = link.state.phase;
        let (state, effects) =
            step(&link.settings, link.state.clone(), event, Moment { now, random });
        if state.phase != before || !effects.is_empty() {
            self.log(|_| {
                format!("link {number}: {before:?} + {event:?} -> {:?} {effects:?}", state.phase)
            });
        }
        let dies = self.chaos && self.dice.below(300) == 0;
        let mut lives = if dies { self.pick(effects.len() + 3) } else { usize::MAX };
        if lives == 0 {
            return self.kill(server);
        }
        if self.chaos && self.dice.below(300) == 0 {
            return self.lose(number);
        }
        self.check_told(number, event, &state, &effects);
        self.check_asked(number, event, &state);
        let now = self.now;
        let link = &mut self.links[number];
        let is_due = state.phase == Phase::Due;
        link.due_since = is_due.then(|| link.due_since.unwrap_or(now));
        link.lost = false;
        link.state = state.clone();
        link.stored = state;
        for effect in effects {
            lives -= 1;
            if lives == 0 {
                return self.kill(server);
            }
            self.perform(number, effect);
        }
        self.check_limits(server);
        while let Some(next) = self.servers[server].fair.turn() {
            self.hear(next, &Event::Started);
        }
    }

    /// A step can't be stored: its effects are dropped, and the link restarts later, in the same process.
    fn lose(&mut self, number: usize) {
        self.log(|_| format!("link {number} can't be stored"));
        let wiki = self.links[number].wiki;
        self.servers[self.wikis[wiki].server].fair.leave(&wiki, &number);
        self.links[number].forget_run();
        self.read_back(number);
        self.links[number].lost = true;
        self.plan(30_000, What::Mend(number));
    }

    /// Replaces the state in memory by the stored one.
    fn read_back(&mut self, number: usize) {
        let stored = serde_json::to_string(&self.links[number].stored).unwrap();
        self.links[number].state = serde_json::from_str(&stored).unwrap();
    }

    /// The process crashes: its memory is lost, and packets that it sent may still arrive.
    pub(super) fn kill(&mut self, server: usize) {
        self.log(|_| format!("server {server} dies"));
        self.servers[server].up = false;
        self.servers[server].fair = Fair::new(self.limits);
        for link in &mut self.links {
            if self.wikis[link.wiki].server == server {
                link.forget_run();
            }
        }
        let wait = self.span(100, 60_000);
        self.plan(wait, What::Start(server));
    }

    pub(super) fn start(&mut self, server: usize) {
        if self.servers[server].up {
            return;
        }
        self.log(|_| format!("server {server} starts"));
        self.servers[server].up = true;
        let of_server =
            |world: &Self, link: usize| world.wikis[world.links[link].wiki].server == server;
        for number in 0..self.links.len() {
            if of_server(self, number) {
                self.read_back(number);
            }
        }
        // Before any other event.
        for number in 0..self.links.len() {
            if of_server(self, number) {
                self.hear(number, &Event::Restarted);
                let phase = self.links[number].state.phase;
                let alive = self.servers[server].up;
                let dead = alive && phase.is_run() && !self.links[number].lost;
                assert!(!dead, "it takes a dead run for a living one");
            }
        }
    }

    pub(super) fn tip(&self, remote: usize) -> Option<Id> {
        let remote = &self.remotes[remote];
        remote.wiki.map_or(remote.tip, |wiki| self.wikis[wiki].head)
    }

    /// Returns `true` if saves get jobs for this link.
    pub(super) fn takes_jobs(&self, link: usize) -> bool {
        let link = &self.links[link];
        link.settings.mode.pushes() && link.state.phase != Phase::Disabled
    }
}
