//! Metrics for Prometheus.
//!
//! All metrics are in one value, which is passed to the code that counts. Counters and histograms exist from the start;
//! gauges are read at each request for the metrics (`gathered.rs`). Labels come from small sets that the code knows,
//! never from a client's input, and no label names a wiki, as there may be thousands.

mod gathered;
mod links;
mod requests;

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use time::OffsetDateTime;
use wikigrove_tenant::problem::Problem;

use crate::limits::{ByteBudget, HttpLimits};
use crate::sync::runner::Remotes;
use crate::wiki::Common;

pub(crate) use links::{Delivered, LinkCounts};
pub use requests::Requests;
pub(crate) use requests::{Asking, Mark, Reached, Route};

/// The output format: OpenMetrics, which Prometheus supports since 2.5.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The prefix of all names.
const PREFIX: &str = "wikigrove";

/// One label with its value.
type Label = [(&'static str, &'static str); 1];

/// The metrics of a server. Cheap to clone; all clones share the same counters.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    requests: requests::Families,
    links: LinkCounts,
    /// The caches and feeds of the wikis' routers.
    commons: Mutex<Vec<Common>>,
    /// The byte budget that all listeners share.
    budget: OnceLock<ByteBudget>,
}

impl Default for Metrics {
    /// All counters are zero.
    fn default() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "The version that runs", Info::new(version));
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let help = "When this began to count, since 1970";
        registry.register_with_unit("start_time", help, Unit::Seconds, ConstGauge::new(now));
        let requests = requests::Families::registered(&mut registry);
        let links = LinkCounts::registered(&mut registry);
        Self(Arc::new(Inner {
            registry,
            requests,
            links,
            commons: Mutex::default(),
            budget: OnceLock::new(),
        }))
    }
}

impl Metrics {
    /// The request metrics of a listener. Its name must be one of a small set.
    pub fn listener(&self, name: &'static str) -> Requests {
        self.0.requests.listener(name)
    }

    /// The metrics of links.
    pub(crate) fn links(&self) -> &LinkCounts {
        &self.0.links
    }

    /// Adds a router's caches and feeds to the gauges.
    pub(crate) fn look_at(&self, common: &Common) {
        self.0.commons.lock().unwrap_or_else(PoisonError::into_inner).push(common.clone());
    }

    /// The byte budget that the listeners of one server share. The first caller's limits apply.
    pub(crate) fn budget(&self, limits: &HttpLimits) -> ByteBudget {
        self.0.budget.get_or_init(|| ByteBudget::new(limits)).clone()
    }

    /// All metrics as text.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub(crate) async fn text(&self, remotes: &Remotes) -> Result<String, Problem> {
        let commons = self.0.commons.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let gathered = gathered::gather(remotes, &commons, self.0.budget.get())
            .await
            .map_err(|e| e.problem())?;
        let mut text = String::new();
        encode_registry(&mut text, &self.0.registry)
            .and_then(|()| encode_registry(&mut text, &gathered))
            .and_then(|()| encode_eof(&mut text))
            .map_err(|error| Problem::internal(&error))?;
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
