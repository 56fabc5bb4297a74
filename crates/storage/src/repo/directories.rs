//! Lookups of very many paths of one commit.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;

use super::read::View;
use super::{Entry, RepoError};
use crate::revision::Revision;

/// The directories of a commit, each of which is read once: reading a large directory anew for each of its
/// files would take time quadratic in their number.
pub(crate) struct Directories<'a> {
    pub(super) view: &'a View,
    pub(super) commit: Revision,
    /// The entries of each directory that was read, by its path. A path that isn't a directory has none.
    pub(super) known: HashMap<String, HashMap<String, Entry>>,
}

impl Directories<'_> {
    /// As [`View::entry`].
    pub(crate) fn entry(&mut self, path: &str) -> Result<Option<Entry>, RepoError> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok(self.directory(parent)?.get(name).copied())
    }

    fn directory(&mut self, path: &str) -> Result<&HashMap<String, Entry>, RepoError> {
        if !self.known.contains_key(path) {
            let tree = match path {
                "" => Some(self.view.root(self.commit)?),
                _ => self.entry(path)?.filter(|entry| entry.is_directory()).map(|entry| entry.id),
            };
            let names = match tree {
                Some(tree) => self.view.names(tree)?.into_iter().collect(),
                None => HashMap::new(),
            };
            self.known.insert(path.to_owned(), names);
        }
        match self.known.entry(path.to_owned()) {
            MapEntry::Occupied(known) => Ok(known.into_mut()),
            MapEntry::Vacant(unknown) => Ok(unknown.insert(HashMap::new())),
        }
    }
}
