//! Pages with the same text, of which only some are indexed for search.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::file::searched_names;
use crate::page_path::EXTENSION;
use crate::repo::{Entry, RepoError};
use crate::revision::Etag;

/// Counts the pages of each text, in the order in which they come.
#[derive(Default)]
pub(super) struct Names {
    seen: HashMap<Etag, u64>,
    /// Maximum number of indexed pages for each text.
    most: HashMap<Etag, u64>,
}

impl Names {
    /// Returns `true` if the next page with this text is to be indexed.
    pub(super) fn is_searched(
        &mut self,
        text: Etag,
        size: impl FnOnce(Etag) -> Result<u64, RepoError>,
    ) -> Result<bool, RepoError> {
        let seen = self.seen.entry(text).or_default();
        *seen += 1;
        if *seen == 1 {
            return Ok(true);
        }
        let most = match self.most.get(&text) {
            Some(most) => *most,
            None => {
                let most = searched_names(size(text)?);
                self.most.insert(text, most);
                most
            }
        };
        Ok(*seen <= most)
    }
}

/// The pages whose texts aren't indexed: of the pages with one text, the first by path are indexed.
pub(super) fn unsearched(
    files: &BTreeMap<Vec<u8>, Entry>,
    size: impl Fn(Etag) -> Result<u64, RepoError>,
) -> Result<HashSet<&[u8]>, RepoError> {
    let mut names = Names::default();
    let mut unsearched = HashSet::new();
    for (path, entry) in files {
        let is_page = entry.is_file() && path.ends_with(EXTENSION.as_bytes());
        if is_page && !names.is_searched(entry.id, &size)? {
            unsearched.insert(path.as_slice());
        }
    }
    Ok(unsearched)
}
