//! Uploads on their way into the repository.

use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use tempfile::SpooledTempFile;

use super::AttachmentError;
use crate::error::Error;
use crate::files::At as _;
use crate::repo::{Repo, blob_id_of};
use crate::revision::Etag;
use crate::unit::INLINE_BYTES;

/// The bytes of an upload: a few in memory, more in an unnamed file in the wiki's directory, which disappears even if
/// the process dies.
#[derive(Debug)]
pub struct Upload {
    spool: SpooledTempFile,
    dir: PathBuf,
    size: u64,
    limit: u64,
}

impl Upload {
    pub(super) fn new(dir: &Path, limit: u64) -> Self {
        let spool = tempfile::spooled_tempfile_in(INLINE_BYTES, dir);
        Self { spool, dir: dir.to_owned(), size: 0, limit }
    }

    /// Appends bytes. Blocks.
    ///
    /// # Errors
    /// There are more bytes than the wiki allows; the disk is full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.size += bytes.len() as u64;
        if self.size > self.limit {
            return Err(AttachmentError::TooLarge { limit: self.limit }.into());
        }
        Ok(self.spool.write_all(bytes).at("spool an upload in", &self.dir)?)
    }

    pub(super) fn hashed(mut self) -> Result<Hashed, Error> {
        let id = self.spool.rewind().and_then(|()| blob_id_of(&mut self.spool, self.size));
        Ok(Hashed { id: id.at("read an upload in", &self.dir)?, upload: self })
    }
}

/// A complete upload with its blob id.
pub(super) struct Hashed {
    pub(super) id: Etag,
    upload: Upload,
}

impl Hashed {
    pub(super) fn size(&self) -> u64 {
        self.upload.size
    }

    /// Writes the blob, unless it is small enough for the redo row.
    pub(super) fn store(&mut self, repo: &Repo) -> Result<StagedBlob, Error> {
        let Upload { spool, dir, size, .. } = &mut self.upload;
        let content = if *size <= INLINE_BYTES as u64 {
            let mut content = Vec::new();
            let read = spool.rewind().and_then(|()| spool.read_to_end(&mut content));
            read.at("read an upload in", dir)?;
            Some(content)
        } else {
            repo.write_durable_blob_from(spool, *size, self.id)?;
            None
        };
        Ok(StagedBlob { id: self.id, size: *size, content })
    }
}

/// Content that is ready to be saved.
#[derive(Debug)]
pub struct StagedBlob {
    pub(super) id: Etag,
    pub(super) size: u64,
    /// `None` if the repository has the content, durably.
    pub(super) content: Option<Vec<u8>>,
}
