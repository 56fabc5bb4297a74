//! Maintenance of the files of objects. It never removes the only copy of an object.

use std::fs::File;
use std::path::{Path, PathBuf};

use gix::odb::pack::index;

use super::incoming::packs;
use super::mend_packs::REPLACED;
use super::{Repo, RepoError};
use crate::files::{self, At as _, FileError};

/// Number of the 256 directories of loose objects that are counted for an estimate. All fill at the same
/// rate.
const SAMPLED: usize = 16;
/// The extensions of a pack's files, except its index.
const FILES: [&str; 4] = ["bitmap", "rev", "pack", "mtimes"];

/// Numbers about the storage of objects, from a quick check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) packs: usize,
    /// Estimated number of loose objects.
    pub(crate) loose: usize,
    /// Number of commits in the commit-graph.
    pub(crate) in_graph: u64,
}

/// The indices of some packs.
pub(crate) struct Packed(Vec<index::File>);

impl Packed {
    fn open(packs: &[PathBuf]) -> Result<Self, RepoError> {
        packs.iter().map(|pack| open(pack)).collect::<Result<_, _>>().map(Self)
    }

    fn has(&self, id: &gix::oid) -> bool {
        self.0.iter().any(|index| index.lookup(id).is_some())
    }
}

fn open(pack: &Path) -> Result<index::File, RepoError> {
    Ok(index::File::at(pack.with_extension("idx"), gix::hash::Kind::Sha1)?)
}

impl Repo {
    pub(super) fn objects(&self) -> PathBuf {
        self.dir().join("objects")
    }

    /// Counts packs, loose objects and commits without reading any object.
    pub(crate) fn stored(&self) -> Result<Stored, RepoError> {
        let packs = packs(&self.objects().join("pack"))?.len();
        let mut sampled = 0;
        for shard in self.shards().step_by(256 / SAMPLED) {
            sampled += names(&shard)?.len();
        }
        let in_graph =
            self.local().commit_graph().map_or(0, |graph| u64::from(graph.num_commits()));
        Ok(Stored { packs, loose: sampled * 256 / SAMPLED, in_graph })
    }

    /// All packs, without the extensions of their files.
    pub(crate) fn packs(&self) -> Result<Vec<PathBuf>, RepoError> {
        let packs = packs(&self.objects().join("pack"))?;
        Ok(packs.into_iter().map(|(pack, _)| pack).collect())
    }

    /// The packs of `old` whose objects are all in `new`, too. A pack that is marked to be kept (by a `.keep`
    /// or `.promisor` file) isn't included.
    pub(crate) fn replaced(
        &self,
        old: &[PathBuf],
        new: &[PathBuf],
    ) -> Result<Vec<PathBuf>, RepoError> {
        let packed = Packed::open(new)?;
        let mut replaced = Vec::new();
        for pack in old.iter().filter(|pack| !new.contains(pack)) {
            let is_kept =
                ["keep", "promisor"].iter().any(|mark| pack.with_extension(mark).exists());
            if !is_kept && open(pack)?.iter().all(|entry| packed.has(&entry.oid)) {
                replaced.push(pack.clone());
            }
        }
        Ok(replaced)
    }

    /// Removes a multi-pack index, which an imported repository may have: it would name removed packs. Each
    /// pack has its own index.
    pub(crate) fn remove_common_index(&self) -> Result<(), RepoError> {
        Ok(files::remove_if_there(&self.objects().join("pack/multi-pack-index"))?)
    }

    /// Removes a pack that is [replaced](Self::replaced). Its index is renamed first, since git ignores a
    /// pack without an index, and is removed last: a pack without any index would count as one that may be
    /// needed.
    pub(crate) fn remove_pack(&self, pack: &Path) -> Result<(), RepoError> {
        let (index, mark) = (pack.with_extension("idx"), pack.with_extension(REPLACED));
        std::fs::rename(&index, &mark).at("rename", &index)?;
        for extension in FILES.iter().chain([&REPLACED]) {
            files::remove_if_there(&pack.with_extension(extension))?;
        }
        Ok(files::sync_dir(&self.objects().join("pack"))?)
    }

    /// The files of loose objects that are in one of the packs, too.
    pub(crate) fn loose_in(&self, packs: &[PathBuf]) -> Result<Vec<PathBuf>, RepoError> {
        let packed = Packed::open(packs)?;
        let mut found = Vec::new();
        for shard in self.shards() {
            for name in names(&shard)? {
                let first = shard.file_name().unwrap_or_default().to_string_lossy();
                let hex = format!("{first}{name}");
                let id = gix::ObjectId::from_hex(hex.as_bytes());
                if id.is_ok_and(|id| packed.has(&id)) {
                    found.push(shard.join(name));
                }
            }
        }
        Ok(found)
    }

    /// Removes files of loose objects that are in a pack.
    pub(crate) fn remove_loose(&self, paths: &[PathBuf]) -> Result<(), RepoError> {
        Ok(paths.iter().try_for_each(|path| files::remove_if_there(path))?)
    }

    /// Removes empty directories of loose objects. A writer that needs one creates it again.
    pub(crate) fn remove_empty_shards(&self) {
        for shard in self.shards() {
            // The directory isn't empty or doesn't exist; both are fine.
            let _ = std::fs::remove_dir(shard);
        }
    }

    fn shards(&self) -> impl Iterator<Item = PathBuf> {
        let objects = self.objects();
        (0..=255_u8).map(move |first| objects.join(format!("{first:02x}")))
    }

    /// Makes the files and names of packs durable.
    pub(crate) fn sync_packs(&self, packs: &[PathBuf]) -> Result<(), RepoError> {
        for pack in packs {
            for extension in ["pack", "rev", "idx"] {
                let path = pack.with_extension(extension);
                match File::open(&path) {
                    Err(error) if extension == "rev" && is_missing(&error) => {}
                    opened => opened.and_then(|file| file.sync_all()).at("sync", &path)?,
                }
            }
        }
        files::sync_dir(&self.objects().join("pack"))?;
        Ok(files::sync_dir(&self.objects())?)
    }
}

fn is_missing(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}

/// The file names in a directory of loose objects: their ids without the first two digits.
fn names(shard: &Path) -> Result<Vec<String>, FileError> {
    let entries = match std::fs::read_dir(shard) {
        Err(error) if is_missing(&error) => return Ok(Vec::new()),
        entries => entries.at("read directory", shard)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.at("read directory", shard)?.file_name().to_string_lossy().into_owned();
        if name.len() == 38 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            names.push(name);
        }
    }
    Ok(names)
}
