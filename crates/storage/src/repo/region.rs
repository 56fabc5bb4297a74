//! The files of one directory, in a repository that may hold anything.

use gix::prelude::FindExt as _;

use super::read::tree_of;
use super::{MAX_TREE, RepoError, Revision, View, object_id};
use crate::merge::files::Files;

/// Limits of a wiki: number of files, total length of their paths and depth of directories.
const MAX_FILES: usize = 200_000;
const MAX_PATH_BYTES: usize = 20_000_000;
const MAX_DEPTH: usize = 100;

/// The result of reading a directory.
pub(crate) enum Region {
    /// Its files by their paths relative to it; empty if the directory doesn't exist.
    Files(Files),
    /// This path, the directory's own or one above it, isn't a directory.
    NoDirectory(String),
    TooLarge,
}

impl View {
    /// The files below the directory `path` of a commit (`""` is the root). A few objects can make any
    /// number of paths; the limits bound time and memory.
    pub(crate) fn region(&self, commit: Revision, path: &str) -> Result<Region, RepoError> {
        let mut root = tree_of(&self.0, commit)?;
        if !path.is_empty() {
            for end in path.match_indices('/').map(|(at, _)| at).chain([path.len()]) {
                match self.entry(commit, &path[..end])? {
                    Some(entry) if entry.is_directory() => root = object_id(entry.id.as_bytes()),
                    Some(_) => return Ok(Region::NoDirectory(path[..end].to_owned())),
                    None => return Ok(Region::Files(Files::new())),
                }
            }
        }
        let mut files = Files::new();
        let mut buffer = Vec::new();
        let mut trees = vec![(root, Vec::new(), 0)];
        let (mut seen, mut path_bytes) = (0, 0);
        while let Some((id, path, depth)) = trees.pop() {
            let header = self.0.find_header(id).map_err(|e| RepoError::reading_object(&id, e))?;
            if header.size() > MAX_TREE || depth > MAX_DEPTH {
                return Ok(Region::TooLarge);
            }
            let tree = self.0.objects.find_tree_iter(&id, &mut buffer);
            for entry in tree.map_err(|e| RepoError::reading_object(&id, e))? {
                let entry = entry.map_err(|e| RepoError::object(&id, e))?;
                seen += 1;
                path_bytes += path.len() + 1 + entry.filename.len();
                if seen > MAX_FILES || path_bytes > MAX_PATH_BYTES {
                    return Ok(Region::TooLarge);
                }
                let separator: &[u8] = if path.is_empty() { b"" } else { b"/" };
                let path = [&path[..], separator, entry.filename].concat();
                if entry.mode.is_tree() {
                    trees.push((entry.oid.to_owned(), path, depth + 1));
                } else {
                    files.insert(path, super::read::to_entry(entry.mode, entry.oid));
                }
            }
        }
        Ok(Region::Files(files))
    }
}
