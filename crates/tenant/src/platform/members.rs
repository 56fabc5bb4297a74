//! Members, invitations and permissions.

use std::sync::Arc;

use crate::access::Permissions;
use crate::memory::Memory;
use crate::{
    Caller, Error, Invitation, Member, Membership, NewInvitation, Platform, Role, Secret, Slug,
    Tenant, TenantId,
};

impl Platform {
    /// Gives a user a role in a wiki, in place of the previous one.
    ///
    /// # Errors
    /// The wiki doesn't exist; the subject is [invalid](crate::check_subject); [`Error::LastOwner`].
    pub async fn set_member(&self, slug: &Slug, subject: &str, role: Role) -> Result<(), Error> {
        let id = self.settled(slug).await?.id;
        let name = subject.to_owned();
        self.change(
            move |catalog| catalog.set_member(id, &name, role),
            forget_member(slug, id, subject),
        )
        .await
    }

    /// Ends a user's membership in a wiki. Returns `false` if there was none.
    ///
    /// # Errors
    /// The wiki doesn't exist; [`Error::LastOwner`].
    pub async fn remove_member(&self, slug: &Slug, subject: &str) -> Result<bool, Error> {
        let id = self.settled(slug).await?.id;
        let name = subject.to_owned();
        self.change(
            move |catalog| catalog.remove_member(id, &name),
            forget_member(slug, id, subject),
        )
        .await
    }

    /// The member of a wiki with this subject.
    ///
    /// # Errors
    /// The wiki doesn't exist.
    pub async fn member(&self, slug: &Slug, subject: &str) -> Result<Option<Member>, Error> {
        let id = self.settled(slug).await?.id;
        let subject = subject.to_owned();
        self.catalog(move |catalog| catalog.member(id, &subject)).await
    }

    /// The members of a wiki in the order of their subjects: at most `limit` after `after`.
    ///
    /// # Errors
    /// The wiki doesn't exist.
    pub async fn members(
        &self,
        slug: &Slug,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Member>, Error> {
        let id = self.settled(slug).await?.id;
        let after = after.map(str::to_owned);
        self.catalog(move |catalog| catalog.members(id, after.as_deref(), limit)).await
    }

    /// The rights of a subject in a wiki, with reasons. The subject is a user's, known to the platform or not,
    /// `anonymous`, `operator`, or `token:` and the id of a token for this wiki.
    ///
    /// # Errors
    /// The wiki or the token doesn't exist; the subject is invalid.
    pub async fn permissions(&self, slug: &Slug, subject: &str) -> Result<Permissions, Error> {
        let tenant = self.settled(slug).await?;
        let caller = match subject.split_once(':') {
            Some(("token", id)) => {
                let (wiki, id) = (tenant.id, id.to_owned());
                let found = self.catalog(move |catalog| catalog.token_by_id(wiki, &id)).await?;
                Caller::token(&found.ok_or(Error::UnknownToken)?)
            }
            _ if subject == "anonymous" => Caller::anonymous(),
            _ if subject == "operator" => Caller::operator(),
            _ => Caller::user_without_email(subject, subject),
        };
        let known = self.membership(tenant.id, &caller).await?;
        Ok(Permissions::of(subject, &tenant, &caller, &known))
    }

    /// Creates an invitation: the first user with its secret may become a member. The secret is returned only here.
    ///
    /// # Errors
    /// The wiki doesn't exist.
    pub async fn create_invitation(
        &self,
        slug: &Slug,
        new: NewInvitation,
    ) -> Result<(Invitation, Secret), Error> {
        let id = self.settled(slug).await?.id;
        self.catalog(move |catalog| catalog.create_invitation(id, &new)).await
    }

    /// The invitations to a wiki by id, including accepted and expired ones: at most `limit` after `after`.
    ///
    /// # Errors
    /// The wiki doesn't exist.
    pub async fn invitations(
        &self,
        slug: &Slug,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Invitation>, Error> {
        let id = self.settled(slug).await?.id;
        let after = after.map(str::to_owned);
        self.catalog(move |catalog| catalog.invitations(id, after.as_deref(), limit)).await
    }

    /// Removes an invitation. Returns `false` if none has this id. A user who accepted it stays a member.
    ///
    /// # Errors
    /// The wiki doesn't exist.
    pub async fn revoke_invitation(&self, slug: &Slug, id: &str) -> Result<bool, Error> {
        let (wiki, id) = (self.settled(slug).await?.id, id.to_owned());
        self.catalog(move |catalog| catalog.revoke_invitation(wiki, &id)).await
    }

    /// Makes the caller a member of a wiki by an invitation, and returns the caller's role. A greater role that the
    /// caller has already stays. The caller need not be able to see the wiki before: the secret suffices.
    ///
    /// # Errors
    /// [`Error::UnknownWiki`]: the wiki doesn't exist or has no such invitation. [`Error::InvitationSpent`]: it was
    /// used, or has expired. [`Error::IdentityRequired`]: the caller is no user. [`Error::UserSuspended`].
    pub async fn accept_invitation(
        &self,
        slug: &Slug,
        secret: &str,
        caller: &Caller,
    ) -> Result<Role, Error> {
        // Checked before the write: a wrong guess must neither wait for the writer nor invalidate cached rows.
        let id = self.settled(slug).await?.id;
        self.check_invitation(id, secret).await?;
        let subject = caller.user_subject().ok_or(Error::IdentityRequired)?;
        let (name, secret) = (subject.to_owned(), secret.to_owned());
        self.change(
            move |catalog| catalog.accept_invitation(id, &secret, &name),
            forget_member(slug, id, subject),
        )
        .await
    }

    pub(crate) async fn check_invitation(&self, id: TenantId, secret: &str) -> Result<(), Error> {
        let secret = secret.to_owned();
        let is_known = self.catalog(move |catalog| catalog.has_invitation(id, &secret)).await?;
        if is_known { Ok(()) } else { Err(Error::UnknownWiki) }
    }

    /// The wiki of this name, if it is settled.
    async fn settled(&self, slug: &Slug) -> Result<Arc<Tenant>, Error> {
        let found = self.tenant(slug).await?.filter(|tenant| tenant.state.is_settled());
        found.ok_or(Error::UnknownWiki)
    }

    /// The caller's membership in a wiki.
    pub(crate) async fn membership(
        &self,
        id: TenantId,
        caller: &Caller,
    ) -> Result<Membership, Error> {
        self.membership_asking(id, caller, &mut false).await
    }

    /// Like [`membership`](Self::membership); sets `asked` if the catalog was queried.
    pub(super) async fn membership_asking(
        &self,
        id: TenantId,
        caller: &Caller,
        asked: &mut bool,
    ) -> Result<Membership, Error> {
        let Some(subject) = caller.user_subject() else { return Ok(Membership::default()) };
        let memory = &self.0.memory;
        let epoch = memory.epoch();
        let key = (id, subject.to_owned());
        if let Some(known) = memory.members.get(&key) {
            return Ok(known);
        }
        crate::check_subject(subject)?;
        *asked = true;
        let subject = key.1.clone();
        let known = self.catalog(move |catalog| catalog.membership(id, &subject)).await?;
        memory.keep(epoch, |memory| memory.members.insert(key, known.clone()));
        Ok(known)
    }
}

/// The change to the cache after a change of a member. The wiki's row names its first owner, so it is removed, too.
fn forget_member(slug: &Slug, id: TenantId, subject: &str) -> impl FnOnce(&Memory) + use<> {
    let (slug, key) = (slug.clone(), (id, subject.to_owned()));
    move |memory| {
        memory.tenants.invalidate(&slug);
        memory.members.invalidate(&key);
    }
}
