//! Looks up wikis and opens them for callers who may see them.

use std::sync::Arc;

use wikigrove_storage as storage;

use crate::live::Live;
use crate::resolver::Resolution;
use crate::{
    Action, Caller, Domain, Error, Membership, Platform, Settings, Slug, Tenant, TenantId, Wiki,
};

/// A wiki's row, and the cache's epoch before the row was read.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) epoch: u64,
}

/// A wiki that a caller may read, with the caller's membership.
pub(crate) struct Admitted {
    pub(crate) known: Known,
    membership: Membership,
}

/// The catalog queries that a look-up made. The other queries were answered from the cache, or weren't needed.
#[derive(Default)]
struct Asked {
    wiki: bool,
    member: bool,
}

impl Platform {
    /// A handle of the wiki with this name, for this caller.
    ///
    /// # Errors
    /// The wiki doesn't exist, or the caller may not see it; the wiki is suspended; the wiki can't be opened.
    pub async fn wiki(&self, slug: &str, caller: Caller) -> Result<Wiki, Error> {
        caller.check()?;
        let admitted = self.admitted(Resolution::Slug(slug.parse()?), &caller).await?;
        self.bind_admitted(admitted.ok_or(Error::UnknownWiki)?, caller).await
    }

    /// A handle of the wiki with this id, for this caller.
    ///
    /// # Errors
    /// As [`wiki`](Self::wiki).
    pub async fn wiki_by_id(&self, id: TenantId, caller: Caller) -> Result<Wiki, Error> {
        let epoch = self.0.memory.epoch();
        let found = self.catalog(move |catalog| catalog.by_id(id)).await?;
        let tenant = found.filter(|tenant| tenant.state.is_settled()).ok_or(Error::UnknownWiki)?;
        self.bind(Known { tenant: tenant.into(), epoch }, caller).await
    }

    /// The present name of a wiki; `None` if the wiki doesn't exist or was deleted.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn slug_of(&self, id: TenantId) -> Result<Option<Slug>, Error> {
        let found = self.catalog(move |catalog| catalog.by_id(id)).await?;
        Ok(found.filter(|tenant| tenant.state.is_settled()).map(|tenant| tenant.slug))
    }

    /// The row of a wiki, for the operator. The rights of callers aren't checked.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn tenant(&self, slug: &Slug) -> Result<Option<Arc<Tenant>>, Error> {
        Ok(self.known(slug).await?.map(|known| known.tenant))
    }

    pub(crate) async fn known(&self, slug: &Slug) -> Result<Option<Known>, Error> {
        self.known_asking(slug, &mut Asked::default()).await
    }

    async fn known_asking(&self, slug: &Slug, asked: &mut Asked) -> Result<Option<Known>, Error> {
        let memory = &self.0.memory;
        let epoch = memory.epoch();
        if let Some(tenant) = memory.tenants.get(slug) {
            return Ok(Some(Known { tenant, epoch }));
        }
        asked.wiki = true;
        let name = slug.clone();
        let found = self.catalog(move |catalog| catalog.by_slug(&name)).await?.map(Arc::new);
        Ok(found.map(|tenant| {
            memory.keep(epoch, |m| m.tenants.insert(slug.clone(), tenant.clone()));
            Known { tenant, epoch }
        }))
    }

    /// The wiki with this id, whose last known name is `slug`.
    pub(crate) async fn known_by_id(&self, id: TenantId, slug: &Slug) -> Result<Known, Error> {
        match self.known(slug).await? {
            Some(known) if known.tenant.id == id => Ok(known),
            _ => {
                let epoch = self.0.memory.epoch();
                let found = self.catalog(move |catalog| catalog.by_id(id)).await?;
                let tenant = found.ok_or(Error::UnknownWiki)?.into();
                Ok(Known { tenant, epoch })
            }
        }
    }

    async fn known_by_domain(&self, domain: Domain) -> Result<Option<Known>, Error> {
        let epoch = self.0.memory.epoch();
        let found = self.catalog(move |catalog| catalog.by_domain(&domain)).await?;
        Ok(found.map(|tenant| Known { tenant: tenant.into(), epoch }))
    }

    /// The wiki that a request is for, without checking that its caller may see it; `None` if the wiki doesn't exist,
    /// or if the request is for no wiki.
    pub(crate) async fn resolved(
        &self,
        mut resolution: Resolution,
    ) -> Result<Option<Known>, Error> {
        let mut asked = Asked { wiki: false, member: true };
        let found = loop {
            match resolution {
                Resolution::NotFound | Resolution::InvalidSlug => break None,
                Resolution::Invalid(why) => return Err(Error::BadHost(why)),
                Resolution::Slug(slug) => break self.known_asking(&slug, &mut asked).await?,
                Resolution::Domain { domain, otherwise } => {
                    asked.wiki = true;
                    match self.known_by_domain(domain).await? {
                        Some(known) => break Some(known),
                        None => resolution = *otherwise,
                    }
                }
            }
        };
        self.ask_in_vain(&asked, &Caller::anonymous()).await?;
        Ok(found)
    }

    /// The wiki that a request is for, if its caller may read it; `None` if the request is for no wiki.
    ///
    /// # Errors
    /// [`Error::UnknownWiki`], both for a wiki that the caller may not see and for one that doesn't exist. The domain
    /// of such a wiki behaves like one that no wiki owns.
    pub(crate) async fn resolved_for(
        &self,
        resolution: Resolution,
        caller: &Caller,
    ) -> Result<Option<Admitted>, Error> {
        if resolution == Resolution::NotFound {
            return Ok(None);
        }
        // Checked first: an error after the look-up would reveal that the wiki exists.
        caller.check()?;
        self.admitted(resolution, caller).await
    }

    /// Like [`resolved_for`](Self::resolved_for), with the same number of queries for a wiki that the caller may not
    /// see as for one that doesn't exist. A row that is found in the cache costs a dummy query, so that the response
    /// time reveals nothing either.
    async fn admitted(
        &self,
        resolution: Resolution,
        caller: &Caller,
    ) -> Result<Option<Admitted>, Error> {
        let mut asked = Asked::default();
        let found = self.find_for(resolution, caller, &mut asked).await;
        if matches!(found, Ok(None) | Err(Error::UnknownWiki)) {
            self.ask_in_vain(&asked, caller).await?;
        }
        found
    }

    async fn find_for(
        &self,
        mut resolution: Resolution,
        caller: &Caller,
        asked: &mut Asked,
    ) -> Result<Option<Admitted>, Error> {
        loop {
            match resolution {
                Resolution::NotFound => return Ok(None),
                Resolution::InvalidSlug => return Err(Error::UnknownWiki),
                Resolution::Invalid(why) => return Err(Error::BadHost(why)),
                Resolution::Slug(slug) => {
                    let known = self.known_asking(&slug, asked).await?;
                    let known = known.ok_or(Error::UnknownWiki)?;
                    return self.admit(known, caller, asked).await.map(Some);
                }
                Resolution::Domain { domain, otherwise } => {
                    asked.wiki = true;
                    if let Some(known) = self.known_by_domain(domain).await? {
                        match self.admit(known, caller, asked).await {
                            Err(Error::UnknownWiki) => {}
                            admitted => return admitted.map(Some),
                        }
                    }
                    resolution = *otherwise;
                }
            }
        }
    }

    /// Checks that the caller may at least read.
    async fn admit(
        &self,
        known: Known,
        caller: &Caller,
        asked: &mut Asked,
    ) -> Result<Admitted, Error> {
        let membership = self.membership_asking(known.tenant.id, caller, &mut asked.member).await?;
        crate::wiki::require(&known.tenant, caller, &membership, Action::Read)?;
        Ok(Admitted { known, membership })
    }

    /// Makes the missing queries for rows that don't exist, so that the total number of queries is always the same.
    async fn ask_in_vain(&self, asked: &Asked, caller: &Caller) -> Result<(), Error> {
        if !asked.wiki {
            self.catalog(|catalog| catalog.look_for_no_wiki()).await?;
        }
        if let Some(subject) = caller.user_subject().filter(|_| !asked.member) {
            let subject = subject.to_owned();
            let no_wiki = TenantId::random();
            self.catalog(move |catalog| catalog.membership(no_wiki, &subject)).await?;
        }
        Ok(())
    }

    /// A handle for this caller, if the caller may at least read.
    pub(crate) async fn bind(&self, known: Known, caller: Caller) -> Result<Wiki, Error> {
        let admitted = self.admit(known, &caller, &mut Asked::default()).await?;
        self.bind_admitted(admitted, caller).await
    }

    /// A handle for an admitted caller.
    pub(crate) async fn bind_admitted(
        &self,
        admitted: Admitted,
        caller: Caller,
    ) -> Result<Wiki, Error> {
        let Admitted { known: Known { tenant, epoch }, membership } = admitted;
        let live = self.open_wiki(&tenant).await?;
        Ok(Wiki::new(self.clone(), tenant, live, caller, membership, epoch))
    }

    pub(super) async fn open_wiki(&self, tenant: &Tenant) -> Result<Arc<Live>, Error> {
        match self.0.registry.get(tenant.id) {
            Some(open) => Ok(open),
            None => {
                let (platform, id) = (self.clone(), tenant.id);
                // The opening continues if the caller is cancelled, so that no half-opened wiki is left behind.
                self.0.background.finish(async move { platform.open_by_id(id).await }).await
            }
        }
    }

    pub(super) async fn open_by_id(&self, id: TenantId) -> Result<Arc<Live>, Error> {
        let platform = self.clone();
        let (live, fresh) = self.0.registry.open(id, move || platform.open_behind_gate(id)).await?;
        if fresh {
            self.update_index_in_background(id, &live);
        }
        Ok(live)
    }

    /// Opens a wiki whose gate the caller holds. The row is read again: a deletion holds the same gate, so here it has
    /// not begun or is complete. An older row may be outdated, and its directory may belong to another wiki by now.
    fn open_behind_gate(&self, id: TenantId) -> Result<storage::Wiki, Error> {
        let found = self.0.catalog.by_id(id)?.filter(|tenant| tenant.state.is_settled());
        let Tenant { slug, preferences, quota, .. } = found.ok_or(Error::UnknownWiki)?;
        let Settings { page_limit, attachment_limit, .. } = self.0.settings;
        let new = storage::Options::new(id.to_string());
        let options = storage::Options { preferences, page_limit, attachment_limit, ..new };
        let wiki = storage::Wiki::open(&self.wiki_dir(&slug), options, &self.0.resources)
            .map_err(|source| Error::Wiki { wiki: slug, source })?;
        wiki.set_links(self.pushing_links(id)?);
        wiki.set_quota(self.0.settings.quota(quota));
        Ok(wiki)
    }

    /// Updates the page index. Reads and saves continue meanwhile; lists are answered from the history, or with the
    /// progress of the index.
    pub(crate) fn update_index_in_background(&self, id: TenantId, live: &Arc<Live>) {
        // The task holds the platform: dropping it would release the lock on the directory.
        let (platform, live) = (self.clone(), live.clone());
        self.0.background.spawn_blocking(move || {
            let updated = live.with(|wiki| match wiki.head()? {
                // The wiki is empty: no index is needed, and no wiki.db should be created.
                None => Ok(()),
                Some(_) => wiki.update_index(|_| ()),
            });
            live.moved();
            match updated {
                Ok(()) | Err(storage::Error::Closed) => {}
                Err(error) => {
                    tracing::error!(wiki.id = %id, %error, "the page index could not be brought up to date");
                }
            }
            drop(platform);
        });
    }
}
