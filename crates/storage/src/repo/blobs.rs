//! Blobs that are too large to be held in memory: written from a reader, and read piece by piece.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Cursor, Read, Seek as _, Write as _};

use gix::objs::Kind;
use gix::zlib::{Decompress, FlushDecompress, Status};

use super::{Repo, RepoError, etag, object_id};
use crate::files::At as _;
use crate::revision::Etag;

/// Up to this size (bytes) a blob is read and checked as a whole.
const SMALL: u64 = 256 * 1024;
/// Number of bytes that are read and hashed at once.
const CHUNK: usize = 64 * 1024;
/// Maximum length of an object's header: `blob `, the digits of any size, and NUL.
const MAX_HEADER: usize = 32;

/// Computes the blob id of the `size` bytes that `content` has.
pub(crate) fn blob_id_of(content: &mut dyn Read, size: u64) -> io::Result<Etag> {
    let mut hash = gix::hash::hasher(gix::hash::Kind::Sha1);
    hash.update(&gix::objs::encode::loose_header(Kind::Blob, size));
    let mut buffer = vec![0; CHUNK];
    loop {
        match content.read(&mut buffer)? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    let id = hash.try_finalize().map_err(|error| io::Error::other(error.to_string()))?;
    Ok(etag(&id))
}

impl Repo {
    /// Opens a blob. A small one is read and checked at once. A larger loose object is read from its file,
    /// which may be deleted or packed meanwhile. git can unpack an object of a pack only as a whole: a larger
    /// one is in memory for a moment, then in an unnamed temporary file. `None` if the blob is in a pack and
    /// has more than `packed_limit` bytes.
    pub(crate) fn open_blob(
        &self,
        id: Etag,
        packed_limit: u64,
    ) -> Result<Option<BlobReader>, RepoError> {
        if let Some(loose) = self.open_loose(id)? {
            if loose.size > SMALL {
                let size = loose.size;
                return Ok(Some(BlobReader { left: size, size, source: Source::Loose(loose) }));
            }
        } else if self.blob_size(id)? > packed_limit {
            return Ok(None);
        }
        let content = self.blob(id)?;
        let size = content.len() as u64;
        let source = if size <= SMALL {
            Source::Memory(Cursor::new(content))
        } else {
            Source::File(self.unnamed_file(&content).at("unpack an object in", &self.dir)?)
        };
        Ok(Some(BlobReader { left: size, size, source }))
    }

    fn unnamed_file(&self, content: &[u8]) -> io::Result<File> {
        let mut file = tempfile::tempfile_in(&self.dir)?;
        file.write_all(content)?;
        file.rewind()?;
        Ok(file)
    }

    /// Opens a loose object; `None` if it is in a pack or doesn't exist.
    fn open_loose(&self, id: Etag) -> Result<Option<Box<Loose>>, RepoError> {
        let id = object_id(id.as_bytes());
        let path = self.loose_path(&id);
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => match Loose::new(opened.at("open", &path)?) {
                Ok(loose) => Ok(Some(Box::new(loose))),
                Err(error) if error.raw_os_error().is_some() => Err(error).at("read", &path)?,
                Err(error) => Err(RepoError::object(&id, error)),
            },
        }
    }
}

/// The content of a blob, piece by piece.
pub(crate) struct BlobReader {
    source: Source,
    size: u64,
    left: u64,
}

enum Source {
    Memory(Cursor<Vec<u8>>),
    File(File),
    Loose(Box<Loose>),
}

impl BlobReader {
    /// The size of the blob in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Returns `true` if reading never waits for the disk.
    pub(crate) fn is_in_memory(&self) -> bool {
        matches!(self.source, Source::Memory(_))
    }

    /// Skips the next `bytes`. A loose object is inflated all the same.
    pub(crate) fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let bytes = bytes.min(self.left);
        let by = i64::try_from(bytes).map_err(io::Error::other)?;
        match &mut self.source {
            Source::Memory(content) => content.seek_relative(by)?,
            Source::File(file) => file.seek_relative(by)?,
            Source::Loose(_) => {
                return io::copy(&mut self.take(bytes), &mut io::sink()).map(drop);
            }
        }
        self.left -= bytes;
        Ok(())
    }
}

impl Read for BlobReader {
    /// # Errors
    /// The object is damaged: its length isn't the one in its header, or its checksum is wrong. The error
    /// comes before the last byte is returned.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let wanted = out.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let out = &mut out[..wanted];
        let read = match &mut self.source {
            Source::Memory(content) => content.read(out)?,
            Source::File(file) => file.read(out)?,
            Source::Loose(loose) => loose.inflate(out)?,
        };
        if read == 0 {
            return Err(damaged("it is shorter than it says"));
        }
        self.left -= read as u64;
        if self.left == 0
            && let Source::Loose(loose) = &mut self.source
        {
            loose.check_end()?;
        }
        Ok(read)
    }
}

/// A loose object, inflated as it is read.
struct Loose {
    file: BufReader<File>,
    state: Decompress,
    /// True once the end of the compressed stream was read and its checksum was right.
    ended: bool,
    size: u64,
}

impl Loose {
    fn new(file: File) -> io::Result<Self> {
        let file = BufReader::with_capacity(CHUNK, file);
        let mut loose = Self { file, state: Decompress::new(), ended: false, size: 0 };
        loose.size = loose.header()?;
        Ok(loose)
    }

    fn header(&mut self) -> io::Result<u64> {
        let mut header = Vec::with_capacity(MAX_HEADER);
        while header.len() < MAX_HEADER {
            let mut byte = [0];
            match self.inflate(&mut byte)? {
                1 if byte != [0] => header.extend(byte),
                _ => break,
            }
        }
        std::str::from_utf8(&header)
            .ok()
            .and_then(|header| header.strip_prefix("blob "))
            .and_then(|size| size.parse().ok())
            .ok_or_else(|| damaged("it doesn't begin as a blob does"))
    }

    /// As [`Read::read`]: returns at least one byte, unless the stream has ended.
    fn inflate(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !self.ended {
            let input = self.file.fill_buf()?;
            let at_end = input.is_empty();
            let (read_before, written_before) = (self.state.total_in(), self.state.total_out());
            let status = self
                .state
                .decompress(input, out, FlushDecompress::None)
                .map_err(|error| damaged(&error.to_string()))?;
            let consumed = self.state.total_in() - read_before;
            let written = self.state.total_out() - written_before;
            self.file.consume(consumed as usize);
            self.ended = status == Status::StreamEnd;
            if written > 0 {
                return Ok(written as usize);
            }
            if !self.ended && (at_end || consumed == 0) {
                return Err(damaged("it ends early"));
            }
        }
        Ok(0)
    }

    fn check_end(&mut self) -> io::Result<()> {
        match self.inflate(&mut [0])? {
            0 => Ok(()),
            _ => Err(damaged("it is longer than it says")),
        }
    }
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a git object is damaged: {why}"))
}
