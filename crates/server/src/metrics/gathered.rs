//! Gauges that are read at each request for the metrics. Opens no wiki.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};
use time::OffsetDateTime;
use wikigrove_tenant::{CacheUse, Census, Comings, Error, Figures, LinkCount, Origin, PoolUse};

use super::PREFIX;
use crate::limits::ByteBudget;
use crate::sync::runner::{Off, Remotes, Waiting};
use crate::sync::{DecisionReason, PauseReason, State};
use crate::wiki::Common;

/// The states of links that have a reason.
const WITH_REASON: &[&str] = &[State::Paused.as_str(), State::NeedsDecision.as_str()];

/// The states of wikis.
const WIKI_STATES: [&str; 6] =
    ["creating", "active", "read_only", "suspended", "deleting", "deleted"];

const NO_LABELS: [(&str, &str); 0] = [];

/// Reads all gauges.
pub(super) async fn gather(
    remotes: &Remotes,
    commons: &[Common],
    budget: Option<&ByteBudget>,
) -> Result<Registry, Error> {
    let platform = remotes.platform();
    let census = platform.census(WITH_REASON).await?;
    let waiting = remotes.waiting().await?;
    let mut sheet = Sheet(Registry::with_prefix(PREFIX));
    let figures = platform.figures();
    sheet.platform(&figures, &census);
    sheet.caches(&figures.pages, commons);
    sheet.budget(budget);
    sheet.links(&census, &waiting, remotes.off());
    Ok(sheet.0)
}

struct Sheet(Registry);

impl Sheet {
    fn platform(&mut self, figures: &Figures, census: &Census) {
        let Figures { open_wikis, most_open_wikis, comings, platform_pool, wiki_pools, .. } =
            figures;
        let states = WIKI_STATES.map(|state| (state.to_owned(), 0)).into_iter();
        let states: BTreeMap<_, _> = states.chain(census.wikis.iter().cloned()).collect();
        let states = states.into_iter().map(|(state, wikis)| ([("state", state)], wikis.into()));
        self.gauges("wikis", "Wikis by their state in the catalog", states);
        self.gauge("open_wikis", "Wikis that are open", *open_wikis as u64);
        let help = "How many wikis may be open at once";
        self.gauge("open_wikis_limit", help, *most_open_wikis as u64);
        let Comings { opened, idle, displaced, ended } = *comings;
        self.counters("wikis_opened", "How often wikis were opened", [(NO_LABELS, opened)]);
        let reasons = [("idle", idle), ("displaced", displaced), ("ended", ended)];
        let reasons = reasons.map(|(reason, count)| ([("reason", reason)], count));
        self.counters(
            "wikis_closed",
            "How often wikis were closed: idle, displaced by another one that needed the place, or ended \
             with the wiki or the platform",
            reasons,
        );
        let changes = figures.changes.iter().map(|(origin, n)| ([("origin", word(*origin))], *n));
        self.counters("changes", "Changes of wikis, by the door they came through", changes);
        let pools = [("platform", platform_pool), ("wikis", wiki_pools)];
        let of = |count: fn(&PoolUse) -> u32| {
            pools.map(|(pool, usage)| ([("pool", pool)], count(usage).into()))
        };
        self.gauges(
            "sqlite_connections",
            "Connections to SQLite files: of platform.db, and of all open wikis together",
            of(|usage| usage.connections),
        );
        let help = "Those connections that are in use";
        self.gauges("sqlite_connections_busy", help, of(|usage| usage.busy));
        self.gauge(
            "catalog_cached_rows",
            "Rows of platform.db that are kept in memory",
            figures.catalog_rows,
        );
    }

    fn caches(&mut self, pages: &CacheUse, commons: &[Common]) {
        let rendered = commons.iter().map(|common| common.rendering.cache_use());
        let rendered = rendered.fold(CacheUse::default(), |all, one| CacheUse {
            entries: all.entries + one.entries,
            bytes: all.bytes + one.bytes,
            capacity: all.capacity + one.capacity,
        });
        let caches = [("pages", *pages), ("rendered_pages", rendered)];
        let of = |count: fn(&CacheUse) -> u64| {
            caches.map(|(cache, usage)| ([("cache", cache)], count(&usage)))
        };
        self.gauges("cache_entries", "Things in a cache", of(|usage| usage.entries));
        let help = "About how much memory they take";
        self.gauges_of(Unit::Bytes, "cache", help, of(|usage| usage.bytes));
        let help = "How much they may take together";
        self.gauges_of(Unit::Bytes, "cache_limit", help, of(|usage| usage.capacity));
        let listeners = commons.iter().map(|common| common.feeds.listeners() as u64).sum();
        self.gauge("event_listeners", "Clients that listen to a wiki's events", listeners);
    }

    fn budget(&mut self, budget: Option<&ByteBudget>) {
        let (held, most) = budget.map_or((0, 0), |budget| (budget.held(), budget.most()));
        let help =
            "Bytes in memory for answers that were not read yet, and for bodies being received";
        self.gauges_of(Unit::Bytes, "in_flight", help, [(NO_LABELS, held)]);
        let help = "How many they may be together";
        self.gauges_of(Unit::Bytes, "in_flight_limit", help, [(NO_LABELS, most)]);
    }

    fn links(&mut self, census: &Census, waiting: &Waiting, off: Option<&Off>) {
        let plain = State::ALL.iter().filter(|state| !WITH_REASON.contains(&state.as_str()));
        let plain = plain.map(|state| (state.as_str(), ""));
        let paused = PauseReason::ALL.iter().map(|why| (State::Paused.as_str(), why.as_str()));
        let asks = DecisionReason::ALL.iter();
        let asks = asks.map(|why| (State::NeedsDecision.as_str(), why.as_str()));
        let all = plain.chain(paused).chain(asks);
        let mut links: BTreeMap<(&str, &str), u64> = all.map(|key| (key, 0)).collect();
        for LinkCount { word, reason, links: count } in &census.links {
            let key = (word.as_str(), reason.as_deref().unwrap_or_default());
            *links.entry(key).or_default() += u64::from(*count);
        }
        let links = links.into_iter().map(|((state, reason), count)| {
            ([("state", state.to_owned()), ("reason", reason.to_owned())], count)
        });
        self.gauges(
            "sync_links",
            "Links by their state, and by the reason if they stand still",
            links,
        );
        self.gauge(
            "sync_links_down",
            "Links whose remote didn't answer when it was last asked, from the first time on",
            waiting.down as u64,
        );
        self.gauge(
            "sync_links_waiting",
            "Links that have something to push, as far as was counted; see sync_queue_commits",
            waiting.links as u64,
        );
        self.gauge(
            "sync_queue_commits",
            "Commits that remotes weren't seen to have, over all links. A link's are counted after each \
             run and each save, and soon after a start if it can't run or failed before; others count \
             from their first run on, and those of suspended wikis from when they are active again",
            waiting.commits as u64,
        );
        let oldest = waiting.oldest.map(|oldest| OffsetDateTime::now_utc() - oldest);
        let age = oldest.map_or(0, |age| age.whole_seconds().max(0).unsigned_abs());
        let help = "For how long the oldest of them has waited; 0 if there is none";
        self.gauges_of(Unit::Seconds, "sync_queue_oldest", help, [(NO_LABELS, age)]);
        let is = |code: &str| u64::from(off.is_some_and(|off| off.code() == code));
        let off = Off::CODES.map(|code| ([("reason", code)], is(code)));
        self.gauges("sync_off", "1 if no link runs for this reason", off);
        let help =
            "Notices that wait to be sent, or to be sent again, once for each webhook and address";
        self.gauge("sync_notices_waiting", help, census.notices.into());
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.0.register(name, help, ConstGauge::new(value));
    }

    fn gauges<L: Labels>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) {
        self.0.register(name, help, gauges(values));
    }

    fn gauges_of<L: Labels>(
        &mut self,
        unit: Unit,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) {
        self.0.register_with_unit(name, help, unit, gauges(values));
    }

    fn counters<L: Labels>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) {
        let family = Family::<L, Counter>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).inc_by(value);
        }
        self.0.register(name, help, family);
    }
}

/// The labels of a family.
trait Labels: EncodeLabelSet + Clone + Debug + Eq + Hash + Send + Sync + 'static {}

impl<T: EncodeLabelSet + Clone + Debug + Eq + Hash + Send + Sync + 'static> Labels for T {}

fn gauges<L: Labels>(
    values: impl IntoIterator<Item = (L, u64)>,
) -> Family<L, Gauge<u64, AtomicU64>> {
    let family = Family::<L, Gauge<u64, AtomicU64>>::default();
    for (labels, value) in values {
        family.get_or_create(&labels).set(value);
    }
    family
}

fn word(origin: Origin) -> &'static str {
    match origin {
        Origin::Api => "api",
        Origin::Git => "git",
        Origin::Sync => "sync",
        _ => "other",
    }
}
