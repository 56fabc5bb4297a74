//! Moving and deleting pages with their sub-pages, and the links between pages.

use wikigrove_storage as storage;
use wikigrove_storage::{Deleted, Etag, Moved, PageLinks, PagePath};

use super::{SaveOptions, Wiki};
use crate::live::Use;
use crate::{Action, Error};

impl Wiki {
    /// Moves a page with its sub-pages and attachments, in one commit. With `update_links`, links on all pages that
    /// would break are rewritten.
    ///
    /// # Errors
    /// The caller may not write; there is no such page and no page below it; a new name collides with an existing one;
    /// a path is invalid for a page.
    pub async fn move_page(
        &self,
        from: &str,
        to: &str,
        update_links: bool,
        options: SaveOptions,
    ) -> Result<Moved, Error> {
        self.allow(Action::Write).await?;
        let from = self.existing(from)?;
        let to = PagePath::new(to).map_err(|error| self.failed(error.into()))?;
        let this = self.clone();
        self.run_heavy(Use::Write, move |wiki| {
            let author = options.author.as_ref().unwrap_or(this.caller().author());
            let message = options.message.as_deref();
            let order = storage::Move { from: &from, to: &to, update_links, author, message };
            let moved = wiki.move_page(&order)?;
            let changed = moved.changes.iter();
            let paths =
                changed.flat_map(|change| [Some(change.path.clone()), change.old_path.clone()]);
            this.announce_all(moved.revision, paths.flatten().collect(), author);
            Ok(moved)
        })
        .await
    }

    /// Deletes a page with the version `base`, with its sub-pages and attachments.
    ///
    /// # Errors
    /// As [`delete`](Self::delete).
    pub async fn delete_recursively(
        &self,
        path: &str,
        base: Etag,
        options: SaveOptions,
    ) -> Result<Deleted, Error> {
        self.allow(Action::Write).await?;
        let path = self.existing(path)?;
        let this = self.clone();
        self.run_heavy(Use::Write, move |wiki| {
            let author = options.author.as_ref().unwrap_or(this.caller().author());
            let message = options.message.as_deref();
            let delete = storage::Delete { path: &path, base, author, message };
            let deleted = wiki.delete_recursively(&delete)?;
            let others = deleted.others.iter().cloned();
            let paths = [path.as_str().to_owned()].into_iter().chain(others);
            this.announce_all(deleted.revision, paths.collect(), author);
            Ok(deleted)
        })
        .await
    }

    /// The links on a page, and up to `limit` pages after the path `after` that link to it.
    ///
    /// # Errors
    /// The page doesn't exist and no page links to it.
    pub async fn page_links(
        &self,
        path: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<PageLinks, Error> {
        self.allow(Action::Read).await?;
        let (path, after) = (self.existing(path)?, after.map(str::to_owned));
        self.run(move |wiki| wiki.page_links(&path, after.as_deref(), limit)).await
    }
}
