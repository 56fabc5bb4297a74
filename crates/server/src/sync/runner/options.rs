//! What a platform's synchronisation is allowed and told.

use std::sync::Arc;

use super::notices::Delivery;
use crate::metrics::Metrics;
use crate::remote::{Policy, Resolver, SecretFiles, SystemResolver, WireLimits};
use crate::sync::Limits;

/// How links are run.
#[derive(Clone, Debug)]
pub struct Options {
    /// `false`: no link runs, and the API says so. Saves queue all the same.
    pub enabled: bool,
    /// `true`: nothing leaves the machine. Saves queue all the same.
    pub offline: bool,
    /// Which hosts may be reached.
    pub policy: Policy,
    /// Who knows the addresses of names.
    pub resolver: Arc<dyn Resolver>,
    /// How much may run at once.
    pub limits: Limits,
    /// How long and how large one call may be.
    pub wire: WireLimits,
    /// Where credentials may be mounted as files.
    pub secret_files: SecretFiles,
    /// How people are told. `None`: this process tells nobody, and what they are to be told waits for one that
    /// does.
    pub delivery: Option<Delivery>,
    /// Where it is counted what links do, and what is asked of the routers that are built with them. One
    /// platform's alone.
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
