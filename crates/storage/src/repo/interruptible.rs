//! Object lookups that fail after the deadline of the work: gix has no other way to interrupt a comparison
//! of trees or a blame, which may take minutes.

use gix::objs::{Data, Find, FindHeader, Header, Kind};

use super::RepoError;
use crate::deadline;

/// An object store whose lookups fail after the [deadline], and for texts of too many lines.
pub(super) struct Interruptible<T> {
    pub(super) objects: T,
    /// Maximum number of lines of a blob.
    pub(super) most_lines: usize,
}

impl<T: Find> Find for Interruptible<T> {
    fn try_find<'a>(
        &self,
        id: &gix::oid,
        buffer: &'a mut Vec<u8>,
    ) -> Result<Option<Data<'a>>, gix::Error> {
        check()?;
        let found = self.objects.try_find(id, buffer)?;
        match &found {
            Some(data) if data.kind == Kind::Blob && has_more_lines(data.data, self.most_lines) => {
                Err(gix::Error::from_error(RepoError::TooManyLines { limit: self.most_lines }))
            }
            _ => Ok(found),
        }
    }
}

impl<T: FindHeader> FindHeader for Interruptible<T> {
    fn try_header(&self, id: &gix::oid) -> Result<Option<Header>, gix::Error> {
        check()?;
        self.objects.try_header(id)
    }
}

fn check() -> Result<(), gix::Error> {
    deadline::check().map_err(|cancelled| gix::Error::from_error(RepoError::from(cancelled)))
}

fn has_more_lines(text: &[u8], limit: usize) -> bool {
    text.len() > limit && text.split(|byte| *byte == b'\n').count() > limit
}

/// Extracts our own error (cancelled, too many lines) from gix's; otherwise converts gix's error.
pub(super) fn unwrapped(error: gix::Error) -> RepoError {
    if deadline::is_over() {
        return deadline::Cancelled.into();
    }
    match error.downcast_any_ref::<RepoError>() {
        Some(RepoError::TooManyLines { limit }) => RepoError::TooManyLines { limit: *limit },
        _ => error.into(),
    }
}
