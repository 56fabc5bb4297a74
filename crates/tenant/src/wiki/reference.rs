//! A wiki in the hands of one caller that needn't be open.

use std::sync::Arc;

use super::{Wiki, allowed};
use crate::changes::Moves;
use crate::{Action, Caller, Error, Membership, Platform, Slug, Tenant, TenantId};

/// As [`Wiki`], for what lasts long and mostly waits, such as listening: it keeps no wiki open, so that another
/// one can have the place, and opens it when it is needed. Cheap to clone.
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

    /// The name, as it was when this was made.
    pub fn slug(&self) -> &Slug {
        &self.tenant.slug
    }

    /// On whose behalf it is opened.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whether the caller may do this, by the catalog as it is now.
    ///
    /// # Errors
    /// It may not; see [`decide`](crate::decide).
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

    /// The wiki, if it is open or if no other has to be closed for it. This doesn't count as a use: a wiki that is
    /// only watched is the first to be closed.
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

    /// As [`Wiki::moves`]. It goes on while the wiki is closed, and when it is opened again.
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
