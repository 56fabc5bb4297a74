//! Reading: pages at a revision, listings, commits, and the changes between two commits.

use std::collections::{BTreeMap, HashMap, HashSet};

use gix::bstr::{BStr, ByteSlice as _};
use gix::objs::{TreeRefIter, tree::EntryMode};
use gix::prelude::FindExt as _;
use gix::traverse::commit::Info;
use gix::traverse::commit::Simple;
use gix::traverse::commit::simple::{CommitTimeOrder, Sorting};

use super::directories::Directories;
use super::interruptible::{Interruptible, unwrapped};
use super::old_commits::{Said, Walkable};
use super::{Edit, Entry, Repo, RepoError, etag, object_id, revision};
use crate::author::Author;
use crate::deadline;
use crate::revision::{Etag, Revision};
use crate::tree::canonical;

/// The parts of a commit that a wiki shows.
#[derive(Clone, Debug)]
pub(crate) struct Commit {
    pub(crate) parents: Vec<Revision>,
    pub(crate) author: Author,
    /// Seconds since 1970, UTC.
    pub(crate) time: i64,
    pub(crate) message: String,
}

/// One file that differs between two commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileChange {
    pub(crate) path: Vec<u8>,
    pub(crate) old: Option<Entry>,
    pub(crate) new: Option<Entry>,
}

/// A handle with an object cache: one change of a wiki reads the same commit and the same few trees again
/// and again.
pub(crate) struct View(pub(super) gix::Repository);

/// Size of a view's object cache in bytes: enough for the trees of a flat wiki of tens of thousands of
/// pages.
const VIEW_CACHE: usize = 8 << 20;

impl View {
    /// The entry of a path in a commit: a file, a link, a submodule or (mode 0o40000) a directory.
    pub(crate) fn entry(&self, commit: Revision, path: &str) -> Result<Option<Entry>, RepoError> {
        lookup(&self.0, tree_of(&self.0, commit)?, path)
    }

    /// The names in the directory `path` of a commit (`""` is the root), each with its entry. `None` if the
    /// directory doesn't exist. Names that aren't UTF-8 are left out.
    pub(crate) fn directory(
        &self,
        commit: Revision,
        path: &str,
    ) -> Result<Option<Vec<(String, Entry)>>, RepoError> {
        let local = &self.0;
        let mut id = tree_of(local, commit)?;
        if !path.is_empty() {
            match lookup(local, id, path)? {
                Some(entry) if entry.is_directory() => id = object_id(entry.id.as_bytes()),
                _ => return Ok(None),
            }
        }
        self.names(etag(&id)).map(Some)
    }

    /// The id of the commit's root tree.
    pub(crate) fn root(&self, commit: Revision) -> Result<Etag, RepoError> {
        Ok(etag(&tree_of(&self.0, commit)?))
    }

    /// The names in a tree, each with its entry. Names that aren't UTF-8 are left out.
    pub(crate) fn names(&self, tree: Etag) -> Result<Vec<(String, Entry)>, RepoError> {
        let id = object_id(tree.as_bytes());
        let mut buffer = Vec::new();
        let tree = self
            .0
            .objects
            .find_tree_iter(&id, &mut buffer)
            .map_err(|e| RepoError::reading_object(&id, e))?;
        let mut names = Vec::new();
        for entry in tree {
            let entry = entry.map_err(|e| RepoError::object(&id, e))?;
            if let Ok(name) = entry.filename.to_str() {
                names.push((name.to_owned(), to_entry(entry.mode, entry.oid)));
            }
        }
        Ok(names)
    }

    /// The directories of a commit, each of which is read once.
    pub(crate) fn directories(&self, commit: Revision) -> Directories<'_> {
        Directories { view: self, commit, known: HashMap::new() }
    }

    /// The content of a blob, checked against its id: a flipped bit is an error, never a page.
    pub(crate) fn blob(&self, id: Etag) -> Result<Vec<u8>, RepoError> {
        deadline::check()?;
        let local = &self.0;
        let id = object_id(id.as_bytes());
        let mut blob = local.find_blob(id).map_err(|e| RepoError::reading_object(&id, e))?;
        let content = blob.take_data();
        let actual =
            gix::objs::compute_hash(gix::hash::Kind::Sha1, gix::objs::Kind::Blob, &content);
        if actual.as_ref().ok() != Some(&id) {
            return Err(RepoError::object(&id, "its content doesn't match its id"));
        }
        Ok(content)
    }

    /// The size of a blob in bytes, without reading its content.
    pub(crate) fn blob_size(&self, id: Etag) -> Result<u64, RepoError> {
        let id = object_id(id.as_bytes());
        Ok(self.0.find_header(id).map_err(|e| RepoError::reading_object(&id, e))?.size())
    }

    /// The commit's parents, author, time and message.
    pub(crate) fn commit(&self, id: Revision) -> Result<Commit, RepoError> {
        deadline::check()?;
        let local = &self.0;
        let oid = object_id(id.as_bytes());
        let commit = local.find_commit(oid).map_err(|e| RepoError::reading_object(&oid, e))?;
        commit.tree_id().map_err(|e| RepoError::object(&oid, e))?;
        let said = Said::of(&commit.data);
        let (author, time) = said.author();
        let parents = commit.parent_ids().map(|id| revision(&id)).collect();
        Ok(Commit { parents, author, time, message: said.message() })
    }

    /// As [`Repo::is_commit`].
    pub(crate) fn is_commit(&self, id: Revision) -> Result<bool, RepoError> {
        let id = object_id(id.as_bytes());
        match self.0.find_commit(id).map_err(|e| RepoError::reading_object(&id, e)) {
            Ok(_) => Ok(true),
            Err(RepoError::DamagedObject { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// As [`Repo::files`].
    pub(crate) fn files(&self, commit: Revision) -> Result<BTreeMap<Vec<u8>, Entry>, RepoError> {
        let changes = self.changes(None, commit)?;
        Ok(changes.into_iter().filter_map(|c| Some((c.path, c.new?))).collect())
    }

    /// The changes that edits make on top of `head`, by path. The last of several edits of one file counts.
    pub(crate) fn changes_by(
        &self,
        head: Option<Revision>,
        edits: &[Edit],
    ) -> Result<Vec<FileChange>, RepoError> {
        let edits: BTreeMap<&[u8], &Edit> = edits.iter().map(|edit| (&*edit.path, edit)).collect();
        let mut changes = Vec::with_capacity(edits.len());
        let mut directories = head.map(|head| self.directories(head));
        for (path, edit) in edits {
            deadline::check()?;
            let old = match (&mut directories, std::str::from_utf8(path)) {
                (Some(directories), Ok(path)) => directories.entry(path)?,
                _ => None,
            };
            changes.push(FileChange { path: path.to_vec(), old, new: edit.new });
        }
        Ok(changes)
    }

    /// As [`Repo::changes`].
    pub(crate) fn changes(
        &self,
        from: Option<Revision>,
        to: Revision,
    ) -> Result<Vec<FileChange>, RepoError> {
        changes(&self.0, from, to)
    }
}

impl Repo {
    /// A handle for one operation.
    pub(crate) fn view(&self) -> View {
        let mut local = self.local();
        local.object_cache_size(VIEW_CACHE);
        View(local)
    }

    /// As [`View::entry`], for a single lookup.
    pub(crate) fn entry(&self, commit: Revision, path: &str) -> Result<Option<Entry>, RepoError> {
        View(self.local()).entry(commit, path)
    }

    /// As [`View::blob`], for a single lookup.
    pub(crate) fn blob(&self, id: Etag) -> Result<Vec<u8>, RepoError> {
        View(self.local()).blob(id)
    }

    /// As [`View::blob_size`], for a single lookup.
    pub(crate) fn blob_size(&self, id: Etag) -> Result<u64, RepoError> {
        View(self.local()).blob_size(id)
    }

    /// Returns `true` if the object exists and is a commit.
    ///
    /// # Errors
    /// The operating system can't tell at present.
    pub(crate) fn is_commit(&self, id: Revision) -> Result<bool, RepoError> {
        View(self.local()).is_commit(id)
    }

    /// As [`View::commit`], for a single lookup.
    pub(crate) fn commit(&self, id: Revision) -> Result<Commit, RepoError> {
        View(self.local()).commit(id)
    }

    /// Every file of a commit, in byte order of its path. Directories are walked, not included.
    pub(crate) fn files(&self, commit: Revision) -> Result<BTreeMap<Vec<u8>, Entry>, RepoError> {
        View(self.local()).files(commit)
    }

    /// The files that differ between two commits; if `from` is `None`, every file of `to`.
    pub(crate) fn changes(
        &self,
        from: Option<Revision>,
        to: Revision,
    ) -> Result<Vec<FileChange>, RepoError> {
        changes(&self.local(), from, to)
    }

    /// Returns `true` if `ancestor` is `descendant` or one of its ancestors.
    pub(crate) fn is_ancestor(
        &self,
        ancestor: Revision,
        descendant: Revision,
    ) -> Result<bool, RepoError> {
        if ancestor == descendant {
            return Ok(true);
        }
        Ok(self.merge_base(ancestor, descendant)? == Some(ancestor))
    }

    /// Returns `true` if two commits have the same files.
    pub(crate) fn is_same_tree(&self, one: Revision, other: Revision) -> Result<bool, RepoError> {
        let local = self.local();
        Ok(tree_of(&local, one)? == tree_of(&local, other)?)
    }

    /// The best common ancestor of two commits.
    pub(crate) fn merge_base(
        &self,
        one: Revision,
        other: Revision,
    ) -> Result<Option<Revision>, RepoError> {
        Ok(View(self.local()).merge_bases(one, other)?.into_iter().next())
    }

    /// The newest commit, walking back from `head`, in which `path` held the blob `content`.
    pub(crate) fn find_version(
        &self,
        head: Revision,
        path: &str,
        content: Etag,
    ) -> Result<Option<Revision>, RepoError> {
        let local = self.local();
        for info in walk(&local, head, None, NEWEST_FIRST)? {
            deadline::check()?;
            let id = revision(&info?.id);
            let entry = lookup(&local, tree_of(&local, id)?, path)?;
            if entry.is_some_and(|entry| entry.id == content) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// The commits of `wanted` that aren't part of the history of `head`.
    pub(crate) fn not_reachable(
        &self,
        head: Revision,
        mut wanted: HashSet<Revision>,
    ) -> Result<HashSet<Revision>, RepoError> {
        let local = self.local();
        // Newest first: clients usually ask for recent commits.
        for info in walk(&local, head, None, NEWEST_FIRST)? {
            deadline::check()?;
            wanted.remove(&revision(&info?.id));
            if wanted.is_empty() {
                break;
            }
        }
        Ok(wanted)
    }

    /// Returns `true` if `head` is a descendant of `known` with at most `most` commits that `known` hasn't.
    pub(crate) fn is_near(
        &self,
        known: Option<Revision>,
        head: Revision,
        most: usize,
    ) -> Result<bool, RepoError> {
        let local = self.local();
        // Walking newest first meets `known` soon if it is near: a cheap test before the exact one.
        let mut seen = 0;
        for info in walk(&local, head, None, NEWEST_FIRST)? {
            if Some(revision(&info?.id)) == known {
                return Ok(self.commits_since(known, head)?.len() <= most);
            }
            seen += 1;
            if seen > most {
                return Ok(false);
            }
        }
        Ok(known.is_none())
    }

    /// The commits of `head` that `known` hasn't; parents before children.
    pub(crate) fn commits_since(
        &self,
        known: Option<Revision>,
        head: Revision,
    ) -> Result<Vec<Revision>, RepoError> {
        let local = self.local();
        let mut parents = HashMap::new();
        for info in walk(&local, head, known, Sorting::default())? {
            deadline::check()?;
            let info = info?;
            parents.insert(
                revision(&info.id),
                info.parent_ids.iter().map(|id| revision(id)).collect(),
            );
        }
        Ok(parents_first(head, &parents))
    }
}

const NEWEST_FIRST: Sorting = Sorting::ByCommitTime(CommitTimeOrder::NewestFirst);

/// Walks the commits of `head` that `known` hasn't.
fn walk(
    local: &gix::Repository,
    head: Revision,
    known: Option<Revision>,
    sorting: Sorting,
) -> Result<impl Iterator<Item = Result<Info, gix::Error>>, RepoError> {
    let hidden = known.map(|id| object_id(id.as_bytes()));
    Ok(Simple::new([object_id(head.as_bytes())], Walkable(&local.objects))
        .sorting(sorting)?
        .commit_graph(local.commit_graph_if_enabled()?)
        .hide(hidden)?)
}

/// Orders commits so that each comes after its parents, as far as they are included.
fn parents_first(head: Revision, parents: &HashMap<Revision, Vec<Revision>>) -> Vec<Revision> {
    let mut ordered = Vec::with_capacity(parents.len());
    let mut seen = HashSet::new();
    let mut stack = vec![(head, false)];
    while let Some((commit, parents_done)) = stack.pop() {
        if parents_done {
            ordered.push(commit);
        } else if let Some(parents) = parents.get(&commit).filter(|_| seen.insert(commit)) {
            stack.push((commit, true));
            stack.extend(parents.iter().rev().map(|parent| (*parent, false)));
        }
    }
    ordered
}

pub(super) fn tree_of(
    local: &gix::Repository,
    commit: Revision,
) -> Result<gix::ObjectId, RepoError> {
    deadline::check()?;
    let id = object_id(commit.as_bytes());
    let commit = local.find_commit(id).map_err(|e| RepoError::reading_object(&id, e))?;
    Ok(commit.tree_id().map_err(|e| RepoError::object(&id, e))?.detach())
}

/// Follows `path` from the tree `root`. A path below a file doesn't exist.
pub(super) fn lookup(
    local: &gix::Repository,
    root: gix::ObjectId,
    path: &str,
) -> Result<Option<Entry>, RepoError> {
    let mut buffer = Vec::new();
    let mut tree = root;
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let entries = local
            .objects
            .find_tree_iter(&tree, &mut buffer)
            .map_err(|e| RepoError::reading_object(&tree, e))?;
        let Some(entry) = find_in(entries, segment).map_err(|e| RepoError::object(&tree, e))?
        else {
            return Ok(None);
        };
        if segments.peek().is_none() {
            return Ok(Some(entry));
        }
        if !entry.is_directory() {
            return Ok(None);
        }
        tree = object_id(entry.id.as_bytes());
    }
    Ok(None)
}

fn find_in(
    entries: TreeRefIter<'_>,
    name: &str,
) -> Result<Option<Entry>, impl std::fmt::Display + use<>> {
    for entry in entries {
        match entry {
            Ok(entry) if entry.filename == name => {
                return Ok(Some(to_entry(entry.mode, entry.oid)));
            }
            Ok(_) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

pub(super) fn changes(
    local: &gix::Repository,
    from: Option<Revision>,
    to: Revision,
) -> Result<Vec<FileChange>, RepoError> {
    let (mut old, mut new) = (Vec::new(), Vec::new());
    let read = |commit: Revision, buffer: &mut Vec<u8>| -> Result<(), RepoError> {
        let tree = tree_of(local, commit)?;
        local
            .objects
            .find_tree_iter(&tree, buffer)
            .map_err(|e| RepoError::reading_object(&tree, e))?;
        Ok(())
    };
    if let Some(from) = from {
        read(from, &mut old)?;
    }
    read(to, &mut new)?;
    let mut recorder = Recorder::default();
    let kind = gix::hash::Kind::Sha1;
    gix::diff::tree(
        TreeRefIter::from_bytes(&old, kind),
        TreeRefIter::from_bytes(&new, kind),
        gix::diff::tree::State::default(),
        Interruptible { objects: &local.objects, most_lines: usize::MAX },
        &mut recorder,
    )
    .map_err(|error| match recorder.left {
        0 => RepoError::TooManyPaths,
        _ => unwrapped(gix::Error::from_error(error)),
    })?;
    Ok(recorder.inner.records.into_iter().filter_map(file_change).collect())
}

/// Maximum memory of a list of changes, in bytes: both sides of the largest commits that a wiki accepts,
/// with paths of maximum length.
const MAX_LISTED: usize = 512 << 20;
/// Memory of a list entry without its path, in bytes.
const LISTED: usize = 100;

/// gix's recorder, which stops when the list becomes too long.
struct Recorder {
    inner: gix::diff::tree::Recorder,
    left: usize,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { inner: gix::diff::tree::Recorder::default(), left: MAX_LISTED }
    }
}

impl gix::diff::tree::Visit for Recorder {
    fn pop_front_tracked_path_and_set_current(&mut self) {
        self.inner.pop_front_tracked_path_and_set_current();
    }

    fn push_back_tracked_path_component(&mut self, component: &BStr) {
        self.inner.push_back_tracked_path_component(component);
    }

    fn push_path_component(&mut self, component: &BStr) {
        self.inner.push_path_component(component);
    }

    fn pop_path_component(&mut self) {
        self.inner.pop_path_component();
    }

    fn visit(&mut self, change: gix::diff::tree::visit::Change) -> gix::diff::tree::visit::Action {
        self.left = self.left.saturating_sub(self.inner.path().len() + LISTED);
        if self.left == 0 {
            return std::ops::ControlFlow::Break(());
        }
        self.inner.visit(change)
    }
}

fn file_change(change: gix::diff::tree::recorder::Change) -> Option<FileChange> {
    use gix::diff::tree::recorder::Change;
    let (path, old, new) = match change {
        Change::Addition { entry_mode, oid, path, .. } => {
            (path, None, Some(to_entry(entry_mode, &oid)))
        }
        Change::Deletion { entry_mode, oid, path, .. } => {
            (path, Some(to_entry(entry_mode, &oid)), None)
        }
        Change::Modification { previous_entry_mode, previous_oid, entry_mode, oid, path } => (
            path,
            Some(to_entry(previous_entry_mode, &previous_oid)),
            Some(to_entry(entry_mode, &oid)),
        ),
    };
    let file = |entry: Option<Entry>| entry.filter(|entry| !entry.is_directory());
    let change = FileChange { path: path.into(), old: file(old), new: file(new) };
    (change.old.is_some() || change.new.is_some()).then_some(change)
}

pub(super) fn to_entry(mode: EntryMode, id: &gix::oid) -> Entry {
    Entry { mode: canonical(mode.value().into()) as u16, id: etag(id) }
}
