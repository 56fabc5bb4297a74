//! The view of a wiki that a caller has before being admitted, for accepting invitations.

use std::sync::Arc;

use crate::{AuditLog, Caller, Error, Platform, Role, Slug, Tenant, TenantId, Wiki};

/// A wiki that a request names, and the caller, before any check that the wiki exists or that the caller may see it. A
/// wiki that doesn't exist must look like one that the caller may not see, so answers must not reveal anything about
/// the wiki. The layer puts this value into the extensions of requests that [`ContextLayer::outside`] lets in.
///
/// [`ContextLayer::outside`]: crate::ContextLayer::outside
#[derive(Clone)]
pub struct Outside {
    platform: Platform,
    tenant: Option<Arc<Tenant>>,
    caller: Caller,
}

impl Outside {
    pub(crate) fn new(platform: Platform, tenant: Option<Arc<Tenant>>, caller: Caller) -> Self {
        Self { platform, tenant, caller }
    }

    /// The immutable id, if the wiki exists.
    pub fn id(&self) -> Option<TenantId> {
        self.tenant.as_ref().map(|tenant| tenant.id)
    }

    /// The name, if the wiki exists.
    pub fn slug(&self) -> Option<&Slug> {
        self.tenant.as_ref().map(|tenant| &tenant.slug)
    }

    /// The caller.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The audit log of the platform.
    pub fn audit(&self) -> AuditLog {
        self.platform.audit()
    }

    /// Checks that the wiki has an invitation with this secret, even a used or expired one. The check takes as long for
    /// a wiki that doesn't exist as for one without such an invitation.
    ///
    /// # Errors
    /// [`Error::UnknownWiki`]: the wiki doesn't exist or has no such invitation.
    pub async fn check_invitation(&self, secret: &str) -> Result<(), Error> {
        let settled = self.tenant.as_ref().filter(|tenant| tenant.state.is_settled());
        // A fresh random id, which belongs to no wiki, costs the same lookup.
        let id = settled.map_or_else(TenantId::random, |tenant| tenant.id);
        self.platform.check_invitation(id, secret).await
    }

    /// Accepts an invitation for the caller, and returns the wiki's name and the caller's role.
    ///
    /// # Errors
    /// As [`Platform::accept_invitation`].
    pub async fn accept_invitation(&self, secret: &str) -> Result<(Slug, Role), Error> {
        let slug = self.slug().ok_or(Error::UnknownWiki)?;
        let role = self.platform.accept_invitation(slug, secret, &self.caller).await?;
        Ok((slug.clone(), role))
    }
}

impl Wiki {
    /// The view of this wiki before the caller is admitted.
    pub fn outside(&self) -> Outside {
        let tenant = Some(self.shared_tenant());
        Outside::new(self.platform().clone(), tenant, self.caller().clone())
    }
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outside")
            .field("slug", &self.slug())
            .field("caller", &self.caller)
            .finish_non_exhaustive()
    }
}
