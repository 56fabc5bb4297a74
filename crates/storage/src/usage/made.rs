//! How much a wiki may come to hold by little that was sent.
//!
//! git's objects share what they can: a thousand bytes of a push name a hundred thousand files, or fifty
//! commits that change them all. What the index will hold for it is counted before any of it is taken,
//! and must be in proportion to what was sent.

use crate::deadline;
use crate::error::Error;
use crate::files::size_below;
use crate::index::{NewCommits, NewFiles};
use crate::measure::{Measures, Paths, Trees};
use crate::receive::PushRules;
use crate::repo::{FileChange, Id, RepoError, View};
use crate::revision::{Etag, Revision};
use crate::wiki::Wiki;

/// Something that was sent, and what it would make of the wiki.
pub(crate) struct Sent<'a> {
    /// The bytes that came.
    pub(crate) bytes: u64,
    /// The commits that the branch hasn't.
    pub(crate) log: NewCommits,
    /// The files that would not be as they are.
    pub(crate) changes: &'a [FileChange],
}

impl Wiki {
    /// Refuses what would take more in the index than what was sent accounts for. Returns the bytes that it
    /// would take at most.
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
        // Links are counted where there may not be room for as many as there can be.
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

    /// Refuses a history that is in the repository already, from `known` to `head`, if its files are too
    /// many or would take too much in the index: for what git fetched without asking.
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

    /// As `check_history`, of all that there is: before the index of a wiki that came
    /// from elsewhere is built.
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
