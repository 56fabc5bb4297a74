//! Refuses small pushes that would make the wiki large.
//!
//! git's objects share their parts: a thousand bytes of a push can name a hundred thousand files, or fifty commits that
//! change them all. The rows that the index would hold are counted before anything is taken over, and must be in
//! proportion to the bytes sent.

use crate::deadline;
use crate::error::Error;
use crate::files::size_below;
use crate::index::{NewCommits, NewFiles};
use crate::measure::{Measures, Paths, Trees};
use crate::receive::PushRules;
use crate::repo::{FileChange, Id, RepoError, View};
use crate::revision::{Etag, Revision};
use crate::wiki::Wiki;

/// The size of pushed or fetched data, and its effects on the wiki.
pub(crate) struct Sent<'a> {
    /// Number of bytes received.
    pub(crate) bytes: u64,
    /// The commits that the branch lacks.
    pub(crate) log: NewCommits,
    /// The changed files.
    pub(crate) changes: &'a [FileChange],
}

impl Wiki {
    /// Refuses a change that takes more room in the index than the size of the sent data accounts for. Returns the most
    /// bytes that it may take.
    pub(crate) fn check_made(
        &self,
        sent: &Sent<'_>,
        rules: &PushRules,
        size: impl Fn(Etag) -> Result<u64, RepoError>,
        text: impl Fn(Etag) -> Result<Vec<u8>, RepoError>,
    ) -> Result<u64, Error> {
        let allowed =
            rules.index_bytes.saturating_add(sent.bytes.saturating_mul(rules.index_per_byte));
        let files = NewFiles::of(sent.changes, size)?;
        let log = sent.log.weight();
        let style = self.preferences()?.link_style();
        // Links are counted exactly only if there may be no room for the maximum number of them.
        let enough = allowed.min(self.disk_left()?.unwrap_or(u64::MAX)).saturating_sub(log);
        let weight = files.weight_in(text, style, enough)?.saturating_add(log);
        if weight <= allowed {
            return Ok(weight);
        }
        let NewCommits { commits, changes, .. } = sent.log;
        Err(Error::ChangeTooLarge {
            detail: format!(
                "{} bytes were sent, and the wiki's index would take {weight} bytes for the {} files and {} \
                 changes of {commits} commits that they make; {allowed} are allowed",
                sent.bytes,
                files.count(),
                changes.files,
            ),
        })
    }

    /// Refuses a history from `known` to `head`, already in the repository, if it has too many files or takes too much
    /// room in the index. Used for fetches that git made without asking this program.
    pub(crate) fn check_history(
        &self,
        known: Option<Revision>,
        head: Revision,
    ) -> Result<(), Error> {
        let view = self.repo().view();
        let rules = self.push_rules();
        let (mut measures, mut log) = (Measures::default(), NewCommits::default());
        for commit in self.repo().commits_since(known, head)? {
            deadline::check()?;
            let (tree, parents, size) = view.links(commit)?;
            let trees = parents.iter().map(|parent| Ok(view.links(*parent)?.0));
            let mut olds = trees.collect::<Result<Vec<Id>, Error>>()?;
            olds.dedup();
            let paths = measures.whole(&mut &view, tree)?.paths;
            log.add(size, &measures.commit(&mut &view, tree, &olds)?);
            if let Some(why) = rules.too_many(paths, Paths::default()).or(log.too_many()) {
                return Err(Error::ChangeTooLarge { detail: format!("commit {commit} {why}") });
            }
        }
        let changes = view.changes(known, head)?;
        let bytes = size_below(self.repo().dir())?;
        let sent = Sent { bytes, log, changes: &changes };
        self.check_made(&sent, &rules, |id| view.blob_size(id), |id| view.blob(id)).map(drop)
    }

    /// As `check_history`, for the entire history: before the index of an imported wiki is built.
    ///
    /// # Errors
    /// [`Error::ChangeTooLarge`]; the repository can't be read.
    pub fn check_whole_history(&self) -> Result<(), Error> {
        match self.current()? {
            Some(head) => self.check_history(None, head),
            None => Ok(()),
        }
    }
}

impl Trees for &View {
    fn read(&mut self, tree: Id) -> Result<Vec<u8>, Error> {
        Ok(self.tree_bytes(&tree)?)
    }
}
