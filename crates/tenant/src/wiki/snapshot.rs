//! All of a wiki at one moment, for taking it elsewhere.

use std::fs::File;
use std::path::PathBuf;

use wikigrove_storage as storage;
use wikigrove_storage::Snapshot;
use wikigrove_storage::otterwiki::TableRow;

use super::Wiki;
use crate::{Action, Error};

impl Wiki {
    /// Puts preferences, drafts and users into `into`, row by row, as they were when the branch was at
    /// the head that is returned; see [`storage::Wiki::snapshot`]. Drafts are everybody's.
    ///
    /// # Errors
    /// The caller doesn't administer the wiki; it can't be read; what `take` says.
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

    /// A complete copy of the app's own database, without a name; `None` if there is none.
    ///
    /// # Errors
    /// The caller doesn't administer the wiki; it is no database; the disk is full.
    pub async fn copy_app_db(&self) -> Result<Option<File>, Error> {
        self.allow(Action::Inspect).await?;
        self.run(storage::Wiki::copy_app_db).await
    }

    /// A file without a name on the disk of the wiki, for as long as it is open.
    ///
    /// # Errors
    /// The caller doesn't administer the wiki; the disk is full.
    pub async fn scratch_file(&self) -> Result<File, Error> {
        self.allow(Action::Inspect).await?;
        self.run(storage::Wiki::scratch_file).await
    }

    /// The names of the wiki's secrets. Their values are the operator's.
    ///
    /// # Errors
    /// The caller doesn't administer the wiki.
    pub async fn secret_names(&self) -> Result<Vec<String>, Error> {
        self.allow(Action::Inspect).await?;
        self.0.platform.secret_names(self.id()).await
    }

    /// Where the repository is, for the git program to read and not to change. As
    /// [`repository`](Self::repository), it is asked for anew for each use.
    ///
    /// # Errors
    /// The caller doesn't administer the wiki.
    pub async fn repository_to_read(&self) -> Result<PathBuf, Error> {
        self.allow(Action::Inspect).await?;
        self.with(|wiki| Ok(wiki.dir().join("repo")))
    }
}
