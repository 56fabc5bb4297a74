//! Access to the repository for the git program.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::Wiki;
use crate::live::Stay;
use crate::{Action, AuditId, Error, NewAuditEntry, Revision};

/// A wiki's repository for the git program to read, as long as this is held.
///
/// The wiki isn't closed meanwhile, and its deletion waits until this is dropped. So the holder must listen to
/// [`closing`](Self::closing).
pub struct Repository {
    stay: Stay,
    dir: PathBuf,
    branch: String,
}

impl Wiki {
    /// Opens the repository for reading with the git program.
    ///
    /// # Errors
    /// The caller may not read.
    pub async fn open_repository(&self) -> Result<Repository, Error> {
        self.allow(Action::Read).await?;
        self.run(|wiki| wiki.ready_for_git()).await?;
        let stay = self.0.live.stay().map_err(|_| self.ended())?;
        let dir = stay.wiki().dir().join("repo");
        let branch = stay.wiki().branch();
        Ok(Repository { stay, dir, branch })
    }

    /// The given commits that are part of the history. All others may not exist, or may not be shown.
    ///
    /// # Errors
    /// The caller may not read; the wiki can't be read.
    pub async fn in_history(&self, ids: HashSet<Revision>) -> Result<HashSet<Revision>, Error> {
        self.allow(Action::Read).await?;
        self.run(move |wiki| wiki.in_history(ids)).await
    }

    /// Records in the audit log that the caller is about to do an action here.
    ///
    /// # Errors
    /// The catalog can't be written.
    pub async fn record(
        &self,
        action: &str,
        peer: Option<IpAddr>,
        request_id: Option<String>,
        detail: serde_json::Value,
    ) -> Result<AuditId, Error> {
        let entry = NewAuditEntry {
            subject: self.caller().subject().map(str::to_owned),
            action: action.to_owned(),
            wiki: Some(self.id()),
            slug: Some(self.slug().to_string()),
            peer,
            request_id,
            detail,
        };
        self.0.platform.record(entry).await
    }

    /// Records the result of an action, as the status of its answer.
    ///
    /// # Errors
    /// The catalog can't be written.
    pub async fn record_result(&self, entry: AuditId, status: u16) -> Result<(), Error> {
        self.0.platform.record_result(entry, status).await
    }

    /// Returns `true` if the wiki can be cloned and pushed to with git; see the preference `git_enabled`.
    ///
    /// # Errors
    /// The caller may not read.
    pub async fn git_enabled(&self) -> Result<bool, Error> {
        self.allow(Action::Read).await?;
        self.run(|wiki| Ok(wiki.preferences()?.git_enabled())).await
    }

    /// Returns `true` if the caller may push a history that doesn't contain the present one: admins may, if the
    /// preference `git_force_push` is set.
    ///
    /// # Errors
    /// The caller may not read.
    pub async fn may_rewrite(&self) -> Result<bool, Error> {
        self.allow(Action::Read).await?;
        Ok(self.run(|wiki| Ok(wiki.preferences()?.git_force_push())).await?
            && self.allow(Action::Administer).await.is_ok())
    }
}

impl Repository {
    /// The path of the repository.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The full name of the wiki's branch, such as `refs/heads/main`. Other references in the repository must not be
    /// shown to clients.
    pub fn branch(&self) -> &str {
        &self.branch
    }

    /// Waits until the wiki is being closed: all reads of the repository must end now.
    pub async fn closing(&mut self) {
        self.stay.asked_to_leave().await;
    }
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository").field("dir", &self.dir).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{Base, Caller, Platform};

    #[tokio::test]
    async fn a_deletion_asks_whoever_reads_the_repository_to_end_and_waits_for_it() {
        let platform = Platform::in_memory().await.unwrap();
        let garden = platform.create("garden").await.unwrap();
        garden.save("roses", "red", Base::New).await.unwrap();
        let mut held = garden.open_repository().await.unwrap();
        let slug = garden.slug().clone();
        let deleting = {
            let platform = platform.clone();
            crate::spawn(async move { platform.delete(&slug).await })
        };
        tokio::time::timeout(Duration::from_secs(30), held.closing()).await.expect("is asked");
        assert!(held.dir().join("HEAD").exists(), "still in its place");
        assert!(!deleting.is_finished());
        let place = held.dir().to_owned();
        drop(held);
        deleting.await.unwrap().unwrap();
        assert!(!place.exists());
        assert!(garden.open_repository().await.unwrap_err().is_not_found());
    }

    #[tokio::test]
    async fn only_readers_open_the_repository() {
        let platform = Platform::in_memory().await.unwrap();
        let garden = platform.create("garden").await.unwrap();
        assert!(garden.git_enabled().await.unwrap());
        let error = garden.for_caller(Caller::anonymous()).await.unwrap_err();
        assert!(error.is_not_found());
    }
}
