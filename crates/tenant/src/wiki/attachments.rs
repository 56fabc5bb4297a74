//! Attachments of a wiki, written and read in pieces.

use std::io::Read as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::Semaphore;
use wikigrove_storage as storage;
use wikigrove_storage::{
    AttachmentPath, AttachmentSummary, Etag, ExistingAttachment, Revision, SavedAttachment,
};

use super::{SaveOptions, Wiki};
use crate::base::Base;
use crate::context::blocking;
use crate::{Action, Error};

/// Number of bytes gathered before a thread is used to write them.
const GATHERED: usize = 256 * 1024;
/// Number of bytes read at once.
const PIECE: u64 = 128 * 1024;

impl Wiki {
    /// Up to `limit` attachments of a page, with names after `after`, in byte order. The page need not exist; the page
    /// `""` has the attachments at the root of the tree.
    ///
    /// # Errors
    /// The path is invalid for a page; the wiki can't be read.
    pub async fn attachments(
        &self,
        page: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<AttachmentSummary>, Error> {
        self.allow(Action::Read).await?;
        let (page, after) = (page.to_owned(), after.map(str::to_owned));
        self.run(move |wiki| wiki.attachments(&page, after.as_deref(), limit)).await
    }

    /// Opens the present version of an attachment, or its version as of the commit `at`. An open attachment can be read
    /// to its end even if it is deleted meanwhile.
    ///
    /// # Errors
    /// The attachment doesn't exist; `at` isn't part of this wiki's history.
    pub async fn attachment(&self, path: &str, at: Option<Revision>) -> Result<Download, Error> {
        self.allow(Action::Read).await?;
        let path = ExistingAttachment::new(path).map_err(|error| self.failed(error.into()))?;
        let attachment = self.run(move |wiki| wiki.attachment(&path, at)).await?;
        let (left, is_in_memory) = (attachment.size(), attachment.is_in_memory());
        Ok(Download {
            path: attachment.path.clone(),
            etag: attachment.etag,
            size: left,
            readers: self.0.live.readers(),
            attachment: Some(attachment),
            is_in_memory,
            skip: 0,
            left,
        })
    }

    /// Begins to save an attachment. The wiki isn't changed, and other writers don't wait, until
    /// [`finish`](Upload::finish) is called after the whole content was written.
    ///
    /// # Errors
    /// The caller may not write; the path is invalid for an attachment.
    pub async fn upload(&self, path: &str, base: Base) -> Result<Upload, Error> {
        self.allow(Action::Write).await?;
        let path = match AttachmentPath::new(path) {
            Ok(path) => (*path).clone(),
            // A name that can't be created may be there. This is found out before anything is sent.
            Err(error) => {
                let error = self.failed(error.into());
                let Ok(path) = ExistingAttachment::new(path) else { return Err(error) };
                let asked = path.clone();
                self.run(move |wiki| wiki.check_attachment(&asked)).await?;
                path
            }
        };
        let spool = self.with(storage::Wiki::upload)?;
        Ok(Upload {
            wiki: self.clone(),
            path,
            base: base.into(),
            spool: Some(spool),
            gathered: BytesMut::new(),
        })
    }

    /// Saves an attachment whose content is in memory.
    ///
    /// # Errors
    /// As [`Upload::finish`].
    pub async fn save_attachment(
        &self,
        path: &str,
        content: &[u8],
        base: Base,
        options: SaveOptions,
    ) -> Result<SavedAttachment, Error> {
        let mut upload = self.upload(path, base).await?;
        upload.write(content).await?;
        upload.finish(options).await
    }

    /// Deletes an attachment with the version `base`, and returns the deleting commit.
    ///
    /// # Errors
    /// The attachment doesn't exist, or changed meanwhile.
    pub async fn delete_attachment(
        &self,
        path: &str,
        base: Etag,
        options: SaveOptions,
    ) -> Result<Revision, Error> {
        self.allow(Action::Write).await?;
        let path = ExistingAttachment::new(path).map_err(|error| self.failed(error.into()))?;
        let this = self.clone();
        self.run_writing(move |wiki| {
            let author = options.author.as_ref().unwrap_or(this.caller().author());
            let message = options.message.as_deref();
            let delete = storage::DeleteAttachment { path: &path, base, author, message };
            let revision = wiki.delete_attachment(&delete)?;
            this.announce(revision, path.as_str(), author);
            Ok(revision)
        })
        .await
    }

    /// Maximal size of an attachment in bytes.
    pub fn attachment_limit(&self) -> u64 {
        self.0.platform.0.settings.attachment_limit
    }
}

/// An attachment being uploaded. Dropping the value discards the upload.
#[derive(Debug)]
pub struct Upload {
    wiki: Wiki,
    path: ExistingAttachment,
    base: storage::Base,
    /// `None` while a thread writes to it, and for ever after a failure or a cancelled write.
    spool: Option<storage::Upload>,
    gathered: BytesMut,
}

impl Upload {
    /// Appends bytes.
    ///
    /// # Errors
    /// The attachment is too large; the disk is full. The upload can't be continued then.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        for piece in bytes.chunks(GATHERED) {
            self.gathered.extend_from_slice(piece);
            if self.gathered.len() >= GATHERED {
                self.spool().await?;
            }
        }
        Ok(())
    }

    /// Writes the gathered bytes to disk. A thread is used for each 256 KiB and not for the whole upload, which takes
    /// as long as the client likes.
    async fn spool(&mut self) -> Result<(), Error> {
        let mut spool = self.spool.take().ok_or_else(over)?;
        let gathered = self.gathered.split().freeze();
        let written = move |_: &storage::Wiki| {
            spool.write(&gathered)?;
            Ok(spool)
        };
        self.spool = Some(self.wiki.run(written).await?);
        Ok(())
    }

    /// Saves the attachment. When this returns, the attachment survives a crash and a power cut.
    ///
    /// # Errors
    /// The attachment exists, or doesn't have the version of the base; the name collides; the caller may not write any
    /// more.
    pub async fn finish(mut self, options: SaveOptions) -> Result<SavedAttachment, Error> {
        self.spool().await?;
        let spool = self.spool.take().ok_or_else(over)?;
        let (path, base) = (self.path, self.base);
        let staged = {
            let path = path.clone();
            self.wiki.run(move |wiki| wiki.stage(&path, base, spool)).await?
        };
        // The upload may have taken long, and the caller's rights may have changed meanwhile.
        self.wiki.allow(Action::Write).await?;
        let this = self.wiki.clone();
        let save = move |wiki: &storage::Wiki| {
            let author = options.author.as_ref().unwrap_or(this.caller().author());
            let message = options.message.as_deref();
            let save = storage::SaveAttachment { path: &path, base, author, message };
            let saved = wiki.save_attachment(&save, staged)?;
            if saved.changed {
                this.announce(saved.revision, path.as_str(), author);
            }
            Ok(saved)
        };
        self.wiki.run_writing(save).await
    }
}

fn over() -> Error {
    Error::Busy("an upload was used after it had failed".to_owned())
}

/// An open attachment. Its content stays the same, even if the attachment is changed or deleted meanwhile.
pub struct Download {
    path: ExistingAttachment,
    etag: Etag,
    size: u64,
    /// The queue of readers. The wiki itself needn't stay open.
    readers: Arc<Semaphore>,
    /// `None` while a thread reads from it, and for ever after a failure or a cancelled read.
    attachment: Option<storage::Attachment>,
    is_in_memory: bool,
    skip: u64,
    left: u64,
}

impl Download {
    /// The path at which the attachment was found.
    pub fn path(&self) -> &ExistingAttachment {
        &self.path
    }

    /// The version of the content.
    pub fn etag(&self) -> Etag {
        self.etag
    }

    /// The size of the whole content in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The unread rest, if the attachment is in memory.
    pub fn in_memory(&mut self) -> Option<std::io::Result<Bytes>> {
        if !self.is_in_memory {
            return None;
        }
        let (skip, left) = (std::mem::take(&mut self.skip), std::mem::take(&mut self.left));
        let mut read = || {
            let attachment = self.attachment.as_mut().ok_or(std::io::ErrorKind::BrokenPipe)?;
            attachment.skip(skip)?;
            let mut rest = Vec::with_capacity(usize::try_from(left).unwrap_or_default());
            attachment.take(left).read_to_end(&mut rest)?;
            Ok(rest.into())
        };
        Some(read())
    }

    /// Restricts reading to `length` bytes after the first `start`, or to as many as there are.
    #[must_use]
    pub fn part(mut self, start: u64, length: u64) -> Self {
        self.skip = start.min(self.size);
        self.left = length.min(self.size - self.skip);
        self
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// The disk is failing, or the object is damaged. The download can't be continued then.
    pub async fn next(&mut self) -> std::io::Result<Option<Bytes>> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut attachment = self.attachment.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
        let (skip, wanted) = (std::mem::take(&mut self.skip), self.left.min(PIECE));
        let read = move || {
            attachment.skip(skip)?;
            let mut piece = Vec::with_capacity(usize::try_from(wanted).unwrap_or_default());
            attachment.by_ref().take(wanted).read_to_end(&mut piece)?;
            Ok::<_, std::io::Error>((attachment, piece))
        };
        let (attachment, piece) = if self.is_in_memory {
            read()?
        } else {
            // A turn for each piece, so that a slow client doesn't delay other readers.
            let turn = self.readers.clone().acquire_owned().await;
            let read = blocking(move || {
                let _turn = turn;
                Ok(read())
            });
            read.await.map_err(std::io::Error::other)??
        };
        self.attachment = Some(attachment);
        self.left -= piece.len() as u64;
        Ok(Some(piece.into()))
    }
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download")
            .field("path", &self.path)
            .field("etag", &self.etag)
            .finish_non_exhaustive()
    }
}
