//! Repairs packs before a repository is opened. A pack may hold the only copy of its objects and is never
//! removed, however truncated it is: a restore may have copied it before its index. Damaged files that git
//! derives from packs and commits are made again or removed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use gix::odb::pack::{index, multi_index};

use super::RepoError;
use super::aside::{has_packs, set_aside};
use crate::files::{self, At as _, FileError};
use crate::git_program;

/// The extension of an index while its pack is being removed, because other packs have all its objects.
pub(super) const REPLACED: &str = "replaced";

/// Gives every pack a good index, if possible. Returns `true` if objects may be missing.
pub(super) fn mend(repo: &Path) -> Result<bool, RepoError> {
    let dir = repo.join("objects/pack");
    if !dir.is_dir() {
        return Ok(has_packs(repo));
    }
    let packs = Packs { repo, dir: &dir };
    for pack in packs.with(REPLACED)? {
        packs.finish_removal(&pack)?;
    }
    let mut lacks_some = false;
    for pack in packs.with("idx")? {
        if !has_pack(&pack) {
            packs.set_aside_index(&pack)?;
        } else if let Some(why) = damage(&pack)? {
            lacks_some |= !packs.index_again(&pack, &why)?;
        }
    }
    for pack in packs.with("pack")?.into_iter().filter(|pack| has_pack(pack)) {
        if !pack.with_extension("idx").exists() {
            lacks_some |= !packs.index_again(&pack, "it has none")?;
        }
    }
    packs.remove_useless()?;
    Ok(lacks_some || has_packs(repo))
}

struct Packs<'a> {
    repo: &'a Path,
    dir: &'a Path,
}

impl Packs<'_> {
    /// The packs that have a file with this extension; paths without it.
    fn with(&self, extension: &str) -> Result<BTreeSet<PathBuf>, FileError> {
        let mut packs = BTreeSet::new();
        for entry in std::fs::read_dir(self.dir).at("read directory", self.dir)? {
            let path = entry.at("read directory", self.dir)?.path();
            if path.extension() == Some(OsStr::new(extension)) {
                packs.insert(path.with_extension(""));
            }
        }
        Ok(packs)
    }

    /// Completes the removal of a pack that a killed process began: finished if other packs have all its
    /// objects, undone otherwise.
    fn finish_removal(&self, pack: &Path) -> Result<(), RepoError> {
        let mark = pack.with_extension(REPLACED);
        if !has_pack(pack) || self.others_have_all(&mark)? {
            for extension in ["bitmap", "rev", "pack", "mtimes", REPLACED] {
                files::remove_if_there(&pack.with_extension(extension))?;
            }
        } else {
            tracing::warn!(pack = %pack.display(), "a pack that was being removed is needed and stays");
            std::fs::rename(&mark, pack.with_extension("idx")).at("rename", &mark)?;
        }
        Ok(files::sync_dir(self.dir)?)
    }

    fn others_have_all(&self, index: &Path) -> Result<bool, RepoError> {
        let Some(objects) = open_index(index)? else { return Ok(false) };
        let mut others = Vec::new();
        for pack in self.with("idx")? {
            if has_pack(&pack) && damage(&pack)?.is_none() {
                others.extend(open_index(&pack.with_extension("idx"))?);
            }
        }
        let mut ids = objects.iter().map(|entry| entry.oid);
        Ok(ids.all(|id| others.iter().any(|other| other.lookup(id).is_some())))
    }

    /// Sets aside an index whose pack is missing: it would hide the loose copies of its objects.
    fn set_aside_index(&self, pack: &Path) -> Result<(), RepoError> {
        let kept = self.set_aside(pack, "idx")?;
        tracing::error!(
            missing = %pack.with_extension("pack").display(),
            kept = %kept.display(),
            "a pack is missing whose index is there, and so are its objects unless they are elsewhere: restore the \
             file from a backup and open the wiki again"
        );
        Ok(())
    }

    /// Makes git read the whole pack and write an index. On failure, a pack with an index stays, because
    /// much of it may be readable, and one without is set aside. Returns `true` on success.
    fn index_again(&self, pack: &Path, why: &str) -> Result<bool, RepoError> {
        let (file, index) = (pack.with_extension("pack"), pack.with_extension("idx"));
        let new = self.dir.join("tmp_mended.idx");
        match index_pack(self.repo, &file, &new)? {
            Ok(()) => {
                File::open(&new).and_then(|new| new.sync_all()).at("sync", &new)?;
                if index.is_dir() {
                    self.set_aside(pack, "idx")?;
                }
                std::fs::rename(&new, &index).at("rename into place", &index)?;
                files::remove_if_there(&pack.with_extension("rev"))?;
                files::sync_dir(self.dir)?;
                tracing::warn!(pack = %file.display(), index = why, "a pack was indexed again; nothing is lost");
                return Ok(true);
            }
            Err(failure) if index.exists() && open_index(&index)?.is_some() => {
                tracing::error!(
                    pack = %file.display(),
                    failure,
                    "a pack is damaged, and some of its objects can't be read: restore the file from a backup and \
                     open the wiki again"
                );
            }
            Err(failure) => {
                let kept = self.set_aside(pack, "pack")?;
                if index.exists() {
                    self.set_aside(pack, "idx")?;
                }
                tracing::error!(
                    pack = %file.display(),
                    index = why,
                    failure,
                    kept = %kept.display(),
                    "a pack has no index and can't be indexed: it was set aside, and its objects are missing unless \
                     they are elsewhere. Restore the file from a backup and open the wiki again"
                );
            }
        }
        Ok(false)
    }

    fn set_aside(&self, pack: &Path, extension: &str) -> Result<PathBuf, FileError> {
        set_aside(self.repo, &pack.with_extension(extension))
    }

    /// Removes damaged files that git derives from packs.
    fn remove_useless(&self) -> Result<(), RepoError> {
        let common = self.dir.join("multi-pack-index");
        if common.exists() && !self.is_usable(&common) {
            tracing::warn!(path = %common.display(), "removing a damaged index over several packs");
            files::remove_if_there(&common)?;
        }
        for extension in ["rev", "bitmap"] {
            for pack in self.with(extension)? {
                if !has_pack(&pack) {
                    files::remove_if_there(&pack.with_extension(extension))?;
                }
            }
        }
        Ok(())
    }

    fn is_usable(&self, common: &Path) -> bool {
        let is_there = |index: &PathBuf| self.dir.join(index).with_extension("idx").exists();
        multi_index::File::at(common, None)
            .is_ok_and(|common| common.index_names().iter().all(is_there))
    }
}

/// Removes the commit-graph if it can't be read: git derives it from commits, and it is written again.
pub(super) fn remove_damaged_graph(repo: &Path, local: &gix::Repository) -> Result<(), RepoError> {
    let Err(error) = local.commit_graph_if_enabled() else { return Ok(()) };
    let info = repo.join("objects/info");
    tracing::warn!(directory = %info.display(), %error, "removing a damaged commit-graph");
    files::remove_if_there(&info.join("commit-graph"))?;
    let chain = info.join("commit-graphs");
    if chain.is_dir() {
        std::fs::remove_dir_all(&chain).at("remove", &chain)?;
    }
    Ok(())
}

/// Returns `true` if the pack exists as a file. A directory or a dangling link doesn't count and isn't
/// touched.
fn has_pack(pack: &Path) -> bool {
    pack.with_extension("pack").is_file()
}

/// The reason why a pack and its index can't both be good; `None` if a quick check finds no damage.
fn damage(pack: &Path) -> Result<Option<String>, RepoError> {
    let Some(index) = open_index(&pack.with_extension("idx"))? else {
        return Ok(Some("it can't be read".to_owned()));
    };
    let path = pack.with_extension("pack");
    let mut file = File::open(&path).at("open", &path)?;
    let size = file.metadata().at("read", &path)?.len();
    let (mut header, mut checksum) = ([0; 12], [0; 20]);
    if size >= 32 {
        let mut read = || {
            file.read_exact(&mut header)?;
            file.seek(SeekFrom::End(-20))?;
            file.read_exact(&mut checksum)
        };
        read().at("read", &path)?;
    }
    let is_of_it = header[8..] == index.num_objects().to_be_bytes()
        && index.pack_checksum().as_bytes() == checksum;
    Ok((!is_of_it).then(|| "it is of another pack, or the pack is cut off".to_owned()))
}

/// Opens an index; `None` if it is damaged.
fn open_index(path: &Path) -> Result<Option<index::File>, RepoError> {
    if path.is_dir() {
        return Ok(None);
    }
    match index::File::at(path, gix::hash::Kind::Sha1) {
        Ok(index) => Ok(Some(index)),
        Err(error) if RepoError::blames_the_system(&error) => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// Makes git write an index; the inner error is git's message about the pack.
fn index_pack(repo: &Path, pack: &Path, index: &Path) -> Result<Result<(), String>, RepoError> {
    let mut git = git_program::command();
    // Run outside of any repository: git would compare the objects with loose ones, and stop at damaged
    // ones.
    git.args(["--git-dir=/dev/null", "-c", "core.bigFileThreshold=16m"]);
    git.args(["-c", "pack.writeReverseIndex=false", "index-pack", "--threads=1", "-o"]);
    git.args([index, pack]);
    match git_program::run(&mut git, repo, || false).at("run git in", repo)? {
        None => Err(crate::deadline::Cancelled.into()),
        Some((status, ..)) if status.success() => Ok(Ok(())),
        Some((status, _, said)) => match RepoError::of_git(status, &said) {
            RepoError::Git(why) => Ok(Err(why.to_string())),
            error => Err(error),
        },
    }
}

#[cfg(test)]
mod tests;
