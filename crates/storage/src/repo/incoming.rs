//! The scratch repository that receives a push. It borrows the wiki's objects and holds the new ones
//! separately until they were checked; then their files are moved into the wiki.

use std::collections::HashSet;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::Ordering;

use gix::objs::Kind;
use gix::prelude::{Find as _, HeaderExt as _};

use super::{Commit, MAX_TREE, Repo, RepoError, View, loose, object_id};
use crate::files::{At as _, FileError, FileSystem, size_below, size_of};
use crate::fsck::{self, Door};
use crate::git_program::{self, Limits, PUSH_CPU};
use crate::revision::Revision;

/// An object id in bytes.
pub(crate) type Id = [u8; 20];

/// A push with fewer objects is stored as loose objects: otherwise two hundred pushes of one page would
/// leave two hundred packs, and every reader searches all of them.
const PACK_FROM: usize = 1000;
/// Maximum total size of objects that are stored loose, in bytes; more become a pack. A pack can inflate to
/// a thousand times its size.
const LOOSE_BYTES: u64 = 64 << 20;

/// The header of an object: its kind and the cost of reading it. Its content wasn't inflated yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) is_commit: bool,
    pub(crate) is_tree: bool,
    pub(crate) is_blob: bool,
    /// Size in bytes.
    pub(crate) size: u64,
    /// Number of deltas that have to be applied to read the object.
    pub(crate) deltas: u32,
}

/// The objects of a push, together with the wiki's objects.
pub(crate) struct Incoming {
    repo: Repo,
    view: View,
    /// Paths of the packs, without file extensions.
    packs: Vec<PathBuf>,
    /// Ids of the objects in the packs and of the loose ones.
    ids: HashSet<Id>,
    has_unpacked: bool,
}

/// Durable files that are ready to be moved into the wiki.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    /// Files of loose objects, each with its name below `objects`.
    loose: Vec<(PathBuf, String)>,
    /// Paths of packs without file extensions, each with its name in the wiki.
    packs: Vec<(PathBuf, String)>,
}

impl Staged {
    /// The total size of all files in bytes.
    pub(crate) fn bytes(&self) -> Result<u64, FileError> {
        let mut bytes = 0;
        for (file, _) in &self.loose {
            bytes += size_of(file)?;
        }
        for (pack, _) in &self.packs {
            for extension in PACK_FILES {
                bytes += size_of(&pack.with_extension(extension))?;
            }
        }
        Ok(bytes)
    }
}

impl Incoming {
    /// Creates a repository in `dir`, which must not exist. It borrows the objects of `wiki` and has its
    /// branch. Nothing in it needs to survive a power cut.
    pub(crate) fn create(dir: &Path, wiki: &Repo) -> Result<(), RepoError> {
        crate::files::create_private_dir(dir)?;
        let write = |name: &str, content: String| {
            let path = dir.join(name);
            let parent = path.parent().unwrap_or(dir);
            std::fs::create_dir_all(parent).at("create directory", parent)?;
            std::fs::write(&path, content).at("write", &path)
        };
        let branch = wiki.branch();
        // git reads a quoted string with the escapes of C.
        let quoted = branch.replace('\\', "\\\\").replace('"', "\\\"");
        write("HEAD", format!("ref: {branch}\n"))?;
        write("config", format!("{}\talternateRefsPrefixes = \"{quoted}\"\n", config()))?;
        write("objects/info/alternates", alternates(wiki)?)?;
        std::fs::create_dir_all(dir.join("refs/heads")).at("create directory", dir)?;
        if let Some(head) = wiki.head()? {
            write(&branch, format!("{head}\n"))?;
        }
        Ok(())
    }

    /// Opens a repository that was [created](Self::create) for this wiki, after git has received a push
    /// into it. `None` if it has more than `most` objects; these aren't even listed.
    pub(crate) fn open(dir: &Path, wiki: &Repo, most: usize) -> Result<Option<Self>, RepoError> {
        let path = dir.join("objects/info/alternates");
        let borrowed = std::fs::read(&path).at("read", &path)?;
        if borrowed != alternates(wiki)?.into_bytes() {
            let source = "it was not made for this wiki".into();
            return Err(RepoError::Unusable { dir: dir.to_owned(), source });
        }
        let repo = Repo::open_as_it_is(dir)?;
        let view = repo.view();
        let ids = unpacked(&dir.join("objects"))?;
        if ids.len() > most {
            return Ok(None);
        }
        let has_unpacked = !ids.is_empty();
        let mut incoming = Self { repo, view, packs: Vec::new(), ids, has_unpacked };
        for (stem, _) in packs(&dir.join("objects/pack"))? {
            let index = stem.with_extension("idx");
            let listed = gix::odb::pack::index::File::at(&index, gix::hash::Kind::Sha1)?;
            if incoming.ids.len() + listed.num_objects() as usize > most {
                return Ok(None);
            }
            incoming.ids.extend(listed.iter().map(|entry| super::bytes(&entry.oid)));
            incoming.packs.push(stem);
        }
        Ok(Some(incoming))
    }

    /// The objects of the push and the wiki as one repository.
    pub(crate) fn repo(&self) -> &Repo {
        &self.repo
    }

    /// Reads a commit whose header was checked.
    pub(crate) fn commit(&self, id: Revision) -> Result<Commit, RepoError> {
        self.view.commit(id)
    }

    /// Returns `true` if the object was pushed. git may also send objects that the wiki already has.
    pub(crate) fn brings(&self, id: &Id) -> bool {
        self.ids.contains(id)
    }

    /// The ids of all pushed objects, reachable or not.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &Id> {
        self.ids.iter()
    }

    /// The total size in bytes of the files in which the push arrived.
    pub(crate) fn bytes(&self) -> Result<u64, FileError> {
        size_below(&self.repo.dir.join("objects"))
    }

    /// As [`View::header`].
    pub(crate) fn header(&self, id: &Id) -> Result<Option<Header>, RepoError> {
        self.view.header(id)
    }

    /// Reads the content of an object whose header was checked.
    pub(crate) fn read(&self, id: &Id, bytes: &mut Vec<u8>) -> Result<(), RepoError> {
        let id = object_id(id);
        match self.view.0.objects.try_find(&id, bytes) {
            Ok(Some(found)) => {
                let length = found.data.len();
                bytes.truncate(length);
                Ok(())
            }
            Ok(None) => Err(RepoError::object(&id, "it is missing")),
            Err(error) => Err(RepoError::reading_object(&id, error)),
        }
    }

    /// Reads the tree and the parents of a commit whose header was checked.
    pub(crate) fn links(&self, id: Revision) -> Result<(Id, Vec<Revision>), RepoError> {
        let (tree, parents, _) = self.view.links(id)?;
        Ok((tree, parents))
    }

    /// Prepares the objects of `checked` that the wiki hasn't to be moved there, and makes them durable: a
    /// power cut right after the move would otherwise leave empty files under their names, which git can't
    /// recover from. Other pushed objects stay behind.
    pub(crate) fn stage(&self, wiki: &Repo, checked: &HashSet<Id>) -> Result<Staged, RepoError> {
        let disk = FileSystem::watch(&self.repo.dir)?;
        let staged = self.gather(wiki, checked)?;
        disk.sync()?;
        Ok(staged)
    }

    fn gather(&self, wiki: &Repo, checked: &HashSet<Id>) -> Result<Staged, RepoError> {
        let (mut wanted, others): (Vec<Id>, Vec<Id>) =
            self.ids.iter().partition(|id| checked.contains(*id));
        // The unchecked objects are expected to be bases of deltas, which the wiki has.
        let is_pure = others.iter().all(|id| wiki.has(id));
        if wanted.len() < PACK_FROM {
            wanted.retain(|id| !wiki.has(id));
            let mut bytes = 0;
            for id in &wanted {
                bytes += self.header(id)?.map_or(0, |header| header.size);
            }
            if bytes <= LOOSE_BYTES {
                let loose = wanted.iter().map(|id| self.unpack(id)).collect::<Result<_, _>>()?;
                return Ok(Staged { loose, packs: Vec::new() });
            }
        }
        let pack = match &*self.packs {
            [pack] if is_pure && !self.has_unpacked => pack.clone(),
            _ => self.pack(&wanted)?,
        };
        let name = pack.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Staged { loose: Vec::new(), packs: vec![(pack, name)] })
    }

    /// Writes one object to a loose file in the scratch repository.
    fn unpack(&self, id: &Id) -> Result<(PathBuf, String), RepoError> {
        let id = object_id(id);
        let mut data = Vec::new();
        let found = self.view.0.objects.try_find(&id, &mut data);
        let found = found
            .map_err(|error| RepoError::reading_object(&id, error))?
            .ok_or_else(|| RepoError::object(&id, "it is missing"))?;
        let actual = gix::objs::compute_hash(gix::hash::Kind::Sha1, found.kind, found.data);
        if actual.as_ref().ok() != Some(&id) {
            return Err(RepoError::object(&id, "its content doesn't match its id"));
        }
        loose::write(&self.repo.objects(), id, found.kind, found.data)?;
        let hex = id.to_string();
        Ok((self.repo.loose_path(&id), format!("{}/{}", &hex[..2], &hex[2..])))
    }

    /// Writes one pack of exactly these objects.
    fn pack(&self, ids: &[Id]) -> Result<PathBuf, RepoError> {
        let dir = &self.repo.dir;
        let to = dir.join("objects/pack/pack");
        // Unnamed files instead of pipes: neither side waits for the other.
        let file = || tempfile::tempfile_in(dir).at("create a file in", dir);
        let (mut list, mut said) = (file()?, file()?);
        let mut names = String::with_capacity(ids.len() * 41);
        for id in ids {
            names.push_str(&object_id(id).to_string());
            names.push('\n');
        }
        let written = list.write_all(names.as_bytes()).and_then(|()| list.rewind());
        written.at("write the list of objects in", dir)?;
        let limits = Limits { cpu: Some(PUSH_CPU), ..Limits::default() };
        let mut git = git_program::limited(limits);
        git.current_dir(dir).args(["pack-objects", "-q", "--delta-base-offset"]).arg(&to);
        let errors = said.try_clone().at("open a file in", dir)?;
        git.stdin(list).stdout(Stdio::piped()).stderr(errors);
        let output = git.output().at("run git in", dir)?;
        if !output.status.success() {
            let mut text = Vec::new();
            let read = said.rewind().and_then(|()| said.take(64 * 1024).read_to_end(&mut text));
            read.at("read what git said in", dir)?;
            return Err(RepoError::of_git(output.status, &String::from_utf8_lossy(&text)));
        }
        let hash = String::from_utf8_lossy(&output.stdout);
        Ok(dir.join(format!("objects/pack/pack-{}", hash.trim())))
    }
}

impl View {
    /// The tree, the parents and the size of a commit.
    pub(crate) fn links(&self, id: Revision) -> Result<(Id, Vec<Revision>, u64), RepoError> {
        let oid = object_id(id.as_bytes());
        let commit = self.0.find_commit(oid).map_err(|e| RepoError::reading_object(&oid, e))?;
        let tree = commit.tree_id().map_err(|e| RepoError::object(&oid, e))?;
        let parents = commit.parent_ids().map(|id| super::revision(&id)).collect();
        Ok((super::bytes(&tree), parents, commit.data.len() as u64))
    }

    /// The content of a tree.
    pub(crate) fn tree_bytes(&self, id: &Id) -> Result<Vec<u8>, RepoError> {
        match self.header(id)? {
            Some(Header { is_tree: true, size, .. }) if size > MAX_TREE => {
                return Err(RepoError::TooManyPaths);
            }
            Some(Header { is_tree: true, .. }) => {}
            _ => return Err(RepoError::object(&object_id(id), "it is no tree, or missing")),
        }
        let (id, mut bytes) = (object_id(id), Vec::new());
        let found = self.0.objects.try_find(&id, &mut bytes);
        let length =
            found.map_err(|e| RepoError::object(&id, e))?.map_or(0, |found| found.data.len());
        bytes.truncate(length);
        Ok(bytes)
    }

    /// Reads an object's header; `None` if the object doesn't exist.
    pub(crate) fn header(&self, id: &Id) -> Result<Option<Header>, RepoError> {
        let id = object_id(id);
        let header = match self.0.find_header(id) {
            Ok(header) => header,
            Err(error) => match RepoError::reading_object(&id, error) {
                RepoError::DamagedObject { .. } => return Ok(None),
                error => return Err(error),
            },
        };
        Ok(Some(Header {
            is_commit: header.kind() == Kind::Commit,
            is_tree: header.kind() == Kind::Tree,
            is_blob: header.kind() == Kind::Blob,
            size: header.size(),
            deltas: header.num_deltas().unwrap_or(0),
        }))
    }
}

impl Repo {
    /// Returns `true` if the object exists and its header can be read. Always `false` once a sync has
    /// failed: it is unknown then which objects are durable, so all pushed ones are moved in again.
    pub(crate) fn has(&self, id: &Id) -> bool {
        if self.doubted.load(Ordering::Relaxed) {
            return false;
        }
        // Not through the handle, which has the empty tree even if git hasn't.
        self.local().objects.header(object_id(id)).is_ok()
    }

    /// Makes the files that were [moved in](Self::adopt) durable. The kernel reports a failed sync only
    /// once: after that, no object counts as durable until the wiki is opened again.
    pub(crate) fn sync_adopted(&self, disk: &FileSystem) -> Result<(), FileError> {
        disk.sync().inspect_err(|_| self.doubt())
    }

    pub(crate) fn doubt(&self) {
        self.doubted.store(true, Ordering::Relaxed);
    }

    /// Moves files of objects into the wiki. Only their names aren't durable yet: the caller syncs the file
    /// system. The index comes last: without it git doesn't see a pack.
    pub(crate) fn adopt(&self, staged: &Staged) -> Result<(), RepoError> {
        self.size.add(staged.bytes()?);
        let objects = self.dir.join("objects");
        for (from, name) in &staged.loose {
            move_into(from, &objects.join(name))?;
        }
        for (from, name) in &staged.packs {
            let to = objects.join("pack").join(name);
            for extension in PACK_FILES {
                let file = from.with_extension(extension);
                if extension != "rev" || file.exists() {
                    move_into(&file, &to.with_extension(extension))?;
                }
            }
        }
        if !staged.packs.is_empty() {
            self.look_for_packs();
        }
        Ok(())
    }
}

/// The extensions of a pack's files, in the order in which they may appear.
const PACK_FILES: [&str; 3] = ["pack", "rev", "idx"];

fn move_into(from: &Path, to: &Path) -> Result<(), FileError> {
    let missing = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    match std::fs::rename(from, to) {
        // The directory doesn't exist: this is its first object, or a repack has just removed it because it
        // was empty.
        Err(error) if missing(&error) => {
            let dir = to.parent().unwrap_or(to);
            match std::fs::create_dir(dir) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(error).at("create directory", dir);
                }
                _ => {}
            }
            std::fs::rename(from, to).at("move into place", to)
        }
        moved => moved.at("move into place", to),
    }
}

/// The packs of a directory that have an index: their paths without file extensions, and the size of the
/// index.
pub(super) fn packs(dir: &Path) -> Result<Vec<(PathBuf, u64)>, FileError> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.at("read directory", dir)?,
    };
    let mut packs = Vec::new();
    for entry in entries {
        let path = entry.at("read directory", dir)?.path();
        if path.extension().is_some_and(|extension| extension == "idx") {
            let size = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
            packs.push((path.with_extension(""), size));
        }
    }
    packs.sort_unstable();
    Ok(packs)
}

/// The ids of the loose objects.
fn unpacked(objects: &Path) -> Result<HashSet<Id>, FileError> {
    let mut ids = HashSet::new();
    for entry in std::fs::read_dir(objects).at("read directory", objects)? {
        let shard = entry.at("read directory", objects)?;
        let first = shard.file_name().to_string_lossy().into_owned();
        if first.len() != 2 {
            continue;
        }
        let shard = shard.path();
        for entry in std::fs::read_dir(&shard).at("read directory", &shard)? {
            let rest = entry.at("read directory", &shard)?.file_name();
            let name = format!("{first}{}", rest.to_string_lossy());
            ids.extend(name.parse::<Revision>().ok().map(|id| *id.as_bytes()));
        }
    }
    Ok(ids)
}

fn alternates(wiki: &Repo) -> Result<String, RepoError> {
    let objects = wiki.dir.join("objects");
    let objects = std::fs::canonicalize(&objects).at("find", &objects)?;
    match objects.to_str() {
        Some(path) if !path.contains('\n') => Ok(format!("{path}\n")),
        _ => Err(RepoError::Unusable {
            dir: wiki.dir.clone(),
            source: "no repository can borrow from a directory of that name".into(),
        }),
    }
}

/// git's configuration of the scratch repository, with [the objects it refuses](fsck).
fn config() -> String {
    let checks = fsck::settings(Door::Receive).into_iter().map(|setting| {
        let name = setting.rsplit('.').next().unwrap_or_default().replace('=', " = ");
        match setting.contains(".fsck.") {
            true => format!("[receive \"fsck\"]\n\t{name}\n"),
            false => format!("[receive]\n\t{name}\n"),
        }
    });
    checks.chain([CONFIG.to_owned()]).collect()
}

/// The repository is used once, so nothing is cleaned up; pushed objects stay packed; large blobs pass
/// through a buffer. The names of hidden commits aren't advertised (`alternateRefsPrefixes`).
const CONFIG: &str = "[receive]
\tunpackLimit = 1
\tautogc = false
\tdenyDeletes = true
[transfer]
\thideRefs = refs/wiki
[gc]
\tauto = 0
[maintenance]
\tauto = false
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
\tlogallrefupdates = false
\thooksPath = /dev/null
\tbigFileThreshold = 16m
\tuseReplaceRefs = false
";
