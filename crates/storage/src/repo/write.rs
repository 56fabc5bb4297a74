//! Writing: new trees and commits in memory first, then objects, then the branch.

use std::path::PathBuf;
use std::time::Duration;

use gix::objs::{Kind, WriteTo as _};
use gix::prelude::{FindExt as _, Write as _};

use super::read::{View, tree_of};
use super::{Entry, Repo, RepoError, etag, loose, object_id, revision};
use crate::author::Author;
use crate::files::{self, At as _};
use crate::revision::{Etag, Revision};

/// How long somebody else may hold the branch's lock before we give up.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// A file to be written or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    /// The path of the file, not of the page.
    pub(crate) path: Vec<u8>,
    /// What it shall be; `None` removes it.
    pub(crate) new: Option<Entry>,
    /// The content, unless the repository has it already.
    pub(crate) content: Option<Vec<u8>>,
}

/// A commit to be made.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    /// The parents; the first is the state the edits apply to. None for the first commit.
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

    /// Builds the same objects again from what a redo row remembers of them.
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
                    .map_err(|e| RepoError::object(&id, e))?;
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
    /// Writes the objects, whether or not they seem to be there: a power cut can leave an empty file
    /// under an object's name, and only writing it again heals that.
    pub(crate) fn write_objects(&self, prepared: &Prepared) -> Result<(), RepoError> {
        let local = self.local();
        let objects = self.dir.join("objects");
        for (id, kind, data) in &prepared.objects {
            if data.len() <= loose::SMALL {
                loose::write(&objects, *id, *kind, data)?;
                continue;
            }
            // A repack may remove the directory of an object between its creation and our rename.
            if let Err(error) = local.objects.write_buf_with_known_id(*kind, data, *id) {
                if !error.is_not_found() {
                    return Err(error.into());
                }
                local.objects.write_buf_with_known_id(*kind, data, *id)?;
            }
        }
        Ok(())
    }

    /// Writes those objects that can't be read back whole; returns how many that were.
    pub(crate) fn repair_objects(&self, prepared: &Prepared) -> Result<usize, RepoError> {
        let local = self.local();
        let mut buffer = Vec::new();
        let mut repaired = 0;
        for (id, kind, data) in &prepared.objects {
            let mut whole = |local: &gix::Repository| {
                local
                    .objects
                    .find(id, &mut buffer)
                    .is_ok_and(|found| found.kind == *kind && found.data == data)
            };
            if whole(&local) {
                continue;
            }
            local.objects.write_buf(*kind, data)?;
            repaired += 1;
            if !whole(&self.local()) {
                return Err(RepoError::object(
                    id,
                    "it can't be read back after it was written again",
                ));
            }
        }
        Ok(repaired)
    }

    /// Writes a blob and makes it durable by itself, for content too large to pass through a redo row.
    pub(crate) fn write_durable_blob(&self, content: &[u8]) -> Result<Etag, RepoError> {
        let id = self.local().objects.write_buf(Kind::Blob, content)?;
        self.sync_loose(&id)?;
        Ok(etag(&id))
    }

    /// Makes one loose object durable.
    pub(super) fn sync_loose(&self, id: &gix::oid) -> Result<(), RepoError> {
        let path = self.loose_path(id);
        let objects = self.dir.join("objects");
        let sync = || {
            std::fs::File::open(&path).and_then(|file| file.sync_all()).at("sync", &path)?;
            files::sync_dir(path.parent().unwrap_or(&objects))?;
            files::sync_dir(&objects)
        };
        match sync() {
            // Maintenance has just removed it, because it is in a pack that is synced.
            Err(error)
                if error.source.kind() == std::io::ErrorKind::NotFound
                    && self.has(&super::bytes(id)) =>
            {
                Ok(())
            }
            synced => Ok(synced?),
        }
    }

    /// Where an object's file is, if it isn't in a pack.
    pub(super) fn loose_path(&self, id: &gix::oid) -> PathBuf {
        let hex = id.to_string();
        self.dir.join("objects").join(&hex[..2]).join(&hex[2..])
    }

    /// Keeps a commit that the branch is about to leave under a name that no client sees. The caller
    /// syncs the file system.
    pub(crate) fn keep_backup(&self, old: Revision) -> Result<(), RepoError> {
        let dir = self.dir.join("refs/wiki/backup");
        std::fs::create_dir_all(&dir).at("create directory", &dir)?;
        let mut time = time::OffsetDateTime::now_utc().unix_timestamp();
        loop {
            let path = dir.join(time.to_string());
            let content = format!("{old}\n");
            match std::fs::OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(mut file) => {
                    std::io::Write::write_all(&mut file, content.as_bytes()).at("write", &path)?;
                    return Ok(());
                }
                // Another one in the same second.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => time += 1,
                Err(error) => Err(error).at("create", &path)?,
            }
        }
    }

    /// Takes the lock that every git program takes to move the branch, waiting a while for it.
    pub(crate) fn lock_branch(&self) -> Result<BranchLock, RepoError> {
        let patience = gix::lock::acquire::Fail::AfterDurationWithBackoff(LOCK_PATIENCE);
        // Directories of the ref are made below the boundary, and removed when the lock is given up
        // and they are empty. Without `refs` this would be no repository any more. 0 keeps the
        // umask's permissions.
        let boundary = Some(self.dir.join("refs/heads"));
        let file =
            gix::lock::File::acquire_to_update_resource(&self.branch_file, patience, boundary, 0)?;
        Ok(BranchLock(file))
    }
}

/// While this lives, nobody else moves the branch. Dropping it leaves the branch as it is.
pub(crate) struct BranchLock(gix::lock::File);

impl BranchLock {
    /// Points the branch at `new`, whatever it said before.
    pub(crate) fn set(mut self, new: Revision) -> Result<(), RepoError> {
        use std::io::Write as _;
        self.0.write_all(format!("{new}\n").as_bytes()).map_err(|error| {
            if files::is_disk_full(&error) {
                RepoError::DiskFull
            } else {
                RepoError::Git(Box::new(error))
            }
        })?;
        self.0.commit().map_err(|error| RepoError::Git(error.to_string().into()))?;
        Ok(())
    }
}

/// The blob id that content has.
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

fn hash(kind: Kind, data: &[u8]) -> Result<gix::ObjectId, RepoError> {
    gix::objs::compute_hash(gix::hash::Kind::Sha1, kind, data)
        .map_err(|e| RepoError::Git(Box::new(e)))
}

fn kind(mode: u16) -> Result<gix::objs::tree::EntryKind, RepoError> {
    use gix::objs::tree::EntryKind;
    match mode {
        // Old versions of git stored other permissions, too; today's see only whether it is executable.
        0o100_000..=0o100_777 if mode & 0o100 == 0 => Ok(EntryKind::Blob),
        0o100_000..=0o100_777 => Ok(EntryKind::BlobExecutable),
        0o120_000 => Ok(EntryKind::Link),
        0o160_000 => Ok(EntryKind::Commit),
        _ => Err(RepoError::Git(format!("mode {mode:o} can't be stored in a tree").into())),
    }
}
