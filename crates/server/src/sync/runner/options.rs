//! The options of a platform's synchronisation.

use std::sync::Arc;

use super::notices::Delivery;
use crate::metrics::Metrics;
use crate::remote::{Policy, Resolver, SecretFiles, SystemResolver, WireLimits};
use crate::sync::Limits;

/// The options of the runner.
#[derive(Clone, Debug)]
pub struct Options {
    /// If `false`, no link runs, and the API says so. Saves are queued nevertheless.
    pub enabled: bool,
    /// If `true`, nothing leaves the machine. Saves are queued nevertheless.
    pub offline: bool,
    /// The hosts that may be reached.
    pub policy: Policy,
    /// The resolver of host names.
    pub resolver: Arc<dyn Resolver>,
    /// The limits on concurrent runs.
    pub limits: Limits,
    /// The limits on the duration and size of one call.
    pub wire: WireLimits,
    /// The directories for mounted credential files.
    pub secret_files: SecretFiles,
    /// The settings for sending notices. `None` if this process sends none; they wait for a process that does.
    pub delivery: Option<Delivery>,
    /// The counters of the links, and of the requests to routers built with these options. Belongs to one platform
    /// alone.
    pub metrics: Metrics,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            enabled: true,
            offline: false,
            policy: Policy::default(),
            resolver: Arc::new(SystemResolver),
            limits: Limits::default(),
            wire: WireLimits::default(),
            secret_files: SecretFiles::default(),
            delivery: Some(Delivery::default()),
            metrics: Metrics::default(),
        }
    }
}
