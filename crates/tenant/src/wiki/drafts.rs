//! The caller's own unsaved texts.

use wikigrove_storage as storage;
use wikigrove_storage::{Cursor, Draft, DraftBase, DraftSummary, PagePath};

use super::{Bound, Wiki};
use crate::{Action, Error, Source, effective};

impl Wiki {
    /// Up to `limit` drafts of the caller, after the path `after`, in byte order of their paths.
    ///
    /// Reading them takes no right to write: a text is not lost to its author when the wiki becomes
    /// read-only.
    ///
    /// # Errors
    /// The caller may not read, or is anonymous.
    pub async fn drafts(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DraftSummary>, Error> {
        self.allow(Action::Read).await?;
        let (owner, after) = (self.draft_owner()?, after.map(str::to_owned));
        self.run(move |wiki| wiki.drafts(&owner, after.as_deref(), limit)).await
    }

    /// The caller's draft of a page.
    ///
    /// # Errors
    /// There is none; or as [`drafts`](Self::drafts).
    pub async fn draft(&self, path: &str) -> Result<Draft, Error> {
        self.allow(Action::Read).await?;
        let (owner, path) = (self.draft_owner()?, self.existing(path)?);
        self.run(move |wiki| wiki.draft(&owner, &path)).await
    }

    /// Keeps a draft in place of the caller's last one of the page, and returns it and whether it is
    /// the first. It survives a crash and a power cut, and goes with the caller's next save of the
    /// page.
    ///
    /// # Errors
    /// The caller may not write, or is anonymous; the path can't name a page; the text is too large;
    /// there are too many drafts, or they are too large together.
    pub async fn put_draft(
        &self,
        path: &str,
        content: String,
        base: DraftBase,
        cursor: Option<Cursor>,
    ) -> Result<(DraftSummary, bool), Error> {
        self.allow(Action::Write).await?;
        let (owner, is_guest) = (self.draft_owner()?, self.is_guest());
        let path = PagePath::new(path).map_err(|error| self.failed(error.into()))?;
        self.run_writing(move |wiki| {
            let (owner, content) = (owner.as_str(), content.as_str());
            wiki.put_draft(&storage::NewDraft {
                owner,
                path: &path,
                content,
                base,
                cursor,
                is_guest,
            })
        })
        .await
    }

    /// Removes the caller's draft of a page.
    ///
    /// # Errors
    /// There is none; the caller may not write, or is anonymous.
    pub async fn delete_draft(&self, path: &str) -> Result<(), Error> {
        self.allow(Action::Write).await?;
        let (owner, path) = (self.draft_owner()?, self.existing(path)?);
        self.run_writing(move |wiki| wiki.delete_draft(&owner, &path)).await
    }

    /// The subject that the caller's drafts belong to: never a name or an address that could pass to another
    /// person. A token of another wiki has no drafts here.
    fn draft_owner(&self) -> Result<String, Error> {
        let subject = self.caller().subject().filter(|_| !self.caller().is_stranger_in(self.id()));
        subject.map(str::to_owned).ok_or(Error::IdentityRequired)
    }

    /// Whether the caller may write only because everyone may.
    fn is_guest(&self) -> bool {
        let Bound { tenant, caller, known, .. } = &*self.0;
        effective(tenant, caller, known.role).is_none_or(|grant| grant.source == Source::Visibility)
    }
}
