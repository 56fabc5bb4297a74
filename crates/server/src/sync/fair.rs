//! The scheduler of runs: a few processes for many wikis.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The limits on concurrent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Runs in total.
    pub total: usize,
    /// Runs against one host.
    pub per_host: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { total: 4, per_host: 2 }
    }
}

/// Assigns turns in round-robin order: at most one per wiki at a time, and never more than the limits. A wiki with a
/// hundred links, or with a link that always has work, delays the others by no more than its own turn.
///
/// A wiki has one place in the queue of each host that it waits for. Places are numbered across all hosts, and the
/// lowest number that can run is next. After its turn, a wiki that waits for more runs on the same host goes to the end
/// of that host's queue. It keeps its places in the queues of other hosts, so that a busy host doesn't cost it the
/// place at a slow one.
#[derive(Clone, Debug)]
pub struct Fair<W, L, H> {
    limits: Limits,
    places: u64,
    wikis: BTreeMap<W, Waiting<L, H>>,
    hosts: BTreeMap<H, Host<W>>,
    running: BTreeMap<L, (W, H)>,
}

#[derive(Clone, Debug)]
struct Waiting<L, H> {
    leased: bool,
    lines: BTreeMap<H, (u64, VecDeque<L>)>,
}

#[derive(Clone, Debug)]
struct Host<W> {
    running: usize,
    /// The wikis that could run, by place; leased wikis aren't in this set.
    line: BTreeSet<(u64, W)>,
}

impl<W: Ord> Host<W> {
    fn empty() -> Self {
        Self { running: 0, line: BTreeSet::new() }
    }
}

impl<W: Ord + Clone, L: Ord + Clone, H: Ord + Clone> Fair<W, L, H> {
    /// An empty scheduler.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            places: 0,
            wikis: BTreeMap::new(),
            hosts: BTreeMap::new(),
            running: BTreeMap::new(),
        }
    }

    /// Number of current runs.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Queues a link. A link that already waits or runs keeps its place.
    pub fn queue(&mut self, wiki: W, link: L, host: H) {
        if self.running.contains_key(&link) {
            return;
        }
        let waiting = self
            .wikis
            .entry(wiki.clone())
            .or_insert_with(|| Waiting { leased: false, lines: BTreeMap::new() });
        let places = &mut self.places;
        let (place, links) = waiting.lines.entry(host.clone()).or_insert_with(|| {
            *places += 1;
            (*places, VecDeque::new())
        });
        if links.contains(&link) {
            return;
        }
        links.push_back(link);
        let host = self.hosts.entry(host).or_insert_with(Host::empty);
        if !waiting.leased {
            host.line.insert((*place, wiki));
        }
    }

    /// The next link that may run, if there is one. It holds its turn until [`leave`](Self::leave).
    pub fn turn(&mut self) -> Option<L> {
        if self.running.len() >= self.limits.total {
            return None;
        }
        let (_, host, wiki) = self
            .hosts
            .iter()
            .filter(|(_, host)| host.running < self.limits.per_host)
            .filter_map(|(name, host)| host.line.first().map(|(place, wiki)| (*place, name, wiki)))
            .min_by_key(|(place, ..)| *place)
            .map(|(place, host, wiki)| (place, host.clone(), wiki.clone()))?;
        let waiting = self.wikis.get_mut(&wiki)?;
        waiting.leased = true;
        for (name, (place, _)) in &waiting.lines {
            if let Some(host) = self.hosts.get_mut(name) {
                host.line.remove(&(*place, wiki.clone()));
            }
        }
        let (place, links) = waiting.lines.get_mut(&host)?;
        let link = links.pop_front()?;
        if links.is_empty() {
            waiting.lines.remove(&host);
        } else {
            self.places += 1;
            *place = self.places;
        }
        self.hosts.get_mut(&host)?.running += 1;
        self.running.insert(link.clone(), (wiki, host));
        Some(link)
    }

    /// Removes a link, running or waiting.
    pub fn leave(&mut self, wiki: &W, link: &L) {
        if let Some((wiki, host)) = self.running.remove(link) {
            if let Some(host) = self.hosts.get_mut(&host) {
                host.running -= 1;
            }
            if let Some(waiting) = self.wikis.get_mut(&wiki) {
                waiting.leased = false;
                for (name, (place, _)) in &waiting.lines {
                    let host = self.hosts.entry(name.clone()).or_insert_with(Host::empty);
                    host.line.insert((*place, wiki.clone()));
                }
            }
        } else if let Some(waiting) = self.wikis.get_mut(wiki) {
            let hosts = &mut self.hosts;
            waiting.lines.retain(|name, (place, links)| {
                links.retain(|other| other != link);
                if links.is_empty()
                    && let Some(host) = hosts.get_mut(name)
                {
                    host.line.remove(&(*place, wiki.clone()));
                }
                !links.is_empty()
            });
        }
        if self.wikis.get(wiki).is_some_and(|waiting| !waiting.leased && waiting.lines.is_empty()) {
            self.wikis.remove(wiki);
        }
        self.hosts.retain(|_, host| host.running > 0 || !host.line.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fair(total: usize, per_host: usize) -> Fair<&'static str, u32, &'static str> {
        Fair::new(Limits { total, per_host })
    }

    #[test]
    fn wikis_take_turns_however_many_links_one_has() {
        let mut fair = fair(1, 1);
        for link in 0..5 {
            fair.queue("greedy", link, "host");
        }
        fair.queue("modest", 10, "host");
        fair.queue("patient", 20, "host");
        let mut order = Vec::new();
        while let Some(link) = fair.turn() {
            order.push(link);
            fair.leave(&"greedy", &link);
        }
        assert_eq!(order, [0, 10, 20, 1, 2, 3, 4]);
    }

    #[test]
    fn one_wiki_never_runs_twice_at_once() {
        let mut fair = fair(4, 4);
        fair.queue("wiki", 1, "a");
        fair.queue("wiki", 2, "b");
        assert_eq!((fair.turn(), fair.turn()), (Some(1), None));
        fair.leave(&"wiki", &1);
        assert_eq!(fair.turn(), Some(2));
    }

    #[test]
    fn neither_limit_is_passed_and_a_full_host_holds_up_no_other() {
        let mut fair = fair(3, 2);
        for (wiki, link) in [("a", 1), ("b", 2), ("c", 3)] {
            fair.queue(wiki, link, "slow");
        }
        for (wiki, link) in [("d", 4), ("e", 5)] {
            fair.queue(wiki, link, "other");
        }
        let started: Vec<_> = std::iter::from_fn(|| fair.turn()).collect();
        assert_eq!(started, [1, 2, 4]);
        fair.leave(&"d", &4);
        assert_eq!(fair.turn(), Some(5));
        fair.leave(&"a", &1);
        assert_eq!(fair.turn(), Some(3));
    }

    #[test]
    fn a_wiki_keeps_its_place_at_a_slow_host_while_it_is_served_at_another() {
        let mut fair = fair(4, 1);
        fair.queue("first", 1, "slow");
        assert_eq!(fair.turn(), Some(1));
        fair.queue("wiki", 2, "slow");
        fair.queue("later", 3, "slow");
        for _ in 0..5 {
            fair.queue("wiki", 4, "quick");
            assert_eq!(fair.turn(), Some(4));
            fair.leave(&"wiki", &4);
        }
        fair.leave(&"first", &1);
        assert_eq!(fair.turn(), Some(2));
    }

    #[test]
    fn while_one_waits_no_other_has_two_turns_at_its_host() {
        let mut dice = crate::sync::clock::Dice::new(11);
        let limits = Limits { total: 3, per_host: 2 };
        let mut fair = Fair::new(limits);
        let host = |wiki: u64| wiki % 3;
        let (mut running, mut passed) = (Vec::new(), std::collections::BTreeMap::new());
        for _ in 0..20_000 {
            let wiki = dice.below(12);
            if dice.below(2) == 0 {
                fair.queue(wiki, wiki, host(wiki));
                if !running.contains(&wiki) {
                    passed.entry(wiki).or_insert_with(Vec::new);
                }
            } else if let Some(place) = running.iter().position(|other| *other == wiki) {
                running.swap_remove(place);
                fair.leave(&wiki, &wiki);
            }
            while let Some(started) = fair.turn() {
                passed.remove(&started);
                for (waits, others) in &mut passed {
                    if host(*waits) == host(started) {
                        assert!(!others.contains(&started), "{started} passed {waits} twice");
                        others.push(started);
                    }
                }
                running.push(started);
                assert!(running.len() <= limits.total && running.len() == fair.running());
                let at_host = running.iter().filter(|other| host(**other) == host(started));
                assert!(at_host.count() <= limits.per_host);
            }
            // A link waits only because some limit is reached.
            let free =
                |wiki: u64| running.iter().filter(|other| host(**other) == host(wiki)).count();
            assert!(
                running.len() == limits.total
                    || passed.keys().all(|wiki| free(*wiki) == limits.per_host)
            );
        }
    }

    #[test]
    fn a_link_that_waits_or_runs_isnt_put_in_line_again() {
        let mut fair = fair(4, 4);
        fair.queue("wiki", 1, "host");
        fair.queue("wiki", 1, "host");
        assert_eq!(fair.turn(), Some(1));
        fair.queue("wiki", 1, "host");
        fair.leave(&"wiki", &1);
        assert_eq!((fair.turn(), fair.running()), (None, 0));
    }

    #[test]
    fn who_leaves_the_line_is_forgotten() {
        let mut fair = fair(1, 1);
        fair.queue("a", 1, "host");
        fair.queue("b", 2, "host");
        fair.leave(&"a", &1);
        assert_eq!(fair.turn(), Some(2));
        fair.leave(&"b", &2);
        assert!(fair.wikis.is_empty() && fair.running.is_empty() && fair.hosts.is_empty());
    }
}
