//! Attachments: files that aren't pages. They may be large, so their bytes pass through files and are never in memory
//! as a whole.
//!
//! A save has two steps. [`Wiki::stage`] makes the bytes durable in the repository, under no lock;
//! [`Wiki::save_attachment`] publishes the commit that names them, as quickly as that of a page.

mod error;
mod upload;

use std::io::{self, Read};

use serde::Serialize;
use time::OffsetDateTime;

use crate::attachment_path::ExistingAttachment;
use crate::author::Author;
use crate::error::Error;
use crate::index;
use crate::page::from_seconds;
use crate::page_path::ExistingPath;
use crate::repo::{BlobReader, Entry, FileChange, Want};
use crate::revision::{Etag, Revision};
use crate::save::{Base, message, refuse_collisions};
use crate::spelling::{stored_attachment, stored_directory, written_attachment};
use crate::unit::Unit;
use crate::wiki::Wiki;

pub use error::AttachmentError;
pub use upload::{StagedBlob, Upload};

/// An attachment in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttachmentSummary {
    /// The page it belongs to; empty at the root of the tree.
    pub page: String,
    /// The name of the file.
    pub name: String,
    /// Page and name, with a slash between them.
    pub path: String,
    /// The version of the content.
    pub etag: Etag,
    /// The size of the content in bytes.
    pub size: u64,
    /// The commit that last changed the file.
    pub revision: Revision,
    /// The author of that commit.
    pub author: Author,
    /// Time of that commit, in UTC, to the second.
    #[serde(with = "time::serde::rfc3339")]
    pub modified: OffsetDateTime,
}

/// An attachment as it was in one commit, open for reading. Later changes of the wiki don't affect the reader.
pub struct Attachment {
    /// The path at which it was found.
    pub path: ExistingAttachment,
    /// The version of the content.
    pub etag: Etag,
    content: BlobReader,
}

impl Attachment {
    /// The size of the content in bytes.
    pub fn size(&self) -> u64 {
        self.content.size()
    }

    /// Returns `true` if the content is entirely in memory, so that reading doesn't block.
    pub fn is_in_memory(&self) -> bool {
        self.content.is_in_memory()
    }

    /// Skips the next `bytes`, or as many as there are.
    ///
    /// # Errors
    /// The disk is failing, or the object is damaged.
    pub fn skip(&mut self, bytes: u64) -> io::Result<()> {
        self.content.skip(bytes)
    }
}

impl Read for Attachment {
    /// Blocks, unless the content [is in memory](Self::is_in_memory).
    ///
    /// # Errors
    /// The disk is failing, or the object is damaged; damage is detected before the last byte is returned.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.content.read(out)
    }
}

impl std::fmt::Debug for Attachment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attachment")
            .field("path", &self.path)
            .field("etag", &self.etag)
            .finish_non_exhaustive()
    }
}

/// New content for an attachment.
#[derive(Clone, Debug)]
pub struct SaveAttachment<'a> {
    /// The attachment. One that isn't there must have a name that may be created, see
    /// [`AttachmentPath`](crate::AttachmentPath).
    pub path: &'a ExistingAttachment,
    /// What the author saw when they began.
    pub base: Base,
    /// The author of the change.
    pub author: &'a Author,
    /// The commit message; one is generated if it is absent.
    pub message: Option<&'a str>,
}

/// A deletion of an attachment.
#[derive(Clone, Debug)]
pub struct DeleteAttachment<'a> {
    /// The attachment.
    pub path: &'a ExistingAttachment,
    /// The version that the author saw.
    pub base: Etag,
    /// The author of the deletion.
    pub author: &'a Author,
    /// The commit message; one is generated if it is absent.
    pub message: Option<&'a str>,
}

/// A saved attachment. It is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SavedAttachment {
    /// The page it belongs to.
    pub page: String,
    /// The name of the file.
    pub name: String,
    /// Page and name, with a slash between them.
    pub path: String,
    /// The present version of the content.
    pub etag: Etag,
    /// The commit that contains it; for unchanged content, the head.
    pub revision: Revision,
    /// The size of the content in bytes.
    pub size: u64,
    /// True if the attachment was new.
    #[serde(skip)]
    pub created: bool,
    /// True if a commit was made.
    #[serde(skip)]
    pub changed: bool,
}

impl Wiki {
    /// Opens an attachment as it is now, or as it was in the commit `at`.
    ///
    /// # Errors
    /// There is no such attachment, or no such commit; the attachment is packed and exceeds the limit, so that it would
    /// have to be unpacked in memory.
    pub fn attachment(
        &self,
        path: &ExistingAttachment,
        at: Option<Revision>,
    ) -> Result<Attachment, Error> {
        self.check_open()?;
        let commit = match at {
            Some(at) => Some(self.reachable(at)?),
            None => self.head()?,
        };
        let Some(commit) = commit else { return Err(not_found(path)) };
        let found = stored_attachment(&self.repo().view(), commit, path)?;
        let (path, entry) = found.ok_or_else(|| not_found(path))?;
        let limit = self.attachment_limit();
        let content = self.repo().open_blob(entry.id, limit)?;
        let content = content.ok_or(AttachmentError::TooLarge { limit })?;
        Ok(Attachment { path, etag: entry.id, content })
    }

    /// Lists up to `limit` attachments of a page, after the name `after`, in byte order. The page `""` has the files at
    /// the root of the tree. The page itself need not exist.
    ///
    /// # Errors
    /// The path isn't a valid page path; the repository can't be read.
    pub fn attachments(
        &self,
        page: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<AttachmentSummary>, Error> {
        self.check_open()?;
        let Some(head) = self.head()? else { return Ok(Vec::new()) };
        match self.fresh_index()? {
            Some(database) => {
                let spelt = match page.is_empty() {
                    true => None,
                    false => stored_directory(
                        &self.repo().view(),
                        head,
                        ExistingPath::new(page)?.as_str(),
                    )?,
                };
                let page = spelt.as_deref().unwrap_or(page);
                database.read(|connection| Ok(index::attachments(connection, page, after, limit)?))
            }
            None => self.attachments_from_git(head, page, after, limit),
        }
    }

    /// Lists attachments from the history, while the index is behind.
    fn attachments_from_git(
        &self,
        head: Revision,
        page: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<AttachmentSummary>, Error> {
        let (page, names) = self.directory(head, page)?;
        let mut files: Vec<(String, Entry)> = names
            .into_iter()
            .filter(|(name, entry)| entry.is_file() && ExistingPath::of_file(name).is_none())
            .filter(|(name, _)| after.is_none_or(|after| name.as_str() > after))
            .collect();
        files.sort_by(|(one, _), (other, _)| one.cmp(other));
        files.truncate(limit);
        self.summaries(head, &page, files)
    }

    /// Checks that something may be written to a path: to the attachment that is there, or to a new one.
    ///
    /// # Errors
    /// There is none, and none may have this path.
    pub fn check_attachment(&self, path: &ExistingAttachment) -> Result<(), Error> {
        written_attachment(&self.repo().view(), self.current()?, path).map(drop)
    }

    /// Begins an upload. Nothing of it can be seen until it is saved, and nothing is left of it when
    /// it is dropped or the process dies.
    ///
    /// # Errors
    /// The wiki is closed.
    pub fn upload(&self) -> Result<Upload, Error> {
        self.check_open()?;
        Ok(Upload::new(self.dir(), self.attachment_limit()))
    }

    /// Makes the bytes of an upload durable in the repository, as an unreferenced object. Saves go on meanwhile. A save
    /// that would be refused is refused before anything is written.
    ///
    /// # Errors
    /// The errors of [`save_attachment`](Self::save_attachment).
    pub fn stage(
        &self,
        path: &ExistingAttachment,
        base: Base,
        upload: Upload,
    ) -> Result<StagedBlob, Error> {
        self.check_open()?;
        let mut upload = upload.hashed()?;
        let unit = Unit::new(self.repo(), self.head()?, self.preferences()?);
        let (path, _) = plan(&unit, path, base, upload.id)?;
        let new = Entry { mode: Entry::FILE, id: upload.id };
        let old = unit.entry(path.as_str())?;
        let change = FileChange { path: path.as_str().into(), old, new: Some(new) };
        let size = |id| match id == new.id {
            true => Ok(upload.size()),
            false => unit.view.blob_size(id),
        };
        self.check_growth(None, unit.head, self.growth(&[change], size)?)?;
        self.check_disk(upload.size())?;
        upload.store(self.repo())
    }

    /// Saves an attachment. On return the content is durable: it survives a crash and a power cut.
    ///
    /// # Errors
    /// The attachment exists and the base is [`Base::New`], or its version differs from the base; the name collides;
    /// the disk is full. See [`Wiki::save`].
    pub fn save_attachment(
        &self,
        save: &SaveAttachment<'_>,
        blob: StagedBlob,
    ) -> Result<SavedAttachment, Error> {
        let (id, size) = (blob.id, blob.size);
        let (mut saved, published) = self.write(|unit| {
            let (path, current) = plan(unit, save.path, save.base, id)?;
            let changed = current.is_none_or(|current| current.id != id);
            if changed {
                let mode = current.map_or(Entry::FILE, |entry| entry.mode);
                unit.put_file(path.as_str(), Entry { mode, id }, blob.content);
                let verb = if current.is_some() { "Update" } else { "Create" };
                unit.sign(save.author, message(save.message, verb, path.as_str()))?;
            }
            Ok(SavedAttachment {
                page: path.page().to_owned(),
                name: path.name().to_owned(),
                path: path.as_str().to_owned(),
                etag: id,
                revision: unit.head.unwrap_or(Revision::from_bytes([0; 20])),
                size,
                created: current.is_none(),
                changed,
            })
        })?;
        if let Some(published) = published {
            saved.revision = published.revision;
            if published.merged
                && let Some(entry) = self.repo().entry(published.revision, &saved.path)?
            {
                // A concurrent push changed a text file of the same name, and both versions were merged.
                saved.etag = entry.id;
                saved.size = self.repo().blob_size(entry.id)?;
            }
        }
        Ok(saved)
    }

    /// Deletes an attachment and returns the commit.
    ///
    /// # Errors
    /// There is no such attachment; its version differs from the base.
    pub fn delete_attachment(&self, delete: &DeleteAttachment<'_>) -> Result<Revision, Error> {
        let (done, published) = self.write(|unit| {
            let found = match unit.head {
                Some(head) => stored_attachment(&unit.view, head, delete.path)?,
                None => None,
            };
            let Some((path, entry)) = found else {
                let done = self.attachment_deleted_before(unit, delete)?;
                return done.map(Some).ok_or_else(|| not_found(delete.path));
            };
            if entry.id != delete.base {
                return Err(stale(&path, Some(entry.id)));
            }
            unit.remove_file(path.as_str());
            unit.sign(delete.author, message(delete.message, "Delete", path.as_str()))?;
            Ok(None)
        })?;
        published.map(|published| published.revision).or(done).ok_or(Error::Closed)
    }

    /// Finds the commit of the same deletion, if its client may not have got the answer.
    fn attachment_deleted_before(
        &self,
        unit: &Unit<'_>,
        delete: &DeleteAttachment<'_>,
    ) -> Result<Option<Revision>, Error> {
        let paths: Vec<_> = delete.path.spellings().map(|path| path.as_str().to_owned()).collect();
        let is_path = |path: &[u8]| paths.iter().any(|spelt| spelt.as_bytes() == path);
        let is_it = |change: &FileChange| {
            let was = change.old.map(|old| old.id);
            is_path(&change.path) && change.new.is_none() && was == Some(delete.base)
        };
        let done = unit.made_before(delete.author, |changes| changes.iter().any(is_it))?;
        let done = done.filter(|done| self.may_be_unanswered(done.revision));
        Ok(done.map(|done| done.revision))
    }

    /// Returns the directory of a page in the spelling that exists, with its entries.
    fn directory(
        &self,
        head: Revision,
        page: &str,
    ) -> Result<(String, Vec<(String, Entry)>), Error> {
        let view = self.repo().view();
        if page.is_empty() {
            return Ok((String::new(), view.directory(head, "")?.unwrap_or_default()));
        }
        let page = ExistingPath::new(page)?;
        match stored_directory(&view, head, page.as_str())? {
            Some(page) => {
                let names = view.directory(head, &page)?.unwrap_or_default();
                Ok((page, names))
            }
            None => Ok((page.as_str().to_owned(), Vec::new())),
        }
    }

    /// Adds the last commit of each file, which only the history knows.
    fn summaries(
        &self,
        head: Revision,
        page: &str,
        files: Vec<(String, Entry)>,
    ) -> Result<Vec<AttachmentSummary>, Error> {
        let path = |name: &str| match page {
            "" => name.to_owned(),
            page => format!("{page}/{name}"),
        };
        let want: Want = files.iter().map(|(name, _)| path(name).into_bytes()).collect();
        let revisions = self.repo().attribute(head, want, None, |_| ())?;
        let summary = |(name, entry): (String, Entry)| {
            let path = path(&name);
            let revision = revisions.get(path.as_bytes()).copied().unwrap_or(head);
            let commit = self.repo().commit(revision)?;
            Ok(AttachmentSummary {
                page: page.to_owned(),
                name,
                path,
                etag: entry.id,
                size: self.repo().blob_size(entry.id)?,
                revision,
                author: commit.author,
                modified: from_seconds(commit.time),
            })
        };
        files.into_iter().map(summary).collect()
    }
}

/// Where content with the id `new` may be written, and what is there now.
fn plan(
    unit: &Unit<'_>,
    path: &ExistingAttachment,
    base: Base,
    new: Etag,
) -> Result<(ExistingAttachment, Option<Entry>), Error> {
    let (path, current) = written_attachment(&unit.view, unit.head, path)?;
    match (current, base) {
        // The content is stored already, so the base doesn't matter.
        (Some(now), _) if now.id == new => {}
        (None, Base::New) => refuse_collisions(unit, path.as_str(), path.as_str())?,
        (Some(now), Base::New) => {
            return Err(
                AttachmentError::Exists { path: path.as_str().to_owned(), etag: now.id }.into()
            );
        }
        (Some(now), Base::Version(base)) if base == now.id => {}
        // There is no way to merge what need not be text.
        (current, Base::Version(_)) => return Err(stale(&path, current.map(|now| now.id))),
    }
    Ok((path, current))
}

fn stale(path: &ExistingAttachment, current: Option<Etag>) -> Error {
    AttachmentError::Stale { path: path.as_str().to_owned(), current }.into()
}

fn not_found(path: &ExistingAttachment) -> Error {
    AttachmentError::NotFound { path: path.as_str().to_owned() }.into()
}

#[cfg(test)]
mod tests;
