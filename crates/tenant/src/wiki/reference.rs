//! A reference to a wiki for one caller that doesn't keep the wiki open.

use std::sync::Arc;

use super::{Wiki, allowed};
use crate::changes::Moves;
use crate::{Action, Caller, Error, Membership, Platform, Slug, Tenant, TenantId};

/// A reference to a wiki for long-running tasks that mostly wait, such as listening for changes. Unlike [`Wiki`], a
/// reference doesn't keep the wiki open; it opens the wiki on demand. Cheap to clone.
#[derive(Clone)]
pub struct Reference {
    pub(super) platform: Platform,
    pub(super) tenant: Arc<Tenant>,
    pub(super) caller: Caller,
    pub(super) known: Membership,
    pub(super) epoch: u64,
}

impl Reference {
    /// The immutable id of the wiki.
    pub fn id(&self) -> TenantId {
        self.tenant.id
    }

    /// The name, as of the time the reference was made.
    pub fn slug(&self) -> &Slug {
        &self.tenant.slug
    }

    /// The caller.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Checks that the caller may do this, by the present state of the catalog.
    ///
    /// # Errors
    /// The caller may not; see [`decide`](crate::decide).
    pub async fn allow(&self, action: Action) -> Result<(), Error> {
        let Self { platform, tenant, caller, known, epoch } = self;
        allowed(platform, tenant, caller, known, *epoch, action).await
    }

    /// The wiki, opened if need be.
    ///
    /// # Errors
    /// As [`Platform::wiki`].
    pub async fn open(&self) -> Result<Wiki, Error> {
        let known = self.platform.known_by_id(self.id(), self.slug()).await?;
        self.platform.bind(known, self.caller.clone()).await
    }

    /// The wiki, if it is open or can be opened without closing another one. This doesn't count as a use: a wiki that
    /// is only watched is the first to be closed.
    ///
    /// # Errors
    /// The caller may not read it; it can't be opened.
    pub async fn open_if_room(&self) -> Result<Option<Wiki>, Error> {
        self.allow(Action::Read).await?;
        let registry = &self.platform.0.registry;
        if let Some(live) = registry.peek(self.id()) {
            let Self { platform, tenant, caller, known, epoch } = self.clone();
            return Ok(Some(Wiki::new(platform, tenant, live, caller, known, epoch)));
        }
        if registry.is_shut() {
            return Err(Error::Busy("the platform is being closed".to_owned()));
        }
        if registry.has_room() { self.open().await.map(Some) } else { Ok(None) }
    }

    /// Like [`Wiki::moves`]. The signal continues while the wiki is closed, and when it is opened again.
    pub fn moves(&self) -> Moves {
        Moves(self.platform.0.registry.signal(self.id()).subscribe())
    }
}

impl std::fmt::Debug for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reference")
            .field("slug", self.slug())
            .field("caller", self.caller())
            .finish_non_exhaustive()
    }
}
