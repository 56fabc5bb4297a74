//! The author of each line, by gix.

use gix::bstr::BStr;

use super::interruptible::{Interruptible, unwrapped};
use super::old_commits::Walkable;
use super::{Repo, RepoError, object_id, revision};
use crate::revision::Revision;

/// Maximum number of lines of a version of the file. Comparing two versions can't be interrupted; two
/// versions of this many lines with nothing in common take half a second.
const MOST_LINES: usize = 100_000;

impl Repo {
    /// Runs of lines of a file in a commit, in order: the first line counted from 0, the number of lines,
    /// and the commit that brought them. Renames are followed. Ends at the thread's deadline.
    pub(crate) fn blame(
        &self,
        at: Revision,
        path: &str,
    ) -> Result<Vec<(usize, usize, Revision)>, RepoError> {
        Ok(joined(self.runs(at, path).map_err(unwrapped)?))
    }

    fn runs(&self, at: Revision, path: &str) -> Result<Vec<(usize, usize, Revision)>, gix::Error> {
        let mut local = self.local();
        // The same few trees are read again and again.
        local.object_cache_size(32 << 20);
        let options = gix::blame::Options {
            diff_algorithm: gix::diff::blob::Algorithm::Myers,
            rewrites: Some(gix::diff::Rewrites::default()),
            ..Default::default()
        };
        let outcome = gix::blame::file(
            Interruptible { objects: Walkable(&local.objects), most_lines: MOST_LINES },
            gix::blame::Start::Commit(object_id(at.as_bytes())),
            local.commit_graph_if_enabled()?,
            &mut local.diff_resource_cache_for_tree_diff()?,
            BStr::new(path),
            options,
        )?;
        let run = |run: &gix::blame::BlameEntry| {
            let (first, count) = (run.start_in_blamed_file as usize, run.len.get() as usize);
            (first, count, revision(&run.commit_id))
        };
        Ok(outcome.entries.iter().map(run).collect())
    }
}

/// Sorts the runs and joins adjacent ones of the same commit.
fn joined(mut runs: Vec<(usize, usize, Revision)>) -> Vec<(usize, usize, Revision)> {
    runs.sort_unstable();
    runs.dedup_by(|next, run| {
        let joins = run.2 == next.2 && run.0 + run.1 == next.0;
        if joins {
            run.1 += next.1;
        }
        joins
    });
    runs
}
