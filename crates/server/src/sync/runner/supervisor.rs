//! Takes the steps of all links: one at a time, each stored before its effects are performed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use wikigrove_tenant::{Changes, Error, Link, NewNotice, Origin, TenantId, spawn};

use super::active::{Active, Ended};
use super::stored::{Loaded, to_store};
use super::tally::Counted;
use super::{LONGEST_SLEEP, Message, Shared, now, random, standing};
use crate::metrics::LinkCounts;
use crate::sync::{Effect, Event, Fair, LinkState, Moment, Outcome, Phase, State, Time, step};

/// Saves of one wiki within this time are reported to its links once.
const COLLECT: Duration = Duration::from_millis(250);
/// Number of links read from the catalog at once.
const BATCH: u32 = 200;
/// Wait before a link whose state couldn't be stored is restarted.
const AGAIN: Duration = Duration::from_secs(30);
/// A difference between wall clock and elapsed time above this means that the clock was set, in milliseconds.
const DRIFT: i64 = 5_000;

/// The task that drives all links.
pub(super) struct Supervisor {
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<Message>,
    ends: mpsc::UnboundedSender<Ended>,
    ended: mpsc::UnboundedReceiver<Ended>,
    fair: Fair<TenantId, String, String>,
    /// The links that wait for a turn, run, or have unsaved state.
    active: HashMap<String, Active>,
    /// Wikis with new saves; `saved_since` is when the first came.
    saved: HashSet<TenantId>,
    saved_since: Option<Instant>,
    /// When the catalog has the next due link.
    next_at: Option<Time>,
    /// Links whose state couldn't be stored, and when to restart them.
    broken: HashMap<String, Instant>,
    /// A monotonic and a wall clock time, to notice when the wall clock is set.
    clocks: (Instant, Time),
}

impl Supervisor {
    pub(super) fn new(shared: Arc<Shared>, inbox: mpsc::Receiver<Message>) -> Self {
        let (ends, ended) = mpsc::unbounded_channel();
        Self {
            fair: Fair::new(shared.options.limits),
            shared,
            inbox,
            ends,
            ended,
            active: HashMap::new(),
            saved: HashSet::new(),
            saved_since: None,
            next_at: None,
            broken: HashMap::new(),
            clocks: (Instant::now(), now()),
        }
    }

    /// Runs until it is told to stop, the last sender is dropped, or the platform is closed.
    pub(super) async fn run(mut self, mut changes: Changes) {
        self.restart().await;
        let survey = spawn(standing::survey(self.shared.clone()));
        loop {
            let wait = self.wait();
            tokio::select! {
                message = self.inbox.recv() => match message {
                    Some(Message::Stop) | None => break,
                    Some(message) => self.hear(message).await,
                },
                Some(ended) = self.ended.recv() => self.end(ended).await,
                change = changes.next() => match change {
                    None => break,
                    // After a takeover, `end` tells the other links.
                    Some(Ok(change)) if change.origin == Origin::Sync => {}
                    Some(Ok(change)) => self.collect(change.wiki),
                    Some(Err(lagged)) => {
                        tracing::debug!(%lagged, "saves came faster than they were heard");
                        for wiki in self.shared.platform.open_wiki_ids() {
                            self.collect(wiki);
                        }
                    }
                },
                () = tokio::time::sleep(wait) => {}
            }
            self.heed_clock().await;
            self.pass_on_saves().await;
            self.mend().await;
            self.due().await;
            self.start_turns().await;
        }
        survey.abort();
        // The work in progress ends here, so the stored states must not show a run.
        for id in self.active.keys().cloned().collect::<Vec<_>>() {
            self.try_step(&id, &Event::Restarted).await;
        }
        self.active.values_mut().for_each(Active::stop);
    }

    /// The time until the next thing to do.
    fn wait(&self) -> Duration {
        let now = now();
        let until = |at: Time| at.since(now);
        let in_memory = self.active.values().filter_map(|active| active.loaded.state.next_at);
        let waits = in_memory.chain(self.next_at).map(until);
        let saves = self.saved_since.map(|since| COLLECT.saturating_sub(since.elapsed()));
        let broken = self.broken.values().map(|at| at.saturating_duration_since(Instant::now()));
        waits.chain(saves).chain(broken).min().unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP)
    }

    async fn hear(&mut self, message: Message) {
        match message {
            Message::Stop => {}
            Message::Happened { link, event, answer } => {
                let told = self.told(&link, &event).await;
                if let Some(answer) = answer {
                    // The receiver may have been dropped.
                    let _ = answer.send(told);
                }
            }
            Message::OfWiki { wiki, event } => self.tell_links(wiki, None, &event).await,
        }
    }

    /// Sends an event to a link, after reading its row again.
    async fn told(&mut self, id: &str, event: &Event) -> Result<Link, Error> {
        let Some(link) = self.shared.platform.link(id).await? else {
            self.forget(id);
            return Err(Error::UnknownLink);
        };
        if let Some(active) = self.active.get_mut(id) {
            let progress = active.loaded.link.progress.clone();
            active.loaded.link = Link { progress, ..link };
        }
        self.step(id, event).await?;
        self.shared.platform.link(id).await?.ok_or(Error::UnknownLink)
    }

    /// Sends an event to all links of a wiki except one.
    async fn tell_links(&mut self, wiki: TenantId, except: Option<&str>, event: &Event) {
        let mut after = None;
        loop {
            let links = self.shared.platform.links(wiki, after.as_deref(), BATCH).await;
            let links = match links {
                Ok(links) => links,
                Err(error) => {
                    tracing::warn!(wiki.id = %wiki, %error, "a wiki's links can't be found");
                    return;
                }
            };
            let Some(last) = links.last() else { return };
            after = Some(last.id.clone());
            let wanted = links.iter().filter(|link| Some(link.id.as_str()) != except);
            for id in wanted.map(|link| link.id.clone()).collect::<Vec<_>>() {
                self.try_step(&id, event).await;
            }
            if *event == Event::Saved {
                standing::count_later(&self.shared, links);
            }
        }
    }

    fn collect(&mut self, wiki: TenantId) {
        self.saved.insert(wiki);
        self.saved_since.get_or_insert_with(Instant::now);
    }

    async fn pass_on_saves(&mut self) {
        if self.saved_since.is_none_or(|since| since.elapsed() < COLLECT) {
            return;
        }
        self.saved_since = None;
        for wiki in std::mem::take(&mut self.saved) {
            self.tell_links(wiki, None, &Event::Saved).await;
        }
    }

    /// Restarts every link, as the work of the previous process ended with it.
    async fn restart(&mut self) {
        self.all(&|link| {
            let mut events = vec![Event::Restarted];
            match link.offline {
                true => events.push(Event::Offline),
                false => events.push(Event::Online),
            }
            events
        })
        .await;
        self.next_at = Some(now());
    }

    /// Tells all links if the clock was set.
    async fn heed_clock(&mut self) {
        let (then, told) = self.clocks;
        self.clocks = (Instant::now(), now());
        let passed = i64::try_from(then.elapsed().as_millis()).unwrap_or(i64::MAX);
        let moved = self.clocks.1.0 - told.0 - passed;
        if moved.abs() > DRIFT {
            tracing::info!(milliseconds = moved, "the clock was put");
            self.all(&|_| vec![Event::ClockMoved]).await;
            self.next_at = Some(now());
        }
    }

    /// Sends events to all links of the platform, storing many states at once. Active links are told one by one.
    async fn all(&mut self, events: &(dyn Fn(&AtRest) -> Vec<Event> + Send + Sync)) {
        let off = self.shared.wire.is_err();
        let mut after: Option<String> = None;
        loop {
            let links = match self.shared.platform.all_links(None, after.as_deref(), BATCH).await {
                Ok(links) => links,
                Err(error) => {
                    tracing::error!(%error, "the links can't be read");
                    return;
                }
            };
            let Some(last) = links.last() else { return };
            after = Some(last.id.clone());
            let mut steps = Vec::new();
            let mut moved = Vec::new();
            for link in links {
                let at_rest = AtRest { offline: off || link.settings.offline };
                let events = events(&at_rest);
                if self.active.contains_key(&link.id) {
                    for event in events {
                        self.try_step(&link.id, &event).await;
                    }
                    continue;
                }
                let mut loaded = Loaded::new(link);
                let mut effects = Vec::new();
                for event in events {
                    let moment = Moment { now: now(), random: random() };
                    let (state, more) = step(&loaded.settings(), loaded.state, &event, moment);
                    loaded.state = state;
                    effects.extend(more);
                }
                self.shared.standing.stepped(&loaded.link.id, &loaded.state);
                if let Some(step) = to_store(&loaded, &effects, None) {
                    steps.push(step);
                }
                if effects.contains(&Effect::Queue) {
                    moved.push(loaded);
                }
            }
            let told: Vec<_> = steps.iter().map(|step| step.link.clone()).collect();
            if let Err(error) = self.shared.platform.save_links(steps).await {
                tracing::error!(%error, "the links' states can't be stored");
                let again = Instant::now() + AGAIN;
                self.broken.extend(told.into_iter().map(|link| (link, again)));
                continue;
            }
            for loaded in moved {
                let link = &loaded.link;
                self.fair.queue(link.wiki, link.id.clone(), loaded.host());
                self.active.insert(loaded.link.id.clone(), Active::new(loaded));
            }
        }
    }

    /// Wakes the links that are due.
    async fn due(&mut self) {
        let time = now();
        let awake = self
            .active
            .iter()
            .filter(|(_, active)| active.loaded.state.next_at.is_some_and(|at| at <= time));
        for id in awake.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.try_step(&id, &Event::Due).await;
        }
        if self.next_at.is_none_or(|at| at > time) {
            return;
        }
        self.next_at = None;
        let next = match self.wake(time).await {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(%error, "it can't be found out which links are due");
                Some(time + AGAIN)
            }
        };
        self.next_at = [self.next_at, next].into_iter().flatten().min();
    }

    /// Wakes the due links of the catalog; returns when to ask the catalog again.
    async fn wake(&mut self, time: Time) -> Result<Option<Time>, Error> {
        let mut links = self.shared.platform.due_links(time.0, BATCH).await?;
        links.retain(|link| !self.broken.contains_key(&link.id));
        for link in &links {
            self.try_step(&link.id, &Event::Due).await;
        }
        let next = self.shared.platform.next_link_at().await?.map(Time);
        // A link that stays due in the catalog is at work, or can't be stored: don't ask again at once.
        let least = time + Duration::from_secs(1);
        Ok(next.map(|at| if links.is_empty() { at.max(least) } else { at.max(time + COLLECT) }))
    }

    async fn start_turns(&mut self) {
        while let Some(link) = self.fair.turn() {
            self.try_step(&link, &Event::Started).await;
        }
    }

    async fn end(&mut self, ended: Ended) {
        let Ended { link, run, outcome, begun } = ended;
        let Some(active) = self.active.get_mut(&link) else { return };
        if active.loaded.state.run != run || !active.loaded.state.phase.is_run() {
            return;
        }
        active.task = None;
        if let Some(begun) = begun {
            active.run = Some(begun);
        }
        let wiki = active.loaded.link.wiki;
        let applied = matches!(outcome, Outcome::Applied { .. });
        self.try_step(&link, &Event::Done { run, outcome }).await;
        if applied {
            self.tell_links(wiki, Some(&link), &Event::Saved).await;
        }
    }

    /// Restarts links whose state couldn't be stored.
    async fn mend(&mut self) {
        let now = Instant::now();
        let due = self.broken.iter().filter(|(_, at)| **at <= now);
        for id in due.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.try_step(&id, &Event::Restarted).await;
        }
    }

    async fn try_step(&mut self, id: &str, event: &Event) {
        if let Err(error) = self.step(id, event).await
            && !error.is_not_found()
        {
            tracing::warn!(link = id, %error, "a link can't go on now");
        }
    }

    /// Takes one step of one link. If the state can't be stored, no effect is performed, and the link is restarted
    /// before its next event, since the stored state may show a run that is over.
    async fn step(&mut self, id: &str, event: &Event) -> Result<(), Error> {
        if self.broken.contains_key(id) && *event != Event::Restarted {
            self.take_step(id, &Event::Restarted).await?;
        }
        self.take_step(id, event).await
    }

    async fn take_step(&mut self, id: &str, event: &Event) -> Result<(), Error> {
        let mut active = match self.active.remove(id) {
            Some(active) => active,
            None => match self.shared.platform.link(id).await? {
                Some(link) => Active::new(Loaded::new(link)),
                None => {
                    self.forget(id);
                    return Err(Error::UnknownLink);
                }
            },
        };
        let before = active.loaded.state.clone();
        let moment = Moment { now: now(), random: random() };
        let settings = active.loaded.settings();
        let (state, effects) = step(&settings, before.clone(), event, moment);
        active.loaded.state = state;
        if let Err(error) = self.store(&mut active, event, &effects).await {
            self.drop_active(active);
            self.broken.insert(id.to_owned(), Instant::now() + AGAIN);
            return Err(error);
        }
        self.broken.remove(id);
        self.next_at = [self.next_at, active.loaded.state.next_at].into_iter().flatten().min();
        self.count(&mut active, &before, event);
        self.perform(&mut active, effects);
        let phase = active.loaded.state.phase;
        if phase.is_run() || phase == Phase::Due || active.loaded.unsaved().is_some() {
            self.active.insert(id.to_owned(), active);
        }
        Ok(())
    }

    /// Updates the metrics after a stored step.
    fn count(&self, active: &mut Active, before: &LinkState, event: &Event) {
        let Active { loaded, did, .. } = active;
        self.shared.standing.stepped(&loaded.link.id, &loaded.state);
        let Counted { push, taken, run } = did.step(before, event, &loaded.state);
        if let Some(push) = push {
            self.counts().push(push);
        }
        if let Some((how, conflicts)) = taken {
            self.counts().taken(how, conflicts);
        }
        if let Some(run) = run {
            self.counts().run(run);
        }
    }

    fn counts(&self) -> &LinkCounts {
        self.shared.options.metrics.links()
    }

    /// Stores a state with its notices, except when a save changed nothing but a timer.
    async fn store(
        &self,
        active: &mut Active,
        event: &Event,
        effects: &[Effect],
    ) -> Result<(), Error> {
        let waiting = active.run.as_ref().and_then(|run| run.waiting());
        let loaded = &mut active.loaded;
        let only_timers = effects.iter().all(|effect| matches!(effect, Effect::SetTimer { .. }));
        if *event == Event::Saved && only_timers {
            return Ok(());
        }
        let Some(step) = to_store(loaded, effects, waiting) else { return Ok(()) };
        let (progress, notices) = (step.progress.clone(), step.notices.clone());
        self.shared.platform.save_links(vec![step]).await?;
        let was = std::mem::replace(&mut loaded.link.progress, progress);
        for NewNotice { kind, detail, .. } in &notices {
            let (link, wiki) = (&loaded.link.id, loaded.link.wiki);
            tracing::warn!(link, wiki.id = %wiki, kind, %detail, "people are told of a link");
            self.counts().notice(kind);
        }
        if !notices.is_empty() {
            self.shared.news.notify_one();
        }
        let is_news = |state: State| !matches!(state, State::Due) && !loaded.state.phase.is_run();
        let changed =
            (&was.word, &was.reason) != (&loaded.link.progress.word, &loaded.link.progress.reason);
        if !notices.is_empty() || (changed && is_news(loaded.state.state())) {
            self.shared.tell_listener(&loaded.link, &notices);
        }
        Ok(())
    }

    /// Performs the effects of a step, after it was stored.
    fn perform(&mut self, active: &mut Active, effects: Vec<Effect>) {
        let (wiki, id) = (active.loaded.link.wiki, active.loaded.link.id.clone());
        let mut reported = Vec::new();
        for effect in effects {
            match effect {
                Effect::Notify(_) | Effect::SetTimer { .. } => {}
                Effect::Queue => self.fair.queue(wiki, id.clone(), active.loaded.host()),
                Effect::Release => {
                    active.end_run(&self.shared, std::mem::take(&mut reported));
                    self.fair.leave(&wiki, &id);
                }
                Effect::Cancel => active.stop(),
                Effect::RemoveJobs { up_to } => reported.push(up_to),
                effect => {
                    let tips = std::mem::take(&mut reported);
                    active.start(&self.shared, &self.ends, tips, effect);
                }
            }
        }
    }

    /// Drops a deleted link.
    fn forget(&mut self, id: &str) {
        self.shared.standing.forget(id);
        self.broken.remove(id);
        if let Some(active) = self.active.remove(id) {
            self.drop_active(active);
        }
    }

    fn drop_active(&mut self, mut active: Active) {
        active.stop();
        self.fair.leave(&active.loaded.link.wiki, &active.loaded.link.id);
    }
}

/// The settings of a link that decide its events when all links are told.
pub(super) struct AtRest {
    offline: bool,
}
