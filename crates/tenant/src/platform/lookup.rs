//! From a name to a wiki that is open, for a caller who may see it.

use std::sync::Arc;

use wikigrove_storage as storage;

use crate::context::{blocking, spawn};
use crate::resolver::Resolution;
use crate::{Action, Caller, Domain, Error, Platform, Role, Slug, Tenant, TenantId, Wiki};

impl Platform {
    /// The wiki of this name, for this caller.
    ///
    /// # Errors
    /// There is no such wiki, or the caller may not see it; it is suspended; it can't be opened.
    pub async fn wiki(&self, slug: &str, caller: Caller) -> Result<Wiki, Error> {
        let slug: Slug = slug.parse()?;
        let tenant = self.tenant(&slug).await?.ok_or(Error::UnknownWiki)?;
        self.bind(tenant, caller).await
    }

    /// What the catalog says of a wiki, for whoever runs the platform. Callers' rights are not asked.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn tenant(&self, slug: &Slug) -> Result<Option<Arc<Tenant>>, Error> {
        if let Some(tenant) = self.0.tenants.get(slug) {
            return Ok(Some(tenant));
        }
        let epoch = self.0.epoch();
        let name = slug.clone();
        let found = self.catalog(move |catalog| catalog.by_slug(&name)).await?.map(Arc::new);
        if let Some(tenant) = &found {
            self.0.tenants.insert(slug.clone(), tenant.clone());
            if self.0.epoch() != epoch {
                // It changed while we read it. Who asks next reads it again.
                self.0.tenants.invalidate(slug);
            }
        }
        Ok(found)
    }

    pub(crate) async fn tenant_by_id(&self, id: TenantId) -> Result<Arc<Tenant>, Error> {
        let found = self.catalog(move |catalog| catalog.by_id(id)).await?;
        found.map(Arc::new).ok_or(Error::UnknownWiki)
    }

    async fn tenant_by_domain(&self, domain: Domain) -> Result<Option<Arc<Tenant>>, Error> {
        Ok(self.catalog(move |catalog| catalog.by_domain(&domain)).await?.map(Arc::new))
    }

    /// The tenant a request is for; `None` when it is for no wiki at all.
    pub(crate) async fn resolved(
        &self,
        mut resolution: Resolution,
    ) -> Result<Option<Arc<Tenant>>, Error> {
        loop {
            match resolution {
                Resolution::NotFound => return Ok(None),
                Resolution::Invalid(why) => return Err(Error::BadHost(why)),
                Resolution::Slug(slug) => return self.tenant(&slug).await,
                Resolution::Domain { domain, otherwise } => {
                    match self.tenant_by_domain(domain).await? {
                        Some(tenant) => return Ok(Some(tenant)),
                        None => resolution = *otherwise,
                    }
                }
            }
        }
    }

    /// A handle for this caller, if it may at least read.
    pub(crate) async fn bind(&self, tenant: Arc<Tenant>, caller: Caller) -> Result<Wiki, Error> {
        let epoch = self.0.epoch();
        let member = self.member(tenant.id, &caller).await?;
        crate::wiki::require(&tenant, &caller, member, Action::Read)?;
        let storage = self.storage(&tenant).await?;
        Ok(Wiki::new(self.clone(), tenant, storage, caller, member, epoch))
    }

    /// The caller's role by the wiki's list of members.
    pub(crate) async fn member(
        &self,
        id: TenantId,
        caller: &Caller,
    ) -> Result<Option<Role>, Error> {
        let Some(subject) = caller.member_subject() else { return Ok(None) };
        let key = (id, subject.to_owned());
        if let Some(role) = self.0.members.get(&key) {
            return Ok(role);
        }
        let epoch = self.0.epoch();
        let (id, subject) = key.clone();
        let role = self.catalog(move |catalog| catalog.role_of(id, &subject)).await?;
        self.0.members.insert(key.clone(), role);
        if self.0.epoch() != epoch {
            self.0.members.invalidate(&key);
        }
        Ok(role)
    }

    /// The open wiki.
    pub(crate) async fn storage(&self, tenant: &Tenant) -> Result<Arc<storage::Wiki>, Error> {
        if let Some(open) = self.0.registry.get(tenant.id) {
            return Ok(open);
        }
        let (dir, options) = (self.wiki_dir(&tenant.slug), self.options(tenant));
        let (resources, id) = (self.0.resources.clone(), tenant.id);
        let opened = self
            .0
            .registry
            .open(id, move || storage::Wiki::open(&dir, options, &resources))
            .await?
            .map_err(|source| Error::Wiki { wiki: tenant.slug.clone(), source })?;
        self.update_index_in_background(&tenant.slug, &opened);
        Ok(opened)
    }

    fn options(&self, tenant: &Tenant) -> storage::Options {
        storage::Options {
            id: tenant.id.to_string(),
            preferences: tenant.preferences.clone(),
            page_limit: self.0.settings.page_limit,
        }
    }

    /// Reads are answered from the history meanwhile; only lists wait for it.
    fn update_index_in_background(&self, slug: &Slug, wiki: &Arc<storage::Wiki>) {
        let (slug, wiki) = (slug.clone(), wiki.clone());
        spawn(async move {
            let updated = blocking(move || match wiki.head() {
                // Nothing to index, and no reason to create a wiki.db.
                Ok(None) => Ok(()),
                Ok(Some(_)) => wiki.update_index(|_| ()),
                Err(error) => Err(error),
            });
            if let Err(error) = updated.await {
                tracing::error!(wiki.slug = %slug, %error, "the page index could not be brought up to date");
            }
        });
    }
}
