//! Who is what in a wiki, by invitation or because somebody said so; and what that lets them do.

use std::sync::Arc;

use crate::access::Permissions;
use crate::memory::Memory;
use crate::{
    Caller, Error, Invitation, Member, Membership, NewInvitation, Platform, Role, Secret, Slug,
    Tenant, TenantId,
};

impl Platform {
    /// Gives a user a role in a wiki, or another role.
    ///
    /// # Errors
    /// There is no such wiki; the subject [can't be](crate::check_subject) a user's;
    /// [`Error::LastOwner`].
    pub async fn set_member(&self, slug: &Slug, subject: &str, role: Role) -> Result<(), Error> {
        let id = self.settled(slug).await?.id;
        let name = subject.to_owned();
        self.change(
            move |catalog| catalog.set_member(id, &name, role),
            forget_member(slug, id, subject),
        )
        .await
    }

    /// Takes a user's role in a wiki away. `false`: there was none.
    ///
    /// # Errors
    /// There is no such wiki; [`Error::LastOwner`].
    pub async fn remove_member(&self, slug: &Slug, subject: &str) -> Result<bool, Error> {
        let id = self.settled(slug).await?.id;
        let name = subject.to_owned();
        self.change(
            move |catalog| catalog.remove_member(id, &name),
            forget_member(slug, id, subject),
        )
        .await
    }

    /// One member of a wiki.
    ///
    /// # Errors
    /// There is no such wiki.
    pub async fn member(&self, slug: &Slug, subject: &str) -> Result<Option<Member>, Error> {
        let id = self.settled(slug).await?.id;
        let subject = subject.to_owned();
        self.catalog(move |catalog| catalog.member(id, &subject)).await
    }

    /// The members of a wiki in the order of their subjects: at most `limit` after `after`.
    ///
    /// # Errors
    /// There is no such wiki.
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

    /// What somebody may do in a wiki, and why: a user, whether the platform knows them or not,
    /// `anonymous`, `operator`, or `token:` and the id of a token made for this wiki.
    ///
    /// # Errors
    /// There is no such wiki, or no such token; nobody can have this subject.
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

    /// Offers a role in a wiki to whoever shows the secret first. The secret is shown once, here.
    ///
    /// # Errors
    /// There is no such wiki.
    pub async fn create_invitation(
        &self,
        slug: &Slug,
        new: NewInvitation,
    ) -> Result<(Invitation, Secret), Error> {
        let id = self.settled(slug).await?.id;
        self.catalog(move |catalog| catalog.create_invitation(id, &new)).await
    }

    /// The invitations to a wiki, by id, also those that are over: at most `limit` after `after`.
    ///
    /// # Errors
    /// There is no such wiki.
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

    /// Takes an invitation back. `false`: there was none of this id. Who accepted it stays a member.
    ///
    /// # Errors
    /// There is no such wiki.
    pub async fn revoke_invitation(&self, slug: &Slug, id: &str) -> Result<bool, Error> {
        let (wiki, id) = (self.settled(slug).await?.id, id.to_owned());
        self.catalog(move |catalog| catalog.revoke_invitation(wiki, &id)).await
    }

    /// Makes the caller a member of a wiki by an invitation, and says with which role: a greater one
    /// that they have stays. They need not be able to see the wiki before; it is the secret that
    /// counts.
    ///
    /// # Errors
    /// [`Error::UnknownWiki`]: the wiki has no such invitation, or isn't there.
    /// [`Error::InvitationSpent`]: it was used, or has expired. [`Error::IdentityRequired`]: the caller
    /// is no user. [`Error::UserSuspended`].
    pub async fn accept_invitation(
        &self,
        slug: &Slug,
        secret: &str,
        caller: &Caller,
    ) -> Result<Role, Error> {
        // Whoever guesses must neither wait for the writer nor make everybody else look again.
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

    /// A wiki that exists for its users.
    async fn settled(&self, slug: &Slug) -> Result<Arc<Tenant>, Error> {
        let found = self.tenant(slug).await?.filter(|tenant| tenant.state.is_settled());
        found.ok_or(Error::UnknownWiki)
    }

    /// What the catalog knows of the caller in a wiki.
    pub(crate) async fn membership(
        &self,
        id: TenantId,
        caller: &Caller,
    ) -> Result<Membership, Error> {
        self.membership_asking(id, caller, &mut false).await
    }

    /// As [`membership`](Self::membership); notes whether the catalog was asked.
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

/// The wiki's row names its first owner, so it goes too.
fn forget_member(slug: &Slug, id: TenantId, subject: &str) -> impl FnOnce(&Memory) + use<> {
    let (slug, key) = (slug.clone(), (id, subject.to_owned()));
    move |memory| {
        memory.tenants.invalidate(&slug);
        memory.members.invalidate(&key);
    }
}
