//! Who wrote each line, by gix.

use gix::bstr::BStr;

use super::{Repo, RepoError, object_id, revision};
use crate::revision::Revision;

impl Repo {
    /// Runs of lines of a file in a commit, in order: the first line counted from 0, their number, and
    /// the commit that brought them. Renames are followed.
    pub(crate) fn blame(
        &self,
        at: Revision,
        path: &str,
    ) -> Result<Vec<(usize, usize, Revision)>, RepoError> {
        let mut local = self.local();
        // The same few trees are looked at again and again.
        local.object_cache_size(32 << 20);
        let options = gix::repository::blame_file::Options {
            diff_algorithm: Some(gix::diff::blob::Algorithm::Myers),
            rewrites: Some(gix::diff::Rewrites::default()),
            ..Default::default()
        };
        let outcome = local.blame_file(BStr::new(path), object_id(at.as_bytes()), options)?;
        let mut runs: Vec<(usize, usize, Revision)> = outcome
            .entries
            .iter()
            .map(|run| {
                (
                    run.start_in_blamed_file as usize,
                    run.len.get() as usize,
                    revision(&run.commit_id),
                )
            })
            .collect();
        runs.sort_unstable();
        runs.dedup_by(|next, run| {
            let joins = run.2 == next.2 && run.0 + run.1 == next.0;
            if joins {
                run.1 += next.1;
            }
            joins
        });
        Ok(runs)
    }
}
