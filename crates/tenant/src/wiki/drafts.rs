//! The caller's drafts.

use wikigrove_storage as storage;
use wikigrove_storage::{Cursor, Draft, DraftBase, DraftSummary};

use super::{Bound, Wiki};
use crate::{Action, Error, Source, effective};

impl Wiki {
    /// Up to `limit` drafts of the caller, with paths after `after`, in byte order of their paths.
    ///
    /// Reading drafts needs no right to write: authors can still get their texts when the wiki becomes read-only.
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
    /// The draft doesn't exist; or as [`drafts`](Self::drafts).
    pub async fn draft(&self, path: &str) -> Result<Draft, Error> {
        self.allow(Action::Read).await?;
        let (owner, path) = (self.draft_owner()?, self.existing(path)?);
        self.run(move |wiki| wiki.draft(&owner, &path)).await
    }

    /// Stores a draft in place of the caller's previous one of the page. Returns it, and `true` if there was no
    /// previous one. The draft survives a crash and a power cut, and is removed by the caller's next save of the page.
    ///
    /// # Errors
    /// The caller may not write, or is anonymous; the path is invalid for a page; the text is too large; there are too
    /// many drafts, or their total size is too large.
    pub async fn put_draft(
        &self,
        path: &str,
        content: String,
        base: DraftBase,
        cursor: Option<Cursor>,
    ) -> Result<(DraftSummary, bool), Error> {
        self.allow(Action::Write).await?;
        let (owner, is_guest) = (self.draft_owner()?, self.is_guest());
        let path = self.existing(path)?;
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
    /// The draft doesn't exist; the caller may not write, or is anonymous.
    pub async fn delete_draft(&self, path: &str) -> Result<(), Error> {
        self.allow(Action::Write).await?;
        let (owner, path) = (self.draft_owner()?, self.existing(path)?);
        self.run_writing(move |wiki| wiki.delete_draft(&owner, &path)).await
    }

    /// The subject that the caller's drafts belong to: never a name or an address that could later belong to another
    /// person. A token for another wiki has no drafts here.
    fn draft_owner(&self) -> Result<String, Error> {
        let subject = self.caller().subject().filter(|_| !self.caller().is_stranger_in(self.id()));
        subject.map(str::to_owned).ok_or(Error::IdentityRequired)
    }

    /// Returns `true` if the caller may write only because of the wiki's visibility.
    fn is_guest(&self) -> bool {
        let Bound { tenant, caller, known, .. } = &*self.0;
        effective(tenant, caller, known.role).is_none_or(|grant| grant.source == Source::Visibility)
    }
}
