//! The wiki's git repository: bare, without a work tree or an index, read and written through gix.
//! No other module knows gix.
//!
//! Nothing here is durable by itself: gix never syncs what it writes. The redo rows in wiki.db are
//! what makes a save durable (see [`crate::redo`]), and a checkpoint syncs the repository later.

mod aside;
mod attribute;
mod blame;
mod blobs;
mod constant_files;
mod directories;
mod error;
mod incoming;
mod interruptible;
mod keep;
mod loose;
mod mend_packs;
mod merge;
mod old_commits;
mod packs;
mod read;
mod region;
mod size;
mod sweep;
mod write;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gix::refs::FullName;

use crate::files::{self, At as _, FileError};
use crate::revision::{Etag, Revision};

pub(crate) use attribute::Want;
pub(crate) use blobs::{BlobReader, blob_id_of};
pub(crate) use error::RepoError;
pub(crate) use incoming::{Header, Id, Incoming};
pub(crate) use merge::Merge;
pub(crate) use packs::Stored;
pub(crate) use read::{Commit, FileChange, View};
pub(crate) use region::Region;
pub(crate) use write::{Draft, Edit, Prepared, blob_id};

/// Maximum number of pack indices of one open handle. gix fixes it when it opens, and fails beyond it.
const PACK_SLOTS: u16 = 256;
/// Maximum size of a tree that is read, in bytes: a folder of several hundred thousand files.
pub(crate) const MAX_TREE: u64 = 32 << 20;
/// The branch of a new wiki.
pub(crate) const NEW_BRANCH: &str = "refs/heads/main";

/// An entry of a git tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The file mode, such as 0o100644.
    pub(crate) mode: u16,
    /// The blob (of a submodule, the commit) that the entry names.
    pub(crate) id: Etag,
}

impl Entry {
    pub(crate) const FILE: u16 = 0o100_644;
    const EXECUTABLE: u16 = 0o100_755;

    /// Returns `true` for an ordinary file, not a link, a submodule or a directory.
    pub(crate) fn is_file(self) -> bool {
        matches!(self.mode, Self::FILE | Self::EXECUTABLE)
    }

    /// Returns `true` for a directory.
    pub(crate) fn is_directory(self) -> bool {
        self.mode == 0o40_000
    }
}

/// A bare repository and the one branch that holds the wiki.
pub(crate) struct Repo {
    shared: gix::ThreadSafeRepository,
    dir: PathBuf,
    branch: FullName,
    /// The branch's ref file, which holds its commit unless the refs were packed.
    branch_file: PathBuf,
    /// True if packs are missing or can't be read.
    lacks_packs: AtomicBool,
    /// True if a sync failed after objects were moved in: the objects of the repository may not be durable,
    /// and no later sync would report it.
    doubted: AtomicBool,
    /// The size of the repository's files.
    size: size::Size,
}

impl Repo {
    /// Creates an empty repository in `dir`, which must not exist: the five entries git needs, and none of
    /// the samples and hooks that `git init` adds. The caller syncs the parent directory.
    pub(crate) fn create(dir: &Path, branch: &str) -> Result<(), FileError> {
        files::create_private_dir(dir)?;
        files::write_new(&dir.join("HEAD"), format!("ref: {branch}\n").as_bytes())?;
        files::write_new(&dir.join("config"), constant_files::CONFIG)?;
        for inner in ["objects", "refs", "refs/heads"] {
            files::create_private_dir(&dir.join(inner))?;
        }
        files::sync_dir(&dir.join("refs"))?;
        files::sync_dir(dir)
    }

    /// Opens the repository without reading the machine's or the user's git configuration, after repairing
    /// the leftovers of a killed process or a restore. Only for the one owner of the wiki.
    ///
    /// # Errors
    /// `dir` isn't a repository, is a symbolic link, or borrows objects from another repository.
    pub(crate) fn open(dir: &Path) -> Result<Self, RepoError> {
        refuse_escapes(dir)?;
        constant_files::mend(dir, None)?;
        restore_empty_dirs(dir)?;
        sweep::sweep(dir)?;
        let lacks_packs = mend_packs::mend(dir)?;
        let repo = Self::open_as_it_is(dir)?;
        repo.lacks_packs.store(lacks_packs, Ordering::Relaxed);
        mend_packs::remove_damaged_graph(dir, &repo.local())?;
        Ok(repo)
    }

    fn open_as_it_is(dir: &Path) -> Result<Self, RepoError> {
        let slots = gix::odb::store::init::Slots::Given(PACK_SLOTS);
        let shared = gix::open::Options::isolated()
            .open_path_as_is(true)
            .with(gix::sec::Trust::Full)
            .object_store_slots(slots)
            // An object id must lead to that object, not to a replacement that some ref names.
            .config_overrides(["core.useReplaceRefs=false"])
            .open(dir)
            .map_err(|e| RepoError::unusable(dir, e))?;
        let branch = head_branch(&shared, dir)?;
        let branch_file = dir.join(branch.to_string());
        let dir = dir.to_owned();
        let (lacks_packs, doubted) = (AtomicBool::new(false), AtomicBool::new(false));
        let size = size::Size::default();
        let repo = Self { shared, dir, branch, branch_file, lacks_packs, doubted, size };
        repo.look_for_packs();
        Ok(repo)
    }

    /// Makes new indices for packs that lost theirs since the repository was opened.
    pub(crate) fn mend_packs(&self) -> Result<(), RepoError> {
        self.lacks_packs.store(mend_packs::mend(&self.dir)?, Ordering::Relaxed);
        self.look_for_packs();
        Ok(())
    }

    /// Returns `true` if packs are missing or can't be read, so that a missing object may come back.
    pub(crate) fn lacks_packs(&self) -> bool {
        self.lacks_packs.load(Ordering::Relaxed)
    }

    /// Returns `true` if the branch has a ref file of its own.
    pub(crate) fn has_branch_file(&self) -> bool {
        self.branch_file.is_file()
    }

    /// Removes an empty directory or a dangling link that has the name of the branch's ref file.
    pub(crate) fn clear_branch(&self) -> Result<(), RepoError> {
        let path = &self.branch_file;
        match std::fs::symlink_metadata(path) {
            Ok(kind) if kind.is_dir() => std::fs::remove_dir(path).at("remove", path)?,
            Ok(kind) if kind.is_symlink() => std::fs::remove_file(path).at("remove", path)?,
            _ => {}
        }
        Ok(())
    }

    /// Loads the current list of packs. gix looks for an object in the packs that it knows, then among the
    /// loose objects, then in other packs: without this, a damaged loose file would hide the copy in a new
    /// pack.
    pub(crate) fn look_for_packs(&self) {
        // Looking up an object that doesn't exist makes gix list the packs.
        let nothing = gix::ObjectId::null(gix::hash::Kind::Sha1);
        gix::objs::Exists::exists(&self.local().objects, &nothing);
    }

    /// The repository's directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Rewrites HEAD and config, which the git program needs, if they are missing or damaged.
    pub(crate) fn mend_constant_files(&self) -> Result<(), RepoError> {
        constant_files::mend(&self.dir, Some(&self.branch()))
    }

    /// The full name of the wiki's branch, such as `refs/heads/main`.
    pub(crate) fn branch(&self) -> String {
        self.branch.to_string()
    }

    /// A handle for this thread: half a microsecond, with caches of its own.
    fn local(&self) -> gix::Repository {
        self.shared.to_thread_local()
    }

    /// The commit that the branch points to; `None` before the first save.
    pub(crate) fn head(&self) -> Result<Option<Revision>, RepoError> {
        let local = self.local();
        let damaged = |source| RepoError::DamagedRef { name: self.branch(), source };
        let found = local
            .refs
            .try_find(self.branch.as_ref())
            .map_err(|error| RepoError::reading(error, damaged))?;
        let Some(reference) = found else { return Ok(None) };
        match reference.target.try_id() {
            Some(id) if !id.is_null() => Ok(Some(revision(id))),
            _ => Err(RepoError::DamagedRef {
                name: self.branch(),
                source: "it doesn't name a commit".into(),
            }),
        }
    }

    /// A stamp that changes whenever any process may have moved the branch. It costs one or two `stat`
    /// calls instead of reading and parsing the ref.
    pub(crate) fn head_stamp(&self) -> HeadStamp {
        // A loose ref wins over a packed one, so the second file matters only without the first.
        match file_stamp(&self.branch_file) {
            Some(stamp) => HeadStamp(Some(stamp), None),
            None => HeadStamp(None, file_stamp(&self.dir.join("packed-refs"))),
        }
    }
}

impl std::fmt::Debug for Repo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repo").field("dir", &self.dir).field("branch", &self.branch()).finish()
    }
}

/// Identity, size and time of the two files that can hold the ref.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadStamp(Option<FileStamp>, Option<FileStamp>);

type FileStamp = (u64, u64, u128);

/// The clock of file times ticks every few milliseconds. Two moves within one tick can leave the same
/// stamp, if the second ref file gets the inode number of the first.
const TICK: Duration = Duration::from_millis(20);

impl HeadStamp {
    /// Returns `true` if a later move of the branch is sure to change the stamp: the file exists and is
    /// older than one tick.
    pub(crate) fn is_settled(self) -> bool {
        if self == Self(None, None) {
            return false;
        }
        let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else { return false };
        let before = now.saturating_sub(TICK).as_nanos();
        [self.0, self.1].into_iter().flatten().all(|(_, _, modified)| modified < before)
    }
}

fn file_stamp(path: &Path) -> Option<FileStamp> {
    let metadata = std::fs::metadata(path).ok()?;
    let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
    #[cfg(unix)]
    let identity = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let identity = 0;
    Some((identity, metadata.len(), modified))
}

/// The branch that HEAD names. The branch isn't read: a damaged one is found later, where it can be
/// repaired.
fn head_branch(shared: &gix::ThreadSafeRepository, dir: &Path) -> Result<FullName, RepoError> {
    let head =
        shared.to_thread_local().refs.find("HEAD").map_err(|e| RepoError::unusable(dir, e))?;
    match head.target {
        gix::refs::Target::Symbolic(name) => Ok(name),
        gix::refs::Target::Object(_) => Err(RepoError::Unusable {
            dir: dir.to_owned(),
            source: "HEAD names no branch; point it at one, such as `ref: refs/heads/main`".into(),
        }),
    }
}

/// Checks the full name of a branch by git's rules.
pub(crate) fn check_branch(name: &str) -> Result<(), RepoError> {
    let is_valid = name.starts_with("refs/heads/") && FullName::try_from(name).is_ok();
    if is_valid {
        Ok(())
    } else {
        Err(RepoError::Git(format!("`{}` is no branch", name.escape_debug()).into()))
    }
}

/// git doesn't accept a directory without `refs` as a repository, and many copying tools omit empty
/// directories. `refs` may be empty: all branches may be in `packed-refs`.
fn restore_empty_dirs(dir: &Path) -> Result<(), FileError> {
    if !dir.join("HEAD").is_file() || !dir.join("objects").is_dir() {
        return Ok(());
    }
    for inner in ["refs", "refs/heads"] {
        let path = dir.join(inner);
        if !path.exists() {
            files::create_private_dir(&path)?;
        }
    }
    Ok(())
}

/// Refuses a repository that is a symbolic link or reads another repository's objects: it could show one
/// wiki's content in another.
fn refuse_escapes(dir: &Path) -> Result<(), RepoError> {
    let kind = std::fs::symlink_metadata(dir).at("read", dir)?;
    if !kind.is_dir() {
        return Err(RepoError::Unusable {
            dir: dir.to_owned(),
            source: "it is not a directory but a link or a file".into(),
        });
    }
    let alternates = dir.join("objects/info/alternates");
    if alternates.exists() {
        return Err(RepoError::Unusable {
            dir: dir.to_owned(),
            source: "it borrows objects from another repository (objects/info/alternates)".into(),
        });
    }
    Ok(())
}

fn revision(id: &gix::oid) -> Revision {
    Revision::from_bytes(bytes(id))
}

fn etag(id: &gix::oid) -> Etag {
    Etag::from_bytes(bytes(id))
}

fn bytes(id: &gix::oid) -> [u8; 20] {
    id.as_bytes().try_into().expect("only SHA-1 repositories are opened")
}

fn object_id(bytes: &[u8; 20]) -> gix::ObjectId {
    gix::ObjectId::Sha1(*bytes)
}
