//! Writing: new trees and commits in memory first, then objects, then the branch.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gix::objs::{Kind, WriteTo as _};
use gix::prelude::FindExt as _;

use super::read::{View, tree_of};
use super::{Entry, Repo, RepoError, etag, loose, object_id, revision};
use crate::author::Author;
use crate::files::{self, At as _, FileSystem};
use crate::revision::{Etag, Revision};

/// Maximum time that we wait while another process holds the branch's lock.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// A file to be written or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    /// The path of the file, not of the page.
    pub(crate) path: Vec<u8>,
    /// The new entry; `None` removes the file.
    pub(crate) new: Option<Entry>,
    /// The content, unless the repository has it already.
    pub(crate) content: Option<Vec<u8>>,
}

/// A commit to be made.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    /// The parents; the edits apply to the first one. Empty for the first commit.
    pub(crate) parents: &'a [Revision],
    pub(crate) edits: &'a [Edit],
    pub(crate) author: &'a Author,
    pub(crate) message: &'a str,
    /// Seconds since 1970, UTC.
    pub(crate) time: i64,
}

/// A commit with all objects it needs, in memory; not yet in the repository.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) revision: Revision,
    /// The commit object's bytes.
    pub(crate) commit: Vec<u8>,
    objects: Vec<(gix::ObjectId, Kind, Vec<u8>)>,
}

impl Prepared {
    /// The total size of its objects in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.objects.iter().map(|(_, _, data)| data.len() as u64).sum()
    }
}

impl View {
    /// Builds the trees and the commit. Nothing is written.
    pub(crate) fn prepare(&self, draft: &Draft<'_>) -> Result<Prepared, RepoError> {
        let mut objects = Vec::new();
        let tree = self.edited_tree(draft.parents.first().copied(), draft.edits, &mut objects)?;
        let signature = gix::actor::Signature {
            name: draft.author.name().into(),
            email: draft.author.email().into(),
            time: gix::date::Time { seconds: draft.time, offset: 0 },
        };
        let commit = gix::objs::Commit {
            tree,
            parents: draft.parents.iter().map(|id| object_id(id.as_bytes())).collect(),
            author: signature.clone(),
            committer: signature,
            encoding: None,
            message: draft.message.into(),
            extra_headers: Vec::new(),
        };
        let mut data = Vec::new();
        commit.write_to(&mut data).map_err(|e| RepoError::Git(Box::new(e)))?;
        finish(data, objects)
    }

    /// Builds the same objects again from the commit and edits of a redo row.
    ///
    /// # Errors
    /// The row and the repository don't belong together: the result would be another commit.
    pub(crate) fn rebuild(&self, commit: &[u8], edits: &[Edit]) -> Result<Prepared, RepoError> {
        let decoded = gix::objs::CommitRef::from_bytes(commit, gix::hash::Kind::Sha1)
            .map_err(|e| RepoError::Git(e.to_string().into()))?;
        let first = decoded.parents().next().map(|id| revision(&id));
        let mut objects = Vec::new();
        let tree = self.edited_tree(first, edits, &mut objects)?;
        if tree != decoded.tree() {
            return Err(RepoError::object(
                &decoded.tree(),
                "it can't be rebuilt: its parent differs",
            ));
        }
        finish(commit.to_owned(), objects)
    }

    fn edited_tree(
        &self,
        base: Option<Revision>,
        edits: &[Edit],
        objects: &mut Vec<(gix::ObjectId, Kind, Vec<u8>)>,
    ) -> Result<gix::ObjectId, RepoError> {
        let local = &self.0;
        let mut buffer = Vec::new();
        let root = match base {
            None => gix::objs::Tree::default(),
            Some(commit) => {
                let id = tree_of(local, commit)?;
                let tree = local
                    .objects
                    .find_tree(&id, &mut buffer)
                    .map_err(|e| RepoError::reading_object(&id, e))?;
                tree.into()
            }
        };
        let mut editor = gix::objs::tree::Editor::new(root, &local.objects, gix::hash::Kind::Sha1);
        for edit in edits {
            let segments = edit.path.split(|byte| *byte == b'/').map(gix::bstr::BStr::new);
            match edit.new {
                None => editor.remove_leaf(segments)?,
                Some(entry) => {
                    if let Some(content) = &edit.content {
                        objects.push((hash(Kind::Blob, content)?, Kind::Blob, content.clone()));
                    }
                    editor.upsert(segments, kind(entry.mode)?, object_id(entry.id.as_bytes()))?
                }
            };
        }
        editor.write(|tree| {
            let mut data = Vec::with_capacity(tree.size() as usize);
            tree.write_to(&mut data).map_err(|e| RepoError::Git(Box::new(e)))?;
            let id = hash(Kind::Tree, &data)?;
            objects.push((id, Kind::Tree, data));
            Ok(id)
        })
    }
}

impl Repo {
    /// Writes the objects that can't be read completely. A readable one is left alone: it may be durable, a
    /// new file isn't yet, and a power cut would lose the object.
    pub(crate) fn write_objects(&self, prepared: &Prepared) -> Result<(), RepoError> {
        let mut local = self.local();
        // Lookups of new objects fail; without this, each would list the packs again.
        local.objects.refresh_never();
        let mut buffer = Vec::new();
        for (id, kind, data) in &prepared.objects {
            if !is_whole(&local, id, *kind, data, &mut buffer) {
                loose::write(&self.objects(), *id, *kind, data)?;
                self.size.add(data.len() as u64);
            }
        }
        Ok(())
    }

    /// Writes the objects that can't be read completely, and those whose loose file is damaged, even if a
    /// pack has them, too; returns their number.
    pub(crate) fn repair_objects(&self, prepared: &Prepared) -> Result<usize, RepoError> {
        let local = self.local();
        let files = gix::odb::loose::Store::at(self.objects(), gix::hash::Kind::Sha1);
        let mut buffer = Vec::new();
        let mut repaired = 0;
        for (id, kind, data) in &prepared.objects {
            let whole = match files.try_find(id, &mut buffer) {
                Ok(Some(found)) => found.kind == *kind && found.data == data,
                Ok(None) => is_whole(&local, id, *kind, data, &mut buffer),
                Err(_) => false,
            };
            if whole {
                continue;
            }
            loose::write(&self.objects(), *id, *kind, data)?;
            repaired += 1;
            if !is_whole(&self.local(), id, *kind, data, &mut buffer) {
                return Err(RepoError::object(
                    id,
                    "it can't be read back after it was written again",
                ));
            }
        }
        Ok(repaired)
    }

    /// Starts rewriting objects that can be read but may not be durable.
    pub(crate) fn rewrite(&self) -> Result<Rewrite, RepoError> {
        let disk = FileSystem::watch(&self.dir)?;
        Ok(Rewrite { objects: self.objects(), disk, unnamed: Vec::new() })
    }

    /// Writes a blob and makes it durable by itself, for content too large for a redo row.
    pub(crate) fn write_durable_blob(&self, content: &[u8]) -> Result<Etag, RepoError> {
        let id = blob_id(content)?;
        self.write_durable_blob_from(&mut io::Cursor::new(content), content.len() as u64, id)?;
        Ok(id)
    }

    /// Writes a blob of `size` bytes with a known id, and makes it durable by itself. Only a buffer of it
    /// is in memory at any time.
    pub(crate) fn write_durable_blob_from(
        &self,
        content: &mut (impl io::Read + io::Seek),
        size: u64,
        id: Etag,
    ) -> Result<(), RepoError> {
        let id = object_id(id.as_bytes());
        content.rewind().at("rewind an upload to", &self.dir)?;
        loose::write_synced(&self.objects(), id, Kind::Blob, size, content)?;
        self.size.add(size);
        self.sync_shard(&id)
    }

    /// Makes the name of a loose object durable.
    fn sync_shard(&self, id: &gix::oid) -> Result<(), RepoError> {
        let (path, objects) = (self.loose_path(id), self.objects());
        match files::sync_dir(path.parent().unwrap_or(&objects)) {
            // Maintenance has just removed the directory, because a synced pack has all its objects.
            Err(error)
                if error.source.kind() == io::ErrorKind::NotFound
                    && self.has(&super::bytes(id)) => {}
            synced => synced?,
        }
        Ok(files::sync_dir(&objects)?)
    }

    /// The path of an object's loose file, which doesn't exist if the object is in a pack.
    pub(super) fn loose_path(&self, id: &gix::oid) -> PathBuf {
        let hex = id.to_string();
        self.objects().join(&hex[..2]).join(&hex[2..])
    }

    /// Takes the lock that every git program takes to move the branch, waiting for it up to a limit.
    pub(crate) fn lock_branch(&self) -> Result<RefLock, RepoError> {
        #[cfg(test)]
        {
            let left = files::failing::NEXT_LOCKS.get();
            files::failing::NEXT_LOCKS.set(left.saturating_sub(1));
            if left > 0 {
                return Err(RepoError::DiskFull);
            }
        }
        // Directories of the ref are made below the boundary, and removed if they are empty when the lock
        // is given up. Removing `refs` would make git reject the repository.
        self.lock_ref(&self.branch_file, "refs/heads")
    }

    pub(super) fn lock_ref(&self, file: &Path, boundary: &str) -> Result<RefLock, RepoError> {
        let patience = gix::lock::acquire::Fail::AfterDurationWithBackoff(LOCK_PATIENCE);
        // 0 keeps the umask's permissions.
        let boundary = Some(self.dir.join(boundary));
        Ok(RefLock(gix::lock::File::acquire_to_update_resource(file, patience, boundary, 0)?))
    }
}

/// The lock of a ref: no other process changes the ref while it lives. Dropping it leaves the ref
/// unchanged.
pub(crate) struct RefLock(gix::lock::File);

impl RefLock {
    /// Points the ref at `new`, replacing any former value. The ref isn't synced: a power cut may leave it
    /// empty, unless a redo row has the commit.
    pub(crate) fn set(mut self, new: Revision) -> Result<(), RepoError> {
        self.write(new)?;
        self.commit()
    }

    /// As [`set`](Self::set), but a power cut leaves the old ref or the new one.
    pub(crate) fn set_synced(mut self, new: Revision) -> Result<(), RepoError> {
        self.write(new)?;
        let path = self.0.lock_path().to_owned();
        self.0.with_mut(|file| file.sync_all()).at("sync", &path)?;
        self.commit()
    }

    fn write(&mut self, new: Revision) -> Result<(), RepoError> {
        let path = self.0.lock_path().to_owned();
        Ok(io::Write::write_all(&mut self.0, format!("{new}\n").as_bytes()).at("write", &path)?)
    }

    fn commit(self) -> Result<(), RepoError> {
        let path = self.0.resource_path();
        self.0.commit().map(drop).map_err(|failed| failed.error).at("rename into place", &path)?;
        Ok(())
    }
}

/// Objects that are being rewritten: all are synced before any replaces an existing file.
pub(crate) struct Rewrite {
    objects: PathBuf,
    disk: FileSystem,
    unnamed: Vec<loose::Unnamed>,
}

impl Rewrite {
    /// Adds the objects of a commit.
    pub(crate) fn add(&mut self, prepared: &Prepared) -> Result<(), RepoError> {
        for (id, kind, data) in &prepared.objects {
            self.unnamed.push(loose::write_unnamed(&self.objects, *id, *kind, data)?);
        }
        Ok(())
    }

    /// Syncs the objects and moves them into place.
    pub(crate) fn finish(self) -> Result<(), RepoError> {
        self.disk.sync()?;
        Ok(self.unnamed.into_iter().try_for_each(|object| object.name(&self.objects))?)
    }
}

/// Computes the blob id of `content`.
pub(crate) fn blob_id(content: &[u8]) -> Result<Etag, RepoError> {
    Ok(etag(&hash(Kind::Blob, content)?))
}

fn finish(
    commit: Vec<u8>,
    mut objects: Vec<(gix::ObjectId, Kind, Vec<u8>)>,
) -> Result<Prepared, RepoError> {
    let id = hash(Kind::Commit, &commit)?;
    objects.push((id, Kind::Commit, commit.clone()));
    Ok(Prepared { revision: revision(&id), commit, objects })
}

/// Returns `true` if the object can be read and has the right content. An object that can't be read counts
/// as damaged.
fn is_whole(
    local: &gix::Repository,
    id: &gix::oid,
    kind: Kind,
    data: &[u8],
    buffer: &mut Vec<u8>,
) -> bool {
    local.objects.find(id, buffer).is_ok_and(|found| found.kind == kind && found.data == data)
}

fn hash(kind: Kind, data: &[u8]) -> Result<gix::ObjectId, RepoError> {
    gix::objs::compute_hash(gix::hash::Kind::Sha1, kind, data)
        .map_err(|e| RepoError::Git(Box::new(e)))
}

fn kind(mode: u16) -> Result<gix::objs::tree::EntryKind, RepoError> {
    use gix::objs::tree::EntryKind;
    match mode {
        // Old versions of git stored other permissions, too; today's only distinguish executable files.
        0o100_000..=0o100_777 if mode & 0o100 == 0 => Ok(EntryKind::Blob),
        0o100_000..=0o100_777 => Ok(EntryKind::BlobExecutable),
        0o120_000 => Ok(EntryKind::Link),
        0o160_000 => Ok(EntryKind::Commit),
        _ => Err(RepoError::Git(format!("mode {mode:o} can't be stored in a tree").into())),
    }
}
