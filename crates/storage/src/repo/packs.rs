//! What maintenance does to the files of objects. It never removes an object: only the second place in
//! which one is stored.

use std::fs::File;
use std::path::{Path, PathBuf};

use gix::odb::pack::index;

use super::incoming::packs;
use super::mend_packs::REPLACED;
use super::{Repo, RepoError};
use crate::files::{self, At as _, FileError};

/// Of the 256 directories of loose objects so many are counted. All fill alike.
const SAMPLED: usize = 16;
/// The files of a pack beside its index.
const FILES: [&str; 4] = ["bitmap", "rev", "pack", "mtimes"];

/// How the objects are stored, as far as a glance tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) packs: usize,
    /// An estimate.
    pub(crate) loose: usize,
    /// The commits that the commit-graph has.
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

    /// A cheap look.
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

    /// Those of `old` of which every object is in `new`, too. A pack that is marked to be kept stays.
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

    /// Removes the index that a repository from elsewhere may have over several packs: it would name some
    /// that are gone. Each has one of its own.
    pub(crate) fn remove_common_index(&self) -> Result<(), RepoError> {
        Ok(files::remove_if_there(&self.objects().join("pack/multi-pack-index"))?)
    }

    /// Removes a pack that is [replaced](Self::replaced). Its index goes first, since without one there is no
    /// pack for git, and keeps another name until all else is gone: a pack without any index may be needed.
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

    /// Removes the directories of loose objects that are empty. Whoever is about to write into one makes
    /// it again.
    pub(crate) fn remove_empty_shards(&self) {
        for shard in self.shards() {
            // Not empty, or not there: both are well.
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

/// The objects in a directory of them, by the rest of their names.
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
