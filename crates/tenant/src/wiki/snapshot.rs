//! A consistent snapshot of a whole wiki, for exports.

use std::fs::File;
use std::path::PathBuf;

use wikigrove_storage as storage;
use wikigrove_storage::Snapshot;
use wikigrove_storage::otterwiki::TableRow;

use super::Wiki;
use crate::{Action, Error};

impl Wiki {
    /// Passes preferences, drafts and users row by row to `take` with `into`, as of the moment when the branch was at
    /// the returned head; see [`storage::Wiki::snapshot`]. Includes the drafts of all users.
    ///
    /// # Errors
    /// The caller isn't an admin of the wiki; the wiki can't be read; the error of `take`.
    pub async fn snapshot<I: Send + 'static>(
        &self,
        mut into: I,
        take: impl Fn(&mut I, TableRow) -> Result<(), storage::Error> + Send + 'static,
    ) -> Result<(Snapshot, I), Error> {
        self.allow(Action::Inspect).await?;
        self.run(move |wiki| {
            let snapshot = wiki.snapshot(|row| take(&mut into, row))?;
            Ok((snapshot, into))
        })
        .await
    }

    /// A complete copy of the application's own database, as an unnamed file; `None` if there is no such database.
    ///
    /// # Errors
    /// The caller isn't an admin of the wiki; the file is no database; the disk is full.
    pub async fn copy_app_db(&self) -> Result<Option<File>, Error> {
        self.allow(Action::Inspect).await?;
        self.run(storage::Wiki::copy_app_db).await
    }

    /// An unnamed temporary file on the disk of the wiki, which exists as long as it is open.
    ///
    /// # Errors
    /// The caller isn't an admin of the wiki; the disk is full.
    pub async fn scratch_file(&self) -> Result<File, Error> {
        self.allow(Action::Inspect).await?;
        self.run(storage::Wiki::scratch_file).await
    }

    /// The names of the wiki's secrets. Only the operator may see their values.
    ///
    /// # Errors
    /// The caller isn't an admin of the wiki.
    pub async fn secret_names(&self) -> Result<Vec<String>, Error> {
        self.allow(Action::Inspect).await?;
        self.0.platform.secret_names(self.id()).await
    }

    /// The path of the repository, for the git program to read and not to change. Like
    /// [`repository`](Self::repository), it must be called again for each use.
    ///
    /// # Errors
    /// The caller isn't an admin of the wiki.
    pub async fn repository_to_read(&self) -> Result<PathBuf, Error> {
        self.allow(Action::Inspect).await?;
        self.with(|wiki| Ok(wiki.dir().join("repo")))
    }
}
