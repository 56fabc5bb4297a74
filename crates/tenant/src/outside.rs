//! A wiki that somebody stands before.

use std::sync::Arc;

use crate::{AuditLog, Caller, Error, Platform, Role, Slug, Tenant, TenantId, Wiki};

/// A wiki that a request is for, and who asks. Nobody has asked yet whether they may see it, nor
/// even whether it is there, so that both look the same; nothing is to be told of it. In the extensions of requests that [`ContextLayer::outside`] lets in.
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

    /// The immutable id, if there is such a wiki.
    pub fn id(&self) -> Option<TenantId> {
        self.tenant.as_ref().map(|tenant| tenant.id)
    }

    /// The name, if there is such a wiki.
    pub fn slug(&self) -> Option<&Slug> {
        self.tenant.as_ref().map(|tenant| &tenant.slug)
    }

    /// Who asks.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Where it is written down who does what.
    pub fn audit(&self) -> AuditLog {
        self.platform.audit()
    }

    /// Makes sure that the wiki has an invitation with this secret, also one that is over. A wiki that isn't
    /// there takes as long as one that has none.
    ///
    /// # Errors
    /// [`Error::UnknownWiki`]: it has none, or isn't there.
    pub async fn check_invitation(&self, secret: &str) -> Result<(), Error> {
        let settled = self.tenant.as_ref().filter(|tenant| tenant.state.is_settled());
        // No wiki has this id, so its invitations are asked for in vain.
        let id = settled.map_or_else(TenantId::random, |tenant| tenant.id);
        self.platform.check_invitation(id, secret).await
    }

    /// Lets the caller in by an invitation, and says where, and with which role.
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
    /// The wiki as somebody sees it who stands before it.
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
