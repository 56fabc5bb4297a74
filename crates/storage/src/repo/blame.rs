//! Who wrote each line, by gix.

use gix::bstr::BStr;
use gix::objs::{Data, Find, FindHeader, Header};

use super::{Repo, RepoError, object_id, revision};
use crate::revision::Revision;

impl Repo {
    /// Runs of lines of a file in a commit, in order: the first line counted from 0, their number, and
    /// the commit that brought them. Renames are followed. It ends early once `given_up` says so.
    pub(crate) fn blame(
        &self,
        at: Revision,
        path: &str,
        given_up: &dyn Fn() -> bool,
    ) -> Result<Vec<(usize, usize, Revision)>, RepoError> {
        match self.runs(at, path, given_up) {
            Err(_) if given_up() => Err(RepoError::GivenUp),
            runs => Ok(joined(runs?)),
        }
    }

    fn runs(
        &self,
        at: Revision,
        path: &str,
        given_up: &dyn Fn() -> bool,
    ) -> Result<Vec<(usize, usize, Revision)>, gix::Error> {
        let mut local = self.local();
        // The same few trees are looked at again and again.
        local.object_cache_size(32 << 20);
        let options = gix::blame::Options {
            diff_algorithm: gix::diff::blob::Algorithm::Myers,
            rewrites: Some(gix::diff::Rewrites::default()),
            ..Default::default()
        };
        let outcome = gix::blame::file(
            UntilGivenUp { objects: &local.objects, given_up },
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

/// In order, and one run where several that follow each other are of one commit.
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

/// Objects that can't be found any more once nobody waits for what is made from them: gix has no
/// other way to end what may take a minute.
struct UntilGivenUp<'a, T> {
    objects: T,
    given_up: &'a dyn Fn() -> bool,
}

impl<T> UntilGivenUp<'_, T> {
    fn check(&self) -> Result<(), gix::Error> {
        if (self.given_up)() { Err(gix::Error::from_error(RepoError::GivenUp)) } else { Ok(()) }
    }
}

impl<T: Find> Find for UntilGivenUp<'_, T> {
    fn try_find<'a>(
        &self,
        id: &gix::oid,
        buffer: &'a mut Vec<u8>,
    ) -> Result<Option<Data<'a>>, gix::Error> {
        self.check()?;
        self.objects.try_find(id, buffer)
    }
}

impl<T: FindHeader> FindHeader for UntilGivenUp<'_, T> {
    fn try_header(&self, id: &gix::oid) -> Result<Option<Header>, gix::Error> {
        self.check()?;
        self.objects.try_header(id)
    }
}
