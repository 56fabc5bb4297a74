//! Loose objects: one file each. gix would replace a synced file with one that isn't synced: a power cut
//! may leave the new file empty, and the durable content is lost. So they are written here.
//!
//! Format: git's header and the content as a zlib stream (RFC 1950 and 1951). A file takes a block of the
//! disk however short it is, so compressing the trees and the commit of an ordinary save would save no disk
//! space; but setting up a compressor costs more than writing the file. A small object is therefore one
//! stored block. Any git reads it, and packs it like every other object.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::Path;

use gix::objs::Kind;
use gix::zlib::Compression;
use gix::zlib::stream::deflate;
use tempfile::{PathPersistError, TempPath};

use crate::files::{At as _, FileError};

/// Maximum size (bytes) of an object that fits into one block of any usual file system.
const SMALL: u64 = 4000;

/// An object in a file that doesn't have its final name yet. Dropping it removes the file.
pub(super) struct Unnamed {
    id: gix::ObjectId,
    path: TempPath,
}

/// Writes a new object without syncing it. The file appears complete or not at all, but a power cut may leave
/// it empty. If a file exists, which the caller found to be damaged, the new file is synced before it replaces
/// the old one.
pub(super) fn write(
    objects: &Path,
    id: gix::ObjectId,
    kind: Kind,
    data: &[u8],
) -> Result<(), FileError> {
    let (file, unnamed) = create(objects, id, kind, data.len() as u64, &mut &*data)?;
    match unnamed.name_new(objects)? {
        None => Ok(()),
        Some(unnamed) => {
            file.sync_all().at("sync", &unnamed.path)?;
            unnamed.name(objects)
        }
    }
}

/// Writes an object of `size` bytes and syncs it before it gets its name. The caller syncs the directories.
pub(super) fn write_synced(
    objects: &Path,
    id: gix::ObjectId,
    kind: Kind,
    size: u64,
    content: &mut dyn Read,
) -> Result<(), FileError> {
    let (file, unnamed) = create(objects, id, kind, size, content)?;
    file.sync_all().at("sync", &unnamed.path)?;
    unnamed.name(objects)
}

/// Writes an object without a name; the caller syncs it and then names it.
pub(super) fn write_unnamed(
    objects: &Path,
    id: gix::ObjectId,
    kind: Kind,
    data: &[u8],
) -> Result<Unnamed, FileError> {
    Ok(create(objects, id, kind, data.len() as u64, &mut &*data)?.1)
}

impl Unnamed {
    /// Gives a synced object its name, replacing an existing file.
    pub(super) fn name(self, objects: &Path) -> Result<(), FileError> {
        self.rename(objects, |path, place| path.persist(place)).map(drop)
    }

    /// Gives an object its name if no file has it; returns the object otherwise.
    fn name_new(self, objects: &Path) -> Result<Option<Self>, FileError> {
        self.rename(objects, |path, place| path.persist_noclobber(place))
    }

    fn rename(
        self,
        objects: &Path,
        persist: impl Fn(TempPath, &Path) -> Result<(), PathPersistError>,
    ) -> Result<Option<Self>, FileError> {
        let Self { id, path } = self;
        let hex = id.to_string();
        let shard = objects.join(&hex[..2]);
        let place = shard.join(&hex[2..]);
        let renamed = match persist(path, &place) {
            // The directory doesn't exist: this is the first object of its shard, or a repack has just
            // removed the empty directory.
            Err(PathPersistError { error, path }) if error.kind() == io::ErrorKind::NotFound => {
                create_shard(&shard)?;
                persist(path, &place)
            }
            renamed => renamed,
        };
        match renamed {
            Ok(()) => Ok(None),
            Err(PathPersistError { error, path })
                if error.kind() == io::ErrorKind::AlreadyExists =>
            {
                Ok(Some(Self { id, path }))
            }
            Err(failed) => Err(failed.error).at("rename into place", &place),
        }
    }
}

fn create_shard(shard: &Path) -> Result<(), FileError> {
    match std::fs::create_dir(shard) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created.at("create directory", shard),
    }
}

fn create(
    objects: &Path,
    id: gix::ObjectId,
    kind: Kind,
    size: u64,
    content: &mut dyn Read,
) -> Result<(File, Unnamed), FileError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("tmp_obj_");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o444));
    let file = builder.tempfile_in(objects).at("create a file in", objects)?;
    let (mut file, path) = file.into_parts();
    fill(&mut file, kind, size, content).at("write", &path)?;
    Ok((file, Unnamed { id, path }))
}

fn fill(file: &mut File, kind: Kind, size: u64, content: &mut dyn Read) -> io::Result<()> {
    let written = if size <= SMALL {
        let mut data = Vec::new();
        content.read_to_end(&mut data)?;
        file.write_all(&stored(kind, &data))?;
        data.len() as u64
    } else {
        let mut compressed = deflate::Write::new(file, Compression::BEST_SPEED);
        compressed.write_all(&gix::objs::encode::loose_header(kind, size))?;
        let written = io::copy(content, &mut compressed)?;
        compressed.flush()?;
        written
    };
    if written == size {
        return Ok(());
    }
    Err(io::Error::other(format!("its content has {written} bytes and not {size}")))
}

fn stored(kind: Kind, data: &[u8]) -> Vec<u8> {
    let header = gix::objs::encode::loose_header(kind, data.len() as u64);
    let size = (header.len() + data.len()) as u16;
    let mut file = Vec::with_capacity(usize::from(size) + 11);
    file.extend([0x78, 0x01, 0x01]);
    file.extend(size.to_le_bytes());
    file.extend((!size).to_le_bytes());
    file.extend(&*header);
    file.extend(data);
    let sum = adler32(&file[7..]);
    file.extend(sum.to_be_bytes());
    file
}

fn adler32(data: &[u8]) -> u32 {
    const PRIME: u32 = 65_521;
    // Neither sum can overflow: a small object has too few bytes.
    let (low, high) = data.iter().fold((1, 0), |(low, high), byte| {
        let low = low + u32::from(*byte);
        (low, high + low)
    });
    ((high % PRIME) << 16) | (low % PRIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_rfc_1950() {
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
        assert_eq!(adler32(&[0xff; SMALL as usize]), {
            let (mut low, mut high) = (1_u64, 0_u64);
            for _ in 0..SMALL {
                low += 0xff;
                high += low;
            }
            (((high % 65_521) << 16) | (low % 65_521)) as u32
        });
    }
}
