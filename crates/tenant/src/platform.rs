//! The platform: a data directory with its catalog and all its wikis.

mod create;
mod lifecycle;
mod lock;
mod lookup;
mod tokens;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::broadcast;
use wikigrove_storage::files::create_private_dir;
use wikigrove_storage::{PageCache, Resources};

use crate::catalog::{Catalog, CatalogError};
use crate::changes::{Change, Changes};
use crate::context::{blocking, spawn};
use crate::registry::Registry;
use crate::{Error, Role, Slug, Tenant, TenantId, Token};

use lock::DirLock;

/// How often wikis are looked at that could be closed or checkpointed.
const TIDY_EVERY: Duration = Duration::from_secs(10);
/// How many changes a slow listener may be behind before it is told that it lags.
const CHANGES_KEPT: usize = 1024;
/// How many rows of each kind the catalog keeps in memory.
const ROWS_KEPT: u64 = 20_000;

/// What a platform may use.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The most wikis open at once. Each costs about 300 kB and up to 15 descriptors.
    pub open_wikis: usize,
    /// A wiki that nobody asked for this long is closed.
    pub idle: Duration,
    /// Memory for pages, in bytes, for all wikis together.
    pub cache_bytes: u64,
    /// The largest page, in bytes.
    pub page_limit: u64,
}

impl Default for Settings {
    /// 500 open wikis, 5 minutes, 64 MiB, 5 MB.
    fn default() -> Self {
        Self {
            open_wikis: 500,
            idle: Duration::from_secs(300),
            cache_bytes: 64 << 20,
            page_limit: 5_000_000,
        }
    }
}

/// Many wikis in one process. Cheap to clone; all clones are the same platform.
#[derive(Clone)]
pub struct Platform(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    dir: PathBuf,
    settings: Settings,
    pub(crate) catalog: Arc<Catalog>,
    registry: Arc<Registry>,
    resources: Resources,
    changes: broadcast::Sender<Change>,
    tenants: Cache<Slug, Arc<Tenant>>,
    members: Cache<(TenantId, String), Option<Role>>,
    tokens: Cache<[u8; 32], Token>,
    /// Raised by every change of the catalog: what was read before may be out of date.
    epoch: AtomicU64,
    _lock: DirLock,
    /// Removed with the platform, if it lives in memory. After everything that uses it.
    _scratch: Option<tempfile::TempDir>,
}

impl Platform {
    /// Opens the platform in `dir`, creating it if need be, with the default settings.
    ///
    /// # Errors
    /// [`Error::InUse`]: another process has it open. Or it can't be created, read or migrated.
    pub async fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(dir, Settings::default()).await
    }

    /// Opens the platform in `dir`, creating it if need be. What a crash left half done, such as
    /// the creation of a wiki, is finished or undone first.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(dir: impl AsRef<Path>, settings: Settings) -> Result<Self, Error> {
        let dir = dir.as_ref().to_owned();
        blocking(move || Self::assemble(dir, settings, None)).await?.started().await
    }

    /// A platform for tests: a private directory, in memory where the system offers that, which
    /// is gone when the last clone is dropped. Otherwise it is the same as any.
    ///
    /// # Errors
    /// The directory can't be created.
    pub async fn in_memory() -> Result<Self, Error> {
        blocking(|| {
            let scratch = lock::scratch()?;
            let dir = scratch.path().to_owned();
            Self::assemble(dir, Settings::default(), Some(scratch))
        })
        .await?
        .started()
        .await
    }

    fn assemble(
        dir: PathBuf,
        settings: Settings,
        scratch: Option<tempfile::TempDir>,
    ) -> Result<Self, Error> {
        // Other processes may look for a moment before they find the lock; nothing else is touched.
        for needed in [dir.clone(), dir.join("wikis"), dir.join("trash")] {
            if !needed.exists() {
                create_private_dir(&needed)?;
            }
        }
        let lock = DirLock::take(&dir)?;
        let resources = Resources {
            cache: PageCache::with_capacity(settings.cache_bytes),
            ..Resources::default()
        };
        let catalog = Catalog::open(&dir, &resources.scheduler)?;
        Ok(Self(Arc::new(Inner {
            registry: Arc::new(Registry::new(settings.open_wikis)),
            catalog: Arc::new(catalog),
            resources,
            changes: broadcast::Sender::new(CHANGES_KEPT),
            tenants: Cache::new(ROWS_KEPT),
            members: Cache::new(ROWS_KEPT),
            tokens: Cache::new(ROWS_KEPT),
            epoch: AtomicU64::new(0),
            dir,
            settings,
            _lock: lock,
            _scratch: scratch,
        })))
    }

    async fn started(self) -> Result<Self, Error> {
        self.finish_unfinished().await?;
        spawn(tidy(Arc::downgrade(&self.0)));
        Ok(self)
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// The changes of all wikis from now on.
    pub fn changes(&self) -> Changes {
        Changes(self.0.changes.subscribe())
    }

    /// The number of wikis that are open now.
    pub fn open_wikis(&self) -> usize {
        self.0.registry.len()
    }

    /// Checkpoints and closes all wikis. Handles that are still held get errors from then on.
    pub async fn close(&self) {
        self.0.registry.close_all().await;
    }

    /// Runs blocking work on the catalog.
    pub(crate) async fn catalog<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Catalog) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, Error> {
        let catalog = self.0.catalog.clone();
        Ok(blocking(move || work(&catalog)).await?)
    }
}

impl Inner {
    /// To be called after every change of the catalog that what is kept in memory may contradict.
    fn changed(&self, slug: &Slug) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.tenants.invalidate(slug);
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    pub(crate) fn announce(&self, change: Change) {
        // Nobody listening is no error.
        let _ = self.changes.send(change);
    }
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Platform")
            .field("dir", &self.0.dir)
            .field("open", &self.open_wikis())
            .finish_non_exhaustive()
    }
}

/// Lives as long as the platform.
async fn tidy(platform: Weak<Inner>) {
    let mut every = tokio::time::interval(TIDY_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let Some((registry, idle)) =
            platform.upgrade().map(|p| (p.registry.clone(), p.settings.idle))
        else {
            return;
        };
        registry.tidy(idle).await;
    }
}
